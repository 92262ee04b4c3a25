// Checks of data frames: lengths, masks, reserved bits, fragments, UTF-8 (RFC 6455
// sections 5, 7.1.7 and 8.1).
import {
  type Check,
  Failure,
  findingOf,
  Skip,
  type Target,
  Warning,
} from "../check.ts";
import {
  carries,
  Closed,
  explain,
  hex,
  masked,
  type Message,
  shown,
  soonest,
  token,
  trickle,
  WireClient,
} from "../client.ts";
import { TooLate } from "../connection.ts";
import { frame, frameStart, join, Opcode, type WireFrame } from "../frames.ts";
import { refused } from "./refused.ts";

const TEXT_BACK = ["text-back"];
// A server that reads short lengths only has one fault, not many.
const LONG = ["length-126"];
const EACH_MASK = ["mask-of-each-frame"];
// A server that does not look at something at all has one fault, not many.
const ANY_RESERVED_BIT = "reserved-bit-1";
const ANY_OPCODE = "reserved-opcode-3";
const ANY_UTF_8 = "utf-8-wrong-byte";
const FRAGMENTS = ["fragments-two"];

const encoder = new TextEncoder();

/** Text of exactly this many bytes that no other check sends. */
function textOf(bytes: number): string {
  const start = token();
  return bytes < start.length
    ? start.slice(-bytes || start.length)
    : start + "x".repeat(bytes - start.length);
}

/** What is sent has to come back as this text. */
function comesBack(
  id: string,
  title: string,
  section: string,
  bytes: () => { sent: Uint8Array[]; text: string },
  needs = TEXT_BACK,
): Check {
  return {
    id,
    title,
    source: `RFC 6455 section ${section}`,
    needs,
    async run(target) {
      const client = await WireClient.open(target);
      const { sent, text } = bytes();
      for (const piece of sent) await client.write(piece);
      await client.comesBack(text);
    },
  };
}

/** A text of this length comes back. */
function length(bytes: number, bits: number, needs = TEXT_BACK): Check {
  return comesBack(
    `length-${bytes}`,
    `A message of ${
      bytes.toLocaleString("en")
    } bytes is read (length in ${bits} bits)`,
    "5.2",
    () => {
      const text = textOf(bytes);
      return { sent: [masked(Opcode.text, text)], text };
    },
    needs,
  );
}

/** A text of this length comes back, unless the server says that it is too long. */
function longLength(bytes: number, bits: number): Check {
  return {
    ...length(bytes, bits, LONG),
    async run(target) {
      const client = await WireClient.open(target);
      const text = textOf(bytes);
      const later = token();
      await client.say(text);
      // A server that has hung up says why.
      await client.say(later).catch(() => {});
      let hasAnswered = false;
      let hasLater = false;
      const isBack = (received: string) => {
        const isLater = carries(received, later);
        hasLater ||= isLater;
        if (isLater && hasAnswered) throw new Skip(tooLong(bytes));
        hasAnswered ||= !isLater;
        return carries(received, text);
      };
      try {
        await client.text(isBack);
      } catch (error) {
        if (error instanceof Closed && error.code === 1009) {
          throw new Skip(tooLong(bytes));
        }
        throw hasLater
          ? explain(error, target, `the text ${shown(text)} back`)
          : client.notBack(error, text);
      }
      // A client that leaves before its text was sent to all meets other faults. Of
      // the next text, whether it is read is the matter of other checks.
      await findingOf(client.comesBack(later), target.waitMs);
    },
  };
}

function tooLong(bytes: number): string {
  const size = bytes.toLocaleString("en");
  return `The server takes no text of ${size} bytes, and says so.`;
}

/** A text frame with payload bytes that are not UTF-8. */
function badText(
  id: string,
  title: string,
  payload: number[],
  needs = ANY_UTF_8,
): Check {
  const sent = () => {
    const bytes = join(encoder.encode("check "), Uint8Array.from(payload));
    return masked(Opcode.text, bytes);
  };
  return refused(id, title, "8.1", "Text that is not UTF-8", sent, needs);
}

/** The fragments of a text. */
function fragments(...parts: (string | Uint8Array)[]): Uint8Array[] {
  return parts.map((part, i) =>
    masked(i === 0 ? Opcode.text : Opcode.continuation, part, {
      fin: i === parts.length - 1,
    })
  );
}

function joined(...pieces: Uint8Array[]): Uint8Array {
  return pieces.reduce(join, new Uint8Array());
}

/** All frames of the message in which the server sends `text` back. */
async function framesOf(
  client: WireClient,
  target: Target,
  text: string,
): Promise<readonly WireFrame[]> {
  await client.say(text);
  const untilMs = soonest(target);
  while (true) {
    const { payload, frames } = await client.receive(untilMs);
    if (carries(new TextDecoder().decode(payload), text)) return frames;
  }
}

/** Whether a server sends text back decides what can be seen of it. */
export const textBack: Check = {
  id: "text-back",
  title: "Text that a client sends comes back to it",
  source: "Not a rule: checks that need their text back are skipped without it",
  needs: ["handshake-status"],
  async run(target) {
    const client = await WireClient.open(target);
    const text = token();
    await client.say(text);
    try {
      await client.text((received) => carries(received, text));
    } catch (error) {
      if (!(error instanceof TooLate) && !(error instanceof Closed)) {
        throw error;
      }
      throw new Skip(
        `A client sent the text ${shown(text)} and did not get it back, so ` +
          `what the server read cannot be seen.${client.whatCame(text)}`,
      );
    }
  },
};

/** Fails if bytes came back in a text message, or changed. */
function assertBytesBack(
  { opcode, payload, frames: [first] }: Message,
  sent: Uint8Array,
): void {
  if (opcode === Opcode.text) {
    const start = hex(first?.header ?? new Uint8Array());
    throw new Failure(
      `${sent.length} bytes came back as text (${start}): ` +
        "send bytes in a binary frame, opcode 2.",
    );
  }
  if (payload.toHex() === sent.toHex()) return;
  throw new Failure(
    `${sent.length} bytes were sent, and ${payload.length} came back: ` +
      `${hex(payload)}. They must be the same.`,
  );
}

/**
 * Whether a message is binary, or says that it is text and is none. All 256 bytes
 * together are none.
 */
function isOfBytes({ opcode, payload }: Message): boolean {
  return opcode === Opcode.binary || !isUtf8(payload);
}

/** Whether binary messages come back is a rule for an echo, not for a chat. */
export const binaryBack: Check = {
  id: "binary-back",
  title: "Binary messages come back as they were",
  source: "RFC 6455 section 5.6",
  needs: [...LONG, ...EACH_MASK],
  async run(target) {
    const client = await WireClient.open(target);
    const payload = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.send(Opcode.binary, payload);
    const text = token();
    // A server that has no use for binary messages may hang up.
    await client.say(text).catch(() => {});
    const untilMs = soonest(target);
    try {
      while (true) {
        const next = await client.receive(untilMs);
        // A server may send text in binary frames, which is another check's matter.
        if (carries(new TextDecoder().decode(next.payload), text)) break;
        if (isOfBytes(next)) return assertBytesBack(next, payload);
      }
    } catch (error) {
      if (!(error instanceof TooLate) && !(error instanceof Closed)) {
        throw error;
      }
    }
    throw new Skip("The server does not send binary messages back.");
  },
};

export const framing: readonly Check[] = [
  {
    id: "mask-of-each-frame",
    title: "Each frame is unmasked with its own key",
    source: "RFC 6455 section 5.3",
    needs: TEXT_BACK,
    async run(target) {
      const client = await WireClient.open(target);
      for (
        const mask of [[1, 2, 3, 4], [250, 251, 252, 253], [0, 255, 0, 255]]
      ) {
        const text = token();
        await client.send(Opcode.text, text, { mask });
        await client.comesBack(text);
      }
    },
  },
  {
    id: "server-continuation",
    title: "The server continues a message with opcode 0 only",
    source: "RFC 6455 section 5.4",
    needs: TEXT_BACK,
    async run(target) {
      const client = await WireClient.open(target);
      const [, ...rest] = await framesOf(client, target, token());
      for (const { opcode, header } of rest) {
        if (opcode === Opcode.continuation) continue;
        throw new Failure(
          `A fragment after the first began with ${hex(header)}. ` +
            "Its opcode must be 0.",
        );
      }
    },
  },
  {
    id: "server-text",
    title: "The server sends text as UTF-8 in text frames",
    source: "RFC 6455 section 5.6",
    needs: TEXT_BACK,
    async run(target) {
      const client = await WireClient.open(target);
      const [first] = await framesOf(client, target, token());
      if (first?.opcode === Opcode.text) return;
      throw new Warning(
        `The text came back in a frame that began with ` +
          `${hex(first?.header ?? new Uint8Array())}. Text belongs in a text ` +
          "frame, whose opcode is 1: a browser gives bytes to a page otherwise.",
      );
    },
  },
  {
    id: "length-0",
    title: "A message of 0 bytes is read, and the next one as well",
    source: "RFC 6455 section 5.2",
    needs: ["mask-of-each-frame", "ping-payload"],
    async run(target) {
      const client = await WireClient.open(target);
      await client.say("");
      await client.ping();
      const text = token();
      await client.say(text);
      await client.comesBack(text);
    },
  },
  length(125, 7),
  length(126, 16),
  length(127, 16, LONG),
  longLength(65_535, 16),
  longLength(65_536, 64),
  {
    id: "server-shortest-length",
    title: "The server writes each length in the shortest form",
    source: "RFC 6455 section 5.2",
    needs: [...LONG, ...EACH_MASK],
    async run(target) {
      const client = await WireClient.open(target);
      for (const bytes of [20, 200]) {
        const frames = await framesOf(client, target, textOf(bytes));
        for (const { header } of frames) {
          const { length = 0 } = frameStart(header) ?? {};
          const needed = length < 126 ? 2 : length < 65_536 ? 4 : 10;
          const size = header.length - ((header[1] ?? 0) & 0x80 ? 4 : 0);
          if (size === needed) continue;
          throw new Failure(
            `A frame of ${length} bytes began with ${hex(header)}. ` +
              `Its header must have ${needed} bytes.`,
          );
        }
      }
    },
  },
  refused(
    "length-of-64-bits",
    "A length with the highest of its 64 bits set is refused",
    "5.2",
    "A length of 2^63",
    () => masked(Opcode.text, "", { length: 1n << 63n }),
  ),
  comesBack(
    "mask-of-zeros",
    "A masking key of zeros is a key like any other",
    "5.3",
    () => {
      const text = token();
      return { sent: [frame(Opcode.text, text)], text };
    },
  ),
  refused(
    "unmasked-text",
    "A text frame without a mask is refused",
    "5.1",
    "An unmasked text frame",
    () => frame(Opcode.text, "check", { masked: false }),
  ),
  refused(
    "unmasked-ping",
    "A ping without a mask is refused",
    "5.1",
    "An unmasked ping",
    () => frame(Opcode.ping, "check", { masked: false }),
  ),
  comesBack(
    "two-frames-in-a-packet",
    "Two frames that arrive together are two messages",
    "5.2",
    () => {
      const text = token();
      const both = join(
        masked(Opcode.text, token()),
        masked(Opcode.text, text),
      );
      return { sent: [both], text };
    },
    EACH_MASK,
  ),
  {
    id: "frame-byte-by-byte",
    title: "A frame may arrive one byte at a time",
    source: "RFC 6455 section 5.2; TCP has no borders between messages",
    needs: LONG,
    async run(target) {
      const client = await WireClient.open(target);
      const text = textOf(130);
      const bytes = masked(Opcode.text, text);
      await trickle(client.connection, bytes, soonest(target));
      await client.comesBack(text);
    },
  },
  ...[4, 2, 1].map((reserved, i) =>
    refused(
      `reserved-bit-${i + 1}`,
      `A frame with the bit RSV${i + 1} is refused when no extension is agreed`,
      "5.2",
      `A frame with RSV${i + 1} set`,
      () => masked(Opcode.text, "check", { reserved }),
      i === 0 ? "ping-payload" : ANY_RESERVED_BIT,
    )
  ),
  ...[3, 7, 11, 15].map((opcode, i) =>
    refused(
      `reserved-opcode-${opcode}`,
      `A frame with the reserved opcode ${opcode} is refused`,
      "5.2",
      `A frame with the opcode ${opcode}`,
      () => masked(opcode, "check"),
      i === 0 ? "ping-payload" : ANY_OPCODE,
    )
  ),
  comesBack(
    "fragments-two",
    "A message in two fragments is put together",
    "5.4",
    () => {
      const text = token();
      return { sent: fragments(text.slice(0, 4), text.slice(4)), text };
    },
    EACH_MASK,
  ),
  comesBack(
    "fragments-of-one-byte",
    "A message in fragments of one byte is put together",
    "5.4",
    () => {
      const text = textOf(60);
      return { sent: fragments(...text), text };
    },
    FRAGMENTS,
  ),
  comesBack(
    "fragments-empty",
    "Fragments without a payload belong to the message",
    "5.4",
    () => {
      const text = token();
      const parts = ["", text.slice(0, 4), "", text.slice(4), ""];
      return { sent: fragments(...parts), text };
    },
    FRAGMENTS,
  ),
  {
    id: "fragments-ping-between",
    title: "A ping between fragments is answered before the message ends",
    source: "RFC 6455 sections 5.4 and 5.5.2",
    needs: ["fragments-two", "ping-payload"],
    async run(target) {
      const client = await WireClient.open(target);
      const text = token();
      const [first, last] = fragments(text.slice(0, 4), text.slice(4));
      await client.write(first!);
      await client.ping();
      await client.write(last!);
      await client.comesBack(text);
    },
  },
  refused(
    "fragments-without-start",
    "A continuation frame without a message to continue is refused",
    "5.4",
    "A continuation frame at the beginning",
    () => masked(Opcode.continuation, "check"),
  ),
  refused(
    "fragments-interrupted",
    "A new message inside a fragmented one is refused",
    "5.4",
    "A text frame after the first fragment of another message",
    () =>
      join(
        masked(Opcode.text, "check", { fin: false }),
        masked(Opcode.text, "check"),
      ),
  ),
  comesBack(
    "utf-8",
    "Text with characters of one to four bytes comes back unchanged",
    "5.6",
    () => {
      const text = `${token()} é € 你好 𝄞 🎉 \u{10FFFD}`;
      return { sent: [masked(Opcode.text, text)], text };
    },
  ),
  comesBack(
    "utf-8-split-character",
    "A character may be split over two fragments",
    "5.6",
    () => {
      const text = `${token()} 🎉`;
      const bytes = encoder.encode(text);
      const at = bytes.length - 2;
      return { sent: fragments(bytes.slice(0, at), bytes.slice(at)), text };
    },
    FRAGMENTS,
  ),
  badText(
    "utf-8-wrong-byte",
    "A byte that is never part of UTF-8 is refused",
    [0xff],
    "ping-payload",
  ),
  badText(
    "utf-8-cut-off",
    "Text that ends inside a character is refused",
    [0xf0, 0x9f],
  ),
  badText(
    "utf-8-overlong",
    "A character in too many bytes is refused",
    [0xc0, 0xaf],
  ),
  badText(
    "utf-8-surrogate",
    "Half of a surrogate pair is refused",
    [0xed, 0xa0, 0x80],
  ),
  badText(
    "utf-8-too-high",
    "A character beyond U+10FFFF is refused",
    [0xf4, 0x90, 0x80, 0x80],
  ),
  refused(
    "utf-8-wrong-in-fragments",
    "A fault in UTF-8 that is split over two fragments is refused",
    "8.1",
    "Text that is not UTF-8, in two fragments,",
    () =>
      joined(
        ...fragments(
          Uint8Array.of(0x63, 0xed),
          Uint8Array.of(0xa0, 0x80, 0x63),
        ),
      ),
    ANY_UTF_8,
  ),
  binaryBack,
];

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
