// @ts-check
// Owns the experiment of the chapter "Broadcasting": many connections in one
// room, one says something, all arrivals are drawn. Invariant: nothing is said
// before all are in the room, and no connection is left behind.

import { SUBPROTOCOL } from "../protocol.js";
import { withCallers } from "./caller.js";
import { Experiment, formatMs } from "./experiment.js";
import { showTimeLine } from "./time_line.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpBroadcast(place, onUninvited) {
  const experiment = new Experiment("broadcast-try", onUninvited);
  const count = experiment.part("count", HTMLSelectElement);
  const figure = experiment.part("figure", HTMLElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      /** @type {Caller[]} */
      const listeners = [];
      const speaker = await open(url, SUBPROTOCOL);
      speaker.request({ type: "hello" });
      for (let i = 0; i < Number(count.value); i++) {
        experiment.tell(`Connecting ${i + 1} of ${count.value} …`);
        listeners.push(await open(url));
      }
      const isFull = (/** @type {Record<string, any>} */ { type, count }) =>
        type === "join" && count > listeners.length;
      await speaker.until(isFull);
      return await broadcast(speaker, listeners, figure);
    }));
}

/**
 * @param {Caller} speaker
 * @param {Caller[]} listeners
 * @param {HTMLElement} figure
 */
async function broadcast(speaker, listeners, figure) {
  const text = "Hear ye!";
  const beganMs = performance.now();
  speaker.request({ type: "message", message: text, id: "1" });
  const arrivals = await Promise.all(
    [speaker, ...listeners].map((caller) => caller.untilSaid(text)),
  );
  const seqs = new Set(arrivals.map(({ event }) => event["seq"]));
  const atMs = arrivals.map((arrival) => arrival.atMs - beganMs);
  showTimeLine(figure, `One message sent, ${atMs.length} received`, [
    { name: "sent, once", atMs: [0], kind: "out" },
    { name: `received, ${atMs.length} times`, atMs, kind: "in" },
  ]);
  return `1 message in, ${atMs.length} out, all with seq ${[...seqs]}. ` +
    `The first came after ${formatMs(Math.min(...atMs))}, ` +
    `the last after ${formatMs(Math.max(...atMs))}.`;
}
