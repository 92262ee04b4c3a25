// @ts-check
// Owns the box in which a message is written. It never sends by itself: it
// asks. Invariant: the text leaves the box only when it was accepted; until
// then no event of the connection, and no reload, can take it away.

/** @import { Memory } from "./storage.js" */

const SHOW_REMAINING_BELOW = 200;

/**
 * @typedef {object} Parts
 * @property {HTMLFormElement} form
 * @property {HTMLTextAreaElement} box
 * @property {HTMLElement} grow around the box; style.css makes both as high as
 *   the text that it carries
 * @property {HTMLElement} remaining
 * @property {HTMLButtonElement} send disabled until there is a composer: the
 *   browser alone would send the form, and leave the room
 */

/**
 * @typedef {object} Handlers
 * @property {(text: string) => boolean} submit returns false to refuse the text
 * @property {() => void} onWrite someone wrote in the box
 */

export class Composer {
  #parts;
  #memory;
  #memoryKey;
  #handlers;

  /**
   * Begins with what the tab remembers of the last time.
   *
   * @param {Parts} parts
   * @param {string} room
   * @param {Memory} memory
   * @param {Handlers} handlers
   */
  constructor(parts, room, memory, handlers) {
    this.#parts = parts;
    this.#memory = memory;
    this.#memoryKey = `draft.${room}`;
    this.#handlers = handlers;
    parts.box.value ||= memory.get(this.#memoryKey) ?? "";
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    parts.box.addEventListener("keydown", (event) => this.#keyDown(event));
    parts.box.addEventListener("input", () => {
      this.#textChanged();
      if (this.#hasText) this.#handlers.onWrite();
    });
    this.#textChanged();
    parts.send.disabled = false;
  }

  /** @param {number} maxLength in UTF-16 units, so never above the server's */
  setMaxLength(maxLength) {
    this.#parts.box.maxLength = maxLength;
    this.#textChanged();
  }

  /**
   * Puts a text that could not be sent back, before what is in the box now.
   *
   * @param {string} text
   */
  putBack(text) {
    const { box } = this.#parts;
    box.value = this.#hasText ? `${text}\n${box.value}` : text;
    this.#textChanged();
    box.focus();
  }

  focus() {
    this.#parts.box.focus();
  }

  get #hasText() {
    return this.#parts.box.value.trim() !== "";
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    if (event.key !== "Enter" || event.shiftKey) return;
    // This Enter picks a word from an input method. Safari reports it after
    // the composition has ended; the old key code 229 gives it away.
    if (event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const { box } = this.#parts;
    if (this.#hasText && this.#handlers.submit(box.value)) {
      box.value = "";
      this.#textChanged();
    }
    box.focus();
  }

  #textChanged() {
    const { box, grow, remaining } = this.#parts;
    grow.dataset["text"] = box.value;
    this.#memory.set(this.#memoryKey, box.value);
    const left = box.maxLength - box.value.length;
    remaining.textContent = left < SHOW_REMAINING_BELOW
      ? `${left} characters left`
      : "";
  }
}
