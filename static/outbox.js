// @ts-check
// Owns what was written and is not yet known to be stored. It never touches
// the socket or the page. Invariant: a message keeps its id for as long as it
// is in here, however often it is sent, so the server stores it once; and one
// is under way at a time, so a refusal never lets a later one overtake.

/** @import { Memory } from "./storage.js" */
/** @import { Timer } from "./heartbeat.js" */

const MAX_ENTRIES = 64;
const ID_BYTES = 16;
// A shorter wait is over before anyone could read why.
const WORTH_TELLING_MS = 1_000;

/**
 * `problem`: the server's last word on it. `isRefused`: it will not be sent
 * again, and waits for its writer to take it back.
 *
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} text
 * @property {string | null} problem
 * @property {boolean} isRefused
 */

/**
 * What the server said instead of storing a message.
 *
 * @typedef {object} Refusal
 * @property {string | null} id
 * @property {string} message
 * @property {number | null} retryAfter in ms; null if it is not to be retried
 */

/**
 * @typedef {object} Handlers
 * @property {(entry: Entry) => boolean} send false if the line is down
 * @property {() => void} onChange
 */

/**
 * What a test may put in the place of the real thing.
 *
 * @typedef {object} Surroundings
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} fillRandom
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Surroundings} */
const realSurroundings = {
  // Unlike randomUUID, this exists over plain http, too.
  fillRandom: (bytes) => void crypto.getRandomValues(bytes),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Outbox {
  #memory;
  #memoryKey;
  #handlers;
  #surroundings;
  /** @type {Entry[]} */
  #entries;
  #isUp = false;
  /** @type {string | null} the id of the message that is under way */
  #underWay = null;
  /** @type {Timer | undefined} runs while the server wants us to wait */
  #timer = undefined;

  /**
   * Begins with what the tab remembers of the last time.
   *
   * @param {string} room
   * @param {Memory} memory
   * @param {Handlers} handlers
   * @param {Partial<Surroundings>} surroundings
   */
  constructor(room, memory, handlers, surroundings = {}) {
    this.#memory = memory;
    this.#memoryKey = `outbox.${room}`;
    this.#handlers = handlers;
    this.#surroundings = { ...realSurroundings, ...surroundings };
    this.#entries = readEntries(memory.get(this.#memoryKey));
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
   */
  add(text) {
    if (this.#entries.length >= MAX_ENTRIES) return false;
    const id = createId(this.#surroundings.fillRandom);
    const entry = { id, text, problem: null, isRefused: false };
    this.#change([...this.#entries, entry]);
    this.#sendNext();
    return true;
  }

  /**
   * Takes one out again and returns its text, if it is here.
   *
   * @param {string} id
   */
  takeBack(id) {
    const text = this.#entries.find((entry) => entry.id === id)?.text;
    this.stored(id);
    return text;
  }

  /** The line is up, and we are welcome. */
  lineUp() {
    this.#isUp = true;
    this.#sendNext();
  }

  /**
   * What was under way may be lost: it is sent again when the line is up, but
   * not sooner than the server said.
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
   * The server did not store this message, now or for ever. Returns false if
   * it is not one of ours.
   *
   * @param {Refusal} refusal
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
    this.#timer = this.#surroundings.setTimer(() => {
      this.#timer = undefined;
      this.#sendNext();
    }, delayMs);
  }

  #stopTimer() {
    if (this.#timer !== undefined) this.#surroundings.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  /** @param {Entry[]} entries */
  #change(entries) {
    this.#entries = entries;
    this.#memory.set(this.#memoryKey, JSON.stringify(entries));
    this.#handlers.onChange();
  }
}

/** @param {Surroundings["fillRandom"]} fillRandom */
function createId(fillRandom) {
  const bytes = new Uint8Array(ID_BYTES);
  fillRandom(bytes);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string | null} json
 * @returns {Entry[]}
 */
function readEntries(json) {
  try {
    return JSON.parse(json ?? "[]");
  } catch {
    return [];
  }
}
