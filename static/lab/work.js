// @ts-check
// Owns the work that each way is given: a sender says messages, a receiver
// waits for them. It never draws. Invariant: each way gets the same messages
// at the same moments, whether or not those before have arrived; so a way that
// falls behind cannot hide it.

import { Member } from "./member.js";
import { Meter } from "./meter.js";
import { sleep, within } from "./time.js";

/** @import { Heads } from "./heads.js" */
/** @import { Cost } from "./meter.js" */
/** @import { Way } from "./ways.js" */

const SHORTEST_GAP_MS = 150;
const ARRIVES_WITHIN_MS = 20_000;

/**
 * `gaps`: the pauses between messages, as multiples of the shortest.
 *
 * @typedef {object} Plan
 * @property {string} url of the WebSocket
 * @property {Heads} heads
 * @property {number[]} gaps
 * @property {number} lagMs in each direction
 * @property {AbortSignal} signal
 */

/**
 * `latencies` in ms, in the order of arrival. `problem`: why there are fewer
 * than there should be, or null.
 *
 * @typedef {object} Result
 * @property {Way} way
 * @property {number[]} latencies
 * @property {Cost} cost
 * @property {string | null} problem
 */

/**
 * Pauses of one to three times `scale`, so that no way can keep step with them
 * by accident.
 *
 * @param {number} count
 * @param {number} scale 1 or more
 * @param {() => number} random at least 0, less than 1
 */
export function planGaps(count, scale, random) {
  return Array.from({ length: count }, () => scale * (1 + 2 * random()));
}

/**
 * The shortest pause between two messages, in ms, that the server's limit on
 * each connection allows.
 *
 * @param {number} rate messages a second; 0: no limit
 */
export function shortestGapMs(rate) {
  return rate === 0 ? SHORTEST_GAP_MS : Math.max(SHORTEST_GAP_MS, 1_100 / rate);
}

/**
 * Does the work by one way. Never rejects.
 *
 * @param {Way} way
 * @param {Plan} plan
 * @param {(result: Result) => void} onProgress
 * @returns {Promise<Result>}
 */
export async function work(way, plan, onProgress) {
  const meter = new Meter(plan.heads);
  /** @type {Result} */
  const result = { way, latencies: [], cost: meter.cost, problem: null };
  const { url, lagMs, signal } = plan;
  const receiver = new Member(way, url, meter, lagMs);
  const sender = new Member(way, url, meter, lagMs);
  try {
    const [{ rate }] = await Promise.all([
      receiver.join(signal),
      sender.join(signal),
    ]);
    await exchange(sender, receiver, rate, plan, (latencyMs) => {
      result.latencies.push(latencyMs);
      onProgress(result);
    });
    const words = "A request was not answered in 20 s.";
    await within(meter.settle(), ARRIVES_WITHIN_MS, words, signal);
  } catch (error) {
    result.problem = signal.aborted ? "Stopped." : wordsOf(error);
  }
  meter.stop();
  receiver.leave();
  sender.leave();
  return result;
}

/**
 * @param {Member} sender
 * @param {Member} receiver
 * @param {number} rate
 * @param {Plan} plan
 * @param {(latencyMs: number) => void} onArrival
 */
async function exchange(sender, receiver, rate, plan, onArrival) {
  const { gaps, signal } = plan;
  const gapMs = shortestGapMs(rate);
  /** @type {Map<string, number>} when each was said */
  const saidAtMs = new Map();
  let arrived = 0;
  const allArrived = Promise.withResolvers();
  allArrived.promise.catch(() => {});
  receiver.onMessage = (id) => {
    const atMs = saidAtMs.get(id);
    if (atMs === undefined) return;
    saidAtMs.delete(id);
    onArrival(performance.now() - atMs);
    arrived++;
    if (arrived === gaps.length) allArrived.resolve(undefined);
  };
  for (const member of [sender, receiver]) {
    member.onProblem = (why) => allArrived.reject(new Error(why));
  }
  const name = Math.random().toString(36).slice(2, 8);
  for (const [i, gap] of gaps.entries()) {
    await sleep(gap * gapMs, signal);
    const id = `${name}-${i}`;
    saidAtMs.set(id, performance.now());
    sender.say(id, `Hello from the lab, ${i + 1}`);
  }
  await within(
    allArrived.promise,
    ARRIVES_WITHIN_MS,
    "The rest did not arrive in 20 s.",
    signal,
  );
}

/** @param {unknown} error */
function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
