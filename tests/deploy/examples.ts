// The clients of static/examples/, built and run as the first lines of each file
// say, in a folder of their own. A client whose library is missing is skipped with
// the reason, except in CI.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { skip, start } from "../support/clients.ts";
import {
  Client,
  soon,
  START_DEADLINE_MS,
  type WireEvent,
} from "../support/harness.ts";
import { commandsOf, FOLDER } from "../support/examples.ts";
import { startTcpProxy } from "../support/tcp_proxy.ts";

/** Each client with a command that succeeds where it can be built and run. */
const TRIALS: Record<string, string> = {
  "c_libwebsockets.c": "echo '#include <libwebsockets.h>' | cc -E -",
  "cpp_beast.cpp": "echo '#include <boost/json/fwd.hpp>' | g++ -E -x c++ -",
  "go_gorilla.go": "go version && ls /usr/share/gocode/src/github.com/gorilla",
  "java_jdk.java": "java --version",
  "node_builtin.mjs": "node -e 'WebSocket'",
  "node_ws.cjs": "npm --version",
  "perl_mojolicious.pl": "perl -MMojo::UserAgent -e 1",
  "python_aiohttp.py": "python3 -c 'import aiohttp'",
  "python_websocket_client.py": "python3 -c 'import websocket'",
  "python_websockets.py": "python3 -c 'import websockets'",
  "ruby_faye.rb": "ruby -e 'require %q(faye/websocket)'",
};

/** Those that speak `partyline.v1` need what the plain ones need. */
const trialOf = (file: string) => TRIALS[file.replace("_v1", "")];

/** What is installed there wins; and Node 22, which npx fetches. */
const path = await (async () => {
  const { success, stdout } = await new Deno.Command("npx", {
    args: ["-y", "node@22", "-p", "process.execPath"],
    stderr: "null",
  }).output().catch(() => ({ success: false, stdout: new Uint8Array() }));
  const node = success
    ? new TextDecoder().decode(stdout).trim()
    : "/usr/bin/node";
  const folder = node.slice(0, node.lastIndexOf("/"));
  return [folder, "/usr/bin", Deno.env.get("PATH")].join(":");
})();

async function run(script: string, cwd: string): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", script],
    cwd,
    env: { PATH: path },
    stdout: "null",
  }).output();
  return success ? undefined : new TextDecoder().decode(stderr);
}

/** The JDK compiles a file each time that it runs it, which takes it seconds. */
const JAVA = /^java (\S+\.java)/;

export class Example implements AsyncDisposable {
  private constructor(
    readonly file: string,
    readonly skipped: string,
    private readonly folder: string,
    private readonly exports: string[],
    private readonly command: string,
  ) {}

  /** Copies a client to a folder of its own and builds it there. */
  static async prepare(file: string): Promise<Example> {
    const folder = await Deno.makeTempDir({ prefix: "example-" });
    await Deno.copyFile(`${FOLDER}/${file}`, `${folder}/${file}`);
    // Or npm installs into a folder above that has one.
    await Deno.writeTextFile(`${folder}/package.json`, "{}");
    const trouble = await run(trialOf(file) ?? "false", folder);
    const skipped = skip(trouble === undefined, `what ${file} needs`);
    const lines = commandsOf(file).filter((line) => !/^apt install/.test(line));
    const [command = "", ...builds] = (lines.pop() ?? "").split(" && ")
      .reverse();
    const exports = lines.filter((line) => line.startsWith("export"));
    if (JAVA.test(command)) builds.push(`javac -d classes ${file}`);
    const build = [...lines, ...builds, "true"].join(" && ");
    const failure = skipped === "" ? await run(build, folder) : undefined;
    if (failure !== undefined) throw new Error(`${build}: ${failure}`);
    return new Example(file, skipped, folder, exports, command);
  }

  /** Starts it in the way that its first lines say. */
  startAsWritten(address: string) {
    return this.#start(this.command, address);
  }

  start(address: string) {
    return this.#start(
      this.command.replace(JAVA, "java -cp classes Chat"),
      address,
    );
  }

  #start(command: string, address: string) {
    const exec = `exec ${command.replace("[ADDRESS]", '"$1"')}`;
    const script = ['cd "$0"', ...this.exports, exec].join(" && ");
    const variables = [`PATH=${path}`, "LC_ALL=C.UTF-8"];
    return start([
      "env",
      ...variables,
      "sh",
      "-c",
      script,
      this.folder,
      address,
    ]);
  }

  async [Symbol.asyncDispose]() {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Waits until the client has ended, though it may go on printing. */
export function ended(client: ReturnType<typeof start>) {
  return soon(client.end(), "the end of a client", START_DEADLINE_MS);
}

/** Waits until the client has printed that line; the message is letters alone. */
export async function hasPrinted(
  { stdout }: ReturnType<typeof start>,
  sender: string,
  message: string,
): Promise<void> {
  await stdout.until(
    new RegExp(`^${sender}: ${message}$`, "m"),
    START_DEADLINE_MS,
  );
}

/** The masked close frame, with a code and no reason (RFC 6455 section 5.2). */
function closeCodeIn(bytes: Uint8Array): number | undefined {
  const [first, second, ...rest] = bytes.slice(-8);
  if (first !== 0x88 || second !== 0x82) return undefined;
  const [a = 0, b = 0, , , high = 0, low = 0] = rest;
  return (high ^ a) * 256 + (low ^ b);
}

/** A connection to a server on which can be seen how the client ends it. */
function startSpy(ws: string) {
  let written = new Uint8Array();
  const proxy = startTcpProxy(Number(new URL(ws).port), () => (bytes, from) => {
    if (from === "client" && bytes.length > 0) {
      written = new Uint8Array([...written.slice(-8), ...bytes]);
    }
    return "pass";
  });
  return {
    ws: `ws://127.0.0.1:${proxy.port}/ws`,
    closeCode: () => closeCodeIn(written),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

/** What a stranger may send to drive the terminals of others. */
const HOSTILE = "a\x1b[2Jb\x9bc\x7fd\u202ee\u2066\nfake: f";

/** A third one comes, says all sorts of things and leaves; the client prints it. */
async function hearsThird(
  client: ReturnType<typeof start>,
  room: string,
): Promise<void> {
  await using third = await Client.open(room);
  const { sender } = await third.say("hello, program");
  await hasPrinted(client, sender, "hello, program");
  const long = "👍".repeat(4_000);
  await third.say(long);
  await hasPrinted(client, sender, long);
  await third.say(HOSTILE);
  await client.stdout.until(/fake: f$/m, START_DEADLINE_MS);
  await third[Symbol.asyncDispose]();
  await hasPrinted(client, sender, "Client disconnected");
}

/** Fails unless the client can do with that server what any client can. */
export async function talk(example: Example, ws: string): Promise<void> {
  const room = `?room=${example.file.replaceAll(/[._]/g, "-").slice(0, 32)}`;
  await using spy = startSpy(ws);
  await using other = await Client.open(ws + room);
  await using client = example.startAsWritten(spy.ws + room);
  // What is typed before the connection is open is said when it is.
  await client.write("grüß dich\n");
  await client.stdout.until(/: grüß dich$/m, START_DEADLINE_MS);
  const said: WireEvent = await other.nextOf("message");
  assertEquals(said.message, "grüß dich");
  await hearsThird(client, ws + room);
  assertEquals((await other.messagesUpTo(HOSTILE)).length, 3);
  await client.write("last");
  await client.closeInput();
  const { code, stdout, stderr } = await ended(client);
  // deno-lint-ignore no-control-regex -- that is what must not be there
  assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u2069]/.test(stdout));
  assert(!/^fake/m.test(stdout), stdout);
  assertMatch(stderr, /Closed: 1000/);
  assertEquals([code, spy.closeCode()], [0, 1000]);
  assertEquals((await other.nextOf("message")).message, "last");
  let left: WireEvent;
  do left = await other.nextOf("leave"); while (left.sender !== said.sender);
}
