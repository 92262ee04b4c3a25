// @ts-check
// Owns the experiment of the chapter "Full duplex": two talk at once, and what
// passes the connection of one of them is drawn on a time line. Invariant:
// nobody waits for an answer before sending.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { showTimeLine } from "./time_line.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

const COUNT = 8;
const PAUSE_MS = 30;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpDuplex(place, onUninvited) {
  const experiment = new Experiment("duplex-try", onUninvited);
  const figure = experiment.part("figure", HTMLElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      const one = await open(url);
      const other = await open(url);
      // Whoever hears their own words is in the room.
      for (
        const [caller, word] of /** @type {const} */ ([
          [one, "ready"],
          [other, "steady"],
        ])
      ) {
        caller.send(word);
        await caller.untilSaid(word);
      }
      return await talk(one, other, figure);
    }));
}

/**
 * @param {Caller} one whose connection is looked at
 * @param {Caller} other
 * @param {HTMLElement} figure
 */
async function talk(one, other, figure) {
  const beganMs = performance.now();
  /** @type {number[]} */
  const sentMs = [];
  for (let i = 1; i <= COUNT; i++) {
    other.send(`from the other side ${i}`);
    one.send(`from this side ${i}`);
    sentMs.push(performance.now() - beganMs);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await Promise.all([
    one.untilSaid(`from this side ${COUNT}`),
    one.untilSaid(`from the other side ${COUNT}`),
  ]);
  const cameMs = (/** @type {string} */ from) =>
    one.heard
      .filter(({ event }) => String(event["message"]).startsWith(from))
      .map(({ atMs }) => atMs - beganMs);
  const [echoes, others] = [
    cameMs("from this side"),
    cameMs("from the other side"),
  ];
  showTimeLine(
    figure,
    `${COUNT} messages sent and ${2 * COUNT} received, mixed in time`,
    [
      { name: "sent", atMs: sentMs, kind: "out" },
      { name: "received: one’s own, back", atMs: echoes, kind: "in" },
      { name: "received: from the other", atMs: others, kind: "in" },
    ],
  );
  return `${sentMs.length} messages went out and ${echoes.length} + ` +
    `${others.length} came in on one connection; nobody asked for them.`;
}
