// A Redis for a test: the real program on loopback, in a folder of its own,
// that can be killed, paused, started again and emptied. Disposing of it ends
// the process in any state and removes the folder. If it does not start, its
// output is shown.
import { Buffer } from "node:buffer";
import { soon, START_DEADLINE_MS } from "./harness.ts";
import { Dice } from "../stress/dice.ts";
import { freePort, Output } from "../stress/program.ts";

export interface RedisOptions {
  /** A name in PATH or a path; by default the first of `redisBinaries()`. */
  binary?: string;
  /** More arguments, which override those below. */
  args?: readonly string[];
  /** By default a free port. */
  port?: number;
  /** Whether a kill loses nothing (the default) or everything. */
  durable?: boolean;
  /** PEM files for TLS; without them Redis speaks plain TCP. */
  tls?: { cert: string; key: string };
  password?: string;
}

const BINARIES = ["redis-server", "valkey-server"];

/** The programs in PATH that are a Redis, by name. */
export function redisBinaries(): string[] {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return BINARIES.filter((name) =>
    folders.some((folder) => {
      try {
        return Deno.statSync(`${folder}/${name}`).isFile;
      } catch {
        return false;
      }
    })
  );
}

const isSkipped = redisBinaries().length === 0 &&
  Deno.env.get("CI") === undefined;

/** A test that needs Redis: skipped if there is none, except in CI. */
export function redisTest(name: string, fn: () => Promise<void> | void): void {
  Deno.test({
    name: isSkipped ? `${name} (skipped: there is no redis-server)` : name,
    ignore: isSkipped,
    fn,
  });
}

/** Starts a Redis and waits until it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const redis = new Redis(options);
  try {
    await redis.start();
  } catch (error) {
    await redis[Symbol.asyncDispose]();
    throw error;
  }
  return redis;
}

interface Running {
  child: Deno.ChildProcess;
  stdout: Output;
  stderr: Output;
}

export class Redis implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly #binary: string;
  readonly #folder = Deno.makeTempDirSync();
  readonly #copies: string[] = [];
  #running: Running | undefined;

  /** Redis does not run before `start()`. */
  constructor(private readonly options: RedisOptions) {
    const { binary, port, tls, password } = options;
    this.#binary = binary ?? redisBinaries()[0] ?? "redis-server";
    this.port = port ?? freePort(new Dice(Math.random() * 2 ** 32, 0));
    this.url = (tls ? "rediss://" : "redis://") +
      (password === undefined ? "" : `:${encodeURIComponent(password)}@`) +
      `127.0.0.1:${this.port}`;
  }

  /** Starts Redis, with the port and the files that it had before. */
  async start(): Promise<void> {
    if (this.#running) throw new Error(`${this.#binary} runs already`);
    const child = this.#spawn();
    const stdout = new Output(child.stdout);
    const stderr = new Output(child.stderr);
    this.#running = { child, stdout, stderr };
    const isUp = await soon(
      Promise.race([
        stdout.including("Ready to accept connections").then(() => true),
        stdout.ended.then(() => false),
      ]),
      `${this.#binary} on port ${this.port}`,
      START_DEADLINE_MS,
    ).catch(() => false);
    if (!isUp) {
      await this.kill();
      throw new Error(
        `${this.#binary} did not start: ${stderr.text}${stdout.text}`,
      );
    }
    await this.command("PING");
  }

  #spawn(): Deno.ChildProcess {
    const { args = [], durable = true, tls, password } = this.options;
    const port = `${this.port}`;
    try {
      return new Deno.Command(this.#binary, {
        args: [
          ...["--bind", "127.0.0.1", "--dir", this.#folder],
          ...tls
            ? ["--port", "0", "--tls-port", port, "--tls-auth-clients", "no"]
            : ["--port", port],
          ...tls
            ? ["--tls-cert-file", tls.cert, "--tls-key-file", tls.key]
            : [],
          ...password === undefined ? [] : ["--requirepass", password],
          // Redis must not fork: a child would survive a kill.
          ...["--save", "", "--auto-aof-rewrite-percentage", "0"],
          ...["--appendonly", durable ? "yes" : "no"],
          ...["--appendfsync", "always"],
          ...args,
        ],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Error(`${this.#binary} is not installed`, { cause: error });
    }
  }

  /** Like `start()`, but all stored data is lost. */
  async startEmpty(): Promise<void> {
    if (this.#running) throw new Error(`${this.#binary} runs still`);
    this.#empty();
    await this.start();
  }

  /** Like `start()`, but with the data of a copy. */
  async startWith(copy: string): Promise<void> {
    if (this.#running) throw new Error(`${this.#binary} runs still`);
    this.#empty();
    this.#copyFiles(copy, this.#folder);
    await this.start();
  }

  /** Copies the stored data; the copy lives as long as this object. */
  copy(): string {
    const copy = Deno.makeTempDirSync();
    this.#copies.push(copy);
    this.#copyFiles(this.#folder, copy);
    return copy;
  }

  #copyFiles(from: string, to: string): void {
    for (const { name, isDirectory } of Deno.readDirSync(from)) {
      if (!isDirectory) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
      else {
        Deno.mkdirSync(`${to}/${name}`);
        this.#copyFiles(`${from}/${name}`, `${to}/${name}`);
      }
    }
  }

  #empty(): void {
    for (const { name } of Deno.readDirSync(this.#folder)) {
      Deno.removeSync(`${this.#folder}/${name}`, { recursive: true });
    }
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** An orderly stop. */
  async stop(): Promise<void> {
    this.resume();
    await this.#end("SIGTERM");
  }

  /** Redis keeps its connections, the system takes new ones; nothing runs. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#running?.child.kill(signal);
    } catch {
      // The process ended by itself.
    }
  }

  async #end(signal: Deno.Signal): Promise<void> {
    if (!this.#running) return;
    const { child, stdout, stderr } = this.#running;
    this.#signal(signal);
    await soon(child.status, `the end of ${this.#binary}`);
    this.#running = undefined;
    await Promise.all([stdout.ended, stderr.ended]);
  }

  async [Symbol.asyncDispose]() {
    await this.kill();
    for (const folder of [this.#folder, ...this.#copies]) {
      Deno.removeSync(folder, { recursive: true });
    }
  }

  /**
   * Sends one command over a connection of its own. The items of a list become
   * lines; a missing value is "". Rejects with an error that Redis answers.
   */
  async command(...args: string[]): Promise<string> {
    const { tls, password } = this.options;
    const to = { hostname: "127.0.0.1", port: this.port };
    using connection = tls
      ? await Deno.connectTls({
        ...to,
        caCerts: [Deno.readTextFileSync(tls.cert)],
      })
      : await Deno.connect(to);
    const commands = [
      ...password === undefined ? [] : [["AUTH", password]],
      args,
      // The answer to QUIT shows that the one before is complete.
      ["QUIT"],
    ];
    const bytes = Buffer.from(commands.map(encode).join(""));
    for (let at = 0; at < bytes.length;) {
      at += await connection.write(bytes.subarray(at));
    }
    const chunks: Uint8Array[] = [];
    const reading = (async () => {
      const chunk = new Uint8Array(65_536);
      for (let n; (n = await connection.read(chunk)) !== null;) {
        chunks.push(chunk.slice(0, n));
      }
    })();
    await soon(reading, `the answer to ${args[0]}`, START_DEADLINE_MS);
    const replies = decode(Buffer.concat(chunks).toString("latin1"));
    const reply = replies[commands.length - 2];
    if (reply === undefined) throw new Error(`no answer to ${args[0]}`);
    if (reply instanceof Error) throw reply;
    return reply;
  }
}

/** A command in RESP, the protocol of Redis. */
function encode(args: string[]): string {
  const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
  return `*${args.length}\r\n${parts.join("")}`;
}

/** The replies in a text with one character per byte. */
function decode(bytes: string): (string | Error)[] {
  let at = 0;
  const toText = (part: string) => Buffer.from(part, "latin1").toString();

  function next(): string | Error {
    const end = bytes.indexOf("\r\n", at);
    const type = bytes[at];
    const rest = bytes.slice(at + 1, end);
    at = end + 2;
    if (type === "-") return new Error(toText(rest));
    if (type === "$" && rest !== "-1") {
      const text = toText(bytes.slice(at, at + Number(rest)));
      at += Number(rest) + 2;
      return text;
    }
    if (type === "*") {
      return Array.from({ length: Math.max(0, Number(rest)) }, next).join("\n");
    }
    return type === "$" ? "" : toText(rest);
  }

  const replies = [];
  while (at < bytes.length) replies.push(next());
  return replies;
}
