// Checks that a text comes as it was sent. Each text begins and ends with a token, by
// which it is found also when the server changed what is between.
import { type Check, Failure, type Target } from "../check.ts";
import { shown, token } from "../client.ts";
import { Ended } from "../connection.ts";
import {
  ASSIGNMENT,
  example,
  type Heard,
  inRoom,
  type Member,
  nameOf,
  quoted,
} from "./member.ts";

/** As many as any message of the lesson's chat may have. */
const LONG_CHARACTERS = 4_000;
const LONG = LONG_CHARACTERS.toLocaleString("en");

/** The characters of a text that a detail quotes where it begins to differ. */
const SHOWN_CHARACTERS = 8;

/** Where a text that came differs from the one that was sent. */
function difference(sent: string, came: string): string {
  const right = [...sent];
  const wrong = [...came];
  const at = right.findIndex((char, i) => char !== wrong[i]);
  const from = at < 0 ? right.length : at;
  return `A text of ${right.length} characters came with ${wrong.length}. From ` +
    `character ${from + 1} on it was ${partOf(wrong, from)} instead of ` +
    `${partOf(right, from)}. It must come unchanged.`;
}

function partOf(characters: readonly string[], from: number): string {
  const part = characters.slice(from, from + SHOWN_CHARACTERS);
  if (part.length === 0) return "at its end";
  const more = characters.length > from + part.length ? "…" : "";
  const quoted = `${JSON.stringify(part.join(""))}${more}`;
  // Many characters look like others.
  const code = part[0]?.codePointAt(0) ?? 0;
  const number = code.toString(16).toUpperCase().padStart(4, "0");
  return code > 32 && code < 127 ? quoted : `${quoted} (U+${number})`;
}

/** Fails unless this is the text. */
function assertUnchanged(
  target: Target,
  sent: string,
  found: Heard | undefined,
): void {
  if (!found) {
    throw new Failure(
      `The text ${
        shown(sent)
      } did not come to another client, and a text that ` +
        "was sent after it did. It must come, unchanged.",
    );
  }
  const { chat, raw } = found;
  if (chat?.message === sent) return;
  if (chat) throw new Failure(difference(sent, chat.message));
  throw new Failure(
    `The text ${shown(sent)} came as ${quoted(raw)}, which is no JSON of the ` +
      `form ${example(target, "the sender's name", "…")}.`,
  );
}

/** Says a text and returns what came of it: a chat message, or what else has it. */
async function findHeard(
  speaker: Member,
  other: Member,
  text: string,
  mark: string,
): Promise<Heard | undefined> {
  await speaker.say(text);
  let heard: Heard[];
  try {
    heard = await other.hearAllBefore(speaker);
  } catch (error) {
    if (!(error instanceof Failure) && !(error instanceof Ended)) throw error;
    throw new Failure(
      `After a client sent the text ${
        shown(text)
      }, nothing more came of that ` +
        `client to another one. ${sentence(error)}`,
    );
  }
  return heard.find(({ chat }) => chat?.message.includes(mark)) ??
    heard.find(({ raw }) => raw.includes(mark));
}

function sentence(error: Error): string {
  return error instanceof Failure
    ? error.message
    : `Its connection was closed (${error.message}).`;
}

/** A text with this between two tokens, and `ends` around them, comes unchanged. */
function unchanged(
  id: string,
  title: string,
  between: string,
  ends = "",
): Check {
  return {
    id,
    title,
    source: ASSIGNMENT.text,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 2, async (speaker, other) => {
        const mark = token();
        const text = `${ends}${mark} ${between} ${mark}${ends}`;
        const found = await findHeard(speaker, other, text, mark);
        assertUnchanged(target, text, found);
      });
    },
  };
}

export const texts: readonly Check[] = [
  unchanged(
    "chat-text-markup",
    "Markup comes unchanged: a page has to show it, not the server",
    "<b>bold</b> & &amp; <script>alert(1)</script>",
  ),
  unchanged(
    "chat-text-quotes",
    "Quotation marks and backslashes come unchanged",
    String.raw`"double" 'single' \ \\ \" \n \u0041 / %s {0} $1`,
  ),
  unchanged(
    "chat-text-lines",
    "Line breaks, tabs and spaces come unchanged, also at the ends",
    "first\nsecond\r\nthird\n\n\ttabs\t  spaces",
    "  ",
  ),
  unchanged(
    "chat-text-emoji",
    "Emoji and other characters beyond U+FFFF come unchanged",
    "\u{1F389} \u{1F469}\u{200D}\u{1F4BB} \u{1F1E9}\u{1F1EA} \u{1D11E} \u{20000}",
  ),
  unchanged(
    "chat-text-combining",
    "Letters with combining marks come unchanged, not composed",
    "e\u0301 \u00e9 a\u0308\u0323 \u212b \ufb01 \u1100\u1161",
  ),
  unchanged(
    "chat-text-right-to-left",
    "Text from right to left comes unchanged, with its marks of direction",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u200f1\u200e " +
      "\u2067abc\u2069",
  ),
  {
    id: "chat-text-long",
    title:
      `A text of ${LONG} characters comes whole, however many bytes it has`,
    source: ASSIGNMENT.text,
    needs: ["chat-to-everyone"],
    async run(target) {
      await inRoom(target, 2, async (speaker, other) => {
        for (const character of ["x", "\u20ac"]) {
          const mark = token();
          const text = mark.padEnd(LONG_CHARACTERS, character);
          const found = await findHeard(speaker, other, text, mark);
          // Other checks find that a server changes some characters.
          if (found?.chat?.message.length === text.length) continue;
          assertUnchanged(target, text, found);
        }
      });
    },
  },
  {
    id: "chat-text-json",
    title: "Text that looks like JSON is a text like any other",
    source: ASSIGNMENT.text,
    needs: ["chat-text-quotes", "chat-name-stays"],
    async run(target) {
      await inRoom(target, 2, async (speaker, other) => {
        const name = await nameOf(speaker, other);
        const mark = token();
        const text = JSON.stringify({
          [target.sender]: "somebody else",
          [target.message]: mark,
          type: "message",
        });
        const found = await findHeard(speaker, other, text, mark);
        assertUnchanged(target, text, found);
        const sender = found?.chat?.sender ?? "";
        if (sender === name) return;
        throw new Failure(
          `The client ${shown(name)} sent the text ${quoted(text)}, and it ` +
            `came with the sender ${shown(sender)}. The server must give the ` +
            "names, not a client.",
        );
      });
    },
  },
];
