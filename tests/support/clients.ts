// Shared by the tests of the small clients: each client, both the file to
// download and the short one in README.md (JavaScript) or docs/protocol
// (Python), is run as a student would run it.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { extname } from "@std/path";
import { Certificate } from "../../chat/http/certificate.ts";
import {
  Client,
  START_DEADLINE_MS,
  startServer,
  STATIC,
  type TestServer,
  until,
  type WireEvent,
} from "./harness.ts";
import { codeOf } from "./docs.ts";
import { TextReader } from "./text_reader.ts";

/** A client hears messages only once it is in the room. */
async function twoAreThere({ hub }: TestServer): Promise<void> {
  const [room] = hub.rooms.values();
  const areThere = () => room?.members.size === 2;
  await until(areThere, "a second member", START_DEADLINE_MS);
}

/** Runs a client, lets it say "hello", and asserts what it prints. */
async function chatWith(command: string[]): Promise<void> {
  await using server = await startServer();
  await using teacher = await Client.open(server.ws);
  await teacher.say("ready");
  const child = start([...command, server.ws]);
  await twoAreThere(server);
  const greeting: WireEvent = await teacher.say("<b>welcome</b>");
  await child.stdout.until(
    new RegExp(`${greeting.sender}: '?<b>welcome</b>'?\n`),
  );
  await child.write("hello\n");
  const hello = await teacher.next();
  assert(hello.message === "hello", hello.message);
  await child.stdout.until(new RegExp(`${hello.sender}: '?hello'?\n`));
  await teacher.say("a\x1b[2Jb\x9bc\x7fd\nfake: f");
  const printed = await child.stdout.until(/fake: f'?\n/);
  assertMatch(printed, /: '?a.*fake: f'?\n$/);
  // deno-lint-ignore no-control-regex -- that is what must not be there
  assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(printed), false);
  await child[Symbol.asyncDispose]();
  const leave = await teacher.next();
  assert(leave.sender === hello.sender && leave.type === "leave");
}

const readme = await Deno.readTextFile(
  new URL("../../README.md", import.meta.url),
);

/** The short clients, by the extension of a file of that language. */
const SHORT_CLIENTS: Record<string, string> = {
  ".js": readme.split("```js\n")[1]?.split("```")[0] ?? "",
  ".py": codeOf("protocol", "A client in Python"),
};

/** Runs the short client of a language from a file of its own. */
async function withShort(
  extension: string,
  run: (file: string) => Promise<void>,
): Promise<void> {
  const code = SHORT_CLIENTS[extension] ?? "";
  const file = await Deno.makeTempFile({ suffix: extension });
  try {
    await Deno.writeTextFile(file, code);
    await run(file);
  } finally {
    await Deno.remove(file);
  }
}

/** Runs a client on piped input, until the client ends. */
export async function pipe(command: string[], input: string) {
  await using client = start(command);
  await client.write(input);
  await client.closeInput();
  return await client.end();
}

/** Starts a client whose standard input stays open. */
export function start([command = "", ...args]: string[]) {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  const stdout = new TextReader(child.stdout);
  const stderr = new TextReader(child.stderr);
  const end = async () => ({
    stdout: await stdout.toEnd(START_DEADLINE_MS),
    stderr: await stderr.toEnd(START_DEADLINE_MS),
    code: (await child.status).code,
  });
  return {
    stdout,
    stderr,
    end,
    // A client that ends at once does not read its input.
    write: (input: string | Uint8Array<ArrayBuffer>) =>
      stdin.write(
        typeof input === "string" ? new TextEncoder().encode(input) : input,
      ).catch(() => {}),
    closeInput: () => stdin.close().catch(() => {}),
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // The client has ended.
      }
      await end();
      await stdin.abort().catch(() => {});
    },
  };
}

/** Prints its port, then a line for each connection; closes none. */
const SERVER = `
  Deno.serve({ port: 0, onListen: ({ port }) => console.log(port) }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => console.log("connected");
    return response;
  });`;

/** The first of these commands that exists, or undefined. */
export async function find(
  commands: string[],
  ...trial: string[]
): Promise<string | undefined> {
  for (const command of commands) {
    const { success } = await new Deno.Command(command, {
      args: trial,
      stdout: "null",
      stderr: "null",
    }).output().catch(() => ({ success: false }));
    if (success) return command;
  }
}

export async function freePort(): Promise<number> {
  const server = await startServer();
  await server[Symbol.asyncDispose]();
  return server.port;
}

/** Why a client is skipped, or ""; with CI set no client is skipped. */
export function skip(isThere: boolean, what: string): string {
  return isThere || Deno.env.get("CI") !== undefined
    ? ""
    : ` (skipped: ${what} is missing)`;
}

/** Defines the tests of one client file that one command runs. */
export function testClient(
  label: string,
  file: string,
  command: string[],
  skipped: string,
): void {
  const path = `${STATIC}/${file}`;
  const extension = extname(file);

  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name: `${name}${skipped}`, ignore: skipped !== "", fn });

  test(`${label} chats`, () => chatWith([...command, path]));

  test(`${label}: the short client chats`, () =>
    withShort(extension, (short) => chatWith([...command, short])));

  test(`${label}: the short client tells why it cannot connect`, () =>
    withShort(extension, async (short) => {
      await using server = await startServer({ invite: "course-2026-x" });
      for (
        const address of [`ws://127.0.0.1:${await freePort()}/ws`, server.ws]
      ) {
        const end = await pipe([...command, short, address], "");
        const printed = end.stdout + end.stderr;
        assert(end.code !== 0, address);
        assertMatch(
          printed,
          address === server.ws ? /\b401\b/ : /refused|fail|^Nothing answers/,
        );
      }
    }));

  if (extension === ".js") {
    test(`${label}: the short client says in one line why it cannot connect`, () =>
      withShort(extension, async (short) => {
        await using server = await startServer();
        await using long = Deno.serve(
          { port: 0, onListen() {} },
          () => new Response("https://".repeat(999), { status: 502 }),
        );
        const nothing = "Nothing answers there. Is the server running?\n";
        const page = "That is a page: the address ends in /ws.\n";
        const port = await freePort();
        const cases = [
          [`ws://127.0.0.1:${port}/ws`, nothing],
          // Both runtimes take an address that begins with http, too.
          [`http://127.0.0.1:${port}/ws`, nothing],
          [server.ws.replace("/ws", "/"), page],
          [server.http, page],
          [
            `ws://127.0.0.1:${long.addr.port}/ws`,
            `502 ${"https://".repeat(25)}\n`,
          ],
        ];
        for (const [address = "", line] of cases) {
          const end = await pipe([...command, short, address], "");
          assertEquals([end.code, end.stdout, end.stderr], [1, line, ""]);
        }
      }));
  }

  test(`${label}: the short client tells that the server stopped`, () =>
    withShort(extension, async (short) => {
      const server = await startServer();
      await using teacher = await Client.open(server.ws);
      await teacher.say("ready");
      await using child = start([...command, short, server.ws]);
      await twoAreThere(server);
      await server[Symbol.asyncDispose]();
      const end = await child.end();
      assertStringIncludes(end.stdout, "closed: 1001");
      assertEquals([end.code, end.stderr], [1, ""]);
    }));

  test(`${label} sends each line that is piped in, and ends with 0`, async () => {
    await using server = await startServer();
    await using teacher = await Client.open(server.ws);
    await teacher.say("ready");
    const end = pipe([...command, path, server.ws], "grün\r\n👍\nlast");
    for (const text of ["grün", "👍", "last"]) {
      assertEquals((await teacher.next()).message, text);
    }
    assertEquals((await end).code, 0);
  });

  test(`${label} says that nothing listens, and ends with 1`, async () => {
    const port = await freePort();
    const end = await pipe([...command, path, `ws://127.0.0.1:${port}/ws`], "");
    assertStringIncludes(end.stderr, "nothing listens there");
    assertEquals([end.code, end.stdout], [1, ""]);
  });

  test(`${label} says that a name is unknown`, async () => {
    const end = await pipe([...command, path, "ws://no.invalid/ws"], "");
    assertStringIncludes(end.stderr, "no host has that name");
    assertEquals(end.code, 1);
  });

  test(`${label} says how an address looks`, async () => {
    for (const address of ["localhost:8000/ws", "ws://localhost:99999/ws"]) {
      const end = await pipe([...command, path, address], "");
      assertStringIncludes(end.stderr, "ws://HOST:PORT/ws");
      assertEquals(end.code, 1);
    }
  });

  test(`${label} tells in the server's words why it is refused`, async () => {
    await using server = await startServer({ invite: "course-2026-x" });
    const end = await pipe([...command, path, server.ws], "");
    assertStringIncludes(end.stderr, "401 This server asks for an invitation");
    assertStringIncludes(end.stderr, "?invite=CODE");
    assertEquals(end.code, 1);
  });

  test(`${label} ends with 1 when the server stops, and waits for no line`, async () => {
    const server = await startServer();
    await using child = start([...command, path, server.ws]);
    await child.stderr.until(/Connected/);
    await server[Symbol.asyncDispose]();
    const { code, stderr } = await child.end();
    assertStringIncludes(stderr, "Closed: 1001");
    assertEquals(code, 1);
  });

  test(`${label} shows control characters as text`, async () => {
    await using server = await startServer();
    await using child = start([...command, path, server.ws]);
    await using stranger = await Client.open(server.ws);
    await stranger.say("ready");
    await twoAreThere(server);
    stranger.send("a\x1b[2Jb\x9bc\x7fd\u202ee\nfake: f");
    const printed = await child.stdout.until(/fake: f\n/);
    assertEquals(printed.split("\n").length, 2, printed);
    // deno-lint-ignore no-control-regex -- that is what must not be there
    assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.test(printed), false);
  });

  test(`${label} sends an empty line too, and a character that comes in two parts`, async () => {
    await using server = await startServer();
    await using teacher = await Client.open(server.ws);
    await teacher.say("ready");
    await using child = start([...command, path, server.ws]);
    const thumb = new TextEncoder().encode("👍\n");
    // "first" arrives in one chunk with half of the character.
    const first = new TextEncoder().encode("first\n");
    await child.write(new Uint8Array([...first, ...thumb.subarray(0, 2)]));
    await twoAreThere(server);
    assertEquals((await teacher.next()).message, "first");
    await child.write(thumb.subarray(2));
    assertEquals((await teacher.next()).message, "👍");
    await child.write("\nlast\n");
    await child.stdout.until(/^server: Empty: this message was not sent/m);
    assertEquals((await teacher.next()).message, "last");
  });

  test(`${label} takes the address of a page for what it is`, async () => {
    await using server = await startServer();
    // The client of /events would go on for ever.
    for (const page of ["/", "/learn", "/events"]) {
      const address = server.ws.replace("/ws", page);
      const end = await pipe([...command, path, address], "");
      assertStringIncludes(end.stderr, "a page, not a WebSocket: the address");
      assertEquals([end.code, end.stderr.trim().split("\n").length], [1, 1]);
    }
  });

  test(`${label} prints no markup of an answer`, async () => {
    await using server = Deno.serve(
      { port: 0, onListen() {} },
      () => new Response("<!doctype html><p>Sorry", { status: 502 }),
    );
    const address = `ws://127.0.0.1:${server.addr.port}/ws`;
    const end = await pipe([...command, path, address], "");
    assertStringIncludes(end.stderr, "502 Bad Gateway");
    assertEquals([end.code, end.stderr.includes("<")], [1, false]);
  });

  test(`${label} tells of a server that speaks no TLS, and of one that does`, async () => {
    const pair = new URL("certificates/first", import.meta.url).pathname;
    await using plain = await startServer();
    await using secure = await startServer(
      {},
      {},
      new Certificate(`${pair}.pem`, `${pair}.key`, Date.now),
    );
    const cases = [
      [plain.ws.replace("ws:", "wss:"), "does not use TLS: try ws://."],
      [secure.ws.replace("wss:", "ws:"), "speaks TLS: try wss://."],
    ];
    for (const [address = "", hint = ""] of cases) {
      const end = await pipe([...command, path, address], "");
      assertStringIncludes(end.stderr, hint);
      assertEquals(end.code, 1);
    }
    const end = await pipe([...command, path, secure.ws], "");
    assertStringIncludes(end.stderr.toLowerCase(), "certificate");
  });

  test(`${label} waits for no answer that never comes`, async () => {
    using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const address = `ws://127.0.0.1:${listener.addr.port}/ws`;
    const end = await pipe([...command, path, address], "");
    assertStringIncludes(end.stderr, "no answer in 10 seconds");
    assertEquals(end.code, 1);
  });

  test(`${label} shows control characters of a reason to close as text`, async () => {
    await using server = Deno.serve({ port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onopen = () => socket.close(4000, "a\x1b[2Jb\nfake: c");
      return response;
    });
    const address = `ws://127.0.0.1:${server.addr.port}/ws`;
    await using child = start([...command, path, address]);
    const end = await child.end();
    assert(
      /Closed: 4000 a\\\w+\[2Jb\\\w+fake: c\n$/.test(end.stderr),
      end.stderr,
    );
    assertEquals(end.code, 1);
  });

  test(`${label} ends with 1 when the server is killed`, async () => {
    const server = new Deno.Command(Deno.execPath(), {
      args: ["eval", SERVER],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines = new TextReader(server.stdout);
    const port = await lines.until(/\n/, START_DEADLINE_MS);
    const address = `ws://127.0.0.1:${port.trim()}/ws`;
    await using child = start([...command, path, address]);
    await lines.until(/connected/, START_DEADLINE_MS);
    server.kill("SIGKILL");
    await server.status;
    await lines.cancel();
    const end = await child.end();
    assertStringIncludes(end.stderr, "Closed: 1006");
    assertEquals(end.code, 1);
  });
}
