// The lesson without a browser: what it quotes stands in the files, what it
// links exists, and its arithmetic (digest, frame sizes, strokes) is right. Its
// experiments are done in tests/browser/learn_test.ts.
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  DRAW_SUBPROTOCOL,
  MAX_DRAW_BYTES,
  parseRoom,
} from "../../chat/protocol/requests.ts";
import { DRAW_FRAMES_PER_SECOND } from "../../chat/session/drawing.ts";
import { acceptOf, isKey, newKey, sha1 } from "../../static/learn/digest.js";
import { frameHeaderBytes } from "../../static/shared/framing.js";
import { effectsOf } from "../../static/learn/inner_html.js";
import { Place } from "../../static/learn/place.js";
import { Memory } from "../../static/shared/storage.js";
import {
  costs,
  decode,
  encode,
  explain,
  KIND_STROKE,
  MAX_POINTS,
} from "../../static/learn/stroke.js";
import { unitsOf } from "../../static/learn/utf8.js";
import { frame, Opcode } from "../../chat/check/frames.ts";
import { closeSections } from "../support/close_page.ts";

const ROOT = new URL("../..", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));
const page = read("static/learn.html");

/** The text of a piece of the page, which has no tags in it. */
function decodeHtml(html: string): string {
  return html.replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

/** Without what may differ between a quotation and its place: the margin. */
function withoutMargin(text: string): string {
  return text.split("\n").map((line) => line.trim()).join("\n").trim();
}

/** Each quotation of the page and the file that it names. */
function quotations(): { file: string; text: string }[] {
  const blocks = page.matchAll(
    /<pre\s+class="excerpt"\s+data-file="([^"]+)"[^>]*><code>([^]*?)<\/code>/g,
  );
  const phrases = page.matchAll(
    /<code\s+data-file="([^"]+)"\s*>([^<]*)<\/code>/g,
  );
  return [...blocks, ...phrases].map(([, file = "", html = ""]) => ({
    file,
    text: withoutMargin(decodeHtml(html)),
  }));
}

Deno.test("every quotation of the lesson stands in the file that it names", () => {
  const found = quotations();
  assertEquals(found.length, page.match(/data-file="/g)?.length);
  assert(found.length >= 3);
  for (const { file, text } of found) {
    assert(text.length > 10, file);
    assert(withoutMargin(read(file)).includes(text), `${file}: ${text}`);
  }
});

const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);

Deno.test("no id stands twice in the lesson, and all that is referred to exist", () => {
  assertEquals(ids.length, new Set(ids).size);
  const references = page.matchAll(
    /\s(?:for|aria-labelledby|aria-describedby)="([^"]+)"/g,
  );
  for (const [, id] of references) assert(ids.includes(id), id);
});

/** The path of what an address on the page leads to, if it is our own. */
function targetsOf(html: string): string[] {
  return [...html.matchAll(/\s(?:href|src)="([^"]+)"/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^https:/.test(target));
}

/** Whether the server has it: pages are served without their extension. */
function exists(target: string): boolean {
  const [, code] = /^close\/(\d+)$/.exec(target) ?? [];
  if (code !== undefined) return closeSections.some(({ id }) => id === code);
  const name = target.replace(/\/$/, "/index.html");
  return [name, `${name}.html`].some((path) => {
    try {
      return Deno.statSync(new URL(`static/${path}`, ROOT)).isFile;
    } catch {
      return false;
    }
  });
}

for (const file of ["static/learn.html", "static/index.html"]) {
  Deno.test(`${file} leads to nothing of the server's that is not there`, () => {
    const targets = targetsOf(read(file));
    const anchors = targets.filter((target) => target.startsWith("#"));
    const files = targets.filter((target) => !target.startsWith("#"));
    for (const anchor of anchors) assert(ids.includes(anchor.slice(1)), anchor);
    // The address is relative: the server may be below a base.
    for (const target of files) {
      assert(!target.startsWith("/"), target);
      assert(exists(target), target);
    }
  });
}

Deno.test("every chapter is in the contents, in order, and asks two or three questions", () => {
  const chapters = page.split(/<section /).slice(1);
  const [contents = ""] = /<nav id="contents"[^]*?<\/nav>/.exec(page) ?? [];
  assertEquals(
    targetsOf(contents).filter((target) => target.startsWith("#")),
    chapters.map((chapter) => `#${/id="([^"]+)"/.exec(chapter)?.[1]}`),
  );
  for (const [i, chapter] of chapters.entries()) {
    assert(chapter.includes(`>${i + 1}. `), `number ${i + 1}`);
    assert(chapter.includes('class="experiment"'), `chapter ${i + 1}`);
    const questions = chapter.slice(chapter.indexOf('class="questions"'));
    const count = questions.match(/class="question"/g)?.length ?? 0;
    assert(count === 2 || count === 3, `chapter ${i + 1}: ${count}`);
  }
});

Deno.test("every question has three choices, one of them right, and tells why of each", () => {
  const questions = page.split(/class="question"/).slice(1);
  assert(questions.length >= 20);
  for (const question of questions) {
    const choices = question.split("</details>").slice(0, 3)
      .map((choice) => choice.slice(choice.indexOf("<details")));
    const verdicts = choices.map((choice) =>
      /<p>\s*<b>(\w+)\.<\/b>\s*\S/.exec(choice)?.[1]
    );
    assertEquals(verdicts.toSorted(), ["No", "No", "Right"], question);
    assertEquals(
      choices.map((choice) => choice.startsWith('<details class="right">')),
      verdicts.map((verdict) => verdict === "Right"),
    );
  }
});

Deno.test("an answer of another shape is dropped, and there are never too many", () => {
  const memory = new Memory(null);
  const right = { question: "question-mask", choice: 2 };
  const wrong = [
    null,
    { ...right, question: 1 },
    { ...right, question: "q".repeat(65) },
    { ...right, choice: "2" },
    { ...right, choice: -1 },
    { ...right, choice: 1.5 },
    { ...right, choice: 64 },
  ];
  memory.set("answers", JSON.stringify([...wrong, right]));
  assertEquals(memory.answers, [right]);
  memory.answers = Array(100).fill(right);
  assertEquals(memory.answers.length, 64);
});

/** What is read of a piece of the page: no listings, and nothing to press. */
function wordsIn(html: string): string[] {
  return html.replace(/^[^>]*>/, "")
    .replaceAll(/<(pre|select|button|label|thead)\b[^]*?<\/\1>/g, " ")
    .replaceAll(/<[^>]*>/g, " ").match(/\S+/g) ?? [];
}

Deno.test("the lesson has at most 3,450 words and fits in 43 minutes, each chapter in seven", () => {
  const chapters = page.split(/<section /).slice(1).map((chapter) => {
    const experiments = chapter.match(/class="experiment"/g) ?? [];
    const words = wordsIn(chapter).length;
    // 150 words a minute, and a minute for each experiment.
    return { words, minutes: words / 150 + experiments.length };
  });
  const words = chapters.reduce((sum, { words }) => sum + words, 0);
  assert(words <= 3_450, `${words}`);
  for (const { minutes } of chapters) assert(minutes <= 7, `${minutes}`);
  // Five more for the program that the last chapter has one write.
  const minutes = chapters.reduce((sum, { minutes }) => sum + minutes, 5);
  assert(minutes <= 43, `${minutes}`);
});

Deno.test("what the lesson says of the board's limits is so", () => {
  assert(page.includes(`<code>${DRAW_SUBPROTOCOL}</code>`));
  assert(/\b4\s+KiB\s+a\s+frame/.test(page) && MAX_DRAW_BYTES === 4 * 1024);
  const rate = new RegExp(`\\b${DRAW_FRAMES_PER_SECOND}\\s+frames a second`);
  assert(rate.test(page));
  assertEquals(KIND_STROKE, 1);
});

Deno.test("the page's SHA-1 is SHA-1, for every length around its blocks", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from(
      { length },
      (_, i) => (i * 37 + length) % 256,
    );
    const digest = createHash("sha1").update(bytes).digest("hex");
    assertEquals(
      Buffer.from(sha1(bytes)).toString("hex"),
      digest,
      `${length} bytes`,
    );
  }
});

Deno.test("the RFC's sample key has the RFC's answer (RFC 6455 section 1.3)", () => {
  assertEquals(
    acceptOf("dGhlIHNhbXBsZSBub25jZQ=="),
    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  );
  for (let i = 0; i < 100; i++) assert(isKey(newKey()));
  for (
    const text of ["", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR=="]
  ) {
    assert(!isKey(text), text);
  }
});

Deno.test("the size of a frame's header is that of real frames", () => {
  for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]) {
    const payload = new Uint8Array(length);
    for (const masked of [true, false]) {
      const { length: onWire } = frame(Opcode.binary, payload, { masked });
      assertEquals(frameHeaderBytes(length, masked), onWire - length);
    }
  }
});

Deno.test("a stroke is the same after its bytes were read", () => {
  const stroke = {
    colour: 7,
    points: [[0, 65_535], [258, 1]] as [number, number][],
  };
  const bytes = encode(stroke);
  assertEquals([...bytes], [1, 7, 0, 0, 255, 255, 1, 2, 0, 1]);
  assertEquals(decode(bytes.buffer), stroke);
  const groups = explain(bytes);
  assertEquals(groups.flatMap(({ bytes }) => [...bytes]), [...bytes]);
  assertEquals(groups.at(-1)?.meaning, "x 258, y 1");
});

Deno.test("what is no stroke is not read as one", () => {
  const frames = [
    [],
    [1],
    [1, 0],
    [1, 0, 0],
    [1, 0, 0, 0, 0],
    [1, 0, 0, 0, 0, 0, 0],
    [2, 0, 0, 0, 0, 0],
    [1, 8, 0, 0, 0, 0],
    [0x5b, 0x5d],
  ];
  for (const bytes of frames) {
    assertEquals(decode(Uint8Array.from(bytes).buffer), null, `${bytes}`);
  }
});

Deno.test("the longest stroke fits the server's largest frame", () => {
  const points = Array.from(
    { length: MAX_POINTS },
    () => [1, 2] as [number, number],
  );
  assert(encode({ colour: 0, points }).length <= MAX_DRAW_BYTES);
});

Deno.test("a stroke's costs are those of the frames and lines that carry it", () => {
  const points = Array.from(
    { length: 40 },
    (_, i) => [i * 1_600, 65_535 - i] as [number, number],
  );
  const { binary, json, sse } = costs({ colour: 3, points });
  assertEquals(binary, { content: 162, onWire: 166 });
  const text = JSON.stringify({ type: "stroke", colour: 3, points });
  assertEquals(json, { content: text.length, onWire: text.length + 4 });
  assertEquals(sse, { content: 216, onWire: 216 + "data: \n\n".length });
});

Deno.test("experiments have rooms of their own, that the server accepts", () => {
  const place = new Place("https://a.example/chat/learn?x#y", { code: "a&b" });
  const rooms = Array.from({ length: 100 }, () => place.freshRoom());
  assert(new Set(rooms).size > 95);
  for (const room of rooms) {
    assert(room.startsWith("learn-"));
    const socket = new URL(place.socket(room));
    assertEquals(parseRoom(socket), room);
    assertEquals(socket.origin + socket.pathname, "wss://a.example/chat/ws");
    assertEquals(socket.searchParams.get("invite"), "a&b");
    const events = new URL(place.http("events", room));
    assertEquals(events.href.split("?")[0], "https://a.example/chat/events");
    assertEquals(events.search, socket.search);
  }
});

Deno.test("what an element by innerHTML would do is told as Chromium does it", () => {
  const RUN = "runs “x()” as a script of this page";
  const cases: [string, [string, string][], string, string][] = [
    ["svg", [["onload", "x()"]], "div", "no load event"],
    ["svg", [["onload", "x()"]], "svg", `onload: the browser ${RUN}.`],
    ["p", [["onload", "x()"]], "div", "no load event"],
    ["img", [["onerror", "x()"]], "div", `${RUN} when`],
    ["img", [["src", ""], ["onerror", "x()"]], "div", `${RUN}.`],
    ["b", [["onclick", "x()"]], "div", `${RUN} when`],
    ["details", [["open", ""], ["ontoggle", "x()"]], "div", `${RUN}.`],
    ["input", [["autofocus", ""], ["onfocus", "x()"]], "div", `${RUN}.`],
    ["iframe", [["src", "javascript:x()"]], "div", "src: the browser runs"],
    ["iframe", [["srcdoc", "<script>"]], "div", "runs scripts in it"],
    ["a", [["href", "javascript:x()"]], "div", "href: a click runs"],
    ["img", [["src", "javascript:x()"]], "div", "The browser shows it"],
    ["style", [], "div", "rules to the whole page"],
    ["b", [], "div", "The browser shows it in the page."],
  ];
  for (const [name, attributes, parent, effect] of cases) {
    const effects = effectsOf({ name, attributes, parent }).join(" ");
    assert(effects.includes(effect), `${name}: ${effects}`);
  }
  assertEquals(effectsOf({ name: "script", attributes: [["src", "x"]] }), [
    "The browser does not run a script that came by innerHTML.",
  ]);
});

Deno.test("the bytes of characters are those that are sent", () => {
  const text = "Zoë 👋 €\ud800";
  const bytes = unitsOf(text).flatMap(({ bytes }) => bytes);
  assertEquals(bytes, [...new TextEncoder().encode(text)]);
});
