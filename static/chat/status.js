// @ts-check
// The words that say how the connection is. Exactly one state is shown at any
// time, and a countdown runs only while the connection waits.

/** @import { State } from "../client/connection.js" */
/** @import { Kind } from "../client/ladder.js" */

/**
 * `closed`: there is no connection. `open`: there is one, of this `kind`.
 *
 * @typedef {Exclude<State, { name: "open" }> | { name: "open", kind: Kind }
 *   | { name: "closed" }} Shown
 */

const TICK_MS = 250;

/** @type {Record<Exclude<Shown["name"], "open">, string>} */
const WORDS = {
  connecting: "Connecting…",
  waiting: "Reconnecting",
  offline: "Offline: this device has no network",
  closed: "Not connected",
  takenOver: "Not connected: you continued in another tab",
  removed: "Not connected: you were removed from this room",
  refused: "Not connected",
  uninvited: "Not connected: an invitation is needed",
};

/** @type {Record<Kind, string>} */
const OPEN_WORDS = {
  websocket: "Connected",
  sse: "Connected without WebSocket: by Server-Sent Events",
  poll: "Connected without WebSocket: by long polling",
};

/** @type {Partial<Record<Shown["name"], string>>} */
const BUTTON_WORDS = {
  waiting: "Try now",
  offline: "Try now",
  takenOver: "Use here",
  refused: "Try again",
};

/**
 * The states in which a link explains how the last connection ended.
 *
 * @type {ReadonlySet<Shown["name"]>}
 */
const EXPLAINED = new Set([
  "waiting",
  "takenOver",
  "removed",
  "refused",
  "uninvited",
]);

/**
 * @typedef {object} Parts
 * @property {HTMLElement} page carries the state's name for chat.css
 * @property {HTMLElement} text
 * @property {HTMLElement} countdown
 * @property {HTMLElement} note
 * @property {HTMLElement} tryNow
 * @property {HTMLAnchorElement} explanation leads to the meaning of the code
 */

export class Status {
  #parts;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticker = undefined;

  /**
   * @param {Parts} parts
   * @param {() => void} onTryNow
   */
  constructor(parts, onTryNow) {
    this.#parts = parts;
    parts.tryNow.addEventListener("click", onTryNow);
  }

  /**
   * @param {Shown} state
   * @param {number | null} endCode why the last connection ended: a close
   *   code, or a status of HTTP
   */
  show(state, endCode = null) {
    const { page, text, countdown, note, tryNow } = this.#parts;
    clearInterval(this.#ticker);
    countdown.textContent = "";
    page.dataset["line"] = state.name;
    setText(text, wordsFor(state));
    if (state.name === "open") setText(note, "");
    const buttonWords = BUTTON_WORDS[state.name];
    tryNow.hidden = buttonWords === undefined;
    tryNow.textContent = buttonWords ?? "";
    this.#explain(EXPLAINED.has(state.name) ? endCode : null);
    if (state.name !== "waiting") return;
    // A screen reader speaks the server's wish with its countdown, but only
    // once.
    countdown.ariaLive = state.why === null ? "off" : null;
    this.#countDown(state);
  }

  /** @param {number | null} code */
  #explain(code) {
    const { explanation } = this.#parts;
    explanation.hidden = code === null;
    if (code === null) return;
    explanation.href = `close/${code}`;
    explanation.textContent = code < 1000
      ? `HTTP ${code} explained`
      : `Code ${code} explained`;
  }

  /**
   * Says one more thing, until the next connection is open.
   *
   * @param {string} words
   */
  note(words) {
    setText(this.#parts.note, words);
  }

  /** @param {{ delayMs: number, why: string | null }} wait */
  #countDown({ delayMs, why }) {
    const { countdown } = this.#parts;
    const end = performance.now() + delayMs;
    const words = () => {
      const time = timeLeft(end - performance.now());
      return why === null ? ` in ${time}` : ` Next try in ${time}.`;
    };
    setText(countdown, words());
    this.#ticker = setInterval(() => {
      if (countdown.textContent === words()) return;
      countdown.ariaLive = "off";
      setText(countdown, words());
    }, TICK_MS);
  }
}

/** @param {Shown} state */
function wordsFor(state) {
  if (state.name === "open") return OPEN_WORDS[state.kind];
  const why = state.name === "waiting" || state.name === "refused"
    ? state.why
    : null;
  return why ?? WORDS[state.name];
}

/** @param {number} ms */
function timeLeft(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return seconds <= 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}

/**
 * A screen reader speaks every text that is written anew, even the same words.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
