// The fuzzer in short: one run of a few seconds with a seed of its own, and that
// a seed decides every byte. The long form is `deno task fuzz`.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { commandOf, fuzz } from "./fuzz.ts";
import { judge } from "./fuzz/attacker.ts";
import { makeScript } from "./fuzz/script.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";

Deno.test("bystanders miss nothing while bad clients come by the hundred", async () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const plan = { seed, seconds: 3, clients: 8, first: 1 };
  const tally = await fuzz(plan).catch((error) => {
    throw new Error(`seed ${seed}; again: ${commandOf(plan)}`, {
      cause: error,
    });
  });
  // A run in which these never happened would prove nothing.
  const { upgrades, cuts, said, shown } = tally;
  const needed = { upgrades, cuts, said, others: shown - said };
  for (const [what, count] of Object.entries(needed)) {
    assert(count > 0, `seed ${seed}: no ${what}`);
  }
});

const bytesOf = (seed: number, number: number) =>
  makeScript(seed, number).segments.map(({ bytes }) => bytes.toHex()).join();

Deno.test("a seed and a number decide what a bad client does", () => {
  for (let number = 1; number <= 300; number++) {
    assertEquals(makeScript(7, number), makeScript(7, number));
    assert(bytesOf(7, number) !== bytesOf(8, number));
    assert(bytesOf(7, number) !== bytesOf(7, number + 1));
  }
});

Deno.test("what a server must not send after 101 is noticed", () => {
  const sent = (...frames: Uint8Array[]) =>
    Uint8Array.from([
      ...new TextEncoder().encode("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
      ...frames.flatMap((bytes) => [...bytes]),
    ]);
  const how = { masked: false };
  const good = frame(Opcode.text, '{"sender":"a","message":"b"}', how);
  assertEquals(judge(sent(good, good)), true);
  assertEquals(judge(sent(good, good.subarray(0, 9))), true);
  assertEquals(judge(new TextEncoder().encode("HTTP/1.1 400 \r\n\r\n")), false);
  for (
    const bad of [
      frame(Opcode.text, "x".repeat(20)),
      frame(Opcode.text, "x".repeat(20), how),
      frame(Opcode.text, Uint8Array.from({ length: 20 }, () => 255), how),
      frame(Opcode.text, '{"sender":"a","message":7}', how),
      frame(Opcode.binary, '{"sender":"a","message":"b"}', how),
      frame(Opcode.text, '{"sender":"a","message":"b"}', {
        ...how,
        reserved: 4,
      }),
      frame(Opcode.text, '{"sender":"a","message":"b"}', {
        ...how,
        fin: false,
      }),
    ]
  ) {
    assertThrows(() => judge(sent(good, bad)), Error);
  }
});
