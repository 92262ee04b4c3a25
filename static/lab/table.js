// @ts-check
// Owns the table of results: the same numbers as in the figures, for a screen
// reader and for paper. It never measures. Invariant: a row for each way, in
// the order in which they are measured.

import { formatBytes, formatMs, grouped, percentile } from "./statistics.js";
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
    const cells = result === undefined ? Array(8).fill("–") : cellsOf(result);
    row.dataset["way"] = way.id;
    row.append(head, ...cells.map(createCell));
    return row;
  }));
}

/** @param {Result} result */
function cellsOf({ latencies, cost }) {
  const { framingBytes, contentBytes } = cost;
  const count = latencies.length;
  return [
    grouped(count),
    formatMs(percentile(latencies, 50)),
    formatMs(percentile(latencies, 99)),
    grouped(requestsOf(cost)),
    grouped(cost.polls - cost.fullPolls),
    grouped(cost.pushes),
    formatBytes(framingBytes),
    formatBytes(contentBytes),
  ];
}

/** @param {string} text */
function createCell(text) {
  const cell = document.createElement("td");
  cell.textContent = text;
  return cell;
}
