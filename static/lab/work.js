// @ts-check
// The work that each way is given: a sender sends messages, others may talk,
// and sender and receiver have to receive all of it. Each way gets the same
// messages at the same moments, whether or not those before have arrived; so a
// way that falls behind cannot hide it, and none does more than another.

import { Member } from "./member.js";
import { Meter } from "./meter.js";
import { Tally } from "./tally.js";
import { sleep, within } from "./time.js";

/** @import { Heads } from "./heads.js" */
/** @import { Load } from "./load.js" */
/** @import { Cost } from "./meter.js" */
/** @import { Way } from "./ways.js" */

const SHORTEST_GAP_MS = 150;
const ARRIVES_WITHIN_MS = 20_000;

/**
 * `gaps`: the pauses between messages, as multiples of the shortest. `witness`:
 * a member that listens by WebSocket, so that sending and receiving can be told
 * apart; null where WebSocket is blocked.
 *
 * @typedef {object} Plan
 * @property {string} url of the WebSocket
 * @property {Heads} heads
 * @property {number[]} gaps
 * @property {number} lagMs in each direction
 * @property {Load} load
 * @property {Member | null} witness
 * @property {AbortSignal} signal
 */

/**
 * All times in ms. `latencies`: from sent to received, in the order of arrival.
 * `sendings`: for each message, how long until the witness had it;
 * `receivings`: how much later than the witness the receiver had it, which can
 * be negative. `heard`: how many messages sender and receiver have received,
 * both together. `problem`: why there are fewer than there should be, or null.
 *
 * @typedef {object} Result
 * @property {Way} way
 * @property {number[]} latencies
 * @property {number[]} sendings
 * @property {number[]} receivings
 * @property {number} heard
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
  const result = newResult(way, meter.cost);
  const { url, lagMs, signal } = plan;
  const receiver = new Member(way, url, meter, lagMs);
  const sender = new Member(way, url, meter, lagMs);
  try {
    const [{ rate }] = await Promise.all([
      receiver.join(signal),
      sender.join(signal),
    ]);
    await exchange(sender, receiver, shortestGapMs(rate), plan, result, () => {
      onProgress(result);
    });
    const words = "A request was not answered within 20 seconds.";
    await within(meter.settle(), ARRIVES_WITHIN_MS, words, signal);
  } catch (error) {
    result.problem = signal.aborted ? "Stopped." : wordsOf(error);
  }
  meter.stop();
  plan.load.rest();
  receiver.leave();
  sender.leave();
  return result;
}

/**
 * @param {Way} way
 * @param {Cost} cost
 * @returns {Result}
 */
function newResult(way, cost) {
  return {
    way,
    latencies: [],
    sendings: [],
    receivings: [],
    heard: 0,
    cost,
    problem: null,
  };
}

/**
 * @param {Member} sender
 * @param {Member} receiver
 * @param {number} gapMs the shortest pause
 * @param {Plan} plan
 * @param {Result} result
 * @param {() => void} onArrival
 */
async function exchange(sender, receiver, gapMs, plan, result, onArrival) {
  const { gaps, load, witness, signal } = plan;
  const spanMs = gaps.reduce((sum, gap) => sum + gap, 0) * gapMs;
  const name = Math.random().toString(36).slice(2, 8);
  const expected = gaps.length + load.talk(name, spanMs);
  const tally = new Tally(result, name, expected);
  receiver.onMessage = (id) => {
    if (tally.received(id)) onArrival();
  };
  sender.onMessage = (id) => tally.cameBack(id);
  if (witness !== null) witness.onMessage = (id) => tally.overheard(id);
  for (const member of [sender, receiver]) {
    member.onProblem = (why) => tally.fail(why);
  }
  for (const [i, gap] of gaps.entries()) {
    await sleep(gap * gapMs, signal);
    const id = `${name}-${i}`;
    tally.sent(id);
    sender.say(id, `Hello from the lab, ${i + 1}`);
  }
  const words = "Not all messages arrived within 20 seconds.";
  await within(tally.all, ARRIVES_WITHIN_MS, words, signal);
}

/** @param {unknown} error */
function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}
