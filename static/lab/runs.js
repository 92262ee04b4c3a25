// @ts-check
// The runs of this browser, kept so that they can be compared: the settings and
// the results of each way, also after a reload. The storage keeps the newest.

import { framingPerMessage } from "./summary.js";
import { formatBytes, formatMs } from "../shared/units.js";
import { percentile } from "./statistics.js";
import { WAYS } from "./ways.js";

/** @import { KeptRun, KeptWay, Memory } from "../shared/storage.js" */
/** @import { Result } from "./work.js" */

/** @typedef {Omit<KeptRun, "ways">} Settings */

export class Runs {
  #section;
  #body;
  #memory;

  /**
   * @param {HTMLElement} section hidden while there is no run
   * @param {HTMLTableSectionElement} body
   * @param {Memory} memory
   */
  constructor(section, body, memory) {
    this.#section = section;
    this.#body = body;
    this.#memory = memory;
    this.#show();
  }

  /**
   * @param {Settings} settings
   * @param {Result[]} results
   */
  add(settings, results) {
    const ways = results.filter(({ latencies }) => latencies.length > 0)
      .map(keptWay);
    if (ways.length === 0) return;
    this.#memory.labRuns = [{ ...settings, ways }, ...this.#memory.labRuns];
    this.#show();
  }

  clear() {
    this.#memory.labRuns = [];
    this.#show();
  }

  #show() {
    const runs = this.#memory.labRuns;
    this.#section.hidden = runs.length === 0;
    this.#body.replaceChildren(...runs.map(createRow));
  }
}

/**
 * @param {Result} result
 * @returns {KeptWay}
 */
function keptWay(result) {
  return {
    way: result.way.name,
    medianMs: percentile(result.latencies, 50),
    slowestMs: percentile(result.latencies, 100),
    framingBytes: framingPerMessage(result),
  };
}

/** @param {KeptRun} run */
function createRow(run) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = describe(run);
  row.append(
    head,
    ...WAYS.map(({ name }) =>
      createCell(run.ways.find(({ way }) => way === name))
    ),
  );
  return row;
}

/** @param {KeptRun} run */
function describe({ count, pace, lagMs, talkers }) {
  return `${count} messages, ${pace === 1 ? "3 a second" : "1 in 3 seconds"}` +
    (lagMs === 0 ? "" : `, +${lagMs} ms`) +
    (talkers === 0 ? "" : `, ${talkers} others talk`);
}

/** @param {KeptWay | undefined} way */
function createCell(way) {
  const cell = document.createElement("td");
  if (way === undefined) {
    cell.textContent = "–";
    return cell;
  }
  const median = document.createElement("b");
  median.textContent = formatMs(way.medianMs);
  cell.append(
    median,
    document.createElement("br"),
    `slowest ${formatMs(way.slowestMs)}`,
    document.createElement("br"),
    `${formatBytes(way.framingBytes)} a message`,
  );
  return cell;
}
