// The program as a process: exit codes, words on the terminal, signals. It is
// started with the permissions of `deno task start`, so those are tested too.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import config from "../deno.json" with { type: "json" };
import {
  Client,
  frame,
  Opcode,
  RawClient,
  soon,
  START_DEADLINE_MS,
  until,
} from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The command line of `deno task start`, maybe with few file descriptors. */
function command(args: string[], maxFiles?: number): Deno.Command {
  const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
  const deno = [Deno.execPath(), ...start, "--data", ":memory:", ...args];
  const limited = ["sh", "-c", `ulimit -n ${maxFiles}; exec "$@"`, "sh"];
  const [program = "", ...rest] = maxFiles ? [...limited, ...deno] : deno;
  return new Deno.Command(program, {
    args: rest,
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]) {
  const { code, stdout, stderr } = await command(args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Starts the program on a free port and waits for its banner. */
async function launch(args: string[] = [], maxFiles?: number) {
  const child = command(["--port", "0", ...args], maxFiles).spawn();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("Ctrl-C")) {
    const { value, done } = await soon(
      stdout.read(),
      "the banner",
      START_DEADLINE_MS,
    );
    assert(!done, "the program ended");
    text += value;
  }
  const port = Number(/localhost:(\d+)/.exec(text)?.[1]);
  async function end() {
    const { code } = await soon(child.status, "the program's end");
    await stdout.cancel();
    await child.stderr.cancel();
    return code;
  }
  return { child, text, port, end };
}

Deno.test("--help and --version print and exit with 0", async () => {
  const help = await run("--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(help.stdout, "--max-clients N");
  const version = await run("--version");
  assertEquals(version.stdout, `partyline ${config.version}\n`);
});

Deno.test("each start makes another moderator's code, of 128 bits", async () => {
  const codes = [];
  for (let i = 0; i < 2; i++) {
    const { child, text, end } = await launch();
    codes.push(/x-ray#moderator=(\S+)/.exec(text)?.[1] ?? "");
    child.kill("SIGTERM");
    assertEquals(await end(), 0);
  }
  for (const code of codes) assertMatch(code, /^[\w-]{22}$/);
  assert(codes[0] !== codes[1]);
});

Deno.test("a wrong option is named on stderr, and the exit code is 2", async () => {
  const { code, stdout, stderr } = await run("--prot", "81");
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "--prot");
});

Deno.test("a port in use is named, --port proposed, and the exit code is 1", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { code, stderr } = await run("--port", `${port}`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `port ${port} is in use`);
  assertStringIncludes(stderr, "--port");
});

Deno.test("an address that is not this machine's is named, and the exit code is 1", async () => {
  const { code, stderr } = await run("--host", "203.0.113.1");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "203.0.113.1");
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} closes the clients with 1001 and exits with 0`, async () => {
    const { child, port, end } = await launch();
    await using client = await Client.open(`ws://127.0.0.1:${port}/ws`);
    await client.say("hello");
    child.kill(signal);
    assertEquals((await soon(client.closed, "the close")).code, 1001);
    assertEquals(await end(), 0);
  });
}

Deno.test("a stop does not wait for a stalled client and half a request", async () => {
  const { child, port, end } = await launch(["--rate", "0"]);
  using half = await RawClient.open(port);
  await half.write("GET / HTTP/1.1\r\n");
  using stalled = await RawClient.upgrade(port);
  const text = frame(Opcode.text, "x".repeat(4_000));
  for (let i = 0; i < 500; i++) await stalled.write(text);
  const startedAtMs = performance.now();
  child.kill("SIGINT");
  assertEquals(await end(), 0);
  assert(performance.now() - startedAtMs < 5_000);
});

Deno.test("a second Ctrl-C ends at once", async () => {
  const { child, port, end } = await launch();
  // It never answers the close frame, so that the drain takes its time.
  using _silent = await RawClient.upgrade(port);
  child.kill("SIGINT");
  await until(() => {
    try {
      child.kill("SIGINT");
      return false;
    } catch {
      return true;
    }
  }, "the end");
  assertEquals(await end(), 130);
});

Deno.test({
  name: "out of file descriptors it ends who holds them and goes on",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const { child, port, end } = await launch([], 90);
    const hogs: RawClient[] = [];
    const hog = async () => {
      try {
        const client = await RawClient.open(port);
        hogs.push(client);
        await client.write("GET / HT");
        return true;
      } catch {
        return false;
      }
    };
    while (await hog());
    let page = "";
    await soon(
      (async () => {
        while (page === "") {
          page = await fetch(`http://127.0.0.1:${port}/`, {
            signal: AbortSignal.timeout(500),
          }).then((response) => response.text()).catch(() => "");
        }
      })(),
      "the page",
    );
    assertStringIncludes(page, "Partyline");
    for (const client of hogs) client[Symbol.dispose]();
    child.kill("SIGTERM");
    assertEquals(await end(), 0);
  },
});

Deno.test("--quiet prints nothing", async () => {
  // Port 0 is known only from the banner, so a port is found by hand.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const child = command(["--quiet", "--port", `${port}`]).spawn();
  let client: Client | undefined;
  while (client === undefined) {
    client = await Client.open(`ws://127.0.0.1:${port}/ws`).catch(() =>
      undefined
    );
  }
  await client[Symbol.asyncDispose]();
  child.kill("SIGTERM");
  const { code, stdout, stderr } = await child.output();
  assertEquals([code, stdout.length, stderr.length], [0, 0, 0]);
});

Deno.test("with --log json every line is JSON, from the start to the stop", async () => {
  const child = command(["--port", "0", "--log", "json"]).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    text += (await soon(lines.read(), "the first line")).value ?? "";
  }
  const { port } = JSON.parse(text);
  const clumsy = await RawClient.upgrade(port);
  await clumsy.write(frame(Opcode.binary, "x"));
  assertEquals(await clumsy.closeCode(), 1003);
  clumsy[Symbol.dispose]();
  child.kill("SIGTERM");
  for (let next; !(next = await soon(lines.read(), "a line")).done;) {
    text += next.value;
  }
  assertEquals((await child.status).code, 0);
  assertEquals(await new Response(child.stdout).text(), "");
  const events = text.trim().split("\n").map((line) => JSON.parse(line).event);
  assertEquals(events, ["start", "eviction", "stop"]);
});

Deno.test("--lan prints addresses or says that there are none", async () => {
  const { child, text, end } = await launch(["--lan"]);
  assertMatch(text, /Others +(http:\/\/\d|cannot reach)/);
  child.kill("SIGTERM");
  assertEquals(await end(), 0);
});
