// @ts-check
// One WebSocket of an experiment, whose events can be waited for. Each wait
// ends: with the event, or with an error whose message tells a person why none
// came.

import { askWhy } from "../client/http_error.js";

/**
 * An event of either dialect, as it came.
 *
 * @typedef {Record<string, any> & { type: string }} Event
 * @typedef {{ event: Event, atMs: number, bytes: number }} Heard `atMs` as of
 *   performance.now(); `bytes` of the whole frame
 * @typedef {{ isIt: (event: Event) => boolean, resolve: (heard: Heard) => void,
 *   reject: (error: Error) => void }} Wait
 * @typedef {string | Uint8Array<ArrayBuffer>} Sent
 */

const DEADLINE_MS = 10_000;
const ASK_DEADLINE_MS = 5_000;
const MAX_HEARD = 1_000;

/** A connection was closed or refused; `code`: close code or HTTP status. */
export class ConnectionEnd extends Error {
  /**
   * @param {string} message
   * @param {number} code
   */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export class Caller {
  /** @type {Heard[]} the newest of all that came */
  heard = [];
  /** @type {Promise<CloseEvent>} */
  closed;
  /** Hears of all data that was sent. @type {(data: Sent) => void} */
  onSent = () => {};
  /** @type {Set<Wait>} */
  #waits = new Set();
  /** @type {Set<(heard: Heard) => void>} */
  #listeners = new Set();

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", (event) => {
        resolve(event);
        const { code, reason } = event;
        const words = `The connection was closed: ${code} ${reason}`;
        this.#fail(new ConnectionEnd(words, code));
      });
    });
  }

  /**
   * Connects. Throws an error whose message is a sentence for a person.
   *
   * @param {string} url
   * @param {string[]} subprotocols none: the plain dialect
   */
  static async open(url, ...subprotocols) {
    return new Caller(await Caller.openSocket(url, ...subprotocols));
  }

  /**
   * Connects as open() does, without reading the events that come.
   *
   * @param {string} url
   * @param {string[]} subprotocols
   */
  static async openSocket(url, ...subprotocols) {
    const socket = new WebSocket(url, subprotocols);
    const isOpen = await new Promise((resolve) => {
      socket.addEventListener("open", () => resolve(true));
      socket.addEventListener("close", () => resolve(false));
    });
    if (!isOpen) throw await explain(url);
    return socket;
  }

  /** @param {(heard: Heard) => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
  }

  /** @param {Sent} data */
  send(data) {
    this.socket.send(data);
    this.onSent(data);
  }

  /** @param {Event} event a request of the full dialect */
  request(event) {
    this.send(JSON.stringify(event));
  }

  /**
   * The first event of all that `isIt` accepts, past or future.
   *
   * @param {(event: Event) => boolean} isIt
   * @returns {Promise<Heard>}
   */
  until(isIt) {
    const known = this.heard.find(({ event }) => isIt(event));
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const wait = { isIt, resolve, reject };
      this.#waits.add(wait);
      setTimeout(() => {
        this.#waits.delete(wait);
        reject(new Error("The server did not answer within 10 seconds."));
      }, DEADLINE_MS);
    });
  }

  /** @param {string} text */
  untilSaid(text) {
    return this.until(({ type, message }) =>
      type === "message" && message === text
    );
  }

  close() {
    this.socket.close(1000, "the experiment is over");
  }

  /** @param {string} data */
  #take(data) {
    const atMs = performance.now();
    const bytes = new TextEncoder().encode(data).length;
    for (const event of [JSON.parse(data)].flat()) {
      const heard = { event, atMs, bytes };
      this.heard = [...this.heard, heard].slice(-MAX_HEARD);
      for (const listener of this.#listeners) listener(heard);
      for (const wait of this.#waits) {
        if (!wait.isIt(event)) continue;
        this.#waits.delete(wait);
        wait.resolve(heard);
      }
      if (event.type === "error") this.#fail(new Error(event.message));
    }
  }

  /** @param {Error} error */
  #fail(error) {
    for (const { reject } of this.#waits) reject(error);
    this.#waits.clear();
  }
}

/**
 * Lets an experiment open connections, and closes them all when it is over,
 * also when it failed.
 *
 * @template T
 * @param {(open: typeof Caller.open) => Promise<T>} experiment
 */
export async function withCallers(experiment) {
  /** @type {Caller[]} */
  const opened = [];
  try {
    return await experiment(async (...call) => {
      const caller = await Caller.open(...call);
      opened.push(caller);
      return caller;
    });
  } finally {
    for (const caller of opened) caller.close();
  }
}

/**
 * A browser does not say why a handshake failed; a GET of the address does.
 *
 * @param {string} url
 */
async function explain(url) {
  const error = await askWhy(url, AbortSignal.timeout(ASK_DEADLINE_MS));
  if (error === null) return new Error("The server does not answer.");
  return new ConnectionEnd(error.why, error.status);
}
