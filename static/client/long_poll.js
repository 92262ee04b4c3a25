// @ts-check
// How events come down where no stream gets through: by one request after the
// other, each of which the server answers when there are events. At most one
// request is open, and each names the newest message that came; so a message
// that was lost with an answer comes again. The page's own requests go by
// poster.js.

import { CloseCode, LOST } from "./protocol.js";

/** @import { Down, DownHandlers } from "./http_socket.js" */

// Below the heartbeat's silence: an empty answer is a sign of life, too.
const WAIT_SECONDS = 15;
// An empty answer that comes early is not that of a long poll.
const EARLY_MS = 1_000;

/**
 * `waitSeconds`: how long the server may wait for events. `pauseMs`: from an
 * answer to the next request.
 *
 * @typedef {{ waitSeconds: number, pauseMs: number }} Pace
 */

/** @type {Pace} */
const LONG = { waitSeconds: WAIT_SECONDS, pauseMs: 0 };

/**
 * A pace that keeps no connection, and asks often enough to stay in the room,
 * which takes a request every 15 seconds. In a tab that is hidden for minutes a
 * browser lets a chain of timers go on once a minute; here an answer begins
 * each pause.
 *
 * @type {Pace}
 */
const RESTING = { waitSeconds: 0, pauseMs: 5_000 };

/**
 * @param {string} url that says hello
 * @param {DownHandlers} handlers
 * @param {{ fetch: typeof fetch }} context
 * @param {Pace} pace
 * @returns {Down}
 */
export function openLongPoll(url, handlers, { fetch }, pace = LONG) {
  const poll = new LongPoll(url, handlers, fetch, pace);
  poll.askOn();
  return poll;
}

class LongPoll {
  #first;
  /** The address of all requests but the first. */
  #next;
  #handlers;
  #fetch;
  #pace;
  #closing = new AbortController();
  #epoch = "";
  #isResting = false;
  #endPause = () => {};

  /**
   * @param {string} url
   * @param {DownHandlers} handlers
   * @param {typeof fetch} fetch
   * @param {Pace} pace
   */
  constructor(url, handlers, fetch, pace) {
    this.#first = new URL(url).href;
    this.#next = new URL(url);
    for (const name of ["name", "history", "since"]) {
      this.#next.searchParams.delete(name);
    }
    this.#handlers = handlers;
    this.#fetch = fetch;
    this.#pace = pace;
  }

  close() {
    this.#closing.abort();
    this.#endPause();
  }

  /**
   * A request that waits is not given up, because its answer may be on its way.
   *
   * @param {boolean} isResting
   */
  rest(isResting) {
    this.#isResting = isResting;
    if (!isResting) this.#endPause();
  }

  /** Asks again and again, until it is closed or an answer is lost. */
  async askOn() {
    const { signal } = this.#closing;
    try {
      for (let from = this.#first; !signal.aborted; from = this.#nextHref()) {
        const askedAtMs = performance.now();
        const count = await this.#ask(from);
        const isEarly = count === 0 && performance.now() - askedAtMs < EARLY_MS;
        // At once after the welcome: a silent newcomer is soon given up.
        const isWelcome = from === this.#first && count > 0;
        const isSlow = this.#isResting && !isWelcome;
        const { pauseMs } = isSlow ? RESTING : this.#pace;
        await this.#pause(isEarly ? Math.max(EARLY_MS, pauseMs) : pauseMs);
      }
    } catch {
      if (!signal.aborted) this.#handlers.onClose(LOST);
    }
  }

  /**
   * Passes an answer on, and returns how many events it brought.
   *
   * @param {string} from
   */
  async #ask(from) {
    const { signal } = this.#closing;
    const fetch = this.#fetch;
    const response = await fetch(from, {
      cache: "no-store",
      redirect: "error",
      signal,
    });
    if (response.status === 409) {
      this.#handlers.onClose(CloseCode.takenOver);
      return 0;
    }
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const frame = await response.text();
    const events = JSON.parse(frame);
    if (signal.aborted) return 0;
    this.#remember(events);
    this.#handlers.onFrame(frame);
    const end = events.find((/** @type {any} */ { type }) => type === "close");
    if (end !== undefined && !signal.aborted) this.#handlers.onClose(end.code);
    return events.length;
  }

  /**
   * Notes for the next request our key, and the newest message that came.
   *
   * @param {any[]} events
   */
  #remember(events) {
    const { searchParams } = this.#next;
    for (const event of events) {
      if (event.type === "welcome") {
        this.#epoch = event.epoch;
        searchParams.set("key", event.key);
      } else if (event.type === "message") {
        searchParams.set("since", `${this.#epoch}:${event.seq}`);
      }
    }
  }

  #nextHref() {
    const { waitSeconds } = this.#isResting ? RESTING : this.#pace;
    // Without `wait`, each request would begin anew.
    this.#next.searchParams.set("wait", String(waitSeconds));
    return this.#next.href;
  }

  /** @param {number} ms */
  async #pause(ms) {
    if (ms === 0 || this.#closing.signal.aborted) return;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}
