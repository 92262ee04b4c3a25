// The tests' own reader and writer of frames: what load, attacks and the stress
// test believe about a server rests on it.
import { assertEquals, assertThrows } from "@std/assert";
import { closeCode, frame, Opcode } from "../../chat/check/frames.ts";
import { FrameReader, readFrames } from "../support/frame_stream.ts";

const unmasked = { masked: false };

Deno.test("the same frames are found wherever the bytes are cut", () => {
  const sent: [number, string][] = [
    [Opcode.text, "short"],
    [Opcode.ping, "are you there"],
    [Opcode.text, "w".repeat(125)],
    [Opcode.text, "x".repeat(126)],
    [Opcode.text, ""],
    [Opcode.text, "y".repeat(65_535)],
    [Opcode.text, "z".repeat(65_536)],
    [Opcode.close, "\x03bye"],
  ];
  const bytes = Uint8Array.from(
    sent.flatMap(([opcode, text]) => [...frame(opcode, text, unmasked)]),
  );
  for (const step of [7, 1_000, 65_536, bytes.length]) {
    const reader = new FrameReader();
    const found: [number, string][] = [];
    // One piece of memory for all, as a socket's reader has it.
    const piece = new Uint8Array(step);
    for (let at = 0; at < bytes.length; at += step) {
      const part = bytes.subarray(at, at + step);
      piece.set(part);
      for (
        const { opcode, payload } of reader.read(piece.subarray(0, part.length))
      ) found.push([opcode, new TextDecoder().decode(payload)]);
    }
    assertEquals(found, sent, `in steps of ${step}`);
  }
});

Deno.test("what this server never sends is no frame, however little came of it", () => {
  for (
    const how of [
      { masked: true },
      { ...unmasked, fin: false },
      { ...unmasked, reserved: 4 },
    ]
  ) {
    const start = frame(Opcode.text, "hello", how).subarray(0, 2);
    assertThrows(() => readFrames(start, () => {}), Error, "begins with");
  }
});

Deno.test("a client's frame is masked with its key, and a key of zeros shows it", () => {
  assertEquals(
    frame(Opcode.text, "Hello", { mask: [0x37, 0xfa, 0x21, 0x3d] }).toHex(),
    // RFC 6455 section 5.7.
    "818537fa213d7f9f4d5158",
  );
  assertEquals(frame(Opcode.text, "Hello").toHex(), "81850000000048656c6c6f");
});

Deno.test("a close frame without a code has the code 1005", () => {
  assertEquals(closeCode(Uint8Array.of(3, 232)), 1000);
  assertEquals(closeCode(new Uint8Array()), 1005);
});
