// A stress run: many clients of both dialects against the real program, which is
// killed and started again on one file, or several servers on one Redis, and
// then the verdict. As a program it is `deno task stress`. A failure names the
// seed.
import { parseArgs } from "node:util";
import { runAndConclude } from "../support/closing.ts";
import { startRedis } from "../support/redis.ts";
import { Dice } from "./dice.ts";
import { keepBreaking } from "./disasters.ts";
import { PlainClient } from "./plain_client.ts";
import { freePort } from "./program.ts";
import { SharedRedis } from "./shared_redis.ts";
import { RandomV1Client } from "./random_v1_client.ts";
import { checkFiles, checkRedis } from "./stored_texts.ts";
import { type Clients, judge } from "./verdict.ts";
import { StressRun, type Tally } from "./stress_run.ts";

export interface Plan {
  seed: number;
  /** How long clients act; coming to rest and the verdict take their own. */
  seconds: number;
  /** At a time; of five, one speaks the plain dialect. */
  clients: number;
  /** How many servers share a Redis; without it there is one and no Redis. */
  nodes?: number | undefined;
}

/** What ends a run must not leave its servers behind. */
const INTERRUPTS = ["SIGINT", "SIGTERM"] as const;

/** One after the other: half of all clients are where messages are large. */
const PLACES = ["lobby", "hall", "den", "hall"] as const;

/**
 * Runs the plan and returns what happened. Rejects with the first thing that
 * went wrong. A seed decides what each client does, not how it is interleaved.
 */
export async function stress(plan: Plan): Promise<Tally> {
  const dice = new Dice(plan.seed, 0);
  const redis = plan.nodes === undefined ? undefined : await startRedis();
  const folder = await Deno.makeTempDir({ prefix: "partyline-stress-" });
  const run = new StressRun(
    plan.seed,
    plan.clients,
    Array.from({ length: plan.nodes ?? 1 }, () => freePort(dice)),
    redis?.url ?? `${folder}/stress.db`,
    redis && new SharedRedis(redis),
  );
  const clients: Clients = { v1: [], plain: [] };
  const interrupt = () => run.fail(new Error("interrupted"));
  for (const signal of INTERRUPTS) Deno.addSignalListener(signal, interrupt);
  try {
    await Promise.all(run.nodes.map((node) => node.start()));
    const places = Array.from(
      { length: plan.clients },
      (_, i) => keepTaken(run, clients, i),
    );
    await Promise.all([keepBreaking(run, plan.seconds), ...places]);
    if (run.fault) throw run.fault;
    await judge(run, clients);
    if (run.fault) throw run.fault;
    await checkEnd(run);
    const { rooms } = run.ledger;
    if (redis === undefined) await checkFiles(folder, rooms);
    else await checkRedis(redis, rooms);
    return run.tally;
  } catch (error) {
    run.fail(error as Error);
    throw run.fault;
  } finally {
    for (const client of [...clients.v1, ...clients.plain]) client.hangUp();
    await Promise.all(run.nodes.map((node) => node.kill()));
    if (run.fault) tellLastWords(run);
    await redis?.[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
    for (const signal of INTERRUPTS) {
      Deno.removeSignalListener(signal, interrupt);
    }
  }
}

/** One client after the other, until the last one of this place has settled. */
async function keepTaken(run: StressRun, clients: Clients, place: number) {
  const room = PLACES[place % PLACES.length] ?? PLACES[0];
  while (!run.isOver) {
    const number = run.nextNumber();
    const client = place % 5 === 4
      ? new PlainClient(run, number, room)
      : new RandomV1Client(run, number, room);
    if (client instanceof RandomV1Client) clients.v1.push(client);
    else clients.plain.push(client);
    await client.live().catch((error) => run.fail(error));
  }
}

/** The servers were patient, end well and have nothing to complain about. */
async function checkEnd({ nodes, redis, tally }: StressRun): Promise<void> {
  const { connections, hastyEvictions } = tally;
  // One or another is this process's own slowness on a busy machine.
  if (hastyEvictions > connections / 20) {
    throw new Error(`${hastyEvictions} of ${connections} were let go in haste`);
  }
  for (const node of nodes) {
    const code = await node.stop();
    if (code !== 0) throw new Error(`the server ended with ${code}`);
    const complaints = node.complaints.split("\n").filter((line) => {
      const atMs = Date.parse(line.split(" ")[0] ?? "");
      return line !== "" && !redis?.hasFailed(atMs, atMs);
    });
    if (complaints.length > 0) {
      throw new Error(`the server said: ${complaints.join("\n")}`);
    }
  }
}

/** Of a run that failed: whom the servers let go, and when, may tell why. */
function tellLastWords({ nodes, redis }: StressRun): void {
  if (redis !== undefined) console.error(`Redis failed\n${redis.describe()}`);
  for (const { port, said } of nodes) {
    console.error(`The server on port ${port} said last:`);
    console.error(said.split("\n").slice(-20).join("\n"));
  }
}

/** How a plan is run again. */
export function commandOf({ seed, seconds, clients, nodes }: Plan): string {
  return `deno task stress --seed ${seed} --seconds ${seconds} ` +
    `--clients ${clients}` + (nodes === undefined ? "" : ` --nodes ${nodes}`);
}

function readPlan(): Plan {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seconds: { type: "string", default: "120" },
      clients: { type: "string", default: "40" },
      nodes: { type: "string" },
    },
  });
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const seed = Number(values.seed ?? random);
  const [seconds, clients] = [Number(values.seconds), Number(values.clients)];
  const nodes = values.nodes === undefined ? undefined : Number(values.nodes);
  const isRight = Number.isSafeInteger(seed) && seconds > 0 && clients >= 1 &&
    (nodes === undefined || (Number.isSafeInteger(nodes) && nodes >= 1));
  if (!isRight) {
    console.error(
      "Usage: stress.ts [--seed N] [--seconds N] [--clients N] [--nodes N]",
    );
    Deno.exit(2);
  }
  return { seed, seconds, clients, nodes };
}

if (import.meta.main) {
  const plan = readPlan();
  await runAndConclude(
    plan.seed,
    commandOf(plan),
    () => stress(plan),
    "Nothing lost, nothing twice, no ghosts.",
  );
}
