// What the benches with a load have in common: their flags, one run of the load,
// how they begin and end. A run whose load does not vouch for its figures ends
// the bench.
import type { Figures, Job, Shape } from "./load.ts";
import { start, stopAllOnSignals } from "./processes.ts";
import { note } from "./servers.ts";

export const SERVER_CPU = 0;
const LOAD_CPU = 1;
export const WARM_UP_MS = 2_000;

/** For `parseArgs`. */
export const FLAGS = {
  rounds: { type: "string", default: "3" },
  seconds: { type: "string", default: "5" },
  clients: { type: "string", default: "" },
  help: { type: "boolean", default: false },
} as const;

export interface Settings {
  rounds: number;
  windowMs: number;
  shapes: Shape[];
}

/** What the flags ask for. Throws a sentence about the one that is wrong. */
export function readSettings(
  flags: { rounds: string; seconds: string; clients: string },
  allShapes: Shape[],
): Settings {
  const rounds = Number(flags.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error("--rounds takes a whole number from 1");
  }
  const windowMs = Number(flags.seconds) * 1000;
  if (!(windowMs > 0)) throw new Error("--seconds takes a number above 0");
  const shapes = allShapes.filter(({ clients }) =>
    flags.clients === "" || clients === Number(flags.clients)
  );
  if (shapes.length === 0) {
    const counts = new Set(allShapes.map(({ clients }) => clients));
    throw new Error(`--clients takes ${[...counts].join(" or ")}`);
  }
  return { rounds, windowMs, shapes };
}

/** Loads servers that listen; throws if load.ts did not vouch for the run. */
export async function load(job: Job): Promise<Figures> {
  // The project's packages and lock file are not the load's business.
  const args = ["run", "--allow-all", "--no-config"];
  const script = `${import.meta.dirname}/load.ts`;
  const command = [Deno.execPath(), ...args, script, JSON.stringify(job)];
  const child = await start(command, LOAD_CPU, "piped");
  const { success, stdout } = await child.output();
  if (!success) throw new Error("the run is not valid, see above");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Runs a bench; returns the process's exit code. */
export async function main<S>(
  usage: string,
  readFlags: () => S | "help",
  bench: (settings: S) => Promise<void>,
): Promise<number> {
  let settings: S | "help";
  try {
    settings = readFlags();
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (settings === "help") {
    console.log(usage);
    return 0;
  }
  stopAllOnSignals();
  try {
    await bench(settings);
    return 0;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  }
}

export function noteMissingProc(): void {
  if (Deno.build.os === "linux") return;
  note("without /proc CPU time is not measured and no ratio is given.");
}
