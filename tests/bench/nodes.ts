// The bench of several servers on one Redis: the shapes, the set-ups and the
// rounds. All servers and Redis share one core, so one more server brings no
// power: only CPU time and ratios mean something.
import { parseArgs } from "node:util";
import type { Figures, Shape } from "./load.ts";
import { printShape, type SetUp } from "./nodes_table.ts";
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
import { partylineCommand, succeeds } from "./servers.ts";

const SHAPES: Shape[] = [
  // Nearly nobody: what a turn costs a node before it is written to anyone.
  { clients: 3, senders: 1, inFlight: 1 },
  // One message at a time: what a message waits for when nobody else does.
  { clients: 100, senders: 1, inFlight: 1 },
  { clients: 100, senders: 10, inFlight: 4 },
  { clients: 1000, senders: 100, inFlight: 2 },
];

/** The first is the one that the others are held to. */
const SET_UPS: SetUp[] = [
  { nodes: 1, hasRedis: false },
  { nodes: 1, hasRedis: true },
  { nodes: 2, hasRedis: true },
  { nodes: 3, hasRedis: true },
];

const REDIS = ["redis-server", "valkey-server"];

const USAGE = `Usage: deno task bench:nodes [options]

  --rounds N     runs of each set-up and shape; the median counts (default 3)
  --seconds N    measured in each run, after a warm-up (default 5)
  --clients N    only the shapes with so many clients
  --append-only  Redis writes all to disk, synced every second
  --help         this text`;

interface NodesSettings extends Settings {
  isAppendOnly: boolean;
}

/** The commands of what is started. */
interface Commands {
  node(port: number, data: string): string[];
  redis(port: number, folder: string): string[];
}

/** Throws a sentence about the flag that is wrong. */
function readFlags(): NodesSettings | "help" {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...FLAGS,
      "append-only": { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const isAppendOnly = values["append-only"];
  return { ...readSettings(values, SHAPES), isAppendOnly };
}

async function findRedis(): Promise<string> {
  for (const name of REDIS) if (await succeeds(name, "--version")) return name;
  throw new Error(`there is none of ${REDIS.join(", ")} in PATH`);
}

async function findCommands(isAppendOnly: boolean): Promise<Commands> {
  const file = await findRedis();
  const redis = (port: number, folder: string) => [
    ...[file, "--bind", "127.0.0.1", "--port", String(port), "--dir", folder],
    // A fork would share the core, and its time would not be counted.
    ...["--save", "", "--auto-aof-rewrite-percentage", "0"],
    ...["--appendonly", isAppendOnly ? "yes" : "no"],
    ...["--appendfsync", "everysec"],
  ];
  return { node: await partylineCommand(), redis };
}

async function measure(
  { nodes, hasRedis }: SetUp,
  shape: Shape,
  windowMs: number,
  commands: Commands,
): Promise<Figures> {
  const folder = await Deno.makeTempDir();
  const children: Deno.ChildProcess[] = [];
  const launch = async (command: (port: number) => string[]) => {
    const port = freePort();
    const child = await start(command(port), SERVER_CPU, "null");
    children.push(child);
    await untilListening(child, port);
    return { port, pid: child.pid };
  };
  try {
    const redis = hasRedis
      ? await launch((port) => commands.redis(port, folder))
      : undefined;
    const data = redis
      ? `redis://127.0.0.1:${redis.port}`
      : `${folder}/partyline.db`;
    const servers = [];
    while (servers.length < nodes) {
      servers.push(await launch((port) => commands.node(port, data)));
    }
    return await load({
      ...shape,
      ports: servers.map(({ port }) => port),
      // Redis' own is the last.
      pids: [...servers, ...redis ? [redis] : []].map(({ pid }) => pid),
      ...redis ? { redisPort: redis.port } : {},
      dialect: "v1",
      warmUpMs: WARM_UP_MS,
      windowMs,
    });
  } finally {
    // Nodes first: they would tell that Redis is gone.
    for (const child of children.reverse()) await stop(child);
    await Deno.remove(folder, { recursive: true });
  }
}

async function measureShape(
  shape: Shape,
  { rounds, windowMs }: Settings,
  commands: Commands,
): Promise<void> {
  const seen = SET_UPS.map((): Figures[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, setUp] of SET_UPS.entries()) {
      seen[i]!.push(await measure(setUp, shape, windowMs, commands));
    }
  }
  printShape(shape, SET_UPS, seen);
}

async function bench(settings: NodesSettings): Promise<void> {
  const { isAppendOnly, rounds, windowMs, shapes } = settings;
  const commands = await findCommands(isAppendOnly);
  noteMissingProc();
  const disk = isAppendOnly
    ? "appends to a file that is synced every second"
    : "writes nothing to disk";
  console.log(
    `Median of ${rounds} rounds of ${windowMs / 1000} s. Redis ${disk}.\n` +
      "All nodes and Redis share one core: a node more adds work and no " +
      "power. So what\nis counted in CPU time means something, and ratios of " +
      "one run; messages/s and\nthe latency under load do not tell what " +
      "nodes on machines of their own do.\nThe ratio is to one node with its " +
      'log in a file. "By node": sender 0 is on the\nfirst. Latency is from ' +
      "a message to its echo, by way of Redis where there is one.",
  );
  for (const shape of shapes) await measureShape(shape, settings, commands);
}

if (import.meta.main) Deno.exit(await main(USAGE, readFlags, bench));
