// @ts-check
// The experiments of the chapter "Real time": echoes against a deadline, with
// the page idle or kept busy, and the lab's last run against another one. A
// deadline is met if the handler ran in time, not if the bytes arrived in time.
// When the deadline changes, the same measurements are judged anew.

import { withCallers } from "./caller.js";
import { showBars } from "./bars.js";
import { byId } from "../shared/dom.js";
import { Experiment } from "./experiment.js";
import { formatMs, grouped } from "../shared/units.js";
import { fill } from "./table.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */
/** @import { Memory } from "../shared/storage.js" */

const TRIES = 10;
/** Between two tries: ten a second are allowed, even if a client returns. */
const PAUSE_MS = 120;
/** So many late tries a firm system might tolerate. */
const TOLERABLE = 2;
/** How many deadlines the page is kept busy: the least, and the most more. */
const BUSY_DEADLINES = 0.5;
const BUSY_SPREAD = 1;
/** Its multiples, modulo 1, are spread evenly and in no visible order. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

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
  /** @type {number[]} */
  let latenciesMs = [];
  const showVerdict = () => {
    const deadlineMs = Number(slider.value);
    const missed = latenciesMs.filter((ms) => ms > deadlineMs).length;
    const label = `${TRIES} echoes; ${missed} came after the deadline`;
    showBars(figure, label, latenciesMs, deadlineMs);
    fill(table, judge(missed));
    return `${TRIES - missed} deadlines met, ${missed} missed.`;
  };
  const showDeadline = () => {
    shown.value = formatDeadline(slider);
    if (latenciesMs.length > 0) experiment.tell(showVerdict());
  };
  slider.addEventListener("input", showDeadline);
  showDeadline();
  experiment.on("run", () =>
    withCallers(async (open) => {
      latenciesMs = [];
      const caller = await open(place.socket(place.freshRoom()));
      const deadlineMs = isBusy.checked ? Number(slider.value) : 0;
      latenciesMs = await measure(caller, deadlineMs);
      return showVerdict();
    }));
}

/**
 * Judges the lab's last run, in whichever tab it was, by the deadline set here.
 *
 * @param {Memory} memory
 */
export function setUpDeadlineOfWays(memory) {
  const id = (/** @type {string} */ name) => `deadline-ways-${name}`;
  const slider = byId(id("ms"), HTMLInputElement);
  const shown = byId(id("shown"), HTMLOutputElement);
  const table = byId(id("table"), HTMLTableElement);
  const show = () => {
    const deadlineMs = Number(slider.value);
    shown.value = formatDeadline(slider);
    const run = memory.labRun;
    byId(id("none"), HTMLElement).hidden = run.length > 0;
    if (run.length === 0) return;
    fill(
      table,
      run.map(({ way, latenciesMs }) => {
        const inTime = latenciesMs.filter((ms) => ms <= deadlineMs).length;
        const slowest = formatMs(Math.max(...latenciesMs));
        return [way, `${inTime} of ${latenciesMs.length}`, slowest];
      }),
    );
  };
  slider.addEventListener("input", show);
  addEventListener("storage", show);
  show();
}

/** @param {HTMLInputElement} slider */
function formatDeadline({ value }) {
  return `${grouped(Number(value))} ms`;
}

/**
 * Round trips up to the handler, one after the other.
 *
 * @param {Caller} caller
 * @param {number} deadlineMs around which the page is kept busy; 0: it is not
 */
async function measure(caller, deadlineMs) {
  const latenciesMs = [];
  for (let i = 1; i <= TRIES; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const sentMs = performance.now();
    caller.send(`echo ${i}`);
    const share = BUSY_DEADLINES + BUSY_SPREAD * (i * GOLDEN_RATIO % 1);
    while (performance.now() - sentMs < share * deadlineMs) continue;
    const { atMs } = await caller.untilSaid(`echo ${i}`);
    latenciesMs.push(atMs - sentMs);
  }
  return latenciesMs;
}

/**
 * The meaning of so many missed deadlines.
 *
 * @param {number} missed of TRIES
 */
function judge(missed) {
  const late = missed === 0 ? "nothing was late" : null;
  return [
    [
      "hard",
      late
        ? "no failure in these ten; the next may be one"
        : "the system has failed",
    ],
    [
      "firm",
      late ?? `${missed} results are worth nothing; the service ` +
          (missed <= TOLERABLE ? "is a little worse" : "is degraded"),
    ],
    ["soft", late ?? `${missed} late results are worth less, but used`],
  ];
}
