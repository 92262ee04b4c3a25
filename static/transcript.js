// @ts-check
// Owns the list of lines and where its reader is in it. It never decides what
// a line says. Invariant: a reader at the bottom stays at the bottom, a reader
// further up is never moved, and the list never holds more than maxLines.

/** @import { Entry } from "./line.js" */
import { createLine } from "./line.js";

const MAX_LINES = 2_000;
// Browsers round scroll positions when the page is zoomed.
const BOTTOM_SLACK_PX = 4;

/**
 * @typedef {object} Parts
 * @property {HTMLElement} scroller
 * @property {HTMLElement} list
 * @property {HTMLElement} hint shown as long as there is no line
 * @property {HTMLElement} newMessages the button that leads to the bottom
 */

export class Transcript {
  #parts;
  #maxLines;
  // Remembered, not measured: when the window shrinks, a reader who was at
  // the bottom no longer is, but wants to be.
  #isFollowing = true;
  // Where the view was when last looked at: less than that is a move up.
  #lastTop = 0;
  #owedPx = 0;
  #newCount = 0;
  #updateIsPlanned = false;
  /** @type {Entry[]} */
  #pending = [];

  /**
   * @param {Parts} parts
   * @param {number} maxLines
   */
  constructor(parts, maxLines = MAX_LINES) {
    this.#parts = parts;
    this.#maxLines = maxLines;
    parts.scroller.addEventListener("scroll", () => this.#readerMoved());
    parts.newMessages.addEventListener("click", () => this.#goToBottom());
    new ResizeObserver(() => this.#planUpdate()).observe(parts.scroller);
  }

  /**
   * Adds lines at the end, in this order, with the next picture.
   *
   * @param {Entry[]} entries
   */
  append(entries) {
    if (entries.length === 0) return;
    this.#pending.push(...entries);
    // A hidden tab gets no pictures, but goes on receiving.
    const surplus = this.#pending.length - this.#maxLines;
    if (surplus > 0) this.#pending.splice(0, surplus);
    this.#planUpdate();
  }

  /** Once per picture, however many lines came: measuring costs a layout. */
  #planUpdate() {
    if (this.#updateIsPlanned) return;
    this.#updateIsPlanned = true;
    requestAnimationFrame(() => {
      this.#updateIsPlanned = false;
      this.#update(this.#pending.splice(0));
    });
  }

  /** @param {Entry[]} entries */
  #update(entries) {
    if (entries.length > 0) this.#parts.hint.hidden = true;
    this.#parts.list.append(...entries.map(createLine));
    this.#dropOldest();
    if (this.#isFollowing) this.#scrollToBottom();
    else this.#countNew(entries);
  }

  #dropOldest() {
    const { list } = this.#parts;
    const surplus = list.childElementCount - this.#maxLines;
    if (surplus <= 0) return;
    const firstKept = /** @type {HTMLElement} */ (list.children[surplus]);
    const before = this.#isFollowing ? 0 : topOf(firstKept);
    for (let i = 0; i < surplus; i++) list.firstElementChild?.remove();
    if (!this.#isFollowing) this.#scrollBy(topOf(firstKept) - before);
  }

  /**
   * Browsers round scroll positions. What is lost is added the next time, or
   * the text would creep away under the reader.
   *
   * @param {number} deltaPx
   */
  #scrollBy(deltaPx) {
    const { scroller } = this.#parts;
    const wanted = scroller.scrollTop + deltaPx + this.#owedPx;
    scroller.scrollTop = wanted;
    this.#owedPx = Math.max(-1, Math.min(1, wanted - scroller.scrollTop));
    this.#lastTop = scroller.scrollTop;
  }

  /** @param {Entry[]} entries */
  #countNew(entries) {
    this.#newCount += entries.filter(({ type }) => type === "message").length;
    this.#showNewCount();
  }

  #showNewCount() {
    const { newMessages } = this.#parts;
    const noun = this.#newCount === 1 ? "message" : "messages";
    newMessages.textContent = `${this.#newCount} new ${noun} ↓`;
    newMessages.hidden = this.#newCount === 0;
  }

  #readerMoved() {
    const { scrollTop, scrollHeight, clientHeight } = this.#parts.scroller;
    const below = scrollHeight - clientHeight - scrollTop;
    // A scroll is told of late: not being at the bottom may only mean that
    // lines came since. Only who moved up has stopped following.
    if (below <= BOTTOM_SLACK_PX) this.#reachedBottom();
    else if (scrollTop < this.#lastTop) this.#isFollowing = false;
    this.#lastTop = scrollTop;
  }

  #reachedBottom() {
    this.#isFollowing = true;
    if (this.#newCount === 0) return;
    this.#newCount = 0;
    this.#showNewCount();
  }

  #goToBottom() {
    this.#reachedBottom();
    this.#scrollToBottom();
    // The button is gone; without this the keyboard would start at the top.
    this.#parts.scroller.focus({ preventScroll: true });
  }

  #scrollToBottom() {
    const { scroller } = this.#parts;
    scroller.scrollTop = scroller.scrollHeight;
    this.#lastTop = scroller.scrollTop;
  }
}

/** @param {HTMLElement} element */
function topOf(element) {
  return element.getBoundingClientRect().top;
}
