// @ts-check
// Owns the experiment of the chapter "What it is": one message there and back,
// and what its frames take. Invariant: it leaves no connection behind.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { frameHeaderBytes, utf8Bytes } from "../framing.js";
import { fill } from "./table.js";

/** @import { Place } from "./place.js" */

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpWhat(place, onUninvited) {
  const experiment = new Experiment("what-try", onUninvited);
  const text = experiment.part("text", HTMLInputElement);
  const table = experiment.part("table", HTMLTableElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const caller = await open(place.socket(place.freshRoom()));
      caller.send(text.value);
      const { event, bytes } = await caller.untilSaid(text.value);
      const sent = utf8Bytes(text.value);
      fill(table, [
        ["to the server", sent, frameHeaderBytes(sent, true)],
        ["to the page", bytes, frameHeaderBytes(bytes, false)],
      ]);
      const count = [...text.value].length;
      return `${count} characters went out and came back, with the name ` +
        `${event.sender} that the server gave to this connection.`;
    }));
}
