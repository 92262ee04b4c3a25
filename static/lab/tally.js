// @ts-check
// Keeps the moments of the messages of one way: sent, received, and overheard
// by a member that listens by WebSocket. The third tells sending and receiving
// apart. The tally also knows when sender and receiver have every message.

/** @import { Result } from "./work.js" */

/** @typedef {{ sentMs: number, receivedMs?: number, overheardMs?: number }} Times */

export class Tally {
  #result;
  #name;
  #expected;
  /** @type {Map<string, Times>} by the message's id */
  #times = new Map();
  /** @type {Set<string>} */
  #heardBySender = new Set();
  /** @type {Set<string>} */
  #heardByReceiver = new Set();
  /** @type {PromiseWithResolvers<void>} */
  #all = Promise.withResolvers();

  /**
   * @param {Result} result that is filled
   * @param {string} name that the ids of all messages begin with
   * @param {number} expected messages that each of the two has to receive
   */
  constructor(result, name, expected) {
    this.#result = result;
    this.#name = `${name}-`;
    this.#expected = expected;
    this.#all.promise.catch(() => {});
  }

  /** Resolves when both have received every message. */
  get all() {
    return this.#all.promise;
  }

  /** @param {string} why not all can arrive */
  fail(why) {
    this.#all.reject(new Error(why));
  }

  /** @param {string} id */
  sent(id) {
    this.#times.set(id, { sentMs: performance.now() });
  }

  /**
   * @param {string} id
   * @returns {boolean} whether it is the sender's, and not one of the others'
   */
  received(id) {
    const nowMs = performance.now();
    const times = this.#times.get(id);
    const isNew = times !== undefined && times.receivedMs === undefined;
    if (isNew) {
      times.receivedMs = nowMs;
      this.#result.latencies.push(nowMs - times.sentMs);
      this.#split(times);
    }
    this.#count(this.#heardByReceiver, id);
    return isNew;
  }

  /** @param {string} id */
  overheard(id) {
    const times = this.#times.get(id);
    if (times === undefined || times.overheardMs !== undefined) return;
    times.overheardMs = performance.now();
    this.#split(times);
  }

  /** @param {string} id */
  cameBack(id) {
    this.#count(this.#heardBySender, id);
  }

  /** @param {Times} times */
  #split({ sentMs, receivedMs, overheardMs }) {
    if (receivedMs === undefined || overheardMs === undefined) return;
    this.#result.sendings.push(overheardMs - sentMs);
    this.#result.receivings.push(receivedMs - overheardMs);
  }

  /**
   * @param {Set<string>} heard
   * @param {string} id
   */
  #count(heard, id) {
    if (!id.startsWith(this.#name)) return;
    heard.add(id);
    this.#result.heard = this.#heardBySender.size + this.#heardByReceiver.size;
    if (this.#result.heard === 2 * this.#expected) this.#all.resolve();
  }
}
