// The bare connection with which `partyline check` sends and reads bytes.
import { assert, assertEquals } from "@std/assert";
import { Connection, TooLate } from "../../chat/check/connection.ts";

/** A connection that takes one byte at a time, when `take` lets it. */
function narrow(take: () => Promise<void>) {
  const taken: string[] = [];
  const connection = new Connection({
    read: () => Promise.resolve(null),
    async write(bytes) {
      await take();
      taken.push(String.fromCharCode(bytes[0]!));
      return 1;
    },
    closeWrite: () => Promise.resolve(),
    close() {},
  });
  return { connection, taken };
}

Deno.test("what is written at the same time goes out one after another", async () => {
  const { connection, taken } = narrow(() => Promise.resolve());
  const texts = ["first", "second", "third"];
  await Promise.all(texts.map((text) => connection.write(text, Infinity)));
  assertEquals(taken.join(""), texts.join(""));
});

Deno.test("a write that waits for another one in vain ends in time, and writes nothing", async () => {
  const stuck = Promise.withResolvers<void>();
  const { connection, taken } = narrow(() => stuck.promise);
  const first = connection.write("ab", Infinity);
  const second = connection.write("second", performance.now());
  const error = await second.catch((error) => error);
  assert(error instanceof TooLate);
  const third = connection.write("c", Infinity);
  stuck.resolve();
  await Promise.all([first, third]);
  assertEquals(taken.join(""), "abc");
});
