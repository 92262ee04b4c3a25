// @ts-check
// Says in words what a run of the lab showed. Every number is computed from
// that run, and so is each "faster", "longer" or "no longer".

import { formatBytes, formatMs, grouped } from "../shared/units.js";
import { percentile } from "./statistics.js";

/** @import { Result } from "./work.js" */

/**
 * @param {Result[]} results of a whole run
 * @returns {string[]} sentences; none if too little arrived to compare
 */
export function summarize(results) {
  const measured = results.filter(({ latencies }) => latencies.length > 0);
  if (measured.length < 2) return [];
  return [
    describeLatencies(measured),
    describeSending(measured),
    describeReceiving(measured),
    describeBytes(measured),
  ].filter((sentence) => sentence !== "");
}

/** @param {Result[]} results at least two */
function describeLatencies(results) {
  const [fastest, ...others] = results
    .map(({ way, latencies }) => ({ way, medianMs: median(latencies) }))
    .toSorted((a, b) => a.medianMs - b.medianMs);
  if (fastest === undefined) return "";
  const rest = others.map(({ way, medianMs }) =>
    `${way.name} took ${more(medianMs - fastest.medianMs)}`
  );
  return `In this run half of the messages by ${fastest.way.name} took ` +
    `${formatMs(fastest.medianMs)} or less. ${list(rest)}.`;
}

/** @param {Result[]} results */
function describeSending(results) {
  const [socket, ...others] = split(results);
  if (socket === undefined || others.length === 0) return "";
  const added = others.map(({ way, sendings }) =>
    `${more(median(sendings) - median(socket.sendings))} (${way.name})`
  );
  return `To send a message by POST took ${list(added)} than to send it as ` +
    "a WebSocket frame.";
}

/** @param {Result[]} results */
function describeReceiving(results) {
  const [socket, ...others] = split(results);
  if (socket === undefined || others.length === 0) return "";
  const added = others.map(({ way, receivings }) =>
    `${more(median(receivings))} (${way.name})`
  );
  return `To receive it took ${list(added)} than by WebSocket.`;
}

/** @param {Result[]} results at least two */
function describeBytes(results) {
  const sorted = results.toSorted((a, b) =>
    framingPerMessage(a) - framingPerMessage(b)
  );
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined || least === most) return "";
  const emptyPolls = most.cost.polls - most.cost.fullPolls;
  return `For each message in the room ${least.way.name} spent ` +
    `${formatBytes(framingPerMessage(least))} on headers and framing` +
    `${describeOpening(least)}, and ${most.way.name} ` +
    formatBytes(framingPerMessage(most)) + describeOpening(most) +
    (emptyPolls === 0
      ? "."
      : `, in part for ${grouped(emptyPolls)} polls that brought nothing.`);
}

/**
 * The part of the bytes that was spent once, however many messages followed.
 *
 * @param {Result} result
 */
function describeOpening({ cost, heard }) {
  const { opens, openingBytes } = cost;
  if (opens === 0) return "";
  const share = formatBytes(perMessage(openingBytes, heard));
  return ` (${share} of it to open ${opens} connections)`;
}

/**
 * The WebSocket first, then those that send by POST; none if there was no
 * witness, or no WebSocket to compare with.
 *
 * @param {Result[]} results
 */
function split(results) {
  const told = results.filter(({ sendings }) => sendings.length > 0);
  return told[0]?.way.id === "websocket" ? told : [];
}

/**
 * Bytes of headers and framing for each message in the room.
 *
 * @param {Result} result
 */
export function framingPerMessage({ cost, heard }) {
  return perMessage(cost.framingBytes, heard);
}

/**
 * Sender and receiver both hear each message.
 *
 * @param {number} bytes
 * @param {number} heard
 */
function perMessage(bytes, heard) {
  return bytes / Math.max(1, heard / 2);
}

/** @param {number[]} values */
function median(values) {
  return percentile(values, 50);
}

/** @param {number} ms */
function more(ms) {
  return ms < 0.1 ? "no longer" : `${formatMs(ms)} longer`;
}

/** @param {string[]} parts at least one */
function list(parts) {
  const last = parts.at(-1);
  return parts.length === 1
    ? `${last}`
    : `${parts.slice(0, -1).join(", ")} and ${last}`;
}
