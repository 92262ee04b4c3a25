// Servers on well-known libraries, each a program of its own in servers/ with an echo
// and a chat, which prints its port and the versions of what it is built on. A server
// whose library is missing is skipped with the reason, except in CI.
import { find, skip } from "../support/clients.ts";
import { soon, START_DEADLINE_MS } from "../support/harness.ts";

const FOLDER = new URL("servers", import.meta.url).pathname;

/** The peer that students install; the same version as in the tests of chat/. */
const WS = "ws@8.23.0";

const PYTHONS = ["/usr/bin/python3", "python3"];

interface Program {
  /** Why it cannot be run, or "". */
  skipped: string;
  command: string[];
  env?: Record<string, string>;
}

/** How to run a program; `folder` is its own, and empty. */
type Prepare = (folder: string) => Promise<Program>;

function python(file: string, modules: string, ...args: string[]): Prepare {
  return async () => {
    const found = await find(PYTHONS, "-c", `import ${modules}`);
    return {
      skipped: skip(found !== undefined, `Python's ${modules}`),
      command: [found ?? "python3", `${FOLDER}/${file}`, ...args],
    };
  };
}

/** Runs a command in a folder and returns what it prints, or undefined. */
async function printed(
  cwd: string,
  [command = "", ...args]: string[],
  env: Record<string, string> = {},
): Promise<string | undefined> {
  const running = new Deno.Command(command, { args, cwd, env, stderr: "null" });
  const { success, stdout } = await running.output()
    .catch(() => ({ success: false, stdout: new Uint8Array() }));
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}

/** Node 22, which npx fetches, with ws in a folder that Node looks into. */
async function nodeWs(folder: string): Promise<Program> {
  const path = ["npx", "-y", "node@22", "-p", "process.execPath"];
  const node = await printed(folder, path);
  // Or npm installs into a folder above that has one.
  await Deno.writeTextFile(`${folder}/package.json`, "{}");
  const install = ["npm", "install", "--prefer-offline", "--silent", WS];
  const ws = node && await printed(folder, install);
  return {
    skipped: skip(ws !== undefined, `Node 22 or ${WS}`),
    command: [node ?? "node", `${FOLDER}/node_ws.cjs`],
    env: { NODE_PATH: `${folder}/node_modules` },
  };
}

async function goGorilla(folder: string): Promise<Program> {
  const env = { GO111MODULE: "off", GOPATH: "/usr/share/gocode" };
  const program = `${folder}/go_gorilla`;
  const build = ["go", "build", "-o", program, `${FOLDER}/go_gorilla.go`];
  const built = await printed(folder, build, env);
  return {
    skipped: skip(built !== undefined, "Go's gorilla/websocket"),
    command: [program],
  };
}

async function perlMojolicious(): Promise<Program> {
  const perl = await find(["perl"], "-MMojolicious::Lite", "-e1");
  return {
    skipped: skip(perl !== undefined, "Perl's Mojolicious"),
    command: ["perl", `${FOLDER}/perl_mojolicious.pl`],
  };
}

export const PROGRAMS = {
  "ws in Node": nodeWs,
  "websockets": python("python_websockets.py", "websockets"),
  "aiohttp": python("python_aiohttp.py", "aiohttp"),
  "FastAPI on uvicorn with websockets": python(
    "python_fastapi.py",
    "fastapi, uvicorn, websockets",
    "websockets",
  ),
  "FastAPI on uvicorn with wsproto": python(
    "python_fastapi.py",
    "fastapi, uvicorn, wsproto",
    "wsproto",
  ),
  "gorilla/websocket": goGorilla,
  "Mojolicious": perlMojolicious,
} satisfies Record<string, Prepare>;

export type ProgramName = keyof typeof PROGRAMS;

/** What a server that does not start has said last, in UTF-16 units. */
const MAX_COMPLAINT_UNITS = 2_000;

/** A running server. It ends when it is disposed of. */
export class RealServer implements AsyncDisposable {
  private constructor(
    readonly port: number,
    /** Of what it is built on, as it prints them. */
    readonly versions: string,
    private readonly end: () => Promise<void>,
  ) {}

  static async start({ command, env = {} }: Program): Promise<RealServer> {
    const [file = "", ...args] = command;
    const options = { args, env, stdout: "piped", stderr: "piped" } as const;
    const child = new Deno.Command(file, options).spawn();
    // A pipe that nobody reads would hold the server up.
    let complaint = "";
    const reading = drain(child.stderr, (text) => {
      complaint = (complaint + text).slice(-MAX_COMPLAINT_UNITS);
    });
    let output = "";
    const { promise, resolve } = Promise.withResolvers<void>();
    const hearing = drain(child.stdout, (text) => {
      output = output.includes("\n") ? output : output + text;
      if (output.includes("\n")) resolve();
    });
    const end = async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await Promise.all([reading, hearing, child.status]);
    };
    try {
      const ended = hearing.then(() => {
        if (output === "") throw new Error(`${file} ended: ${complaint}`);
      });
      const line = Promise.race([promise, ended]);
      await soon(line, `the port of ${command.at(-1)}`, START_DEADLINE_MS);
    } catch (error) {
      await end();
      throw error;
    }
    const [port, ...versions] = output.trim().split(" ");
    return new RealServer(Number(port), versions.join(" "), end);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

async function drain(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onText: (text: string) => void,
): Promise<void> {
  const texts = stream.pipeThrough(new TextDecoderStream());
  for await (const text of texts) onText(text);
}
