// @ts-check
// Owns the lab's page: what is set, the run, what is shown of it. It never
// measures by itself. Invariant: one run at a time; what it opened is closed
// when it ends, however it ends.

import { basePath, socketUrl } from "../address.js";
import { byId } from "../dom.js";
import { Invitation } from "../invitation.js";
import { askWhy } from "../refusal.js";
import { tabMemory } from "../storage.js";
import { barChart } from "./bar_chart.js";
import { measureHeads } from "./heads.js";
import { latencyChart } from "./latency_chart.js";
import { Load } from "./load.js";
import { Rows } from "./rows.js";
import { formatBytes, grouped } from "./statistics.js";
import { requestsOf, showTable } from "./table.js";
import { sleep } from "./time.js";
import { WAYS } from "./ways.js";
import { planGaps, work } from "./work.js";

/** @import { Result } from "./work.js" */

// So that the talkers are in the room, and talk, when the first way begins.
const LOAD_SETTLES_MS = 1_000;

const room = `lab-${Math.random().toString(36).slice(2, 10)}`;
const invitation = new Invitation(tabMemory(basePath(document.baseURI)));
invitation.takeFromAddress();

const form = byId("settings", HTMLFormElement);
const count = byId("count", HTMLSelectElement);
const pace = byId("pace", HTMLSelectElement);
const lag = byId("lag", HTMLInputElement);
const talkers = byId("talkers", HTMLInputElement);
const code = byId("code", HTMLInputElement);
const codeField = byId("code-field", HTMLElement);
const run = byId("run", HTMLButtonElement);
const stop = byId("stop", HTMLButtonElement);
const progress = byId("progress", HTMLProgressElement);
const status = byId("status", HTMLElement);
const note = byId("note", HTMLElement);
const tableBody = byId("results", HTMLTableSectionElement);

const figures = [
  new Rows(byId("latency", HTMLElement), latencyChart),
  new Rows(
    byId("bytes", HTMLElement),
    barChart(
      [
        { of: (cost) => cost.framingBytes, className: "framing" },
        { of: (cost) => cost.contentBytes, className: "content" },
      ],
      ({ framingBytes, contentBytes }) =>
        `${formatBytes(framingBytes)} of headers and framing, ` +
        `${formatBytes(contentBytes)} of content`,
    ),
  ),
  new Rows(
    byId("asked", HTMLElement),
    barChart(
      [
        { of: (cost) => cost.opens + cost.posts, className: "posts" },
        { of: (cost) => cost.fullPolls, className: "full" },
        { of: (cost) => cost.polls - cost.fullPolls, className: "empty" },
        { of: (cost) => cost.pushes, className: "pushes" },
      ],
      (cost) =>
        `${grouped(requestsOf(cost))} requests` +
        `, ${grouped(cost.polls - cost.fullPolls)} of them for nothing; ` +
        `${grouped(cost.pushes)} pushed`,
    ),
  ),
];

/** @type {AbortController | null} while there is a run */
let running = null;

/** @param {Result[]} results */
function show(results) {
  for (const figure of figures) figure.show(results);
  showTable(tableBody, results);
}

function showSettings() {
  byId("lag-value", HTMLElement).textContent = `${lag.value} ms`;
  byId("talkers-value", HTMLElement).textContent = talkers.value;
}

/** @param {boolean} isRunning */
function setRunning(isRunning) {
  run.disabled = isRunning;
  stop.disabled = !isRunning;
  progress.hidden = !isRunning;
  for (const field of [count, pace, lag, talkers]) field.disabled = isRunning;
}

/**
 * Whether the server lets us in; says why if it does not.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function isLetIn(url, signal) {
  const refusal = await askWhy(url, signal);
  // It would take a WebSocket here: there is nothing else to hear.
  if (refusal?.kind === "blocked") return true;
  status.textContent = refusal?.why ?? "The server does not answer.";
  codeField.hidden = refusal?.kind !== "uninvited";
  if (refusal?.kind === "uninvited") code.focus();
  return false;
}

/** @param {AbortSignal} signal */
async function measure(signal) {
  const url = socketUrl(document.baseURI, room, invitation.code);
  status.textContent = "Asking the server…";
  note.textContent = "";
  if (!await isLetIn(url, signal)) return;
  codeField.hidden = true;
  /** @type {Result[]} */
  const results = [];
  show(results);
  const heads = await measureHeads(document.baseURI, url, signal);
  const gaps = planGaps(
    Number(count.value),
    Number(pace.value),
    Math.random,
  );
  const plan = { url, heads, gaps, lagMs: Number(lag.value), signal };
  const load = new Load();
  load.start(Number(talkers.value), url);
  try {
    if (talkers.value !== "0") await sleep(LOAD_SETTLES_MS, signal);
    for (const [i, way] of WAYS.entries()) {
      status.textContent = `Measuring ${way.name} (${
        i + 1
      } of ${WAYS.length})…`;
      const result = await work(way, plan, (soFar) => {
        progress.value = (i + soFar.latencies.length / gaps.length) /
          WAYS.length;
        show([...results, soFar]);
      });
      results.push(result);
      show(results);
      if (signal.aborted) break;
    }
  } finally {
    load.stop();
  }
  status.textContent = signal.aborted ? "Stopped." : "Done.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (running !== null) return;
  if (!codeField.hidden) invitation.use(code.value.trim());
  running = new AbortController();
  progress.value = 0;
  setRunning(true);
  try {
    await measure(running.signal);
  } catch (error) {
    status.textContent = running.signal.aborted
      ? "Stopped."
      : `The run failed: ${error instanceof Error ? error.message : error}.`;
  }
  running = null;
  setRunning(false);
});

stop.addEventListener("click", () => running?.abort());
form.addEventListener("input", showSettings);
document.addEventListener("visibilitychange", () => {
  if (running === null || !document.hidden) return;
  note.textContent =
    "This page was in the background for a while. There a browser slows its " +
    "timers down, so these latencies are too long.";
});
showSettings();
show([]);
setRunning(false);
