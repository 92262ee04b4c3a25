// @ts-check
// Owns who is typing: telling the others that we are, and saying who of them
// is. It never sees what is typed. Invariant: at most one word about us every
// 3 s; nobody is named for longer than 4 s after the last word about them.

/** @import { Timer } from "./heartbeat.js" */

const TELL_EVERY_MS = 3_000;
const SHOW_FOR_MS = 4_000;
// More than are named. A storm of them is still "people".
const MAX_TYPISTS = 50;
const MAX_NAMED = 2;

/**
 * What a test may put in the place of the real thing.
 *
 * @typedef {object} Surroundings
 * @property {() => number} now in milliseconds
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Surroundings} */
const realSurroundings = {
  now: () => performance.now(),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Typing {
  #tell;
  #show;
  #surroundings;
  #toldAt = -Infinity;
  /** @type {Map<string, Timer>} each typist's end */
  #typists = new Map();

  /**
   * @param {() => boolean} tell tells the others; false if the line is down
   * @param {(words: string) => void} show
   * @param {Partial<Surroundings>} surroundings
   */
  constructor(tell, show, surroundings = {}) {
    this.#tell = tell;
    this.#show = show;
    this.#surroundings = { ...realSurroundings, ...surroundings };
  }

  /** We wrote something. */
  wrote() {
    const now = this.#surroundings.now();
    if (now - this.#toldAt < TELL_EVERY_MS) return;
    if (this.#tell()) this.#toldAt = now;
  }

  /** @param {string} name */
  started(name) {
    const { setTimer } = this.#surroundings;
    this.#stopTimer(name);
    if (this.#typists.size >= MAX_TYPISTS) return;
    const timer = setTimer(() => this.stopped(name), SHOW_FOR_MS);
    this.#typists.set(name, timer);
    this.#update();
  }

  /**
   * Their message came, or they left.
   *
   * @param {string} name
   */
  stopped(name) {
    if (this.#stopTimer(name)) this.#update();
  }

  /** Forgets everyone. */
  clear() {
    for (const name of [...this.#typists.keys()]) this.stopped(name);
  }

  /**
   * Returns false if there is none.
   *
   * @param {string} name
   */
  #stopTimer(name) {
    const timer = this.#typists.get(name);
    if (timer !== undefined) this.#surroundings.clearTimer(timer);
    return this.#typists.delete(name);
  }

  #update() {
    this.#show(describe([...this.#typists.keys()]));
  }
}

/** @param {string[]} names */
function describe(names) {
  if (names.length === 0) return "";
  if (names.length > MAX_NAMED) return `${names.length} people are typing…`;
  return `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing…`;
}
