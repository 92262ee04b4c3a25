// The clients of static/examples/ against a server: every one talks and closes, and
// those that speak partyline.v1 lose nothing.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../support/clients.ts";
import {
  Client,
  hasNewHttp,
  START_DEADLINE_MS,
  startServer,
  until,
} from "../support/harness.ts";
import { exampleFiles } from "../support/examples.ts";
import { type Fate, startTcpProxy } from "../support/tcp_proxy.ts";
import { ended, Example, hasPrinted, talk } from "./examples.ts";

const examples = await Promise.all(exampleFiles().map(Example.prepare));

Deno.test.afterAll(async () => {
  for (const example of examples) await example[Symbol.asyncDispose]();
});

/** Why it cannot be run, if not "". Some Denos refuse java: see java_test.ts. */
const whyNot = ({ file, skipped }: Example) =>
  hasNewHttp && file.startsWith("java")
    ? " (skipped: this Deno refuses Java)"
    : skipped;

function test(
  what: string,
  fn: (example: Example) => Promise<void>,
  those: (file: string) => boolean = () => true,
): void {
  for (const example of examples.filter(({ file }) => those(file))) {
    const skipped = whyNot(example);
    Deno.test({
      name: `${example.file} ${what}${skipped}`,
      ignore: skipped !== "",
      fn: () => fn(example),
    });
  }
}

const speaksV1 = (file: string) => file.includes("_v1.");
const isPlain = (file: string) => !speaksV1(file);
/** Their libraries, or older versions of these, keep nothing but the status. */
const seesStatusAlone = (file: string) => /^(c_|python_|ruby_)/.test(file);

test("talks, prints what others say and that they leave, and closes with 1000", async (example) => {
  await using server = await startServer();
  await talk(example, server.ws);
});

test("says that nothing listens, and does not end with 0", async (example) => {
  const address = `ws://127.0.0.1:${await freePort()}/ws`;
  await using client = example.start(address);
  const { code, stdout, stderr } = await ended(client);
  assertMatch(stderr, /^No connection.*(refused|connect|answers)/im);
  assertEquals([code, stdout], [1, ""]);
});

test("says with which status it was refused, and why, and does not end with 0", async (example) => {
  await using server = await startServer({ invite: "course-2026-x" });
  await using client = example.start(server.ws);
  const { code, stdout, stderr } = await ended(client);
  assertMatch(stderr, /^No connection.*\b401\b/m);
  if (!seesStatusAlone(example.file)) {
    assertMatch(stderr, /This server asks for an invitation/);
  }
  assertEquals([code, stdout], [1, ""]);
});

test(
  "says that the server has stopped, and waits for no line",
  async (example) => {
    const server = await startServer();
    await using client = example.start(server.ws);
    await client.write("hello\n");
    await client.stdout.until(/: hello$/m, START_DEADLINE_MS);
    await server[Symbol.asyncDispose]();
    const { code, stderr } = await ended(client);
    assertMatch(stderr, /^Closed: 1001 the server is shutting down/m);
    assertEquals(code, 1);
  },
  isPlain,
);

/** How often that was printed. */
const count = (text: string, line: string) =>
  text.split(`: ${line}\n`).length - 1;

test(
  "comes back after pauses that grow, as the same person, and misses and repeats nothing",
  async (example) => {
    await using server = await startServer();
    const attemptsMs: number[] = [];
    let isCut = false;
    await using proxy = startTcpProxy(server.port, () => {
      attemptsMs.push(performance.now());
      return isCut ? undefined : () => "pass";
    });
    await using other = await Client.open(server.ws);
    await using client = example.start(`ws://127.0.0.1:${proxy.port}/ws`);
    await client.write("one\n");
    const one = await other.nextOf("message");
    await hasPrinted(client, one.sender, "one");
    isCut = true;
    proxy.cut();
    await other.nextOf("leave");
    const first = await other.say("meanwhile 1");
    await client.write("two\nthree\n");
    await until(() => attemptsMs.length >= 4, "attempts", START_DEADLINE_MS);
    await other.say("meanwhile 2");
    isCut = false;
    await hasPrinted(client, one.sender, "three");
    const [, a = 0, b = 0, c = 0] = attemptsMs;
    assert(b - a < c - b, `${attemptsMs}`);
    await client.closeInput();
    const { code, stdout } = await ended(client);
    assertEquals(code, 0);
    const mine = (message: string) => `${one.sender}: ${message}`;
    const theirs = (message: string) => `${first.sender}: ${message}`;
    assertEquals(stdout.trimEnd().split("\n"), [
      mine("one"),
      theirs("meanwhile 1"),
      theirs("meanwhile 2"),
      mine("two"),
      mine("three"),
    ]);
    const heard = await other.messagesUpTo("three");
    assertEquals(heard.map(({ message }) => message), ["two", "three"]);
  },
  speaksV1,
);

test(
  "says once what was stored though the acknowledgement was lost",
  async (example) => {
    await using server = await startServer();
    let isLost = false;
    await using proxy = startTcpProxy(server.port, () => (_, from): Fate => {
      if (!isLost || from === "client") return "pass";
      isLost = false;
      return "end";
    });
    await using other = await Client.open(server.ws);
    await using client = example.start(`ws://127.0.0.1:${proxy.port}/ws`);
    await client.write("one\n");
    const { sender } = await other.nextOf("message");
    await hasPrinted(client, sender, "one");
    isLost = true;
    await client.write("two\n");
    await hasPrinted(client, sender, "two");
    await client.write("three\n");
    await client.closeInput();
    const { code, stdout, stderr } = await ended(client);
    assertEquals(code, 0);
    assertMatch(stderr, /Coming back/);
    for (const line of ["one", "two", "three"]) {
      assertEquals(count(stdout, line), 1, stdout);
    }
    const heard = await other.messagesUpTo("three");
    assertEquals(heard.map(({ message }) => message), ["two", "three"]);
  },
  speaksV1,
);

test(
  "waits its turn when it is too fast, and keeps the order",
  async (example) => {
    await using server = await startServer({ rate: 20, burst: 2 });
    await using other = await Client.open(server.ws);
    await using client = example.start(server.ws);
    const lines = Array.from({ length: 12 }, (_, i) => `line ${i}`);
    await client.write(lines.join("\n"));
    await client.closeInput();
    assertEquals((await ended(client)).code, 0);
    const heard = await other.messagesUpTo("line 11");
    assertEquals(heard.map(({ message }) => message), lines);
  },
  speaksV1,
);

/** Stops a server and starts it again, on the same port; what the client tells. */
async function restart(example: Example, data: string): Promise<string> {
  const server = await startServer({ data });
  await using client = example.start(server.ws);
  await client.write("before\n");
  await client.stdout.until(/: before$/m, START_DEADLINE_MS);
  await server[Symbol.asyncDispose]();
  await client.stderr.until(/Closed: 1001/, START_DEADLINE_MS);
  await using again = await startServer({ data, port: server.port });
  await client.write("after\n");
  await using other = await Client.open(again.ws);
  await client.stdout.until(/: after$/m, START_DEADLINE_MS);
  await client.closeInput();
  const { code, stdout, stderr } = await ended(client);
  assertEquals(code, 0);
  assertEquals((await other.nextOf("message")).message, "after");
  const [before = "", after = ""] = stdout.split("\n");
  if (data !== ":memory:") {
    assertEquals(after.split(": ")[0], before.split(": ")[0]);
  }
  return stderr;
}

test(
  "comes back as the same person when the server was stopped and started again",
  async (example) => {
    const folder = await Deno.makeTempDir();
    try {
      const stderr = await restart(example, `${folder}/chat.db`);
      assert(!stderr.includes("missing"), stderr);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
  speaksV1,
);

test(
  "tells that messages are missing when the server comes back without its history",
  async (example) => {
    assertMatch(await restart(example, ":memory:"), /messages are missing/);
  },
  speaksV1,
);
