// @ts-check
// The table of results: the same numbers as in the figures, for a screen reader
// and for paper. It has a row for each way, in the order of measuring.

import {
  formatAdded,
  formatBytes,
  formatMs,
  grouped,
} from "../shared/units.js";
import { percentile } from "./statistics.js";
import { WAYS } from "./ways.js";

/** @import { Result } from "./work.js" */

/** How many requests a way took, of whatever kind. */
export const requestsOf = (/** @type {Result["cost"]} */ cost) =>
  cost.opens + cost.posts + cost.polls;

/**
 * @param {HTMLTableSectionElement} body
 * @param {Result[]} results of the ways that have begun
 */
export function showTable(body, results) {
  body.replaceChildren(...WAYS.map((way) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = way.name;
    const result = results.find((result) => result.way === way);
    const cells = result === undefined ? Array(11).fill("–") : cellsOf(result);
    row.dataset["way"] = way.id;
    row.append(head, ...cells.map(createCell));
    return row;
  }));
}

/** @param {Result} result */
function cellsOf({ latencies, sendings, receivings, heard, cost }) {
  return [
    grouped(latencies.length),
    formatMs(percentile(latencies, 50)),
    formatMs(percentile(latencies, 100)),
    formatMs(percentile(sendings, 50)),
    receivings.length === 0 ? "–" : formatAdded(percentile(receivings, 50)),
    grouped(heard),
    grouped(requestsOf(cost)),
    grouped(cost.polls - cost.fullPolls),
    grouped(cost.pushes),
    formatBytes(cost.framingBytes),
    formatBytes(cost.contentBytes),
  ];
}

/** @param {string} text */
function createCell(text) {
  const cell = document.createElement("td");
  cell.textContent = text;
  return cell;
}
