// Cases of framing: lengths in each of their encodings, reserved bits and
// opcodes, masks (RFC 6455 sections 5.1 and 5.2). Pure data.
// Invariant: what is refused here is refused by the frame's head alone.
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
  ping,
  text,
  times,
  x,
} from "./case.ts";

const options = { maxMessage: 100_000 };

/** A text without anything in it is read, but not said. */
const isTaken = (count: number) =>
  count > 0 ? { says: [x(count)] } : { told: ["invalid"] };

const lengths: Case[] = [
  ...[0, 1, 125, 126, 127, 128, 65_535, 65_536].flatMap((count): Case[] => [
    {
      what: `a text of ${count} bytes`,
      rule: "RFC 6455 5.2",
      send: [text(x(count))],
      ...isTaken(count),
      ends: GOES_ON,
      options,
    },
    {
      what: `a binary frame of ${count} bytes`,
      rule: "RFC 6455 5.6",
      send: [frame(Opcode.binary, x(count))],
      ends: closes(1003, "send text, not binary"),
      options,
    },
  ]),
  {
    what: "a text of 65,536 bytes in pieces of 997",
    rule: "RFC 6455 5.2",
    send: [text(x(65_536))],
    chop: 997,
    says: [x(65_536)],
    ends: GOES_ON,
    options,
  },
  {
    what: "a text of 300 bytes, byte by byte",
    rule: "RFC 6455 5.2",
    send: [text(x(300))],
    chop: 1,
    says: [x(300)],
    ends: GOES_ON,
  },
  {
    what: "ten texts in one write",
    rule: "RFC 6455 5.2",
    send: [joined(...times(10, (i) => text(`${i}`)))],
    says: times(10, (i) => `${i}`),
    ends: GOES_ON,
  },
  // "The minimal number of bytes MUST be used"; Deno does not mind.
  ...([[0, 2], [0, 8], [5, 2], [5, 8], [125, 2], [126, 8], [
    65_535,
    8,
  ]] as const)
    .map(([count, lengthBytes]): Case => ({
      what: `${count} bytes whose length takes ${lengthBytes} bytes`,
      rule: "RFC 6455 5.2",
      send: [text(x(count), { lengthBytes })],
      ...isTaken(count),
      ends: GOES_ON,
      options,
    })),
  {
    what: "a ping whose length takes 2 bytes",
    rule: "RFC 6455 5.5",
    send: [frame(Opcode.ping, "x", { lengthBytes: 2 })],
    pongs: ["x"],
    ends: GOES_ON,
  },
  ...([
    ["2^63 bytes", "80 00 00 00 00 00 00 00"],
    ["2^64 - 1 bytes", "ff ff ff ff ff ff ff ff"],
    ["2^63 - 1 bytes", "7f ff ff ff ff ff ff ff"],
    ["2^53 bytes", "00 20 00 00 00 00 00 00"],
    ["2^32 bytes", "00 00 00 01 00 00 00 00"],
    ["64 MiB and one byte", "00 00 00 00 04 00 00 01"],
  ] as const).flatMap(([what, length]) =>
    [text, ping].map((kind): Case => ({
      what: `a ${kind === text ? "text" : "ping"} that says it has ${what}`,
      rule: "RFC 6455 5.2",
      send: [joined(kind("").subarray(0, 1), hex(`ff ${length} 00000000 78`))],
      ends: IS_CUT,
    }))
  ),
  ...([
    ["64 MiB", hex("81 ff 00 00 00 00 04 00 00 00 00000000 78")],
    ["65,537 bytes", hex("81 ff 00 00 00 00 00 01 00 01 00000000 78")],
    ["126 bytes", hex("81 fe 00 7e 00000000 78")],
    ["5 bytes", hex("81 85 00000000 78")],
    ["a length that is not told", hex("81 ff 00 00")],
    ["a mask that is not told", hex("81 85 00 00")],
    ["no second byte", hex("81")],
  ] as const).map(([what, bytes]): Case => ({
    what: `a text of ${what}, never finished`,
    rule: "RFC 6455 5.2",
    send: [text("before"), bytes],
    says: ["before"],
    ends: HANGS_UP,
  })),
];

const reservedBits: Case[] = [
  ...times(7, (i): Case => ({
    what: `reserved bits ${(i + 1).toString(2).padStart(3, "0")} on a text`,
    rule: "RFC 6455 5.2",
    send: [text("before"), text("x", { reserved: i + 1 }), text("after")],
    says: ["before"],
    ends: IS_CUT,
  })),
  ...[1, 2, 4].flatMap((reserved) =>
    ([
      ["a binary frame", Opcode.binary, true],
      ["a ping", Opcode.ping, true],
      ["a pong", Opcode.pong, true],
      ["a close frame", Opcode.close, true],
      ["a first fragment", Opcode.text, false],
    ] as const).map(([what, opcode, fin]): Case => ({
      what: `reserved bit ${reserved} on ${what}`,
      rule: "RFC 6455 5.2",
      send: [frame(opcode, "", { reserved, fin }), text("after")],
      ends: IS_CUT,
    }))
  ),
  ...[1, 2, 4].map((reserved): Case => ({
    what: `reserved bit ${reserved} on a last fragment`,
    rule: "RFC 6455 5.2",
    send: [
      begin("x"),
      frame(Opcode.continuation, "x", { reserved }),
      text("after"),
    ],
    ends: IS_CUT,
  })),
];

const opcodes: Case[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((
  opcode,
): Case[] => [
  {
    what: `opcode ${opcode} without a payload, byte by byte`,
    rule: "RFC 6455 5.2",
    send: [frame(opcode, "")],
    chop: 1,
    ends: IS_CUT,
  },
  {
    what: `opcode ${opcode} after a text, before another`,
    rule: "RFC 6455 5.2",
    send: [text("before"), frame(opcode, "x"), text("after")],
    says: ["before"],
    ends: IS_CUT,
  },
  {
    what: `opcode ${opcode} between fragments`,
    rule: "RFC 6455 5.2",
    send: [begin("x"), frame(opcode, "x"), end("x")],
    ends: IS_CUT,
  },
  {
    what: `opcode ${opcode} as a first fragment`,
    rule: "RFC 6455 5.2",
    send: [frame(opcode, "x", { fin: false }), end("x")],
    ends: IS_CUT,
  },
]);

const masks: Case[] = [
  ...[
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [1, 2, 3, 4],
    [0x78, 0x78, 0x78, 0x78],
  ].map((mask): Case => ({
    what: `the mask ${mask}`,
    rule: "RFC 6455 5.3",
    send: [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 126, 4_000]
      .map((count) => text(x(count), { mask })),
    says: [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 126, 4_000].map(x),
    ends: GOES_ON,
  })),
  {
    what: "another mask for each fragment and for the ping between",
    rule: "RFC 6455 5.3",
    send: [
      frame(Opcode.text, "ab", { fin: false, mask: [1, 2, 3, 4] }),
      frame(Opcode.ping, "p", { mask: [5, 6, 7, 8] }),
      frame(Opcode.continuation, "cde", { mask: [9, 10, 11, 12] }),
    ],
    says: ["abcde"],
    pongs: ["p"],
    ends: GOES_ON,
  },
  // "The server MUST close the connection upon receiving a frame that is not
  // masked"; Deno takes it. It harms no one but proxies between.
  {
    what: "a text that is not masked",
    rule: "RFC 6455 5.1",
    send: [text("bare", { masked: false })],
    says: ["bare"],
    ends: GOES_ON,
  },
  {
    what: "a ping that is not masked",
    rule: "RFC 6455 5.1",
    send: [frame(Opcode.ping, "bare", { masked: false })],
    pongs: ["bare"],
    ends: GOES_ON,
  },
  {
    what: "fragments, of which one is not masked",
    rule: "RFC 6455 5.1",
    send: [
      begin("a"),
      frame(Opcode.continuation, "b", { masked: false }),
    ],
    says: ["ab"],
    ends: GOES_ON,
  },
  {
    what: "a close frame that is not masked",
    rule: "RFC 6455 5.1",
    send: [Uint8Array.of(0x88, 2, ...close(1000).subarray(6))],
    ends: closes(1000),
  },
];

export const framing = [...lengths, ...reservedBits, ...opcodes, ...masks];
