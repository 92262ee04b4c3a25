// @ts-check
// Tells the others that this person types, and shows which of them do; nobody
// is told what is typed. It tells at most once in 3 s, and shows a name for at
// most 4 s after the last event about it.

/** @import { Timer } from "../client/heartbeat.js" */

const TELL_EVERY_MS = 3_000;
const SHOW_FOR_MS = 4_000;
// More typists than are named: a storm of them is still "people".
const MAX_TYPISTS = 50;
const MAX_NAMED = 2;
// On a phone two short names fit beside the status, in two lines.
const MAX_NAMED_CHARS = 16;

/**
 * Replacements for tests.
 *
 * @typedef {object} Context
 * @property {() => number} now in milliseconds
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Context} */
const realContext = {
  now: () => performance.now(),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Typing {
  #tell;
  #show;
  #context;
  #toldAt = -Infinity;
  /** @type {Map<string, Timer>} each typist's end */
  #typists = new Map();

  /**
   * @param {() => boolean} tell tells the others; false if not connected
   * @param {(words: string) => void} show
   * @param {Partial<Context>} context
   */
  constructor(tell, show, context = {}) {
    this.#tell = tell;
    this.#show = show;
    this.#context = { ...realContext, ...context };
  }

  /** We wrote something. */
  wrote() {
    const now = this.#context.now();
    if (now - this.#toldAt < TELL_EVERY_MS) return;
    if (this.#tell()) this.#toldAt = now;
  }

  /** @param {string} name */
  started(name) {
    const { setTimer } = this.#context;
    this.#stopTimer(name);
    if (this.#typists.size >= MAX_TYPISTS) return;
    const timer = setTimer(() => this.stopped(name), SHOW_FOR_MS);
    this.#typists.set(name, timer);
    this.#update();
  }

  /**
   * Their message came, or they left the room.
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
   * Returns false if this person has no timer.
   *
   * @param {string} name
   */
  #stopTimer(name) {
    const timer = this.#typists.get(name);
    if (timer !== undefined) this.#context.clearTimer(timer);
    return this.#typists.delete(name);
  }

  #update() {
    this.#show(describe([...this.#typists.keys()]));
  }
}

/** @param {string[]} names */
function describe(names) {
  if (names.length === 0) return "";
  const [name] = names;
  if (names.length === 1) return `${name} is typing…`;
  const words = names.join(" and ");
  const areNamed = names.length <= MAX_NAMED && words.length <= MAX_NAMED_CHARS;
  return `${areNamed ? words : names.length} are typing…`;
}
