// A fuzz run: thousands of bad clients against the real program, beside good
// clients who chat, and then the verdict. As a program it is `deno task fuzz`.
// What a bad client writes is decided in `fuzz/`. A failure names the seed and
// the clients that were there.
import { parseArgs } from "node:util";
import { runAndConclude } from "../support/closing.ts";
import { attack } from "./fuzz/attacker.ts";
import { Bystander } from "./fuzz/bystander.ts";
import { makeScript, ROOM } from "./fuzz/script.ts";
import { Client, until } from "../support/harness.ts";
import { Dice } from "../stress/dice.ts";
import { freePort, Program } from "../stress/program.ts";

export interface Plan {
  seed: number;
  /** How long bad clients come; the verdict takes its own time. */
  seconds: number;
  /** Bad clients at a time. */
  clients: number;
  /** The number of the first; the others count up from it. */
  first: number;
}

/** How often what happened; a run in which nothing was cut proves nothing. */
export class Tally {
  clients = 0;
  upgrades = 0;
  /** Ended by the server before the client hung up. */
  cuts = 0;
  /** Messages of bystanders, each counted once. */
  said = 0;
  /** Messages that the first bystander was shown, whoever wrote them. */
  shown = 0;
  /** Of the server's process; 0 where the system does not tell. */
  megabytesAtStart = 0;
  megabytesAtMost = 0;
  megabytesAtEnd = 0;
  descriptorsAtStart = 0;
  descriptorsAtEnd = 0;
}

const V1_BYSTANDERS = 3;
const PLAIN_BYSTANDERS = 2;

/** For what has to come although the machine is busy. */
const DEADLINE_MS = 20_000;
const SAMPLE_EVERY_MS = 500;

/** Runs the plan. Rejects with the first thing that went wrong. */
export async function fuzz(plan: Plan): Promise<Tally> {
  const folder = await Deno.makeTempDir({ prefix: "partyline-fuzz-" });
  const run = new Run(plan, `${folder}/fuzz.db`);
  try {
    await run.begin();
    await run.act();
    await run.judge();
    return run.tally;
  } catch (error) {
    await run.end();
    throw run.explain(error as Error);
  } finally {
    await run.end();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A fuzzer's clients are as fast as they can be. */
const FLAGS = ["--rate", "0", "--room-rate", "0"];

class Run {
  readonly tally = new Tally();
  readonly #program: Program;
  readonly #bystanders: Bystander[];
  /** Numbers of those that are connected. */
  readonly #active = new Set<number>();
  #fault: Error | undefined;
  #number: number;

  constructor(private readonly plan: Plan, data: string) {
    const fail = (what: string) => this.#fail(new Error(what));
    const port = freePort(new Dice(plan.seed, 0));
    this.#program = new Program(port, data, FLAGS, fail);
    this.#number = plan.first;
    this.#bystanders = Array.from(
      { length: V1_BYSTANDERS + PLAIN_BYSTANDERS },
      (_, i) =>
        new Bystander(i, i < V1_BYSTANDERS, (fault) => this.#fail(fault)),
    );
  }

  async begin(): Promise<void> {
    await this.#program.start();
    for (const bystander of this.#bystanders) {
      await bystander.join(this.#program.port);
    }
    for (const bystander of this.#bystanders) bystander.know(this.#bystanders);
  }

  /** Lets bad clients come while bystanders chat. */
  async act(): Promise<void> {
    const { seconds, clients } = this.plan;
    const { tally } = this;
    const { megabytes, descriptors } = await this.#look();
    tally.megabytesAtStart = megabytes;
    tally.descriptorsAtStart = descriptors;
    const endsAtMs = performance.now() + seconds * 1_000;
    const isOver = () =>
      this.#fault !== undefined || performance.now() > endsAtMs;
    const keepSampling = async () => {
      while (!isOver()) {
        const { megabytes } = await this.#look();
        tally.megabytesAtMost = Math.max(tally.megabytesAtMost, megabytes);
        await new Promise((resolve) => setTimeout(resolve, SAMPLE_EVERY_MS));
      }
    };
    await Promise.all([
      ...this.#bystanders.map((bystander) => bystander.chat(isOver)),
      ...Array.from({ length: clients }, () => this.#keepAttacking(isOver)),
      keepSampling(),
    ]);
    this.#throwFault();
  }

  async #keepAttacking(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const number = this.#number++;
      this.#active.add(number);
      try {
        const { port } = this.#program;
        const script = makeScript(this.plan.seed, number);
        const { isUpgraded, isCut } = await attack(port, script);
        this.tally.clients++;
        if (isUpgraded) this.tally.upgrades++;
        if (isCut) this.tally.cuts++;
      } catch (cause) {
        this.#fail(new Error(`bad client ${number}: ${cause}`, { cause }));
      }
      this.#active.delete(number);
    }
  }

  /** All was heard, nobody is left, the process is well. */
  async judge(): Promise<void> {
    await this.#until(
      () => this.#bystanders.every((one) => one.hasHeard(this.#bystanders)),
      () => "every bystander to hear all that the others said",
    );
    await this.#checkRoster();
    await this.#checkPage();
    const { tally } = this;
    for (const { sent } of this.#bystanders) tally.said += sent;
    tally.shown = this.#bystanders[0]?.shown ?? 0;
    const { megabytes, descriptors } = await this.#look();
    tally.megabytesAtEnd = megabytes;
    tally.descriptorsAtEnd = descriptors;
    for (const bystander of this.#bystanders) await bystander.leave();
    const code = await this.#program.stop();
    if (code !== 0) throw new Error(`the server ended with ${code}`);
    if (this.#program.complaints !== "") {
      throw new Error(`the server said: ${this.#program.complaints}`);
    }
    this.#throwFault();
  }

  /** A newcomer finds the bystanders and itself; so do those who were there. */
  async #checkRoster(): Promise<void> {
    const names = this.#bystanders.map(({ name }) => name);
    const url = `ws://127.0.0.1:${this.#program.port}/ws?room=${ROOM}`;
    const giveUpAtMs = performance.now() + DEADLINE_MS;
    while (true) {
      await using client = await Client.join(url, { history: 0 });
      const { members, sender } = client.welcome;
      const expected = [...names, sender].sort().join();
      if (members.sort().join() === expected) break;
      // The server may not have noticed yet that the last ones hung up.
      if (performance.now() > giveUpAtMs) {
        throw new Error(`ghosts: ${members}, and only ${expected} are here`);
      }
    }
    const expected = names.sort().join();
    for (const { isV1, name, roster } of this.#bystanders) {
      if (!isV1) continue;
      await this.#until(
        () => roster.names.sort().join() === expected,
        () =>
          `"${name}" to know that only ${expected} are here, not ` +
          roster.names,
      );
    }
  }

  async #checkPage(): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#program.port}/`);
    await response.body?.cancel();
    if (response.status !== 200) {
      throw new Error(`the page is answered with ${response.status}`);
    }
  }

  async end(): Promise<void> {
    for (const bystander of this.#bystanders) await bystander.leave();
    await this.#program.kill();
  }

  /** With what the server said, which is known when it has ended. */
  explain(fault: Error): Error {
    const { complaints } = this.#program;
    if (complaints === "" || fault.message.includes(complaints)) return fault;
    const message = `${fault.message}; the server said: ${complaints}`;
    return new Error(message, { cause: fault });
  }

  async #until(condition: () => boolean, what: () => string): Promise<void> {
    const isSettled = () => this.#fault !== undefined || condition();
    await until(isSettled, "", DEADLINE_MS).catch((cause) => {
      throw new Error(`waited in vain for ${what()}`, { cause });
    });
    this.#throwFault();
  }

  #fail(fault: Error): void {
    this.#fault ??= new Error(
      `${fault.message}; connected were bad clients ` +
        [...this.#active].join(),
      { cause: fault },
    );
  }

  #throwFault(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** The memory and the open files of the server's process, on Linux. */
  async #look(): Promise<{ megabytes: number; descriptors: number }> {
    try {
      const folder = `/proc/${this.#program.pid}`;
      const status = await Deno.readTextFile(`${folder}/status`);
      const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(status) ?? [];
      const descriptors = [...Deno.readDirSync(`${folder}/fd`)].length;
      return { megabytes: Math.round(Number(kilobytes) / 1024), descriptors };
    } catch {
      return { megabytes: 0, descriptors: 0 };
    }
  }
}

/** How a plan is run again. */
export function commandOf({ seed, seconds, clients, first }: Plan): string {
  return `deno task fuzz --seed ${seed} --seconds ${seconds} ` +
    `--clients ${clients} --first ${first}`;
}

function readPlan(): Plan {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seconds: { type: "string", default: "120" },
      clients: { type: "string", default: "16" },
      first: { type: "string", default: "1" },
    },
  });
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const seed = Number(values.seed ?? random);
  const [seconds, clients] = [Number(values.seconds), Number(values.clients)];
  const first = Number(values.first);
  const isRight = Number.isSafeInteger(seed) && seconds > 0 && clients >= 1 &&
    Number.isSafeInteger(first);
  if (!isRight) {
    console.error(
      "Usage: fuzz.ts [--seed N] [--seconds N] [--clients N] [--first N]",
    );
    Deno.exit(2);
  }
  return { seed, seconds, clients, first };
}

if (import.meta.main) {
  const plan = readPlan();
  await runAndConclude(
    plan.seed,
    commandOf(plan),
    () => fuzz(plan),
    "Nothing lost, no ghosts, no complaints.",
  );
}
