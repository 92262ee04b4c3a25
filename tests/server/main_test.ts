// The program as a process: exit codes, words on the terminal, signals. It is
// started with the permissions of `deno task start`, so those are tested too.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  isOldest,
  RawClient,
  soon,
  START_DEADLINE_MS,
  until,
} from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Given first, so that no test writes a file. */
const IN_MEMORY = ["--data", ":memory:"];

/** The command line of `deno task start`, maybe after a line of the shell. */
function command(args: string[], before = "", first = IN_MEMORY): Deno.Command {
  const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
  const deno = [Deno.execPath(), ...start, ...first, ...args];
  const shell = ["bash", "-c", `${before}; exec "$@"`, "sh"];
  const [program = "", ...rest] = before ? [...shell, ...deno] : deno;
  return new Deno.Command(program, {
    args: rest,
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]) {
  return await outputOf(command(args));
}

async function outputOf(command: Deno.Command) {
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Starts the program on a free port and waits for its banner. */
async function launch(args: string[] = [], before = "") {
  const child = command(["--port", "0", ...args], before).spawn();
  const stdout = new TextReader(child.stdout);
  const text = await stdout.until(/moderator.*\n/, START_DEADLINE_MS);
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

Deno.test("a -- before all arguments is passed over, as npm wants it", async () => {
  for (
    const [args, says] of [
      [["--help"], "Usage: partyline [options]"],
      [["check", "--help"], "Usage: partyline check URL"],
      [["--prot", "81"], "unknown option --prot: did you mean --port?"],
    ] as const
  ) {
    const ended = await outputOf(command([...args], "", ["--"]));
    assertStringIncludes(ended.stdout + ended.stderr, says);
  }
  const { code, stderr } = await run("--", "--port", "81");
  assertEquals(code, 2);
  assertStringIncludes(stderr, '"--port" comes after --, where no options');
});

Deno.test("each start makes another moderator's code, of 128 bits", async () => {
  const codes = [];
  for (let i = 0; i < 2; i++) {
    const { child, text, end } = await launch(["--show-moderator"]);
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
  assertStringIncludes(stderr, "unknown option --prot: did you mean --port?");
});

Deno.test({
  name:
    "a variable with a slip in its name is told at the start, not its value",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // It ends at once, for its port is in use.
    const { port } = listener.addr;
    const before = "export PARTYLINE_INVTE=otter-party-2026";
    const { stderr } = await command(["--port", `${port}`], before).output();
    const [line = "", end = ""] = new TextDecoder().decode(stderr).split("\n");
    assertMatch(
      line,
      /warn +PARTYLINE_INVTE is not an option and was ignored: did you mean PARTYLINE_INVITE\?$/,
    );
    assertStringIncludes(end, "is in use");
  },
});

Deno.test("a port in use is named, --port proposed, and the exit code is 1", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { code, stderr } = await run("--port", `${port}`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `port ${port} is in use`);
  assertStringIncludes(stderr, "--port");
});

Deno.test({
  name:
    "a data file that every user of the machine can open is told to the operator",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // It opens the file, then ends at once.
    const port = `${listener.addr.port}`;
    const folder = await Deno.makeTempDir();
    try {
      const data = `${folder}/chat.db`;
      for (const [mode, isTold] of [[0o600, false], [0o644, true]] as const) {
        const { stderr } = await run("--data", data, "--port", port);
        assertStringIncludes(stderr, "is in use");
        await Deno.chmod(data, mode);
        const again = await run("--data", data, "--port", port);
        assertEquals(again.stderr.includes(`chmod 600 ${data}`), isTold);
        assertEquals(again.stderr.match(/warn/g)?.length ?? 0, isTold ? 1 : 0);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** A folder with what cannot be used, for as long as `use` takes. */
async function inFolder(use: (folder: string) => Promise<void>) {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(
      `${folder}/text`,
      "no database, no certificate ".repeat(99),
    );
    Deno.mkdirSync(`${folder}/folder`);
    await use(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A pair that fits, in the folder of the tests. */
const KEY = ["--key", "tests/support/certificates/first.key"];

for (
  const [what, options, complaint] of [
    [
      "an address that is not this machine's",
      ["--host", "203.0.113.1"],
      /^partyline: cannot listen on 203\.0\.113\.1: this machine does not have this address\. .*--host/,
    ],
    [
      "a name that is no host",
      ["--host", "nothing.invalid"],
      /^partyline: cannot listen on nothing\.invalid: there is no such host\. .*--host/,
    ],
    [
      "a host that cannot be one",
      ["--host", "not a host"],
      /^partyline: cannot listen on not a host: .*--host/,
    ],
    [
      "an address of a link without its interface",
      ["--host", "fe80::1"],
      /^partyline: cannot listen on fe80::1: .*--host/,
    ],
    [
      "a data file in a folder that is missing",
      ["--data", "FOLDER/missing/file.db"],
      /missing\/file\.db cannot be opened: check that its folder exists/,
    ],
    [
      "a data file that is a folder",
      ["--data", "FOLDER/folder"],
      /\/folder cannot be opened: .* that it is a file/,
    ],
    [
      "a data file that is no database",
      ["--data", "FOLDER/text"],
      /\/text is not a database: move it away or choose another --data/,
    ],
    [
      "a data file where none may be written",
      ["--data", "/proc/partyline.db"],
      /partyline\.db (cannot be opened: .*write|may not be opened by this program)/,
    ],
    [
      "a Redis that is not there",
      ["--data", "redis://127.0.0.1:1"],
      /^partyline: Redis at 127\.0\.0\.1:1: nothing listens there: start it, or correct --data\.$/,
    ],
    [
      "certificates for Redis that are missing",
      ["--data", "rediss://127.0.0.1:1", "--redis-ca", "FOLDER/missing"],
      /missing of --redis-ca cannot be read: there is no such file\.$/,
    ],
    [
      "a certificate that is missing",
      ["--cert", "FOLDER/missing", ...KEY],
      /^partyline: --cert \S+missing cannot be read: there is no such file\.$/,
    ],
    [
      "a certificate that is a folder",
      ["--cert", "FOLDER/folder", ...KEY],
      /folder cannot be read: it is a folder, not a file\.$/,
    ],
    [
      "a certificate in another form",
      ["--cert", "FOLDER/text", ...KEY],
      /text is not a certificate in PEM form\.$/,
    ],
  ] as const
) {
  Deno.test({
    name: `${what} is told in plain words, and the exit code is 1`,
    ignore: Deno.build.os !== "linux",
    fn: () =>
      inFolder(async (folder) => {
        const args = options.map((text) => text.replace("FOLDER", folder));
        const { code, stdout, stderr } = await run("--port", "0", ...args);
        assertMatch(stderr.trim(), complaint);
        assertEquals(stderr.trim().split("\n").length, 1);
        assert(!/os error|\bE[A-Z]{4,}|undefined/.test(stderr), stderr);
        assertEquals([code, stdout], [1, ""]);
      }),
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
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
  const { child, port, end } = await launch([
    "--rate",
    "0",
    "--room-rate",
    "0",
  ]);
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
  // Deno 2.6 says nothing of a failed listener while a connection is open.
  ignore: Deno.build.os === "windows" || isOldest,
  fn: async () => {
    const { child, port, end } = await launch([], "ulimit -n 90");
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

/** Starts the program without looking at what it prints. */
async function launchUnread(args: string[], before = "") {
  // Port 0 is known only from the banner, so a port is found by hand.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const child = command([...args, "--port", `${port}`], before).spawn();
  const client = await soon(
    connected(`ws://127.0.0.1:${port}/ws`),
    "a connection",
    START_DEADLINE_MS,
  );
  return { child, client, port };
}

async function connected(url: string): Promise<Client> {
  try {
    return await Client.open(url);
  } catch {
    return connected(url);
  }
}

/** Makes the server write lines: each request is refused by its origin. */
async function causeLines(port: number): Promise<void> {
  for (let i = 0; i < 10; i++) {
    const { body, status } = await fetch(`http://127.0.0.1:${port}/messages`, {
      headers: { origin: "https://other.example" },
      signal: AbortSignal.timeout(10_000),
    });
    await body?.cancel();
    assertEquals(status, 403);
  }
}

for (
  const [output, before] of [
    ["full pipes", "head -c 65536 /dev/zero; head -c 65536 /dev/zero >&2"],
    ["a full disk", "exec > /dev/full 2>&1"],
    ["closed pipes", "exec > >(true) 2>&1"],
  ]
) {
  Deno.test({
    name: `${output} for output and errors stop neither the server nor its end`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      const { child, client, port } = await launchUnread([], before);
      await causeLines(port);
      await client.say("still there");
      await client[Symbol.asyncDispose]();
      child.kill("SIGTERM");
      assertEquals((await soon(child.status, "the end")).code, 0);
      await child.stdout.cancel();
      await child.stderr.cancel();
    },
  });
}

Deno.test("--quiet prints nothing", async () => {
  const { child, client } = await launchUnread(["--quiet"]);
  await client[Symbol.asyncDispose]();
  child.kill("SIGTERM");
  const { code, stdout, stderr } = await child.output();
  assertEquals([code, stdout.length, stderr.length], [0, 0, 0]);
});

Deno.test("with --log json every line is JSON, from the start to the stop", async () => {
  const child = command(["--port", "0", "--log", "json"]).spawn();
  const lines = new TextReader(child.stderr);
  const { port } = JSON.parse(await lines.until(/\n/));
  const clumsy = await RawClient.upgrade(port);
  await clumsy.write(frame(Opcode.binary, "x"));
  assertEquals(await clumsy.closeCode(), 1003);
  clumsy[Symbol.dispose]();
  child.kill("SIGTERM");
  const text = await lines.toEnd();
  assertEquals((await child.status).code, 0);
  assertEquals(await new Response(child.stdout).text(), "");
  const events = text.trim().split("\n").map((line) => JSON.parse(line).event);
  assertEquals(events, ["start", "disconnect", "stop"]);
});

Deno.test({
  name: "deno task dev starts anew when a file changes, and Ctrl-C ends it",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const [, ...dev] = config.tasks.dev.replaceAll("'", "").split(" ");
    try {
      const copy = [
        "-r",
        "main.ts",
        "chat",
        "static",
        "deno.json",
        "deno.lock",
      ];
      await new Deno.Command("cp", { args: [...copy, folder], cwd: ROOT })
        .output();
      const child = new Deno.Command(Deno.execPath(), {
        args: [...dev, "--data", ":memory:", "--port", "0"],
        cwd: folder,
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const stdout = child.stdout.pipeThrough(new TextDecoderStream());
      let starts = 0;
      for await (const text of stdout) {
        if (!text.includes("Open ")) continue;
        starts++;
        const file = `${folder}/static/index.html`;
        if (starts === 1) await Deno.writeTextFile(file, " ", { append: true });
        if (starts === 2) child.kill("SIGINT");
      }
      assertEquals(starts, 2);
      await soon(child.status, "the end");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("the first address of the banner answers, whatever the host", async () => {
  const hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0"];
  if (hasIPv6()) hosts.push("::1", "::");
  for (const host of hosts) {
    const base = ["--host", host, "--base", "/chat/"];
    const { child, text, end } = await launch(base);
    const [open, lesson, lab] = ["Open", "Lesson", "Lab"].map((name) =>
      new RegExp(`${name} +(http\\S+)`).exec(text)?.[1] ?? ""
    );
    for (const url of [open, lesson, lab]) {
      const response = await fetch(url ?? "");
      await response.body?.cancel();
      assertEquals(response.status, 200, `${host}: ${url}`);
    }
    child.kill("SIGTERM");
    assertEquals(await end(), 0);
  }
});

Deno.test("--lan prints addresses or says that there are none", async () => {
  const { child, text, end } = await launch(["--lan"]);
  assertMatch(text, /Others +(http:\/\/\d|cannot reach)/);
  child.kill("SIGTERM");
  assertEquals(await end(), 0);
});
