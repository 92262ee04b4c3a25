// Owns a stress run: many clients of both dialects against the real program,
// which is killed and started again on one file, then the verdict. Run by
// itself it is `deno task stress`. Never asserts what `stress/` can assert.
// Invariant: it ends what it started, and a failure names the seed.
import { parseArgs } from "node:util";
import { soon } from "./harness.ts";
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
  /** How often the server is killed or stopped. */
  kills: number;
}

/** One after the other: half of all clients are where messages are large. */
const PLACES = ["lobby", "hall", "den", "hall"] as const;

/** Of all deaths of the server, those by SIGTERM. */
const STOP_SHARE = 0.2;

/**
 * Runs the plan and returns what happened. Rejects with the first thing that
 * went wrong. A seed decides what each client does, not how it is interleaved.
 */
export async function stress(plan: Plan): Promise<Tally> {
  const dice = new Dice(plan.seed, 0);
  const folder = await Deno.makeTempDir({ prefix: "partyline-stress-" });
  const world = new World(plan.seed, freePort(dice), `${folder}/stress.db`);
  const guests: Guests = { v1: [], plain: [] };
  try {
    await world.program.start();
    const places = Array.from(
      { length: plan.clients },
      (_, i) => keepTaken(world, guests, i),
    );
    await Promise.all([keepKilling(world, plan, dice), ...places]);
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
async function keepKilling(world: World, { seconds, kills }: Plan, dice: Dice) {
  const { program, tally } = world;
  const spanMs = seconds * 1_000 / (kills + 1);
  for (let i = 0; i < kills; i++) {
    await world.pause(spanMs * (0.5 + dice.next()));
    if (world.isOver) return;
    try {
      if (dice.chance(STOP_SHARE)) {
        tally.stops++;
        const code = await program.stop();
        if (code !== 0) throw new Error(`the server stopped with ${code}`);
      } else {
        tally.kills++;
        await program.kill();
      }
      await program.start();
    } catch (error) {
      world.fail(error as Error);
    }
  }
  await world.pause(spanMs);
  world.end();
}

/** The server ends well, and had nothing to complain about. */
async function checkEnd({ program }: World): Promise<void> {
  const code = await program.stop();
  if (code !== 0) throw new Error(`the server ended with ${code}`);
  if (program.complaints !== "") {
    throw new Error(`the server said: ${program.complaints}`);
  }
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
  return { seed, seconds, clients, kills: Math.ceil(seconds / 4) };
}

if (import.meta.main) {
  const plan = readPlan();
  console.log(`Seed ${plan.seed}. Again: ${commandOf(plan)}`);
  const deadlineMs = plan.seconds * 2_000 + 120_000;
  try {
    const tally = await soon(stress(plan), "the end of the run", deadlineMs);
    console.log("Nothing lost, nothing twice, no ghosts.");
    for (const [what, count] of Object.entries(tally)) {
      console.log(`${String(count).padStart(10)}  ${what}`);
    }
  } catch (error) {
    console.error(`Failed with seed ${plan.seed}:`, error);
    Deno.exit(1);
  }
}
