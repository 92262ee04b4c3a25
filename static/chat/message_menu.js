// @ts-check
// The menu of one message: answer it, copy it, copy a link that leads to it,
// delete it after one more question. Each message has a button that opens the
// one menu. The Tab key reaches one of all these buttons; from there the arrow
// keys lead to the others.

import { copyText } from "../shared/clipboard.js";
import { entryOf } from "./line.js";
import { quoteOf } from "./reply.js";

/** @import { MessageEntry } from "./reply.js" */

const BUTTON = ".line-menu";
/** Where each key leads in a row of buttons. */
const STEPS = /** @type {const} */ ({
  ArrowUp: -1,
  ArrowDown: 1,
  Home: -Infinity,
  End: Infinity,
});

/**
 * @typedef {object} Parts
 * @property {HTMLElement} list the lines
 * @property {HTMLElement} menu a popover
 * @property {HTMLElement} words whose message it is
 * @property {HTMLButtonElement} reply
 * @property {HTMLButtonElement} copy
 * @property {HTMLButtonElement} link
 * @property {HTMLButtonElement} remove leads to the question
 * @property {HTMLElement} question whether to delete it, in the buttons' place
 * @property {HTMLButtonElement} removeNow
 * @property {HTMLButtonElement} keep
 * @property {HTMLElement} note the outcome, also for a screen reader
 */

/**
 * @typedef {object} Handlers
 * @property {(message: MessageEntry) => void} reply
 * @property {(message: MessageEntry) => boolean} remove false if it cannot be
 *   asked for now
 * @property {(message: MessageEntry) => string} linkTo its address
 */

export class MessageMenu {
  #parts;
  /** @type {Element | null} the button that the Tab key reaches */
  #reached = null;
  /** @type {Element | null} the button that opened the menu */
  #opener = null;

  /**
   * @param {Parts} parts
   * @param {Handlers} handlers
   */
  constructor(parts, handlers) {
    const { list, menu, reply, copy, link } = parts;
    const { remove, question, removeNow, keep } = parts;
    this.#parts = parts;
    list.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest(BUTTON) : null;
      if (button !== null) this.#open(button);
    });
    list.addEventListener("keydown", (event) => this.#keyDown(event));
    new MutationObserver(() => this.#keepOneReached())
      .observe(list, { childList: true });
    menu.addEventListener("toggle", (event) => {
      const { newState } = /** @type {ToggleEvent} */ (event);
      // The words of a deleted message must not stay here.
      if (newState === "closed") this.#parts.words.textContent = "";
    });
    reply.addEventListener("click", () => {
      const message = this.#message;
      menu.hidePopover();
      if (message !== undefined) handlers.reply(message);
    });
    copy.addEventListener("click", () => {
      this.#copy(this.#message?.message ?? "");
    });
    link.addEventListener("click", () => {
      const message = this.#message;
      if (message !== undefined) this.#copy(handlers.linkTo(message));
    });
    menu.addEventListener("mousedown", (event) => {
      // The second press of a double click must not take the focus away.
      if (!question.hidden) event.preventDefault();
    });
    remove.addEventListener("click", () => this.#askAgain());
    removeNow.addEventListener("click", () => this.#remove(handlers));
    keep.addEventListener("click", () => menu.hidePopover());
  }

  /** @param {Element} button */
  #open(button) {
    const entry = entryOf(button.closest("li"));
    if (entry?.type !== "message") return;
    const { menu, words, reply, copy, link, remove, question, note } =
      this.#parts;
    this.#opener = button;
    this.#reach(button);
    words.textContent = quoteOf(entry);
    note.textContent = "";
    for (const action of [reply, copy, link]) action.hidden = false;
    remove.hidden = !entry.isMine;
    question.hidden = true;
    menu.style.minHeight = "";
    menu.showPopover();
    this.#place(button);
  }

  /**
   * Below the button, or above it where there is no space below.
   *
   * @param {Element} button
   */
  #place(button) {
    const { menu } = this.#parts;
    const { top, bottom, right } = button.getBoundingClientRect();
    const { offsetHeight: height, offsetWidth: width } = menu;
    const isBelow = bottom + height < innerHeight;
    menu.style.top = `${Math.max(0, isBelow ? bottom : top - height)}px`;
    menu.style.left = `${Math.max(0, right - width)}px`;
    this.#parts.reply.focus();
  }

  /** The menu's message; none if it was deleted while the menu was open. */
  get #message() {
    const entry = entryOf(this.#opener?.closest("li") ?? null);
    const isHere = this.#opener?.isConnected && entry?.type === "message";
    return isHere ? entry : undefined;
  }

  /** @param {string} text */
  async #copy(text) {
    const { note } = this.#parts;
    const isCopied = await copyText(text);
    note.textContent = isCopied ? "Copied." : "It could not be copied.";
  }

  /** @param {Handlers} handlers */
  #remove(handlers) {
    const { menu, note } = this.#parts;
    const message = this.#message;
    if (message === undefined || handlers.remove(message)) menu.hidePopover();
    else {note.textContent =
        "Not connected: the message was not deleted. Try again.";}
  }

  /**
   * The question stands above the place of the button that led to it, and the
   * menu stays as high as it was: the second press of a double click deletes
   * nothing.
   */
  #askAgain() {
    const { menu, reply, copy, link, remove, question, keep, note } =
      this.#parts;
    menu.style.minHeight = `${menu.offsetHeight}px`;
    for (const action of [reply, copy, link, remove]) action.hidden = true;
    note.textContent = "";
    question.hidden = false;
    keep.focus();
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    const { target, key } = event;
    if (!(target instanceof Element) || !target.matches(BUTTON)) return;
    const step = STEPS[/** @type {keyof typeof STEPS} */ (key)];
    if (step === undefined) return;
    event.preventDefault();
    const buttons = [...this.#parts.list.querySelectorAll(BUTTON)];
    const at = buttons.indexOf(target) + step;
    const next = buttons[Math.min(Math.max(at, 0), buttons.length - 1)];
    if (next === undefined) return;
    this.#reach(next);
    if (next instanceof HTMLElement) next.focus();
  }

  /** Tab reaches the newest button, unless another one has the focus. */
  #keepOneReached() {
    if (this.#reached?.matches(":focus") && this.#reached.isConnected) return;
    let line = this.#parts.list.lastElementChild;
    while (line !== null && line.querySelector(BUTTON) === null) {
      line = line.previousElementSibling;
    }
    this.#reach(line?.querySelector(BUTTON) ?? null);
  }

  /** @param {Element | null} button */
  #reach(button) {
    this.#reached?.setAttribute("tabindex", "-1");
    button?.setAttribute("tabindex", "0");
    this.#reached = button;
  }
}
