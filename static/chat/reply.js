// @ts-check
// Keeps which message the next one answers: a bar above the box says it until
// the next message is written, or the answer is given up. It also makes the
// quote of a message that an answer shows.

/** @import { Entry } from "./line.js" */
/** @import { Message } from "../client/protocol.js" */

/** @typedef {Extract<Entry, { type: "message" }>} MessageEntry */

/** Characters of a message that a quote shows. */
const QUOTE_CHARS = 80;

/**
 * @typedef {object} Parts
 * @property {HTMLElement} bar
 * @property {HTMLElement} words the answered message
 * @property {HTMLButtonElement} cancel
 * @property {HTMLTextAreaElement} box in which the answer is written
 */

export class Reply {
  #parts;
  /** @type {MessageEntry | null} */
  #message = null;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
    parts.cancel.addEventListener("click", () => {
      this.#show(null);
      parts.box.focus();
    });
    parts.box.addEventListener("keydown", ({ key, isComposing }) => {
      if (key === "Escape" && !isComposing) this.#show(null);
    });
  }

  /** @param {MessageEntry} message */
  to(message) {
    this.#show(message);
    this.#parts.box.focus();
  }

  /** The seq of the message that is answered, if one is. */
  get seq() {
    return this.#message?.seq;
  }

  /** The answer is on its way. */
  done() {
    this.#show(null);
  }

  /**
   * The history is another one, or this message was deleted.
   *
   * @param {number} [seq] none for all
   */
  forget(seq) {
    if (seq === undefined || seq === this.seq) this.#show(null);
  }

  /** @param {MessageEntry | null} message */
  #show(message) {
    const { bar, words } = this.#parts;
    this.#message = message;
    bar.hidden = message === null;
    words.textContent = message === null ? "" : quoteOf(message);
  }
}

/**
 * The sender and the beginning of a message, in one line.
 *
 * @param {Pick<Message, "sender" | "message" | "isDeleted">} message
 */
export function quoteOf({ sender, message, isDeleted }) {
  if (isDeleted) return `${sender}: (deleted)`;
  // By characters: half of one would be shown as a question mark.
  const characters = [...message.slice(0, 4 * QUOTE_CHARS)];
  const beginning = characters.slice(0, QUOTE_CHARS).join("");
  const isWhole = beginning.length === message.length;
  // The marks around code say nothing in one line.
  const words = beginning.replaceAll("```", " ").split(/\s+/).join(" ").trim();
  return `${sender}: ${words}${isWhole ? "" : "…"}`;
}
