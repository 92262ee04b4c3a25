// @ts-check
// Finds out whether the connection still carries anything, because a dead
// network tells nobody that it is dead. There is at most one timer, and none
// while the heartbeat is stopped.

const SILENCE_MS = 20_000;
const ANSWER_WITHIN_MS = 10_000;

/** @typedef {ReturnType<typeof setTimeout>} Timer */

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

export class Heartbeat {
  #ask;
  #onDead;
  #context;
  /** @type {Timer | undefined} */
  #timer = undefined;
  /** @type {"stopped" | "listening" | "asked"} */
  #state = "stopped";

  /**
   * @param {() => void} ask sends something that will be answered
   * @param {() => void} onDead
   * @param {Partial<Context>} context
   */
  constructor(ask, onDead, context = {}) {
    this.#ask = ask;
    this.#onDead = onDead;
    this.#context = { ...realContext, ...context };
  }

  /** The connection is open, and a request that will be answered was sent. */
  start() {
    this.#wait("asked", ANSWER_WITHIN_MS, () => this.#dead());
  }

  /** Any frame at all came. */
  heard() {
    if (this.#state === "stopped") return;
    this.#wait("listening", SILENCE_MS, () => this.check());
  }

  /** Asks now, instead of after a silence. */
  check() {
    if (this.#state !== "listening") return;
    this.start();
    this.#ask();
  }

  stop() {
    this.#state = "stopped";
    this.#stopTimer();
  }

  #dead() {
    this.stop();
    this.#onDead();
  }

  /**
   * @param {"listening" | "asked"} state
   * @param {number} delayMs
   * @param {() => void} callback
   */
  #wait(state, delayMs, callback) {
    this.#state = state;
    this.#stopTimer();
    this.#timer = this.#context.setTimer(callback, delayMs);
  }

  #stopTimer() {
    if (this.#timer !== undefined) this.#context.clearTimer(this.#timer);
    this.#timer = undefined;
  }
}
