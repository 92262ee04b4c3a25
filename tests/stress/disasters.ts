// What goes wrong with the servers and their store, at times that the dice
// choose: servers are killed and stopped; Redis is paused, killed and emptied.
// At the end all are up again, and clients have had the time to notice that
// before the run is over.
import type { Redis } from "../support/redis.ts";
import { Dice } from "./dice.ts";
import type { Program } from "./program.ts";
import type { FailureKind, SharedRedis } from "./shared_redis.ts";
import { LEASE_SECONDS, type StressRun } from "./stress_run.ts";

/** Of all deaths of a server but the first, those by SIGTERM. */
const STOP_SHARE = 0.2;
/** How long one lives: every fourth time long enough to let sleepers go. */
const SHORT_LIFE_MS = [300, 1_500] as const;
const LONG_LIFE_MS = [3_000, 8_000] as const;
/** How long one of several lives: mostly while Redis fails, too. */
const NODE_LIFE_MS = [2_000, 12_000] as const;

/** One of several starts again at once, after a while, after its lease. */
const DOWNTIMES = { none: 3, some: 2, long: 2 };
const DOWNTIMES_MS = {
  none: [0, 0],
  some: [100, 1_000],
  long: [LEASE_SECONDS * 1_000, LEASE_SECONDS * 3_000],
} as const;

/** All of these happen, in whatever order, before one happens again. */
const FAILURES: readonly FailureKind[] = [
  "pause",
  "pause",
  "freeze",
  "restart",
  "empty",
];
/** How long Redis is away. */
const AWAY_MS = {
  pause: [50, 600],
  freeze: [LEASE_SECONDS * 1_000, LEASE_SECONDS * 4_000],
  restart: [0, 2_000],
  empty: [0, 2_000],
} as const;
/** How long it works: every third time so long that all is as it should be. */
const SHORT_CALM_MS = [500, 4_000] as const;
const LONG_CALM_MS = [8_000, 12_000] as const;

/** From the last failure to the end, where there are nodes that have to notice. */
const PEACE_MS = 8_000;

/** Waits so long, but not beyond the end; false if that has come. */
type Pause = (ms: number) => Promise<boolean>;

/** Lets it happen for so long, then ends the clients' acting. */
export async function keepBreaking(run: StressRun, seconds: number) {
  const { seed, nodes, redis } = run;
  const endsAtMs = performance.now() + seconds * 1_000;
  const pause = async (ms: number) => {
    const restMs = endsAtMs - performance.now();
    await run.pause(Math.max(0, Math.min(ms, restMs)));
    return performance.now() < endsAtMs && !run.isOver;
  };
  const all = nodes.map((node, i) =>
    keepKilling(run, node, new Dice(seed, -i), pause)
  );
  const dice = new Dice(seed, -nodes.length);
  if (redis !== undefined) all.push(keepFailing(run, redis, dice, pause));
  await Promise.all(all.map((it) => it.catch((error) => run.fail(error))));
  if (redis !== undefined) await run.pause(PEACE_MS);
  run.end();
}

async function keepKilling(
  run: StressRun,
  node: Program,
  dice: Dice,
  pause: Pause,
): Promise<void> {
  const isOneOfMany = run.redis !== undefined;
  for (let i = 0;; i++) {
    const [least, most] = isOneOfMany
      ? NODE_LIFE_MS
      : i % 4 === 3
      ? LONG_LIFE_MS
      : SHORT_LIFE_MS;
    if (!await pause(dice.between(least, most))) return;
    await end(run, node, i === 0 || !dice.chance(STOP_SHARE));
    if (isOneOfMany) {
      const [least, most] = DOWNTIMES_MS[dice.choose(DOWNTIMES)];
      await pause(dice.between(least, most));
    }
    await startAgain(run, node);
  }
}

async function end({ tally }: StressRun, node: Program, isKilled: boolean) {
  if (isKilled) {
    tally.kills++;
    return await node.kill();
  }
  tally.stops++;
  const code = await node.stop();
  if (code !== 0) throw new Error(`the server stopped with ${code}`);
}

/** Without Redis a node may give up to start; then it is told to again. */
async function startAgain(run: StressRun, node: Program): Promise<void> {
  const fromMs = Date.now();
  try {
    await node.start();
  } catch (error) {
    const hasGivenUp = node.pid === undefined && run.hasLogFailed(fromMs);
    if (!hasGivenUp || run.fault) throw error;
    await run.pause(100);
    await startAgain(run, node);
  }
}

async function keepFailing(
  run: StressRun,
  redis: SharedRedis,
  dice: Dice,
  pause: Pause,
): Promise<void> {
  const left: FailureKind[] = [];
  for (let i = 0;; i++) {
    const [least, most] = i % 3 === 2 ? LONG_CALM_MS : SHORT_CALM_MS;
    if (!await pause(dice.between(least, most))) return;
    if (left.length === 0) left.push(...FAILURES);
    const [kind = "pause"] = left.splice(dice.below(left.length), 1);
    const [shortest, longest] = AWAY_MS[kind];
    const away = () => pause(dice.between(shortest, longest));
    await redis.fail(kind, () => fail(run, redis.server, kind, away));
  }
}

async function fail(
  { tally }: StressRun,
  server: Redis,
  kind: FailureKind,
  away: () => Promise<unknown>,
): Promise<void> {
  switch (kind) {
    case "pause":
    case "freeze":
      tally.pauses++;
      server.pause();
      await away();
      return server.resume();
    case "restart":
      tally.restarts++;
      await server.kill();
      await away();
      return await server.start();
    case "empty":
      tally.emptyings++;
      await server.kill();
      await away();
      return await server.startEmpty();
  }
}
