// @ts-check
// Owns the way down of a line that has no stream: one request after the other,
// each of which the server answers when there is something. It never sends
// what the page has to say. Invariant: one request at a time, and each says
// what was the newest message that came; so what an answer lost comes again.

import { CloseCode, LOST } from "./protocol.js";

/** @import { Down, DownHandlers } from "./http_socket.js" */

// Below the heartbeat's silence: an answer that brings nothing is a sign, too.
const WAIT_SECONDS = 15;
// An answer that is empty and early is not what was asked for.
const EARLY_MS = 1_000;

/**
 * `waitSeconds`: how long the server may wait for something to tell.
 * `pauseMs`: from an answer to the next request.
 *
 * @typedef {{ waitSeconds: number, pauseMs: number }} Pace
 */

/** @type {Pace} */
const LONG = { waitSeconds: WAIT_SECONDS, pauseMs: 0 };

/**
 * @param {string} url that says hello
 * @param {DownHandlers} handlers
 * @param {{ fetch: typeof fetch }} surroundings
 * @param {Pace} pace
 * @returns {Down}
 */
export function openLongPoll(url, handlers, { fetch }, pace = LONG) {
  const closing = new AbortController();
  const { signal } = closing;
  const first = new URL(url);
  const next = new URL(first);
  for (const name of ["name", "history", "since"]) {
    next.searchParams.delete(name);
  }
  // Without it, each would begin anew.
  next.searchParams.set("wait", String(pace.waitSeconds));
  let epoch = "";

  /** @param {string} from */
  async function ask(from) {
    const response = await fetch(from, {
      cache: "no-store",
      redirect: "error",
      signal,
    });
    if (response.status === 409) {
      handlers.onClose(CloseCode.takenOver);
      return 0;
    }
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const frame = await response.text();
    const events = JSON.parse(frame);
    if (signal.aborted) return 0;
    for (const event of events) {
      if (event.type === "welcome") {
        epoch = event.epoch;
        next.searchParams.set("key", event.key);
      } else if (event.type === "message") {
        next.searchParams.set("since", `${epoch}:${event.seq}`);
      }
    }
    handlers.onFrame(frame);
    const end = events.find((/** @type {any} */ { type }) => type === "close");
    if (end !== undefined && !signal.aborted) handlers.onClose(end.code);
    return events.length;
  }

  async function askOn() {
    try {
      for (let from = first.href; !signal.aborted; from = next.href) {
        const askedAtMs = performance.now();
        const count = await ask(from);
        const isEarly = count === 0 && performance.now() - askedAtMs < EARLY_MS;
        await pause(isEarly ? EARLY_MS : pace.pauseMs, signal);
      }
    } catch {
      if (!signal.aborted) handlers.onClose(LOST);
    }
  }

  askOn();
  return { close: () => closing.abort() };
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends it
 */
async function pause(ms, signal) {
  if (ms === 0 || signal.aborted) return;
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    }, { once: true });
  });
}
