// @ts-check
// Decides which comings and goings are shown. Somebody whose connection broke
// is often back a moment later, and nobody needs to read of that: a leave is
// shown only when the person has not come back after a while.

/** @import { Join, Leave } from "../client/protocol.js" */
/** @import { Timer } from "../client/heartbeat.js" */

/** A person who comes back within this time is not mentioned. */
export const BACK_WITHIN_MS = 5_000;

/**
 * The people who came into the room, and who left it, at about one time.
 *
 * @typedef {{ type: "presence", came: string[], left: string[], at: Date }} Entry
 */

/**
 * Replacements for tests.
 *
 * @typedef {object} Context
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Context} */
const realContext = {
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Presence {
  #onShow;
  #context;
  /** @type {Map<string, { at: Date, timer: Timer }>} may come back */
  #gone = new Map();

  /**
   * @param {(entry: Entry) => void} onShow
   * @param {Partial<Context>} context
   */
  constructor(onShow, context = {}) {
    this.#onShow = onShow;
    this.#context = { ...realContext, ...context };
  }

  /**
   * @param {Join} join
   * @param {string | null} ownName nobody is told that they came themselves
   */
  came({ sender, others }, ownName) {
    const came = [sender, ...others].filter((name) => {
      const isBack = this.#takeBack(name) !== undefined;
      return name !== ownName && !isBack;
    });
    if (came.length === 0) return;
    this.#onShow({ type: "presence", came, left: [], at: new Date() });
  }

  /** @param {Leave} leave */
  left({ sender, at }) {
    this.#takeBack(sender);
    const timer = this.#context.setTimer(
      () => this.#show(sender),
      BACK_WITHIN_MS,
    );
    this.#gone.set(sender, { at, timer });
  }

  /** Our connection has ended: we would not hear of a person who comes back. */
  lineDown() {
    for (const name of [...this.#gone.keys()]) this.#show(name);
  }

  /** @param {string} name */
  #show(name) {
    const gone = this.#takeBack(name);
    if (gone === undefined) return;
    this.#onShow({ type: "presence", came: [], left: [name], at: gone.at });
  }

  /** @param {string} name */
  #takeBack(name) {
    const gone = this.#gone.get(name);
    if (gone !== undefined) this.#context.clearTimer(gone.timer);
    this.#gone.delete(name);
    return gone;
  }
}
