// @ts-check
// The members who talk only to make the room busy. They stay in the room for a
// whole run. For each way they say the same number of messages at the same
// moments, so that each way has the same work, and no talker says more than two
// messages a second or half of the server's rate for one connection.

import { SUBPROTOCOL } from "../client/protocol.js";
import { within } from "./time.js";

/** Messages of each talker in a second, at most. */
export const TALK_PER_SECOND = 2;

const JOINS_WITHIN_MS = 10_000;

/**
 * `phase`: 0 to 1, so that they do not all talk at the same moment.
 *
 * @typedef {object} Talker
 * @property {WebSocket} socket
 * @property {number} everyMs
 * @property {number} phase
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

export class Load {
  /** @type {Set<WebSocket>} */
  #sockets = new Set();
  /** @type {Talker[]} */
  #talkers = [];

  /**
   * Resolves when each of them is in the room or could not get in.
   *
   * @param {number} count
   * @param {string} url
   * @param {AbortSignal} signal
   * @returns {Promise<number>} how many are in
   */
  async join(count, url, signal) {
    const joining = Array.from({ length: count }, () => this.#add(url));
    const words = "The others did not get into the room within 10 seconds.";
    await within(Promise.all(joining), JOINS_WITHIN_MS, words, signal);
    return this.#talkers.length;
  }

  /**
   * Lets them talk, from now on for `spanMs`.
   *
   * @param {string} name that the ids of these messages begin with
   * @param {number} spanMs
   * @returns {number} how many messages there will be
   */
  talk(name, spanMs) {
    this.rest();
    let total = 0;
    for (const [i, talker] of this.#talkers.entries()) {
      const count = countOf(talker, spanMs);
      if (count > 0) say(talker, `${name}-other-${i}`, count);
      total += count;
    }
    return total;
  }

  /** Drops the messages that the talkers have not said yet. */
  rest() {
    for (const { timer } of this.#talkers) clearTimeout(timer);
  }

  leave() {
    this.rest();
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
    this.#talkers = [];
  }

  /**
   * @param {string} url
   * @returns {Promise<void>}
   */
  #add(url) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#sockets.add(socket);
    socket.addEventListener("open", () => {
      socket.send('{"type":"hello","history":0}');
    });
    return new Promise((resolve) => {
      socket.addEventListener("close", () => resolve());
      // The first frame is the welcome; no later one is read.
      socket.addEventListener("message", ({ data }) => {
        resolve();
        if (!this.#sockets.has(socket)) return;
        const everyMs = talkEveryMs(JSON.parse(data)[0].limits.rate);
        this.#talkers.push({ socket, everyMs, phase: Math.random() });
      }, { once: true });
    });
  }
}

/**
 * @param {Talker} talker
 * @param {number} spanMs
 */
function countOf({ everyMs, phase }, spanMs) {
  return Math.max(0, Math.ceil(spanMs / everyMs - phase));
}

/**
 * @param {Talker} talker
 * @param {string} name
 * @param {number} count
 */
function say(talker, name, count) {
  const { socket, everyMs, phase } = talker;
  const beganMs = performance.now();
  let said = 0;
  const wait = () => {
    const atMs = beganMs + (phase + said) * everyMs;
    talker.timer = setTimeout(next, atMs - performance.now());
  };
  const next = () => {
    const id = `${name}-${said++}`;
    const message = `Talk in the background, ${said}`;
    socket.send(JSON.stringify({ type: "message", id, message }));
    if (said < count) wait();
  };
  wait();
}

/**
 * @param {number} rate messages a second that the server allows; 0: no limit
 */
export function talkEveryMs(rate) {
  const perSecond = rate === 0
    ? TALK_PER_SECOND
    : Math.min(TALK_PER_SECOND, rate / 2);
  return 1_000 / perSecond;
}
