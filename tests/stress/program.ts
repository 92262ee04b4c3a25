// The server under stress or soak: the real program, with the permissions of
// `deno task start`, killed and started again on one port and one file. `isUp`
// is false before a signal is sent and true only from the banner on, so what
// happens meanwhile is the signal's doing.
import config from "../../deno.json" with { type: "json" };
import { soon } from "../support/harness.ts";
import type { Dice } from "./dice.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const DEADLINE_MS = 30_000;

/** What is written on a stream, read as it comes so that it never fills. */
export class Output {
  text = "";
  readonly ended: Promise<void>;
  readonly #includes = new Map<string, () => void>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.text += decoder.decode(chunk, { stream: true });
      for (const [part, resolve] of this.#includes) {
        if (this.text.includes(part)) resolve();
      }
    }
  }

  /** Resolves when `part` was written. */
  including(part: string): Promise<void> {
    return new Promise((resolve) => this.#includes.set(part, resolve));
  }
}

interface Running {
  child: Deno.ChildProcess;
  stdout: Output;
  stderr: Output;
}

export class Program {
  isUp = false;
  /** How often it was started. */
  generation = 0;
  /** The last one that was stopped by SIGTERM: its clients hear 1001. */
  stoppedGeneration = 0;
  /** What was ever written on stderr that is worth more than `info`. */
  complaints = "";
  /** All of what it wrote there. */
  said = "";
  #running: Running | undefined;

  /** `onEnd` is called when it ends without having been told to. */
  constructor(
    readonly port: number,
    private readonly data: string,
    private readonly flags: readonly string[],
    private readonly onEnd: (what: string) => void,
  ) {}

  /** Undefined while there is none. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  async start(): Promise<void> {
    const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...start,
        ...["--port", `${this.port}`, "--data", this.data],
        ...this.flags,
      ],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdout = new Output(child.stdout);
    const stderr = new Output(child.stderr);
    this.#running = { child, stdout, stderr };
    const banner = stdout.including("Ctrl-C");
    const ended = child.status.then(({ code, signal }) => {
      if (this.isUp && this.#running?.child === child) {
        this.onEnd(`the server ended by itself (${signal ?? code})`);
      }
      return "ended" as const;
    });
    if (await soon(Promise.race([banner, ended]), "the banner", DEADLINE_MS)) {
      await stderr.ended;
      this.#running = undefined;
      throw new Error(`the server did not start: ${stderr.text}`);
    }
    this.generation++;
    this.isUp = true;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** An orderly stop; returns the exit code. */
  async stop(): Promise<number> {
    this.stoppedGeneration = this.generation;
    return await this.#end("SIGTERM");
  }

  async #end(signal: Deno.Signal): Promise<number> {
    this.isUp = false;
    const running = this.#running;
    if (running === undefined) return 0;
    const { child, stdout, stderr } = running;
    this.#running = undefined;
    try {
      child.kill(signal);
    } catch {
      // It ended by itself, which `onEnd` tells.
    }
    const { code } = await soon(child.status, "the server's end", DEADLINE_MS);
    await Promise.all([stdout.ended, stderr.ended]);
    this.said += stderr.text;
    // To let slow readers go and others wait is its duty.
    this.complaints += stderr.text.split("\n")
      .filter((line) => !/^\S+ info /.test(line)).join("\n");
    return code;
  }
}

/**
 * A port that nobody has. It lies below those that the system gives to outgoing
 * connections (from 32768 on Linux): while the server is down, one of its own
 * clients could otherwise be given it and keep the server from starting again.
 */
export function freePort(dice: Dice): number {
  while (true) {
    const port = dice.between(20_000, 32_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
