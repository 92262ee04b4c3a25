// Measures one attack: a server of its own with good clients, a quiet time, the
// attack, a quiet time again, and then a row of figures. The attack is ended
// whatever happens, and the figures are told as they were, also if the server
// died.
import { Arena } from "./arena.ts";
import type { Attack } from "./attacks.ts";
import type { Latency } from "./conversation.ts";
import { pause } from "./field.ts";
import { Load } from "./load.ts";
import { type Sample, scrape } from "./meter.ts";
import { evictionsOf } from "./statistics.ts";

/** How an attack is measured. */
export interface Plan {
  seed: number;
  /** Of the sizes in `attacks.ts`. */
  scale: number;
  /** How long an attack is kept up, once it has its whole size. */
  seconds: number;
  /** More than this in use, and the attack is ended: the machine is not ours. */
  stopMib: number;
  /** By how much memory may have grown when all is quiet again. */
  growMib: number;
}

/** What an attack cost. */
export interface Row {
  attack: Attack;
  before: Sample;
  worst: Sample;
  after: Sample;
  calm: Latency;
  during: Latency;
  /** How many of the server's cores were busy during the attack. */
  cores: number;
  said: number;
  lost: number;
  repeated: number;
  reordered: number;
  /** How often a good client was cut off. */
  interruptions: number;
  /** Undefined as long as the server does not tell. */
  evictions: number | undefined;
  /** What was wrong or out of the ordinary. */
  notes: string[];
  /** What happened to the bad clients. */
  tally: Record<string, number>;
}

export const CALM_MS = 5_000;
/** How long an attack may take to have its whole size. */
const BEGIN_DEADLINE_MS = 180_000;
export const SETTLE_DEADLINE_MS = 90_000;

/** Measures one attack on a server of its own. */
export async function measure(attack: Attack, plan: Plan): Promise<Row> {
  await using arena = await Arena.open(plan.seed);
  const { conversation, meter, port } = arena;
  const calmAtMs = performance.now();
  await pause(CALM_MS);
  const evictedBefore = await evictions(port);
  const before = await meter.restart();
  const attackedAtMs = performance.now();
  const notes: string[] = [];
  const load = new Load(attack, { ...plan, port });
  try {
    const problem = await keepUp(load, arena, plan);
    if (problem !== undefined) notes.push(problem);
  } finally {
    await load.end();
  }
  const endedAtMs = performance.now();
  const { cpuMs } = meter.worst;
  const after = await meter.settle(before, SETTLE_DEADLINE_MS);
  // What had been sent by the end of the attack was taken after it.
  const { worst } = meter;
  await conversation.finish();
  const ghosts = await arena.findGhosts();
  if (ghosts !== undefined) notes.push(ghosts);
  if (arena.fault !== undefined) notes.push(arena.fault);
  const evicted = await evictions(port);
  const { transcript } = conversation;
  notes.push(...transcript.faults);
  for (const [what, count] of Object.entries(conversation.tally)) {
    notes.push(`${count} times a good client: ${what}`);
  }
  return {
    attack,
    before,
    worst,
    after,
    calm: conversation.latency(calmAtMs, attackedAtMs),
    during: conversation.latency(attackedAtMs, endedAtMs),
    cores: (cpuMs - before.cpuMs) / (endedAtMs - attackedAtMs),
    said: conversation.said,
    lost: transcript.lost,
    repeated: transcript.repeated,
    reordered: transcript.reordered,
    interruptions: conversation.interruptions,
    evictions: evicted === undefined
      ? undefined
      : evicted - (evictedBefore ?? 0),
    notes,
    tally: load.tally,
  };
}

/**
 * Waits until an attack is done, or was kept up for as long as planned after it
 * had its whole size. Returns why it had to be ended before, if it had.
 */
export async function keepUp(
  load: Load,
  arena: Arena,
  { seconds, stopMib }: Plan,
): Promise<string | undefined> {
  const { meter } = arena;
  const startedAtMs = performance.now();
  let begunAtMs: number | undefined;
  while (!load.isDone && arena.fault === undefined) {
    await pause(50);
    const nowMs = performance.now();
    if (load.hasBegun) begunAtMs ??= nowMs;
    if (begunAtMs !== undefined && nowMs - begunAtMs > seconds * 1_000) {
      return;
    }
    if (begunAtMs === undefined && nowMs - startedAtMs > BEGIN_DEADLINE_MS) {
      return "it did not come to its whole size in time";
    }
    if (meter.latest.rssMib > stopMib) {
      return `it was ended: more than ${stopMib} MiB in use`;
    }
  }
}

async function evictions(port: number): Promise<number | undefined> {
  const metrics = await scrape(port);
  return metrics && evictionsOf(metrics);
}

/** Whether the good clients had all, once and in order. */
export function isGood(row: Row): boolean {
  return row.lost + row.repeated + row.reordered === 0;
}
