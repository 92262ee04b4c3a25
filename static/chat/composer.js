// @ts-check
// The box in which a message is written. The text leaves the box only when it
// was accepted for sending; until then no event of the connection, and no
// reload, can take it away.

import { charactersLeft } from "../client/protocol.js";
import { mediaQuery } from "../shared/dom.js";
import { CodeOffer, isInFence } from "./code_offer.js";
import { NameOffer } from "./name_offer.js";

/** @import { Limits } from "../client/protocol.js" */
/** @import { Memory } from "../shared/storage.js" */

const TOO_LONG =
  "This message is too long to be sent. Shorten it, or send it in parts.";
// The number of characters too many stands right above already.
const NOT_SENT =
  "Not sent: the message is too long. Shorten it, or send it in parts.";
const SHOW_REMAINING_BELOW = 200;
const HAS_MOUSE = "(hover: hover) and (pointer: fine)";
// More than seven lines of the widest box can hold.
const MAX_GROWING_LENGTH = 4_000;

/**
 * @typedef {object} Parts
 * @property {HTMLFormElement} form
 * @property {HTMLTextAreaElement} box
 * @property {HTMLElement} grow around the box; chat.css makes both as high as
 *   the text that it carries
 * @property {HTMLElement} remaining how long the text may still get
 * @property {HTMLElement} problem why it cannot be sent, also spoken
 * @property {HTMLElement} codeOffer appears when several lines were pasted
 * @property {HTMLButtonElement} codeButton marks them as code
 * @property {HTMLElement} nameOffer the names that an "@" may become
 * @property {HTMLButtonElement} send disabled until there is a composer: the
 *   browser alone would send the form, and leave the room
 */

/**
 * @typedef {object} Handlers
 * @property {(text: string) => boolean} submit returns false to refuse the text
 * @property {() => void} onWrite someone wrote in the box
 * @property {() => string[]} names of people who can be spoken to
 */

export class Composer {
  #parts;
  #memory;
  #memoryKey;
  #handlers;
  /** @type {Limits | null} null until the server has told */
  #limits = null;
  #codeOffer;

  /**
   * Begins with the text that the tab remembers from the last time.
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
    const { box, codeOffer: offer, codeButton: button } = parts;
    this.#codeOffer = new CodeOffer(
      { box, offer, button },
      () => this.#textChanged(),
    );
    // Before our own listener for keys: it takes Enter while it offers a name.
    new NameOffer(
      { box, list: parts.nameOffer },
      handlers.names,
      () => this.#textChanged(),
    );
    parts.box.value ||= memory.get(this.#memoryKey) ?? "";
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    parts.box.addEventListener("keydown", (event) => this.#keyDown(event));
    parts.box.addEventListener("input", () => {
      this.#textChanged();
      if (this.#hasText) this.#handlers.onWrite();
    });
    this.#textChanged();
    parts.send.disabled = false;
  }

  /** @param {Limits} limits */
  setLimits(limits) {
    this.#limits = limits;
    this.#textChanged();
  }

  /**
   * Puts back a text that could not be sent, before the text in the box now.
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

  /**
   * Takes the focus if nothing has it yet, but not where that would open a
   * keyboard over the page.
   */
  focusOnComputer() {
    const { activeElement: active } = document;
    const isFree = active === null || active === document.body;
    if (isFree && mediaQuery(HAS_MOUSE).matches) this.focus();
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
    const { value, selectionStart } = this.#parts.box;
    // A block of code has several lines, and this begins the next.
    if (isInFence(value.slice(0, selectionStart))) return;
    event.preventDefault();
    this.send();
  }

  /** Sends the text in the box; a text that is not accepted stays there. */
  send() {
    const { box, problem } = this.#parts;
    if (this.#left < 0) {
      problem.textContent = NOT_SENT;
    } else if (this.#hasText && this.#handlers.submit(box.value)) {
      box.value = "";
      this.#codeOffer.withdraw();
      this.#textChanged();
    }
    box.focus();
  }

  /** The box does not cut a text: the end of a pasted one would be lost. */
  get #left() {
    if (this.#limits === null) return Infinity;
    return charactersLeft(this.#parts.box.value, this.#limits);
  }

  #textChanged() {
    const { box, grow, problem, remaining } = this.#parts;
    grow.dataset["text"] = box.value.slice(0, MAX_GROWING_LENGTH);
    this.#memory.set(this.#memoryKey, box.value);
    const left = this.#left;
    const isTooLong = left < 0;
    remaining.textContent = isTooLong
      ? `${characters(-left)} too many`
      : left < SHOW_REMAINING_BELOW
      ? `${characters(left)} left`
      : "";
    remaining.classList.toggle("problem", isTooLong);
    if (isTooLong) box.setAttribute("aria-invalid", "true");
    else box.removeAttribute("aria-invalid");
    const words = isTooLong ? TOO_LONG : "";
    // A screen reader speaks text that is written anew: once, not at each key.
    if (problem.textContent !== words) problem.textContent = words;
  }
}

/** @param {number} count */
function characters(count) {
  const noun = count === 1 ? "character" : "characters";
  return `${count.toLocaleString("en")} ${noun}`;
}
