// @ts-check
// The experiments of the chapter "Broadcasting": one connection says something
// and everyone in the room gets it; one connection ends and the others are
// told. All connections are closed when an experiment is over.

import { SUBPROTOCOL } from "../client/protocol.js";
import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { formatMs } from "../shared/units.js";
import { fill } from "./table.js";
import { showTimeLine } from "./time_line.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpBroadcast(place, onUninvited) {
  setUpSpeaking(place, onUninvited);
  setUpLeaving(place, onUninvited);
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpSpeaking(place, onUninvited) {
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
    `The first arrived after ${formatMs(Math.min(...atMs))}, ` +
    `the last after ${formatMs(Math.max(...atMs))}.`;
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpLeaving(place, onUninvited) {
  const experiment = new Experiment("leave-try", onUninvited);
  const table = experiment.part("table", HTMLTableElement);
  /** @param {(caller: Caller) => void} leave */
  const watch = (leave) =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      const staying = await open(url);
      const leaving = await open(url);
      leaving.send("Hello!");
      const { event } = await staying.untilSaid("Hello!");
      const name = event["sender"];
      const leftMs = performance.now();
      leave(leaving);
      const notice = await staying.until(({ type, sender }) =>
        type === "leave" && sender === name
      );
      const { code } = await leaving.closed;
      fill(
        table,
        staying.heard.map((
          { event: { type, sender, message } },
        ) => [type, sender, message]),
      );
      return `${name} left with close code ${code}. The room was told after ` +
        `${formatMs(notice.atMs - leftMs)}.`;
    });
  experiment.on("close", () => watch((caller) => caller.close()));
  experiment.on(
    "break",
    () => watch((caller) => caller.socket.send(new Uint8Array(1))),
  );
}
