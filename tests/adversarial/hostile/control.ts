// Cases of control frames: pings, pongs and the closing handshake (RFC 6455
// sections 5.5 and 7). Pure data. Of the codes 0 to 5000 that a
// close frame may carry, each side of every border is here.
import { frame, Opcode } from "../../../chat/check/frames.ts";
import {
  begin,
  type Case,
  close,
  closes,
  end,
  FINISHES,
  GOES_ON,
  HANGS_UP,
  hex,
  IS_CUT,
  joined,
  middle,
  ping,
  pong,
  text,
  times,
  x,
} from "./case.ts";

const pings: Case[] = [
  ...["", "hello", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", x(124), x(125)].map(
    (payload): Case => ({
      what: `a ping of ${payload.length} bytes`,
      rule: "RFC 6455 5.5.2",
      send: [ping(latin1(payload))],
      pongs: [payload],
      ends: GOES_ON,
    }),
  ),
  {
    what: "a ping of 125 bytes, byte by byte",
    rule: "RFC 6455 5.5.2",
    send: [ping(x(125))],
    chop: 1,
    pongs: [x(125)],
    ends: GOES_ON,
  },
  ...[126, 65_536].map((count): Case => ({
    what: `a ping of ${count} bytes`,
    rule: "RFC 6455 5.5",
    send: [ping(x(count)), text("after")],
    ends: IS_CUT,
  })),
  // Deno does not look at the length of a pong.
  ...[126, 65_536].map((count): Case => ({
    what: `a pong of ${count} bytes`,
    rule: "RFC 6455 5.5",
    send: [pong(x(count)), text("after")],
    says: ["after"],
    ends: GOES_ON,
  })),
  ...(["ping", "pong"] as const).map((kind): Case => ({
    what: `a ${kind} in fragments`,
    rule: "RFC 6455 5.5",
    send: [frame(Opcode[kind], "x", { fin: false }), end("x")],
    ends: IS_CUT,
  })),
  {
    what: "pongs that nobody asked for, then a ping",
    rule: "RFC 6455 5.5.3",
    send: [pong(), pong("x"), pong(x(125)), ping("real")],
    pongs: ["real"],
    ends: GOES_ON,
  },
  {
    what: "ten pings, one after the other",
    rule: "RFC 6455 5.5.2",
    send: times(10, (i) => ping(`${i}`)),
    pongs: times(10, (i) => `${i}`),
    ends: GOES_ON,
  },
  {
    what: "1,000 pings in one write",
    rule: "RFC 6455 5.5.2",
    send: [joined(...times(1_000, (i) => ping(`${i}`)))],
    pongs: times(1_000, (i) => `${i}`),
    ends: GOES_ON,
  },
  {
    what: "a ping after each fragment",
    rule: "RFC 6455 5.4",
    send: [
      begin("to"),
      ping("1"),
      middle("geth"),
      ping("2"),
      pong("3"),
      end("er"),
    ],
    pongs: ["1", "2"],
    says: ["together"],
    ends: GOES_ON,
  },
  {
    what: "a ping and no more of a message",
    rule: "RFC 6455 5.4",
    send: [begin("never "), ping("1")],
    ends: HANGS_UP,
  },
];

const allowedCodes = [
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011],
  ...[3000, 3999, 4000, 4999],
];
/** Registered with IANA after the RFC. */
const laterCodes = [1012, 1013];
const forbiddenCodes = [
  // Registered too, but not known to Deno.
  1014,
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999],
  ...[5000, 65_535],
];

const closing: Case[] = [
  {
    what: "a close frame without a code",
    rule: "RFC 6455 7.1.5",
    send: [close()],
    ends: closes(),
  },
  ...allowedCodes.map((code): Case => ({
    what: `the close code ${code}`,
    rule: "RFC 6455 7.4",
    send: [close(code)],
    ends: closes(code),
  })),
  ...laterCodes.map((code): Case => ({
    what: `the close code ${code}`,
    rule: "RFC 6455 11.7",
    send: [close(code)],
    ends: closes(code),
  })),
  ...forbiddenCodes.map((code): Case => ({
    what: `the close code ${code}`,
    rule: "RFC 6455 7.4",
    send: [close(code)],
    ends: closes(1002),
  })),
  {
    what: "a forbidden close code with a reason",
    rule: "RFC 6455 7.4",
    send: [close(1005, "why")],
    ends: closes(1002, "why"),
  },
  ...["bye", "水🦦", x(123)].map((reason): Case => ({
    what: `a reason of ${new TextEncoder().encode(reason).length} bytes`,
    rule: "RFC 6455 7.1.6",
    send: [close(1000, reason)],
    ends: closes(1000, reason),
  })),
  {
    what: "a close frame, byte by byte",
    rule: "RFC 6455 5.5.1",
    send: [close(1000, "slowly")],
    chop: 1,
    ends: closes(1000, "slowly"),
  },
  // No control frame may be so long, also not the answer; Deno sends it.
  ...[124, 65_536].map((count): Case => ({
    what: `a reason of ${count} bytes`,
    rule: "RFC 6455 5.5",
    send: [close(1000, x(count))],
    ends: closes(1000, x(count)),
  })),
  {
    what: "half a close code",
    rule: "RFC 6455 5.5.1",
    send: [frame(Opcode.close, hex("03"))],
    ends: IS_CUT,
  },
  {
    what: "a reason that is not UTF-8",
    rule: "RFC 6455 5.5.1",
    send: [close(1000, hex("ce ba e1 bd b9 cf 83 ed a0 80"))],
    ends: IS_CUT,
  },
  {
    what: "a reason that ends in the middle of a character",
    rule: "RFC 6455 5.5.1",
    send: [close(1000, hex("f0 9f a6"))],
    ends: IS_CUT,
  },
  {
    what: "a close frame that is a fragment",
    rule: "RFC 6455 5.5",
    send: [frame(Opcode.close, hex("03 e8"), { fin: false })],
    ends: IS_CUT,
  },
  {
    what: "a close frame between fragments",
    rule: "RFC 6455 5.4",
    send: [begin("never "), joined(close(1000), end("heard"))],
    ends: closes(1000),
  },
  {
    what: "a text after its close frame",
    rule: "RFC 6455 5.5.1",
    send: [joined(close(1000), text("after"))],
    ends: closes(1000),
  },
  {
    what: "a ping after its close frame",
    rule: "RFC 6455 5.5.1",
    send: [joined(close(1000), ping("after"))],
    ends: closes(1000),
  },
  {
    what: "two close frames",
    rule: "RFC 6455 5.5.1",
    send: [joined(close(1000, "first"), close(1001, "second"))],
    ends: closes(1000, "first"),
  },
  {
    what: "a bad frame after its close frame",
    rule: "RFC 6455 5.5.1",
    send: [joined(close(1000), frame(15, "x", { reserved: 7 }))],
    ends: closes(1000),
  },
  {
    what: "a text, then a close frame, in one write",
    rule: "RFC 6455 5.5.1",
    send: [joined(text("before"), close(1000))],
    says: ["before"],
    ends: closes(1000),
  },
  {
    what: "no answer to the server's close frame",
    rule: "RFC 6455 7.1.2",
    send: [frame(Opcode.binary, "x")],
    ends: closes(1003, "send text, not binary"),
    isStubborn: true,
  },
  {
    what: "a text and half of another, and no close frame",
    rule: "RFC 6455 7.1.4",
    send: [text("whole"), text("half").subarray(0, 8)],
    says: ["whole"],
    ends: FINISHES,
  },
  {
    what: "nothing at all, and no close frame",
    rule: "RFC 6455 7.1.4",
    send: [],
    ends: HANGS_UP,
  },
];

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export const control = [...pings, ...closing];
