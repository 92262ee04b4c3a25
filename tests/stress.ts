// Owns a stress run: many clients of both dialects against the real program,
// which is killed and started again on one file, or several on one Redis, then
// the verdict. Run by itself it is `deno task stress`. Never asserts what
// `stress/` can assert.
// Invariant: it ends what it started, and a failure names the seed.
import { parseArgs } from "node:util";
import { runAndConclude } from "./closing.ts";
import { startRedis } from "./redis.ts";
import { Dice } from "./stress/dice.ts";
import { keepBreaking } from "./stress/disasters.ts";
import { PlainGuest } from "./stress/plain_guest.ts";
import { freePort } from "./stress/program.ts";
import { SharedRedis } from "./stress/shared_redis.ts";
import { V1Guest } from "./stress/v1_guest.ts";
import { type Guests, judge } from "./stress/verdict.ts";
import { type Tally, World } from "./stress/world.ts";

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
  const world = new World(
    plan.seed,
    plan.clients,
    Array.from({ length: plan.nodes ?? 1 }, () => freePort(dice)),
    redis?.url ?? `${folder}/stress.db`,
    redis && new SharedRedis(redis),
  );
  const guests: Guests = { v1: [], plain: [] };
  const interrupt = () => world.fail(new Error("interrupted"));
  for (const signal of INTERRUPTS) Deno.addSignalListener(signal, interrupt);
  try {
    await Promise.all(world.nodes.map((node) => node.start()));
    const places = Array.from(
      { length: plan.clients },
      (_, i) => keepTaken(world, guests, i),
    );
    await Promise.all([keepBreaking(world, plan.seconds), ...places]);
    if (world.fault) throw world.fault;
    await judge(world, guests);
    if (world.fault) throw world.fault;
    await checkEnd(world);
    return world.tally;
  } catch (error) {
    world.fail(error as Error);
    throw world.fault;
  } finally {
    for (const guest of [...guests.v1, ...guests.plain]) guest.hangUp();
    await Promise.all(world.nodes.map((node) => node.kill()));
    if (world.fault) tellLastWords(world);
    await redis?.[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
    for (const signal of INTERRUPTS) {
      Deno.removeSignalListener(signal, interrupt);
    }
  }
}

/** One client after the other, until the last one of this place has settled. */
async function keepTaken(world: World, guests: Guests, place: number) {
  const room = PLACES[place % PLACES.length] ?? PLACES[0];
  while (!world.isOver) {
    const number = world.nextNumber();
    const guest = place % 5 === 4
      ? new PlainGuest(world, number, room)
      : new V1Guest(world, number, room);
    if (guest instanceof V1Guest) guests.v1.push(guest);
    else guests.plain.push(guest);
    await guest.live().catch((error) => world.fail(error));
  }
}

/** The servers were patient, end well and have nothing to complain about. */
async function checkEnd({ nodes, redis, tally }: World): Promise<void> {
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
function tellLastWords({ nodes, redis }: World): void {
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
