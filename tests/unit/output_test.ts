// What output.ts promises: lines reach a reader in order, and a reader that
// does not read costs a bounded memory and no time. One test has a real pipe,
// the others a sink that is opened and broken by hand.
import { assert, assertEquals } from "@std/assert";
import { MAX_WAITING_BYTES, Output } from "../../chat/ops/output.ts";
import { soon } from "../support/harness.ts";

/** Takes what is written only while it is open, in small parts. */
class Tap {
  text = "";
  isBroken = false;
  #opened = Promise.withResolvers<void>();

  open(): void {
    this.#opened.resolve();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#opened.promise;
    if (this.isBroken) throw new Deno.errors.BrokenPipe();
    const part = bytes.subarray(0, 1_000);
    this.text += new TextDecoder().decode(part);
    return part.length;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

const tell = (count: number) => `dropped ${count}`;

Deno.test("lines come whole and in order, also when a write takes only a part", async () => {
  const tap = new Tap();
  tap.open();
  const output = new Output(tap, tell);
  const lines = ["first", "x".repeat(2_500), "last"];
  for (const line of lines) output.write(line);
  await output.flush(10_000);
  assertEquals(tap.lines, lines);
});

Deno.test("at most 256 KiB of lines wait; then it is told how many were dropped", async () => {
  const tap = new Tap();
  const output = new Output(tap, tell);
  const line = "x".repeat(1023);
  for (let i = 0; i < MAX_WAITING_BYTES / 1024 + 7; i++) output.write(line);
  tap.open();
  await output.flush(10_000);
  assertEquals(tap.lines.length, 257);
  assertEquals(tap.lines.at(-1), "dropped 7");
  output.write("again");
  await output.flush(10_000);
  assertEquals(tap.lines.at(-1), "again");
});

Deno.test("lines that cannot be written are counted until one can be", async () => {
  const tap = new Tap();
  tap.open();
  tap.isBroken = true;
  const output = new Output(tap, tell);
  for (let i = 0; i < 3; i++) output.write("lost");
  await output.flush(10_000);
  tap.isBroken = false;
  output.write("seen");
  await output.flush(10_000);
  assertEquals(tap.lines, ["seen", "dropped 3"]);
});

Deno.test("a flush does not wait for a reader beyond its deadline", async () => {
  const tap = new Tap();
  const output = new Output(tap, tell);
  output.write("x");
  await soon(output.flush(10), "the deadline");
  assertEquals(tap.text, "");
});

Deno.test("a pipe that nobody reads does not hold up the program that writes to it", async () => {
  const module = new URL("../../chat/ops/output.ts", import.meta.url).href;
  const count = 5_000;
  const code = `
    import { Output } from ${JSON.stringify(module)};
    const output = new Output(Deno.stderr, (count) => "dropped " + count);
    for (let i = 0; i < ${count}; i++) output.write("x".repeat(199));
    setTimeout(() => console.log("not held up"), 100);
    await output.flush(60_000);
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", code],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdout = await soon(
    new Response(child.stdout.pipeThrough(new FirstChunk())).text(),
    "a word while nobody reads the pipe",
    60_000,
  );
  assertEquals(stdout, "not held up\n");
  const lines = (await new Response(child.stderr).text()).trim().split("\n");
  const dropped = Number(lines.pop()?.slice("dropped ".length));
  assert(dropped > 0);
  assertEquals(lines.length + dropped, count);
  assertEquals((await child.status).code, 0);
});

/** Ends a stream after its first chunk. */
class FirstChunk extends TransformStream<Uint8Array, Uint8Array> {
  constructor() {
    super({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        controller.terminate();
      },
    });
  }
}
