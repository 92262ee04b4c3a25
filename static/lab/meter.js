// @ts-check
// Counts what one way of talking costs: requests, and bytes of two kinds,
// headers and framing against content. Everything is counted once, when it is
// known; heads.js says how large the heads are that a page cannot see.

import { frameHeaderBytes, utf8Bytes } from "../shared/framing.js";
import { eventFramingBytes, responseHeadBytes } from "./bytes.js";

/** @import { Heads } from "./heads.js" */

/**
 * `opens`: requests that open a socket or a stream. `posts`: requests that say
 * something. `polls`: requests for news; `fullPolls`: polls with news.
 * `pushes`: frames or events that nobody asked for. Bytes are of both
 * directions; `openingBytes` are those of `framingBytes` that opened a socket
 * or a stream.
 *
 * @typedef {object} Cost
 * @property {number} opens
 * @property {number} posts
 * @property {number} polls
 * @property {number} fullPolls
 * @property {number} pushes
 * @property {number} framingBytes
 * @property {number} openingBytes
 * @property {number} contentBytes
 */

// The server's `retry: 1000`, before the first event.
const FIRST_EVENT_LINE_BYTES = 13;

export class Meter {
  #heads;
  #isOn = true;
  // POSTs that wait for an answer.
  #unanswered = 0;
  #onAnswered = () => {};
  /** @type {Cost} */
  cost = {
    opens: 0,
    posts: 0,
    polls: 0,
    fullPolls: 0,
    pushes: 0,
    framingBytes: 0,
    openingBytes: 0,
    contentBytes: 0,
  };

  /** @param {Heads} heads */
  constructor(heads) {
    this.#heads = heads;
  }

  /** From here on nothing counts. */
  stop() {
    this.#isOn = false;
  }

  /** A WebSocket was opened. */
  socketOpened() {
    const { up, down } = this.#heads.handshake;
    this.#opened(up + down);
  }

  /** @param {string} text of a frame from here */
  frameSent(text) {
    this.#frame(text, true);
  }

  /** @param {string} text of a frame from the server */
  frameCame(text) {
    this.#add({ pushes: 1 });
    this.#frame(text, false);
  }

  /**
   * A stream of events was opened.
   *
   * @param {string} url
   */
  streamOpened(url) {
    const { up, down } = this.#heads.stream;
    this.#opened(up + pathBytes(url) + down + FIRST_EVENT_LINE_BYTES);
  }

  /**
   * @param {string} event as JSON
   * @param {string} epoch
   */
  eventCame(event, epoch) {
    this.#add({
      pushes: 1,
      framingBytes: eventFramingBytes(event, epoch),
      contentBytes: utf8Bytes(event),
    });
  }

  /**
   * A request leaves.
   *
   * @param {string} url
   * @param {RequestInit} init
   */
  asked(url, { method, headers, body }) {
    const isPost = method === "POST";
    const key = new Headers(headers).get("partyline-key") ?? "";
    const head = isPost ? this.#heads.postUp + key.length : this.#heads.pollUp;
    if (isPost) this.#unanswered++;
    this.#add({
      posts: isPost ? 1 : 0,
      polls: isPost ? 0 : 1,
      framingBytes: head + pathBytes(url),
      contentBytes: utf8Bytes(String(body ?? "")),
    });
  }

  /**
   * Its answer came.
   *
   * @param {RequestInit} init
   * @param {Response} response
   * @param {string} body of the response
   */
  answered({ method }, response, body) {
    const isPost = method === "POST";
    if (isPost) this.#unanswered--;
    if (this.#unanswered === 0) this.#onAnswered();
    this.#add({
      fullPolls: !isPost && body.trim() !== "[]" ? 1 : 0,
      framingBytes: responseHeadBytes(response),
      contentBytes: utf8Bytes(body),
    });
  }

  /**
   * Resolves when each POST is answered: a message may have arrived before.
   *
   * @returns {Promise<void>}
   */
  settle() {
    return new Promise((resolve) => {
      this.#onAnswered = resolve;
      if (this.#unanswered === 0) resolve();
    });
  }

  /** @param {number} bytes */
  #opened(bytes) {
    this.#add({ opens: 1, framingBytes: bytes, openingBytes: bytes });
  }

  /**
   * @param {string} text
   * @param {boolean} isMasked
   */
  #frame(text, isMasked) {
    const contentBytes = utf8Bytes(text);
    const framingBytes = frameHeaderBytes(contentBytes, isMasked);
    this.#add({ contentBytes, framingBytes });
  }

  /** @param {Partial<Cost>} cost */
  #add(cost) {
    if (!this.#isOn) return;
    for (const [name, count] of Object.entries(cost)) {
      this.cost[/** @type {keyof Cost} */ (name)] += count;
    }
  }
}

/** @param {string} url */
function pathBytes(url) {
  const { pathname, search } = new URL(url);
  return (pathname + search).length;
}
