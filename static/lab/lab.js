// @ts-check
// The lab's page: its settings, the run, and the results. There is one run at a
// time, and every connection that it opened is closed when the run ends,
// however it ends.

import { basePath, socketUrl } from "../shared/address.js";
import { byId } from "../shared/dom.js";
import { Invitation } from "../shared/invitation.js";
import { askWhy } from "../client/http_error.js";
import { sharedMemory, tabMemory } from "../shared/storage.js";
import { barChart } from "./bar_chart.js";
import { measureHeads } from "./heads.js";
import { latencyChart } from "./latency_chart.js";
import { Load } from "./load.js";
import { joinWitness } from "./member.js";
import { Rows } from "./rows.js";
import { Runs } from "./runs.js";
import { formatBytes, grouped } from "../shared/units.js";
import { summarize } from "./summary.js";
import { requestsOf, showTable } from "./table.js";
import { WAYS } from "./ways.js";
import { planGaps, work } from "./work.js";

/** @import { Settings } from "./runs.js" */
/** @import { Plan, Result } from "./work.js" */

const room = `lab-${Math.random().toString(36).slice(2, 10)}`;
const memory = tabMemory(basePath(document.baseURI));
const invitation = new Invitation(memory);
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
const summary = byId("summary", HTMLElement);
const tableBody = byId("results", HTMLTableSectionElement);
const presets = [
  .../** @type {NodeListOf<HTMLButtonElement>} */ (
    form.querySelectorAll("button.preset")
  ),
];
const runs = new Runs(
  byId("runs", HTMLElement),
  byId("earlier", HTMLTableSectionElement),
  sharedMemory(basePath(document.baseURI)),
);

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
        `, ${grouped(cost.polls - cost.fullPolls)} of them brought nothing; ` +
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
  for (const field of [count, pace, lag, talkers, ...presets]) {
    field.disabled = isRunning;
  }
}

/**
 * Whether the server admits this page; says why if it does not.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function isLetIn(url, signal) {
  const error = await askWhy(url, signal);
  // The server would accept a WebSocket; only the way to it is blocked.
  if (error?.kind === "blocked") return true;
  status.textContent = error?.why ?? "The server does not answer.";
  codeField.hidden = error?.kind !== "uninvited";
  if (error?.kind === "uninvited") code.focus();
  return false;
}

/** @returns {Settings} */
function readSettings() {
  return {
    count: Number(count.value),
    pace: Number(pace.value),
    lagMs: Number(lag.value),
    talkers: Number(talkers.value),
  };
}

/** @param {AbortSignal} signal */
async function measure(signal) {
  const url = socketUrl(document.baseURI, room, invitation.code);
  status.textContent = "Asking the server…";
  note.textContent = "";
  summary.replaceChildren();
  if (!await isLetIn(url, signal)) return;
  codeField.hidden = true;
  show([]);
  const settings = readSettings();
  const { lagMs } = settings;
  const heads = await measureHeads(document.baseURI, url, signal);
  const gaps = planGaps(settings.count, settings.pace, Math.random);
  const load = new Load();
  const witness = await joinWitness(url, heads, lagMs, signal);
  /** @type {Result[]} */
  let results = [];
  try {
    const others = await load.join(settings.talkers, url, signal);
    if (others < settings.talkers) {
      note.textContent = `${others} of the ${settings.talkers} others could ` +
        "get into the room.";
    }
    const plan = { url, heads, gaps, lagMs, load, witness, signal };
    results = await measureAll(plan);
  } finally {
    load.leave();
    witness?.leave();
  }
  status.textContent = signal.aborted ? "Stopped." : "Done.";
  if (!signal.aborted) conclude(settings, results);
}

/**
 * @param {Plan} plan
 * @returns {Promise<Result[]>} of the ways until the run was stopped
 */
async function measureAll(plan) {
  /** @type {Result[]} */
  const results = [];
  for (const [i, way] of WAYS.entries()) {
    const which = `${i + 1} of ${WAYS.length}`;
    status.textContent = `Measuring ${way.name} (${which})…`;
    const result = await work(way, plan, (soFar) => {
      const part = soFar.latencies.length / plan.gaps.length;
      progress.value = (i + part) / WAYS.length;
      show([...results, soFar]);
    });
    results.push(result);
    show(results);
    if (plan.signal.aborted) break;
  }
  return results;
}

/**
 * @param {Settings} settings
 * @param {Result[]} results
 */
function conclude(settings, results) {
  summary.replaceChildren(
    ...summarize(results).map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }),
  );
  runs.add(settings, results);
  // The lesson's chapter on real time judges these, also in another tab.
  sharedMemory(basePath(document.baseURI)).labRun = results.filter((
    { latencies },
  ) => latencies.length > 0)
    .map(({ way, latencies }) => ({ way: way.name, latenciesMs: latencies }));
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

for (const preset of presets) {
  preset.addEventListener("click", () => {
    const { dataset } = preset;
    count.value = dataset["count"] ?? "";
    pace.value = dataset["pace"] ?? "";
    lag.value = dataset["lag"] ?? "";
    talkers.value = dataset["talkers"] ?? "";
    showSettings();
    form.requestSubmit();
  });
}
byId("forget", HTMLButtonElement).addEventListener("click", () => {
  runs.clear();
});
stop.addEventListener("click", () => running?.abort());
form.addEventListener("input", showSettings);
document.addEventListener("visibilitychange", () => {
  if (running === null || !document.hidden) return;
  note.textContent =
    "This page was in the background for a while. A browser then slows its " +
    "timers down, so these latencies are too long.";
});
showSettings();
show([]);
setRunning(false);
