// Owns the fan-out bench: the shapes and the rounds.
// Never speaks WebSocket (load.ts does) and starts no process by itself.
// Invariant: in a round every server meets the same shape, one after the other,
// so a ratio compares neighbours in time; a run that fails ends the bench.
import { parseArgs } from "node:util";
import type { Figures, Job, Shape } from "./load.ts";
import {
  freePort,
  start,
  stop,
  stopAllOnSignals,
  untilListening,
} from "./processes.ts";
import { allServers, note, type Server } from "./servers.ts";
import { printHead, printServer } from "./table.ts";

const SHAPES: Shape[] = [
  { clients: 100, senders: 10, inFlight: 4 },
  { clients: 1000, senders: 10, inFlight: 4 },
  { clients: 1000, senders: 100, inFlight: 2 },
];

const SERVER_CPU = 0;
const LOAD_CPU = 1;
const WARM_UP_MS = 2_000;

const USAGE = `Usage: deno task bench [options]

  --rounds N     runs of each server and shape; the median counts (default 3)
  --seconds N    measured in each run, after a warm-up (default 5)
  --clients N    only the shapes with so many clients
  --only WORD    only servers with this in their name; may be repeated
  --help         this text`;

interface Settings {
  rounds: number;
  windowMs: number;
  shapes: Shape[];
  isWanted(server: Server): boolean;
}

/** Throws a sentence about the flag that is wrong. */
function readFlags(args: string[]): Settings | "help" {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      clients: { type: "string" },
      only: { type: "string", multiple: true, default: [""] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error("--rounds takes a whole number from 1");
  }
  const windowMs = Number(values.seconds) * 1000;
  if (!(windowMs > 0)) throw new Error("--seconds takes a number above 0");
  const { clients = "", only } = values;
  const shapes = SHAPES.filter((shape) =>
    clients === "" || shape.clients === Number(clients)
  );
  if (shapes.length === 0) throw new Error("--clients takes 100 or 1000");
  const isWanted = ({ name }: Server) => only.some((it) => name.includes(it));
  return { rounds, windowMs, shapes, isWanted };
}

/** Loads a server that listens; throws if load.ts did not vouch for the run. */
async function load(job: Job): Promise<Figures> {
  // The project's packages and lock file are not the load's business.
  const args = ["run", "--allow-all", "--no-config"];
  const script = `${import.meta.dirname}/load.ts`;
  const command = [Deno.execPath(), ...args, script, JSON.stringify(job)];
  const child = await start(command, LOAD_CPU, "piped");
  const { success, stdout } = await child.output();
  if (!success) throw new Error("the run is not valid, see above");
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measure(
  server: Server,
  shape: Shape,
  windowMs: number,
): Promise<Figures> {
  const { dialect } = server;
  const port = freePort();
  const folder = await Deno.makeTempDir();
  const command = server.command(port, folder);
  const child = await start(command, SERVER_CPU, "null");
  const { pid } = child;
  try {
    await untilListening(child, port);
    const warmUpMs = WARM_UP_MS;
    return await load({ ...shape, port, pid, dialect, warmUpMs, windowMs });
  } catch (error) {
    const where = `${server.name}, ${JSON.stringify(shape)}`;
    throw new Error(`${where}: ${(error as Error).message}`);
  } finally {
    await stop(child);
    await Deno.remove(folder, { recursive: true });
  }
}

async function measureShape(
  shape: Shape,
  servers: Server[],
  { rounds, windowMs }: Settings,
): Promise<void> {
  const seen = new Map<string, Figures[]>(servers.map((it) => [it.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      seen.get(server.name)!.push(await measure(server, shape, windowMs));
    }
  }
  for (const { name, rival } of servers) {
    printServer(shape, name, seen.get(name)!, rival, seen.get(rival ?? ""));
  }
}

async function bench(settings: Settings): Promise<void> {
  stopAllOnSignals();
  const servers = (await allServers()).filter(settings.isWanted);
  if (Deno.build.os !== "linux") {
    note("without /proc CPU time is not measured and no ratio is given.");
  }
  console.log(
    `Median of ${settings.rounds} rounds of ${settings.windowMs / 1000} s. ` +
      "Only ratios of one run mean something.\nA server core below 1 has " +
      "waited: for the load, if the load core is near 1,\nelse the machine " +
      "had other work to do.\n",
  );
  printHead();
  for (const shape of settings.shapes) {
    await measureShape(shape, servers, settings);
  }
}

async function main(args: string[]): Promise<number> {
  let settings: Settings | "help";
  try {
    settings = readFlags(args);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (settings === "help") {
    console.log(USAGE);
    return 0;
  }
  try {
    await bench(settings);
    return 0;
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
