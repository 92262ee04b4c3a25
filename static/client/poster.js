// @ts-check
// The way up of a connection that is made of requests: one POST at a time, in
// the order in which the frames were given. A refusal by the server becomes the
// event `error` that a WebSocket would have brought; any other failure is the
// loss of the connection.

import { readHttpError } from "./http_error.js";

/** @import { Timer } from "./heartbeat.js" */

// A request that hangs would hold up all that wait behind it.
const TIMEOUT_MS = 20_000;
// For a server that is busy but does not say for how long.
const RETRY_MS = 1_000;

/** @type {Map<number, string>} */
const CODES = new Map([
  [400, "invalid"],
  [413, "too_long"],
  [429, "rate_limited"],
  [503, "busy"],
]);

/**
 * @typedef {object} Handlers
 * @property {(frame: string) => void} onFrame
 * @property {() => void} onLost to be followed by close()
 */

/**
 * Replacements for tests and for the lab.
 *
 * @typedef {object} Context
 * @property {typeof fetch} fetch
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

export class Poster {
  #url;
  #handlers;
  #context;
  #closing = new AbortController();
  /** @type {string[]} */
  #queue = [];
  #isBusy = false;
  /** The key of the identity that sends the requests. */
  key = "";

  /**
   * @param {string} url
   * @param {Handlers} handlers
   * @param {Context} context
   */
  constructor(url, handlers, context) {
    this.#url = url;
    this.#handlers = handlers;
    this.#context = context;
  }

  /** @param {string} text a request of partyline.v1 */
  post(text) {
    this.#queue.push(text);
    if (!this.#isBusy) this.#postAll();
  }

  /** Gives up the request under way, and forgets those that wait. */
  close() {
    this.#queue = [];
    this.#closing.abort();
  }

  async #postAll() {
    this.#isBusy = true;
    try {
      for (let text; (text = this.#queue.shift()) !== undefined;) {
        await this.#postOne(text);
      }
    } catch {
      if (!this.#closing.signal.aborted) this.#handlers.onLost();
    }
    this.#isBusy = false;
  }

  /** @param {string} text */
  async #postOne(text) {
    const { fetch, setTimer, clearTimer } = this.#context;
    const { signal } = this.#closing;
    const timer = setTimer(() => this.#handlers.onLost(), TIMEOUT_MS);
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        cache: "no-store",
        redirect: "error",
        headers: {
          "content-type": "application/json",
          "partyline-key": this.key,
        },
        body: text,
        signal,
      });
      if (!response.ok) return await this.#refused(response, text);
      // The content comes down, too; but unread it would hold the connection.
      await response.arrayBuffer();
    } finally {
      clearTimer(timer);
    }
  }

  /**
   * @param {Response} response
   * @param {string} text
   */
  async #refused(response, text) {
    const code = CODES.get(response.status);
    if (code === undefined) throw new Error(`HTTP ${response.status}`);
    const { why, retryAfterMs } = await readHttpError(response, Date.now());
    const { type, id } = JSON.parse(text);
    // Nobody waits for the answer to these.
    if (type === "typing" || type === "ping") return;
    const isFinal = code === "invalid" || code === "too_long";
    const error = {
      type: "error",
      sender: "server",
      code,
      message: why,
      ...(id !== undefined && { id }),
      ...(!isFinal && { retryAfter: retryAfterMs || RETRY_MS }),
    };
    this.#handlers.onFrame(JSON.stringify([error]));
  }
}
