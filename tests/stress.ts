// Owns a stress run: many clients of both dialects against the real program,
// which is killed and started again on one file, then the verdict. Run by
// itself it is `deno task stress`. Never asserts what `stress/` can assert.
// Invariant: it ends what it started, and a failure names the seed.
import { parseArgs } from "node:util";
import { runAndConclude } from "./closing.ts";
import { Dice } from "./stress/dice.ts";
import { PlainGuest } from "./stress/plain_guest.ts";
import { freePort } from "./stress/program.ts";
import { V1Guest } from "./stress/v1_guest.ts";
import { type Guests, judge } from "./stress/verdict.ts";
import { type Tally, World } from "./stress/world.ts";

export interface Plan {
  seed: number;
  /** How long clients act; coming to rest and the verdict take their own. */
  seconds: number;
  /** At a time; of five, one speaks the plain dialect. */
  clients: number;
}

/** One after the other: half of all clients are where messages are large. */
const PLACES = ["lobby", "hall", "den", "hall"] as const;

/** Of all deaths of the server but the first, those by SIGTERM. */
const STOP_SHARE = 0.2;
/** How long it lives: every fourth time long enough to let sleepers go. */
const SHORT_LIFE_MS = [300, 1_500] as const;
const LONG_LIFE_MS = [3_000, 8_000] as const;

/**
 * Runs the plan and returns what happened. Rejects with the first thing that
 * went wrong. A seed decides what each client does, not how it is interleaved.
 */
export async function stress(plan: Plan): Promise<Tally> {
  const dice = new Dice(plan.seed, 0);
  const folder = await Deno.makeTempDir({ prefix: "partyline-stress-" });
  const world = new World(
    plan.seed,
    plan.clients,
    freePort(dice),
    `${folder}/stress.db`,
  );
  const guests: Guests = { v1: [], plain: [] };
  try {
    await world.program.start();
    const places = Array.from(
      { length: plan.clients },
      (_, i) => keepTaken(world, guests, i),
    );
    await Promise.all([keepKilling(world, plan.seconds, dice), ...places]);
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
    await world.program.kill();
    if (world.fault) tellLastWords(world.program.said);
    await Deno.remove(folder, { recursive: true });
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

/** Ends the server at times that the dice choose, then the clients' acting. */
async function keepKilling(world: World, seconds: number, dice: Dice) {
  const endsAtMs = performance.now() + seconds * 1_000;
  const pause = (ms: number) =>
    world.pause(Math.max(0, Math.min(ms, endsAtMs - performance.now())));
  for (let i = 0; !world.isOver; i++) {
    const [least, most] = i % 4 === 3 ? LONG_LIFE_MS : SHORT_LIFE_MS;
    await pause(dice.between(least, most));
    if (performance.now() >= endsAtMs || world.isOver) break;
    const isKilled = i === 0 || !dice.chance(STOP_SHARE);
    await restart(world, isKilled).catch((error) => world.fail(error));
  }
  world.end();
}

async function restart({ program, tally }: World, isKilled: boolean) {
  if (isKilled) {
    tally.kills++;
    await program.kill();
  } else {
    tally.stops++;
    const code = await program.stop();
    if (code !== 0) throw new Error(`the server stopped with ${code}`);
  }
  await program.start();
}

/** The server was patient, ends well and has nothing to complain about. */
async function checkEnd({ program, tally }: World): Promise<void> {
  const { connections, hastyEvictions } = tally;
  // One or another is this process's own slowness on a busy machine.
  if (hastyEvictions > connections / 20) {
    throw new Error(`${hastyEvictions} of ${connections} were let go in haste`);
  }
  const code = await program.stop();
  if (code !== 0) throw new Error(`the server ended with ${code}`);
  if (program.complaints !== "") {
    throw new Error(`the server said: ${program.complaints}`);
  }
}

/** Of a run that failed: whom the server let go, and when, may tell why. */
function tellLastWords(said: string): void {
  console.error("The server said last:");
  console.error(said.split("\n").slice(-20).join("\n"));
}

/** How a plan is run again. */
export function commandOf({ seed, seconds, clients }: Plan): string {
  return `deno task stress --seed ${seed} --seconds ${seconds} ` +
    `--clients ${clients}`;
}

function readPlan(): Plan {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      seconds: { type: "string", default: "120" },
      clients: { type: "string", default: "40" },
    },
  });
  const random = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const seed = Number(values.seed ?? random);
  const [seconds, clients] = [Number(values.seconds), Number(values.clients)];
  if (!Number.isSafeInteger(seed) || !(seconds > 0) || !(clients >= 1)) {
    console.error("Usage: stress.ts [--seed N] [--seconds N] [--clients N]");
    Deno.exit(2);
  }
  return { seed, seconds, clients };
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
