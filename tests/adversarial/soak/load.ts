// The processes of one attack, seen from the soak: started together, ended
// together, with their tallies added up. After `end` none of them is left, even
// if one did not listen.
import { soon } from "../../support/harness.ts";
import type { Orders, Report } from "./attacker.ts";
import type { Attack } from "./attacks.ts";

const ATTACKER = new URL("attacker.ts", import.meta.url).pathname;

const END_DEADLINE_MS = 3_000;

/** One process. */
class Attacker {
  report: Report = { state: "begins", tally: {} };
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  hasEnded = false;

  constructor(orders: Orders) {
    const run = ["run", "--no-prompt", "--allow-net=127.0.0.1", ATTACKER];
    // Behind the server and the good clients, where they share a core.
    this.#child = new Deno.Command("nice", {
      args: ["-n", "10", Deno.execPath(), ...run],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#child.status.then(() => this.hasEnded = true);
    this.#read = this.#listen().catch(() => {});
    this.#write(orders).catch(() => {});
  }

  async #write(orders: Orders): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${JSON.stringify(orders)}\n`));
    writer.releaseLock();
  }

  async #listen(): Promise<void> {
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream());
    let rest = "";
    for await (const text of lines) {
      const whole = (rest + text).split("\n");
      rest = whole.pop() ?? "";
      const last = whole.at(-1);
      if (last !== undefined) this.report = JSON.parse(last);
    }
  }

  async end(): Promise<void> {
    // Its stdin ends, and it with it; if it is too busy to see that, by force.
    await this.#child.stdin.close().catch(() => {});
    await soon(this.#child.status, "its end", END_DEADLINE_MS).catch(() => {
      this.#child.kill("SIGKILL");
    });
    await this.#child.status;
    await this.#read;
  }
}

export class Load {
  readonly #attackers: Attacker[];

  constructor(
    readonly attack: Attack,
    { port, seed, scale }: { port: number; seed: number; scale: number },
  ) {
    const of = attack.processes;
    this.#attackers = Array.from({ length: of }, (_, index) => {
      const share = { scale, index, of };
      return new Attacker({ attack: attack.name, port, seed, share });
    });
  }

  /** All have their whole size, are done or have ended. */
  get hasBegun(): boolean {
    return this.#attackers.every(({ hasEnded, report }) =>
      hasEnded || report.state !== "begins"
    );
  }

  get isDone(): boolean {
    return this.#attackers.every(({ hasEnded, report }) =>
      hasEnded || report.state === "is done"
    );
  }

  /** What happened to them, and how often. */
  get tally(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const { report } of this.#attackers) {
      for (const [what, count] of Object.entries(report.tally)) {
        sum[what] = (sum[what] ?? 0) + count;
      }
    }
    return sum;
  }

  async end(): Promise<void> {
    await Promise.all(this.#attackers.map((attacker) => attacker.end()));
  }
}
