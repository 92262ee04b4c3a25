// @ts-check
// The experiment of the chapter "Full duplex". Two connections talk in one
// room, each at a pace of its own. Each message is drawn from its sending to
// its arrival at the other side. At some moments both send, so that two
// messages pass each other.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { overlapsOf, showOverlap } from "./overlap.js";

/** @import { Caller } from "./caller.js" */
/** @import { Way } from "./overlap.js" */
/** @import { Place } from "./place.js" */

const TICKS = 6;
const TICK_MS = 5;
// The other side sends three messages at once, and then none for a while.
const BURST = 3;
const BURST_EVERY_TICKS = 3;
// The server allows 10 messages a second: this leaves the next run its share.
const REST_MS = 700;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpDuplex(place, onUninvited) {
  const experiment = new Experiment("duplex-try", onUninvited);
  const pace = experiment.part("pace", HTMLSelectElement);
  const figure = experiment.part("figure", HTMLElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      const one = await open(url);
      const other = await open(url);
      // Both have come in when the first one's message has reached the second.
      await carry(one, other, "ready");
      const { outs, ins } = await talk(one, other, Number(pace.value));
      const sentence = describe(outs, ins);
      showOverlap(figure, sentence, [
        { name: "this side → other side", ways: outs, kind: "out" },
        { name: "other side → this side", ways: ins, kind: "in" },
      ]);
      return sentence;
    }));
}

/**
 * All messages of one tick are sent before any of them can arrive.
 *
 * @param {Caller} one
 * @param {Caller} other
 * @param {number} everyTicks the pace of the first; 0: it sends nothing
 */
async function talk(one, other, everyTicks) {
  const beganMs = performance.now();
  /** @type {Promise<Way>[]} */
  const outs = [];
  /** @type {Promise<Way>[]} */
  const ins = [];
  for (let tick = 0; tick < TICKS; tick++) {
    if (everyTicks > 0 && tick % everyTicks === 0) {
      add(outs, carry(one, other, `out ${outs.length}`, beganMs));
    }
    if (tick % BURST_EVERY_TICKS === 0) {
      for (let i = 0; i < BURST; i++) {
        add(ins, carry(other, one, `in ${ins.length}`, beganMs));
      }
    }
    await pause(TICK_MS);
  }
  const ways = { outs: await Promise.all(outs), ins: await Promise.all(ins) };
  await pause(REST_MS);
  return ways;
}

/**
 * @param {Promise<Way>[]} ways
 * @param {Promise<Way>} way
 */
function add(ways, way) {
  ways.push(way);
  // A failure is told at the end, where all messages are waited for.
  way.catch(() => {});
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Sends a message and waits until it has arrived.
 *
 * @param {Caller} from
 * @param {Caller} to
 * @param {string} text
 * @param {number} beganMs from which its times are counted
 * @returns {Promise<Way>}
 */
async function carry(from, to, text, beganMs = 0) {
  const sentMs = performance.now() - beganMs;
  from.send(text);
  const { atMs } = await to.untilSaid(text);
  return { sentMs, cameMs: atMs - beganMs };
}

/**
 * @param {Way[]} outs
 * @param {Way[]} ins
 */
function describe(outs, ins) {
  const counts = `${outs.length} messages went out and ${ins.length} ` +
    "from the other side came in. ";
  if (outs.length === 0) {
    return counts + "This side had asked for none of them.";
  }
  const passing = outs.filter((out) => overlapsOf([out], ins).length > 0);
  return counts +
    `${passing.length} of the ${outs.length} that went out were under way at ` +
    "the same time as one that came in: none waited for an answer.";
}
