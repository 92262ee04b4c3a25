// @ts-check
// Says why the server does not let us in, or disconnects us. A browser tells a
// script nothing about a handshake that failed, so the same address is asked
// without an upgrade; the reason of a disconnect comes in an `error` event or a
// close code. askWhy never fails, and a sentence from elsewhere is plain text
// and short.

import { CloseCode } from "./protocol.js";

const MAX_SENTENCE_LENGTH = 300;

/**
 * `later`: a later attempt may succeed. `final`: none will, until somebody has
 * changed something. `uninvited`: one with another invitation code may.
 * `blocked`: the server would let us in, but something on the way blocks the
 * WebSocket.
 *
 * @typedef {"later" | "final" | "uninvited" | "blocked"} Kind
 */

/**
 * @typedef {object} HttpError
 * @property {number} status
 * @property {Kind} kind
 * @property {string} why a sentence for a person
 * @property {number} retryAfterMs 0 if the server did not say
 */

/** @type {Map<number, Kind>} */
const KINDS = new Map([
  [400, "final"],
  [401, "uninvited"],
  [403, "final"],
  [426, "blocked"],
]);

/** @type {Map<number, string>} said when the answer has no words of its own */
const WORDS = new Map([
  [400, "The server does not understand this page."],
  [401, "The server asks for an invitation code."],
  [403, "This page may not connect to the server."],
  [429, "The server got too many requests."],
  [502, "The server does not answer."],
  [503, "The server is busy now."],
  [504, "The server does not answer."],
]);

// Not the server's word: the server sees no problem.
const BLOCKED =
  "The server can be reached, but something on the way blocks WebSocket.";

/** @type {Map<string, string>} by the code of the `error` before the end */
const DISCONNECT_REASONS = new Map([
  ["shutting_down", "The server is shutting down."],
  ["restarting", "The server is restarting."],
  ["overloaded", "The server has too much to do."],
]);

/**
 * Asks the WebSocket's address why it did not open: a browser tells a script
 * nothing about a refused handshake. Returns null if there is no answer.
 *
 * @param {string} url of the WebSocket
 * @param {AbortSignal} signal
 * @returns {Promise<HttpError | null>}
 */
export async function askWhy(url, signal) {
  try {
    const response = await fetch(url.replace(/^ws/, "http"), {
      cache: "no-store",
      redirect: "error",
      // A GET names no origin; the server reads it from the referrer.
      referrerPolicy: "origin",
      signal,
    });
    return await readHttpError(response, Date.now());
  } catch {
    return null;
  }
}

/**
 * @param {Response} response
 * @param {number} nowMs since 1970
 * @returns {Promise<HttpError>}
 */
export async function readHttpError(response, nowMs) {
  const { status, headers } = response;
  const kind = KINDS.get(status) ?? "later";
  const isPlain = headers.get("content-type")?.startsWith("text/plain");
  const text = isPlain ? (await response.text()).trim() : "";
  const own = WORDS.get(status) ??
    `The server gave an answer that this page does not expect (HTTP ${status}).`;
  const isSentence = text !== "" && text.length <= MAX_SENTENCE_LENGTH;
  return {
    status,
    kind,
    why: kind === "blocked" ? BLOCKED : isSentence ? text : own,
    retryAfterMs: parseRetryAfter(headers, nowMs),
  };
}

/**
 * `Retry-After` in milliseconds, or 0: a number of seconds or a date (RFC 9110
 * section 10.2.3). A date is compared with the server's own, if it names one.
 *
 * @param {Headers} headers
 * @param {number} nowMs since 1970
 */
export function parseRetryAfter(headers, nowMs) {
  const value = headers.get("retry-after") ?? "";
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const serverNowMs = Date.parse(headers.get("date") ?? "") || nowMs;
  return Math.max(0, Date.parse(value) - serverNowMs) || 0;
}

/**
 * The reason that an `error` gives for the end of the connection after it; null
 * if it gives none. The seconds are not in it: they are counted down.
 *
 * @param {string} code
 */
export function disconnectReason(code) {
  return DISCONNECT_REASONS.get(code) ?? null;
}

/** @type {Map<number, string>} for when the server cannot explain it */
const CLOSED = new Map([
  [1001, "The server went away: perhaps it was stopped (code 1001)."],
  [1002, "The server could not understand this page (code 1002)."],
  [1003, "The server got data of a kind that it does not accept (code 1003)."],
  [1008, "This page sent too much that the server refused (code 1008)."],
  [1009, "This page sent more at once than the server accepts (code 1009)."],
  [1011, "The server failed (code 1011)."],
  [CloseCode.restarting, "The server is restarting."],
  [1013, "The server asked this page to come back later (code 1013)."],
]);

/**
 * The rule of a close code, in a sentence; null if it says nothing.
 *
 * @param {number} code
 */
export function whyClosed(code) {
  return CLOSED.get(code) ?? null;
}
