// @ts-check
// The experiment of the chapter "Full duplex". Two connections talk in one room,
// each in a rhythm of its own, and what passes over the first is drawn. The
// rhythms have nothing to do with each other, so that no message looks like the
// answer to another. For the same reason the page's own messages, which the
// server sends back, are not drawn.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { showTimeLine } from "./time_line.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

const SPAN_MS = 1_500;
// The other side says three at once, and then nothing for a while.
const BURST = 3;
const BURST_EVERY_MS = 450;
const WITHIN_BURST_MS = 25;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpDuplex(place, onUninvited) {
  const experiment = new Experiment("duplex-try", onUninvited);
  const rhythm = experiment.part("rhythm", HTMLSelectElement);
  const figure = experiment.part("figure", HTMLElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      const one = await open(url);
      const other = await open(url);
      // A client that gets its own message back is in the room.
      for (
        const [caller, word] of /** @type {const} */ ([
          [one, "ready"],
          [other, "steady"],
        ])
      ) {
        caller.send(word);
        await caller.untilSaid(word);
      }
      return await talk(one, other, Number(rhythm.value), figure);
    }));
}

/**
 * @param {Caller} one whose connection is drawn
 * @param {Caller} other
 * @param {number} everyMs the rhythm of the first; 0: it sends nothing
 * @param {HTMLElement} figure
 */
async function talk(one, other, everyMs, figure) {
  const beganMs = performance.now();
  const [sentMs, last] = await Promise.all([
    send(one, regular(everyMs), "from this side"),
    send(other, bursts(), "from the other side")
      .then(({ length }) => one.untilSaid(`from the other side ${length}`)),
  ]);
  const cameMs = one.heard
    .filter(({ event }) =>
      String(event["message"]).startsWith("from the other")
    )
    .map(({ atMs }) => atMs - beganMs);
  const atMs = sentMs.map((ms) => ms - beganMs);
  showTimeLine(
    figure,
    `${atMs.length} messages sent and ${cameMs.length} received, ` +
      `until ${Math.round(last.atMs - beganMs)} ms`,
    [
      { name: "page → server", atMs, kind: "out" },
      { name: "server → page", atMs: cameMs, kind: "in" },
    ],
  );
  return describe(atMs, cameMs);
}

/**
 * @param {Caller} caller
 * @param {number[]} timesMs from now
 * @param {string} text
 * @returns {Promise<number[]>} when each was sent
 */
async function send(caller, timesMs, text) {
  const beganMs = performance.now();
  const sentMs = [];
  for (const [i, timeMs] of timesMs.entries()) {
    const pauseMs = beganMs + timeMs - performance.now();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    sentMs.push(performance.now());
    caller.send(`${text} ${i + 1}`);
  }
  return sentMs;
}

/** @param {number} everyMs */
function regular(everyMs) {
  const count = everyMs === 0 ? 0 : Math.floor(SPAN_MS / everyMs);
  return Array.from({ length: count }, (_, i) => i * everyMs);
}

function bursts() {
  const count = Math.floor(SPAN_MS / BURST_EVERY_MS) * BURST;
  return Array.from(
    { length: count },
    (_, i) =>
      Math.floor(i / BURST) * BURST_EVERY_MS + BURST_EVERY_MS / 2 +
      i % BURST * WITHIN_BURST_MS,
  );
}

/**
 * @param {number[]} sentMs
 * @param {number[]} cameMs
 */
function describe(sentMs, cameMs) {
  const counts = `${sentMs.length} messages went out and ${cameMs.length} ` +
    "from the other side came in, on one connection. ";
  if (sentMs.length === 0) {
    return counts + "The page had asked for none of them.";
  }
  return counts +
    `Up to ${longestRun(cameMs, sentMs)} of those came in a row without one ` +
    `going out, and up to ${longestRun(sentMs, cameMs)} went out without one ` +
    "of those coming in. With requests and responses both numbers would be 1.";
}

/**
 * How many of these moments follow each other without one of the others
 * between, at most.
 *
 * @param {number[]} moments in order
 * @param {number[]} others
 */
function longestRun(moments, others) {
  let longest = 0;
  let length = 0;
  let previous = -Infinity;
  for (const moment of moments) {
    const from = previous;
    const isCut = others.some((other) => other > from && other < moment);
    length = isCut ? 1 : length + 1;
    longest = Math.max(longest, length);
    previous = moment;
  }
  return longest;
}
