import fc from "npm:fast-check@4.10.2";
import { assertEquals } from "@std/assert";
import {
  type Block,
  type Inline,
  parseMarkup,
} from "../../static/chat/markup.js";

/** A message as a person would write down how it looks. */
function shown(message: string): string {
  return parseMarkup(message).map(showBlock).join(" | ");
}

function showBlock(block: Block): string {
  switch (block.kind) {
    case "code":
      return `CODE(${block.text})`;
    case "list":
      return `${block.first ?? "•"}[${block.items.map(showParts).join("; ")}]`;
    case "quote":
      return `QUOTE(${showParts(block.parts)})`;
    case "paragraph":
      return showParts(block.parts);
  }
}

function showParts(parts: Inline[]): string {
  return parts.map((part) => {
    switch (part.kind) {
      case "text":
        return part.text;
      case "code":
        return `code(${part.text})`;
      case "link":
        return `link(${part.text})`;
      default:
        return `${part.kind}(${showParts(part.parts)})`;
    }
  }).join("");
}

function textOf(parts: Inline[]): string {
  return parts.map((part) => "parts" in part ? textOf(part.parts) : part.text)
    .join("");
}

function wordsOf(block: Block): string {
  if (block.kind === "code") return `${block.language}\n${block.text}`;
  return block.kind === "list"
    ? block.items.map(textOf).join("\n")
    : textOf(block.parts);
}

const CASES: Record<string, [message: string, looks: string][]> = {
  "code is kept exactly as it was written": [
    ["```\nif (a) {\n\t*b*  \n}\n```", "CODE(if (a) {\n\t*b*  \n})"],
    ["```js\nlet a;\n```", "CODE(let a;)"],
    ["look:\n```\nx\n```\nno?", "look: | CODE(x) | no?"],
    ["```\n\n```", "CODE()"],
    ["```(x)\ny\n```", "```(x)\ny\n```"],
    ["`a*b*c` and ``a`b``", "code(a*b*c) and code(a`b)"],
  ],
  "words can be strong or emphasised, one inside the other": [
    ["*a* _b_ **c**", "emphasis(a) emphasis(b) strong(c)"],
    ["**a *b* c**", "strong(a emphasis(b) c)"],
    ["(*a*), **b**!", "(emphasis(a)), strong(b)!"],
  ],
  "what is not closed, or stands within words, stays text": [
    ["```\nnot closed", "```\nnot closed"],
    ["a `b", "a `b"],
    ["a ``b` c", "a ``b` c"],
    ["*a\nb*", "*a\nb*"],
    ["2*3*4", "2*3*4"],
    ["snake_case_name __init__", "snake_case_name __init__"],
    ["**kwargs, **other", "**kwargs, **other"],
    ["a * b * c", "a * b * c"],
    ["**a *b** c*", "strong(a *b) c*"],
  ],
  "a link is shown as its own address, without the sentence around it": [
    [
      "see https://a.example/b_c?d=*e*.",
      "see link(https://a.example/b_c?d=*e)*.",
    ],
    ["(http://a.example/x_(y))", "(link(http://a.example/x_(y)))"],
    ["<https://a.example>", "<link(https://a.example)>"],
    ["https:// xhttps://a.example", "https:// xhttps://a.example"],
    [
      "javascript:alert(1) ftp://a.example",
      "javascript:alert(1) ftp://a.example",
    ],
  ],
  "an address that does not read as it leads stays text": [
    [
      "https://\u202e@evil.example/nigol/moc.knab.www",
      "https://\u202e@evil.example/nigol/moc.knab.www",
    ],
    [
      "https://bank.example@evil.example/",
      "https://bank.example@evil.example/",
    ],
    [
      "https://bank.example\u2044login\u3164@evil.example/",
      "https://bank.example\u2044login\u3164@evil.example/",
    ],
    [
      "https://\u0430\u0440\u0440\u04cf\u0435.example/",
      "https://\u0430\u0440\u0440\u04cf\u0435.example/",
    ],
    [
      "https://a.example/gr\u00fc\u00dfe",
      "link(https://a.example/gr\u00fc\u00dfe)",
    ],
    ["http://[::1]:8000/ws", "link(http://[::1]:8000/ws)"],
  ],
  "lists and quotes begin at the start of a line": [
    ["- a\n- *b*", "•[a; emphasis(b)]"],
    ["* a", "•[a]"],
    ["3. c\n4. d", "3[c; d]"],
    ["1. a\n- b", "1[a] | •[b]"],
    ["> a\n> b\nc", "QUOTE(a\nb) | c"],
    ["a - b\n 1. c", "a - b\n 1. c"],
    ["1984. was a year", "1984. was a year"],
    ["a\n\n- b\n", "a\n | •[b]"],
  ],
};

for (const [rule, cases] of Object.entries(CASES)) {
  Deno.test(rule, () => {
    for (const [message, looks] of cases) assertEquals(shown(message), looks);
  });
}

const messages = fc.array(
  fc.constantFrom(
    ..."*_`> -\n.(ah1",
    "```",
    "**",
    "\n- ",
    "\n1. ",
    "https://a.example",
    "😀",
  ),
  { maxLength: 80 },
).map((pieces) => pieces.join(""));

/** Marks are left out, and nothing else is. */
const withoutMarks = (text: string) => text.replaceAll(/[*_`>\n .\d-]/g, "");

Deno.test("of a message only marks are left out, and nothing changes its place", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const words = parseMarkup(message).map(wordsOf).join("\n");
      assertEquals(withoutMarks(words), withoutMarks(message));
    }),
    { numRuns: 5_000 },
  );
});
