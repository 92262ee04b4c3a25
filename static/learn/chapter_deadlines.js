// @ts-check
// Owns the experiment of the chapter "Real time": echoes against a deadline,
// with the page idle or kept busy. Invariant: met means that the handler ran
// in time, not that the bytes arrived in time.

import { withCallers } from "./caller.js";
import { showBars } from "./bars.js";
import { Experiment } from "./experiment.js";
import { fill } from "./table.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

const TRIES = 10;
/** How long the page is kept busy, in deadlines. */
const BUSY_DEADLINES = 1.5;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpDeadlines(place, onUninvited) {
  const experiment = new Experiment("deadline-try", onUninvited);
  const slider = experiment.part("ms", HTMLInputElement);
  const shown = experiment.part("shown", HTMLOutputElement);
  const isBusy = experiment.part("busy", HTMLInputElement);
  const figure = experiment.part("figure", HTMLElement);
  const table = experiment.part("table", HTMLTableElement);
  const showDeadline = () => shown.value = `${slider.value} ms`;
  slider.addEventListener("input", showDeadline);
  showDeadline();
  experiment.on("run", () =>
    withCallers(async (open) => {
      const deadlineMs = Number(slider.value);
      const caller = await open(place.socket(place.freshRoom()));
      const busyMs = isBusy.checked ? deadlineMs * BUSY_DEADLINES : 0;
      const latenciesMs = await measure(caller, busyMs);
      const missed = latenciesMs.filter((ms) => ms > deadlineMs).length;
      const label = `${TRIES} echoes; ${missed} came after the deadline`;
      showBars(figure, label, latenciesMs, deadlineMs);
      fill(table, judge(missed));
      return `${TRIES - missed} deadlines met, ${missed} missed.`;
    }));
}

/**
 * Round trips up to the handler, one after the other.
 *
 * @param {Caller} caller
 * @param {number} busyMs how long to keep the page busy after sending
 */
async function measure(caller, busyMs) {
  const latenciesMs = [];
  for (let i = 1; i <= TRIES; i++) {
    const sentMs = performance.now();
    caller.send(`echo ${i}`);
    while (performance.now() - sentMs < busyMs) continue;
    const { atMs } = await caller.untilSaid(`echo ${i}`);
    latenciesMs.push(atMs - sentMs);
  }
  return latenciesMs;
}

/**
 * What so many missed deadlines would mean.
 *
 * @param {number} missed of TRIES
 */
function judge(missed) {
  const late = missed === 0 ? "nothing was late" : null;
  return [
    ["soft", late ?? `${missed} late results are worth less, but used`],
    ["firm", late ?? `${missed} late results are thrown away; it goes on`],
    ["hard", late ? "held this time, which proves nothing" : "it has failed"],
  ];
}
