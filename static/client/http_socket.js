// @ts-check
// A connection that is made of HTTP requests and is used like a WebSocket: a
// stream or polls bring events down, POSTs take requests up. The first request
// is the hello, which opens the way down. The end is told once.

import { entranceUrl } from "../shared/address.js";
import { openEventStream } from "./event_stream.js";
import { openLongPoll } from "./long_poll.js";
import { Poster } from "./poster.js";
import { LOST } from "./protocol.js";

/** @import { Timer } from "./heartbeat.js" */

/**
 * The way down, which brings the events. `rest`: whether to keep no connection,
 * from the next request on; a stream cannot rest.
 *
 * @typedef {object} Down
 * @property {() => void} close
 * @property {(isResting: boolean) => void} [rest]
 */

/**
 * @typedef {object} DownHandlers
 * @property {(frame: string) => void} onFrame
 * @property {(code: number) => void} onClose
 */

/**
 * Replacements for tests and for the lab.
 *
 * @typedef {object} Context
 * @property {typeof fetch} fetch
 * @property {typeof EventSource} EventSource
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/**
 * @typedef {(url: string, handlers: DownHandlers, context: Context)
 *   => Down} OpenDown
 */

/** @type {Context} */
const realContext = {
  // Not bare: a browser's fetch wants to be called on its window.
  fetch: (...args) => fetch(...args),
  EventSource: globalThis.EventSource,
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

/** The same numbers as in WebSocket. */
const OPEN = 1;
const CLOSED = 3;

export class HttpSocket extends EventTarget {
  readyState = 0;
  #url;
  #entrance;
  #openDown;
  #context;
  #poster;
  /** @type {Down | null} */
  #down = null;
  #isResting = false;

  /**
   * @param {string} url of the WebSocket that it stands for
   * @param {"events" | "messages"} entrance where the way down begins
   * @param {OpenDown} openDown
   * @param {Partial<Context>} context
   */
  constructor(url, entrance, openDown, context = {}) {
    super();
    // The connection has a name of its own, so that the server can tell why it
    // ended, and no late request of it is taken for one of the next connection.
    const line = new URL(url);
    line.searchParams.set("line", String(Math.random()));
    this.#url = line.href;
    this.#entrance = entrance;
    this.#openDown = openDown;
    this.#context = { ...realContext, ...context };
    this.#poster = new Poster(
      entranceUrl(this.#url, "messages"),
      {
        onFrame: (frame) => this.#heard(frame),
        onLost: () => this.#end(LOST),
      },
      this.#context,
    );
    // As a WebSocket opens, after its maker had time to listen.
    queueMicrotask(() => {
      if (this.readyState === CLOSED) return;
      this.readyState = OPEN;
      this.dispatchEvent(new Event("open"));
    });
  }

  /** @param {string} text a request of partyline.v1 */
  send(text) {
    if (this.readyState !== OPEN) return;
    if (this.#down === null) this.#hello(JSON.parse(text));
    else this.#poster.post(text);
  }

  /** @param {boolean} isResting */
  rest(isResting) {
    this.#isResting = isResting;
    this.#down?.rest?.(isResting);
  }

  close() {
    this.readyState = CLOSED;
    this.#down?.close();
    this.#poster.close();
  }

  /** @param {Record<string, any>} hello */
  #hello({ key, name, since, history }) {
    const url = new URL(entranceUrl(this.#url, this.#entrance));
    const { searchParams } = url;
    if (history !== undefined) searchParams.set("history", String(history));
    if (name !== undefined) searchParams.set("name", name);
    if (key !== undefined) searchParams.set("key", key);
    if (since !== undefined) {
      searchParams.set("since", `${since.epoch}:${since.seq}`);
    }
    try {
      this.#down = this.#openDown(url.href, {
        onFrame: (frame) => this.#heard(frame),
        onClose: (code) => this.#end(code),
      }, this.#context);
      this.#down.rest?.(this.#isResting);
    } catch {
      // A browser without EventSource: there is still another way.
      queueMicrotask(() => this.#end(LOST));
    }
  }

  /** @param {string} data */
  #heard(data) {
    if (this.readyState !== OPEN) return;
    const welcome = JSON.parse(data)
      .find((/** @type {any} */ { type }) => type === "welcome");
    if (welcome !== undefined) this.#poster.key = welcome.key;
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** @param {number} code */
  #end(code) {
    if (this.readyState === CLOSED) return;
    this.close();
    this.dispatchEvent(new CloseEvent("close", { code }));
  }
}

/**
 * A connection by Server-Sent Events and POST.
 *
 * @param {string} url of the WebSocket that it stands for
 * @param {Partial<Context>} context
 */
export function createEventSocket(url, context = {}) {
  return new HttpSocket(url, "events", openEventStream, context);
}

/**
 * A connection by long polling and POST.
 *
 * @param {string} url of the WebSocket that it stands for
 * @param {Partial<Context>} context
 */
export function createPollSocket(url, context = {}) {
  return new HttpSocket(url, "messages", openLongPoll, context);
}
