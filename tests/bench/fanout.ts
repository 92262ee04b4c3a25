// The fan-out bench: its shapes and its rounds. In a round every server meets
// the same shape, one after the other, so that a ratio compares neighbours in
// time. A run that fails ends the bench.
import { parseArgs } from "node:util";
import type { Figures, Shape } from "./load.ts";
import { freePort, start, stop, untilListening } from "./processes.ts";
import {
  FLAGS,
  load,
  main,
  noteMissingProc,
  readSettings,
  SERVER_CPU,
  type Settings,
  WARM_UP_MS,
} from "./run.ts";
import { allServers, type Server } from "./servers.ts";
import { printHead, printServer } from "./table.ts";

const SHAPES: Shape[] = [
  { clients: 100, senders: 10, inFlight: 4 },
  { clients: 1000, senders: 10, inFlight: 4 },
  { clients: 1000, senders: 100, inFlight: 2 },
];

const USAGE = `Usage: deno task bench [options]

  --rounds N     runs of each server and shape; the median counts (default 3)
  --seconds N    measured in each run, after a warm-up (default 5)
  --clients N    only the shapes with so many clients
  --only WORD    only servers with this in their name; may be repeated
  --help         this text`;

interface FanoutSettings extends Settings {
  isWanted(server: Server): boolean;
}

/** Throws a sentence about the flag that is wrong. */
function readFlags(): FanoutSettings | "help" {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...FLAGS,
      only: { type: "string", multiple: true, default: [""] },
    },
  });
  if (values.help) return "help";
  const { only } = values;
  const isWanted = ({ name }: Server) => only.some((it) => name.includes(it));
  return { ...readSettings(values, SHAPES), isWanted };
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
  try {
    await untilListening(child, port);
    const at = { ports: [port], pids: [child.pid], dialect };
    return await load({ ...shape, ...at, warmUpMs: WARM_UP_MS, windowMs });
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

async function bench(settings: FanoutSettings): Promise<void> {
  const servers = (await allServers()).filter(settings.isWanted);
  noteMissingProc();
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

if (import.meta.main) Deno.exit(await main(USAGE, readFlags, bench));
