// Cases of whole messages: fragments, UTF-8, the limits of this server (RFC
// 6455 sections 5.4, 5.6, 8.1, 10.4). Pure data.
// Invariant: a text that is cut in two is cut at every byte.
import { frame, Opcode } from "../../../chat/check/frames.ts";
import {
  begin,
  type Case,
  close,
  closes,
  end,
  GOES_ON,
  HANGS_UP,
  hex,
  IS_CUT,
  joined,
  middle,
  ping,
  text,
  times,
  x,
} from "./case.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const fragments: Case[] = [
  {
    what: "a text in two fragments",
    rule: "RFC 6455 5.4",
    send: [begin("to"), end("gether")],
    says: ["together"],
    ends: GOES_ON,
  },
  {
    what: "a text in two fragments, byte by byte",
    rule: "RFC 6455 5.4",
    send: [begin("to"), end("gether")],
    chop: 1,
    says: ["together"],
    ends: GOES_ON,
  },
  {
    what: "a text in a fragment for each byte, in one write",
    rule: "RFC 6455 5.4",
    send: [
      joined(
        begin("t"),
        ...[..."ogethe"].map((char) => middle(char)),
        end("r"),
      ),
    ],
    says: ["together"],
    ends: GOES_ON,
  },
  {
    what: "empty fragments",
    rule: "RFC 6455 5.4",
    send: [begin(""), middle(""), end("")],
    told: ["invalid"],
    ends: GOES_ON,
  },
  {
    what: "empty fragments around one that is not",
    rule: "RFC 6455 5.4",
    send: [begin(""), middle("x"), end("")],
    says: ["x"],
    ends: GOES_ON,
  },
  {
    what: "2,000 fragments",
    rule: "RFC 6455 5.4",
    send: [joined(begin("x"), ...times(1_998, () => middle("x")), end("x"))],
    says: [x(2_000)],
    ends: GOES_ON,
  },
  {
    what: "1,000 fragments that are empty",
    rule: "RFC 6455 5.4",
    send: [joined(begin("x"), ...times(999, () => middle("")), end("x"))],
    says: ["xx"],
    ends: GOES_ON,
  },
  {
    what: "two messages in fragments, one after the other",
    rule: "RFC 6455 5.4",
    send: [begin("a"), end("b"), begin("c"), end("d")],
    says: ["ab", "cd"],
    ends: GOES_ON,
  },
  {
    what: "a binary message in fragments",
    rule: "RFC 6455 5.6",
    send: [frame(Opcode.binary, "x", { fin: false }), end("x")],
    ends: closes(1003, "send text, not binary"),
  },
  {
    what: "a continuation of nothing",
    rule: "RFC 6455 5.4",
    send: [end("x"), text("after")],
    ends: IS_CUT,
  },
  {
    what: "a fragment that continues nothing",
    rule: "RFC 6455 5.4",
    send: [middle("x"), text("after")],
    ends: IS_CUT,
  },
  {
    what: "a continuation of a text that was whole",
    rule: "RFC 6455 5.4",
    send: [text("whole"), end("x"), text("after")],
    says: ["whole"],
    ends: IS_CUT,
  },
  {
    what: "a continuation of fragments that were whole",
    rule: "RFC 6455 5.4",
    send: [begin("a"), end("b"), end("c"), text("after")],
    says: ["ab"],
    ends: IS_CUT,
  },
  ...([
    ["a text", text("new")],
    ["a binary frame", frame(Opcode.binary, "new")],
  ] as const).map(([what, bytes]): Case => ({
    what: `${what} within fragments`,
    rule: "RFC 6455 5.4",
    send: [begin("a"), bytes, end("b"), text("after")],
    ends: IS_CUT,
  })),
  // Deno forgets what came before.
  {
    what: "a binary first fragment within fragments",
    rule: "RFC 6455 5.4",
    send: [
      begin("a"),
      frame(Opcode.binary, "new", { fin: false }),
      end("b"),
      text("after"),
    ],
    ends: closes(1003, "send text, not binary"),
  },
  {
    what: "a first fragment within fragments",
    rule: "RFC 6455 5.4",
    send: [begin("old"), begin("new"), end("er")],
    says: ["newer"],
    ends: GOES_ON,
  },
  {
    what: "fragments that never end",
    rule: "RFC 6455 5.4",
    send: [begin("a"), ...times(20, () => middle("x"))],
    ends: HANGS_UP,
  },
  {
    what: "fragments that never end, then a close frame",
    rule: "RFC 6455 5.4",
    send: [begin("a"), middle("b"), close(1000)],
    ends: closes(1000),
  },
];

/** One, two, three and four bytes; the last of each kind; no characters. */
const good: [what: string, text: string][] = [
  ["Greek", "κόσμε"],
  ["NUL and DEL", "a\x00b\x7f"],
  ["the first of two, three and four bytes", "\x80\u0800\u{10000}"],
  ["the last of two, three and four bytes", "\u07ff\uffff\u{10ffff}"],
  ["the neighbours of surrogates", "\ud7ff\ue000"],
  ["noncharacters", "\ufdd0\ufffe\u{1fffe}\u{8ffff}"],
  ["a byte order mark", "\ufeffx"],
  ["the replacement character", "\ufffd"],
  ["families of emoji", "👩‍👩‍👧🏳️‍🌈"],
];

/** By what is wrong; each is tried alone, and after text in fragments. */
const bad: [what: string, bytes: string][] = [
  ["a continuation byte alone", "80"],
  ["the last continuation byte alone", "bf"],
  ["six continuation bytes", "80 bf 80 bf 80 bf"],
  ["a start without its end, in text", "c3 28"],
  ["starts of three, each without its end", "e0 20 ef 20"],
  ["an overlong slash of two bytes", "c0 af"],
  ["an overlong slash of three bytes", "e0 80 af"],
  ["an overlong slash of four bytes", "f0 80 80 af"],
  ["an overlong slash of five bytes", "f8 80 80 80 af"],
  ["an overlong slash of six bytes", "fc 80 80 80 80 af"],
  ["the greatest overlong of two bytes", "c1 bf"],
  ["the greatest overlong of three bytes", "e0 9f bf"],
  ["the greatest overlong of four bytes", "f0 8f bf bf"],
  ["an overlong NUL", "c0 80"],
  ["the first surrogate", "ed a0 80"],
  ["the last surrogate", "ed bf bf"],
  ["a pair of surrogates", "ed a0 80 ed b0 80"],
  ["U+110000", "f4 90 80 80"],
  ["a start beyond U+10FFFF", "f5 80 80 80"],
  ["five bytes", "f8 88 80 80 80"],
  ["six bytes", "fc 84 80 80 80 80"],
  ["FE", "fe"],
  ["FF", "ff"],
  ["the byte order mark of UTF-16", "fe ff"],
];

const unfinished: [what: string, bytes: string][] = [
  ["a start of two without its end", "ce"],
  ["a start of three without its end", "e6 b0"],
  ["a start of four without its end", "f0 9f a6"],
];

/** A fragment for each byte, and an empty one that is the last. */
const inPieces = (bytes: Uint8Array) => [
  ...[...bytes].map((byte) => middle(Uint8Array.of(byte))),
  end(""),
];

/** Five characters of one to four bytes, which take 13. */
const MIXED = "aéκ水🦦";

const utf8: Case[] = [
  ...good.map(([what, message]): Case => ({
    what,
    rule: "RFC 6455 5.6",
    send: [text(message)],
    says: [message],
    ends: GOES_ON,
  })),
  ...times(encode(MIXED).length + 1, (at): Case => ({
    what: `characters that are cut after ${at} bytes`,
    rule: "RFC 6455 5.6",
    send: [
      begin(encode(MIXED).subarray(0, at)),
      ping(`${at}`),
      end(encode(MIXED).subarray(at)),
    ],
    says: [MIXED],
    pongs: [`${at}`],
    ends: GOES_ON,
  })),
  {
    what: "characters in a fragment for each byte",
    rule: "RFC 6455 5.6",
    send: [begin(""), ...inPieces(encode(MIXED))],
    says: [MIXED],
    ends: GOES_ON,
  },
  ...[...bad, ...unfinished].map(([what, digits]): Case => ({
    what,
    rule: "RFC 6455 8.1",
    send: [text(hex(digits)), text("after")],
    ends: IS_CUT,
  })),
  ...bad.map(([what, digits]): Case => ({
    what: `${what}, at the end of fragments`,
    rule: "RFC 6455 8.1",
    send: [begin("κόσμε"), ...inPieces(hex(digits)), text("after")],
    ends: IS_CUT,
  })),
  // Deno leaves the unfinished character out and takes the rest.
  ...unfinished.map(([what, digits]): Case => ({
    what: `${what}, at the end of fragments`,
    rule: "RFC 6455 8.1",
    send: [begin("κόσμε"), ...inPieces(hex(digits)), text("after")],
    says: ["κόσμε", "after"],
    ends: GOES_ON,
  })),
  {
    what: "a character begun in one message and finished in the next",
    rule: "RFC 6455 8.1",
    send: [begin(hex("f0 9f")), end(""), begin(hex("a6 a6")), end("x")],
    told: ["invalid"],
    ends: IS_CUT,
  },
  {
    what: "a character that goes wrong in the next fragment",
    rule: "RFC 6455 8.1",
    send: [begin(hex("f0 9f")), end("x"), text("after")],
    ends: IS_CUT,
  },
  {
    what: "a fragment that is not UTF-8, and no more of it",
    rule: "RFC 6455 8.1",
    send: [begin(hex("ff")), ping("still here")],
    ends: IS_CUT,
  },
  {
    what: "text that is not UTF-8, in the other dialect",
    rule: "RFC 6455 8.1",
    send: [text(hex("7b ff 7d"))],
    dialect: "partyline.v1",
    ends: IS_CUT,
  },
];

const tooLarge = closes(1009, "frame too large");
const water = "水".repeat(21_845);

const limits: Case[] = [
  {
    what: "a frame of --max-frame bytes",
    rule: "RFC 6455 10.4",
    send: [text(x(65_536))],
    told: ["too_long"],
    ends: GOES_ON,
  },
  {
    what: "a frame of one byte more than --max-frame",
    rule: "RFC 6455 10.4",
    send: [text(x(65_537))],
    ends: tooLarge,
  },
  {
    what: "a frame of --max-frame bytes, in characters of three",
    rule: "RFC 6455 10.4",
    send: [text(`${water}x`)],
    told: ["too_long"],
    ends: GOES_ON,
  },
  {
    what: "a frame of one byte more, in characters of three",
    rule: "RFC 6455 10.4",
    send: [text(`${water}xx`)],
    ends: tooLarge,
  },
  {
    what: "fragments of --max-frame bytes together",
    rule: "RFC 6455 10.4",
    send: [begin(x(65_535)), end("x")],
    told: ["too_long"],
    ends: GOES_ON,
  },
  {
    what: "fragments of one byte more together",
    rule: "RFC 6455 10.4",
    send: [begin(x(65_535)), middle("x"), end("x")],
    ends: tooLarge,
  },
  {
    what: "a frame of 4 MiB",
    rule: "RFC 6455 10.4",
    send: [text(x(4 * 1024 * 1024))],
    ends: tooLarge,
  },
  {
    what: "a binary frame of 4 MiB",
    rule: "RFC 6455 10.4",
    send: [frame(Opcode.binary, x(4 * 1024 * 1024))],
    ends: closes(1003, "send text, not binary"),
  },
  {
    what: "a text of --max-message characters, of four bytes each",
    rule: "RFC 6455 10.4",
    send: [text("🦦".repeat(4_000))],
    says: ["🦦".repeat(4_000)],
    ends: GOES_ON,
  },
  {
    what: "a text of one character more",
    rule: "RFC 6455 10.4",
    send: [text("🦦".repeat(4_001)), text("shorter")],
    told: ["too_long"],
    says: ["shorter"],
    ends: GOES_ON,
  },
  {
    what: "50 texts that are too long",
    rule: "RFC 6455 7.4.1",
    send: times(50, () => text(x(4_001))),
    told: times(49, () => "too_long"),
    ends: closes(1008, "too many refused messages"),
  },
  {
    what: "a frame larger than --max-frame, in the other dialect",
    rule: "RFC 6455 10.4",
    send: [text(x(65_537))],
    dialect: "partyline.v1",
    ends: tooLarge,
  },
  {
    what: "a binary frame, in the other dialect",
    rule: "RFC 6455 5.6",
    send: [frame(Opcode.binary, "{}")],
    dialect: "partyline.v1",
    ends: closes(1003, "send text, not binary"),
  },
];

export const messages = [...fragments, ...utf8, ...limits];
