// @ts-check
// Owns a line that is made of HTTP requests, with the face of a WebSocket: what
// comes down by a stream or by polls, what goes up by POST. It never decides
// when to open another. Invariant: the first thing that is sent is the hello,
// which opens the way down; and the end is told once.

import { entranceUrl } from "./address.js";
import { openEventStream } from "./event_stream.js";
import { openLongPoll } from "./long_poll.js";
import { Poster } from "./poster.js";
import { LOST } from "./protocol.js";

/** @import { Timer } from "./heartbeat.js" */

/** @typedef {{ close: () => void }} Down what brings the events */

/**
 * @typedef {object} DownHandlers
 * @property {(frame: string) => void} onFrame
 * @property {(code: number) => void} onClose
 */

/**
 * What a test, or the lab, may put in the place of the real thing.
 *
 * @typedef {object} Surroundings
 * @property {typeof fetch} fetch
 * @property {typeof EventSource} EventSource
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/**
 * @typedef {(url: string, handlers: DownHandlers, surroundings: Surroundings)
 *   => Down} OpenDown
 */

/** @type {Surroundings} */
const realSurroundings = {
  // Not bare: a browser's fetch wants to be called on its window.
  fetch: (...args) => fetch(...args),
  EventSource: globalThis.EventSource,
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

/** As WebSocket has them. */
const OPEN = 1;
const CLOSED = 3;

export class HttpSocket extends EventTarget {
  readyState = 0;
  #url;
  #entrance;
  #openDown;
  #surroundings;
  #poster;
  /** @type {Down | null} */
  #down = null;

  /**
   * @param {string} url of the WebSocket that it stands for
   * @param {"events" | "messages"} entrance where the way down begins
   * @param {OpenDown} openDown
   * @param {Partial<Surroundings>} surroundings
   */
  constructor(url, entrance, openDown, surroundings = {}) {
    super();
    // Under a name of its own, so that the server can tell why it ended, and
    // that no request of it comes late and speaks for the next one.
    const line = new URL(url);
    line.searchParams.set("line", String(Math.random()));
    this.#url = line.href;
    this.#entrance = entrance;
    this.#openDown = openDown;
    this.#surroundings = { ...realSurroundings, ...surroundings };
    this.#poster = new Poster(
      entranceUrl(this.#url, "messages"),
      {
        onFrame: (frame) => this.#heard(frame),
        onLost: () => this.#end(LOST),
      },
      this.#surroundings,
    );
    // As a WebSocket does, after its maker had time to listen.
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
    this.#down = this.#openDown(url.href, {
      onFrame: (frame) => this.#heard(frame),
      onClose: (code) => this.#end(code),
    }, this.#surroundings);
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
 * A line by Server-Sent Events and POST.
 *
 * @param {string} url of the WebSocket that it stands for
 * @param {Partial<Surroundings>} surroundings
 */
export function createEventSocket(url, surroundings = {}) {
  return new HttpSocket(url, "events", openEventStream, surroundings);
}

/**
 * A line by long polling and POST.
 *
 * @param {string} url of the WebSocket that it stands for
 * @param {Partial<Surroundings>} surroundings
 */
export function createPollSocket(url, surroundings = {}) {
  return new HttpSocket(url, "messages", openLongPoll, surroundings);
}
