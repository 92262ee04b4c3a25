// @ts-check
// Messages that were written and are not yet known to be stored. A message
// keeps its id for as long as it is in here, however often it is sent, so the
// server stores it once. One message is under way at a time, so that a refusal
// does not let a later one overtake.

/** @import { KeptMessage, Memory } from "../shared/storage.js" */
/** @import { ServerError } from "./protocol.js" */
/** @import { Timer } from "./heartbeat.js" */

const MAX_ENTRIES = 64;
const ID_BYTES = 16;
// A shorter wait is over before anyone could read why.
const WORTH_TELLING_MS = 1_000;

/**
 * A message that `isRefused` waits for its writer to take it back.
 *
 * @typedef {KeptMessage} Entry
 */

/**
 * @typedef {object} Handlers
 * @property {(entry: Entry) => boolean} send false if not connected
 * @property {() => void} onChange
 */

/**
 * Replacements for tests.
 *
 * @typedef {object} Context
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} fillRandom
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Context} */
const realContext = {
  // Unlike randomUUID, this exists over plain http, too.
  fillRandom: (bytes) => void crypto.getRandomValues(bytes),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Outbox {
  #room;
  #memory;
  #handlers;
  #context;
  /** @type {Entry[]} */
  #entries;
  #isUp = false;
  /** @type {string | null} the id of the message that is under way */
  #underWay = null;
  /** @type {Timer | undefined} runs while the server wants us to wait */
  #timer = undefined;

  /**
   * Begins with the messages that the tab remembers from the last time.
   *
   * @param {string} room
   * @param {Memory} memory
   * @param {Handlers} handlers
   * @param {Partial<Context>} context
   */
  constructor(room, memory, handlers, context = {}) {
    this.#room = room;
    this.#memory = memory;
    this.#handlers = handlers;
    this.#context = { ...realContext, ...context };
    this.#entries = memory.getOutbox(room);
  }

  /** In the order in which they were written. */
  get entries() {
    return this.#entries;
  }

  /**
   * Takes a message, to be sent as soon as it can be. Returns false if too
   * many wait already.
   *
   * @param {string} text
   * @param {number} [replyTo] the seq of the message that it answers
   */
  add(text, replyTo) {
    if (this.#entries.length >= MAX_ENTRIES) return false;
    const id = createId(this.#context.fillRandom);
    /** @type {Entry} */
    const entry = { id, text, problem: null, isRefused: false };
    if (replyTo !== undefined) entry.replyTo = replyTo;
    this.#change([...this.#entries, entry]);
    this.#sendNext();
    return true;
  }

  /**
   * Takes a message out again and returns its text, if it is here.
   *
   * @param {string} id
   */
  takeBack(id) {
    const text = this.#entries.find((entry) => entry.id === id)?.text;
    this.stored(id);
    return text;
  }

  /** The connection is open, and we are welcome. */
  lineUp() {
    this.#isUp = true;
    this.#sendNext();
  }

  /**
   * The message under way may be lost: it is sent again when the connection is
   * back, but not sooner than the server said.
   */
  lineDown() {
    this.#isUp = false;
    this.#underWay = null;
  }

  /**
   * The server has the message with this id, whoever sent it.
   *
   * @param {string} id
   */
  stored(id) {
    if (!this.#has(id)) return;
    this.#change(this.#entries.filter((entry) => entry.id !== id));
    this.#answered(id);
  }

  /**
   * The server did not store this message: for now, or for ever if it names no
   * `retryAfter`. Returns false if it is not one of ours.
   *
   * @param {Pick<ServerError, "id" | "message" | "retryAfter">} error
   */
  refused({ id, message, retryAfter }) {
    if (id === null || !this.#has(id)) return false;
    const isRefused = retryAfter === null;
    if (isRefused || retryAfter >= WORTH_TELLING_MS) {
      const change = { problem: message, isRefused };
      this.#change(
        this.#entries.map((entry) =>
          entry.id === id ? { ...entry, ...change } : entry
        ),
      );
    }
    if (!isRefused) this.#pause(retryAfter);
    this.#answered(id);
    return true;
  }

  /** @param {string} id */
  #has(id) {
    return this.#entries.some((entry) => entry.id === id);
  }

  /** @param {string} id */
  #answered(id) {
    if (this.#underWay === id) this.#underWay = null;
    this.#sendNext();
  }

  #sendNext() {
    const isBusy = this.#underWay !== null || this.#timer !== undefined;
    if (!this.#isUp || isBusy) return;
    const next = this.#entries.find(({ isRefused }) => !isRefused);
    if (next !== undefined && this.#handlers.send(next)) {
      this.#underWay = next.id;
    }
  }

  /** @param {number} delayMs */
  #pause(delayMs) {
    this.#stopTimer();
    this.#timer = this.#context.setTimer(() => {
      this.#timer = undefined;
      this.#sendNext();
    }, delayMs);
  }

  #stopTimer() {
    if (this.#timer !== undefined) this.#context.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  /** @param {Entry[]} entries */
  #change(entries) {
    this.#entries = entries;
    this.#memory.setOutbox(this.#room, entries);
    this.#handlers.onChange();
  }
}

/** @param {Context["fillRandom"]} fillRandom */
function createId(fillRandom) {
  const bytes = new Uint8Array(ID_BYTES);
  fillRandom(bytes);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
