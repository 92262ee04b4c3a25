// @ts-check
// The events of a connection, the newest first, with one row selected. The list
// is one stop for the Tab key; the arrow keys go from row to row. The list
// changes at most once per repaint, and not at all while it is paused.

import { startOf } from "../shared/start_of.js";
import { make } from "../shared/make.js";
import { countBytes, counted, formatTime } from "../shared/units.js";

/** @import { Derived } from "./fields.js" */

const MAX_ROWS = 200;
const PREVIEW_CHARS = 120;

/**
 * A frame as chat/x_ray/recorder.ts tells it; over HTTP there is no `derived`.
 *
 * @typedef {object} Frame
 * @property {number} at in milliseconds since 1970
 * @property {number} connection
 * @property {"in" | "out"} direction
 * @property {"text" | "binary" | "close"} kind
 * @property {number} length of the payload, in bytes
 * @property {string} text the beginning of the payload, if it is text
 * @property {string} [hex] the beginning of any other payload
 * @property {boolean} isCut
 * @property {{ code: number, reason: string }} [close]
 * @property {Derived} [derived]
 */

/**
 * An event that is not a frame; a page explains its `code`. With `isFollowed`
 * it is selected when it comes, as a frame is.
 *
 * @typedef {{ at: number, words: string, code?: number, isFollowed?: boolean }}
 *   Note
 */

/**
 * @typedef {object} Parts
 * @property {HTMLElement} list a listbox
 * @property {HTMLButtonElement} hold pauses the list
 * @property {HTMLElement} dropped
 */

export class FrameList {
  #parts;
  #onSelect;
  /** @type {(Frame | Note)[]} the oldest first */
  #coming = [];
  #droppedHere = 0;
  #droppedBefore = 0;
  #isHeld = false;
  #pictureIsPlanned = false;
  /** @type {WeakMap<Element, Frame | Note>} */
  #items = new WeakMap();
  /** @type {HTMLElement | null} the row that is selected */
  #selected = null;

  /**
   * @param {Parts} parts
   * @param {(item: Frame | Note) => void} onSelect
   */
  constructor(parts, onSelect) {
    this.#parts = parts;
    this.#onSelect = onSelect;
    const { hold, list } = parts;
    hold.addEventListener("click", () => this.#setHeld(!this.#isHeld));
    list.addEventListener("click", ({ target }) => {
      if (target instanceof Element) this.#pick(target.closest(".row"));
    });
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.tabIndex = -1;
  }

  /** Takes the focus, for the arrow keys, even if no row is selected yet. */
  focus() {
    this.#parts.list.focus();
  }

  /** @param {Frame | Note} item */
  add(item) {
    this.#coming.push(item);
    if (this.#coming.length > MAX_ROWS) {
      this.#coming.shift();
      this.#droppedHere++;
    }
    this.#plan();
  }

  /** @param {number} count of events that the server had to drop */
  addDropped(count) {
    this.#droppedBefore += count;
    this.#plan();
  }

  /** @param {boolean} isHeld */
  #setHeld(isHeld) {
    this.#isHeld = isHeld;
    this.#parts.hold.textContent = isHeld ? "Continue" : "Pause";
    this.#plan();
  }

  #plan() {
    if (this.#pictureIsPlanned) return;
    this.#pictureIsPlanned = true;
    requestAnimationFrame(() => {
      this.#pictureIsPlanned = false;
      this.#update();
    });
  }

  #update() {
    const { list, dropped } = this.#parts;
    if (!this.#isHeld && this.#coming.length > 0) {
      const items = this.#coming.splice(0).reverse();
      const rows = items.map((item) => this.#createRow(item));
      list.prepend(...rows);
      const newest = items.findIndex((item) =>
        "kind" in item || item.isFollowed
      );
      this.#select(rows[newest] ?? this.#selected ?? rows[0] ?? null);
      while (list.childElementCount > MAX_ROWS) this.#removeOldest();
    }
    dropped.textContent = this.#droppedWords();
  }

  #removeOldest() {
    const oldest = this.#parts.list.lastElementChild;
    if (oldest === document.activeElement) this.#selected?.focus();
    oldest?.remove();
    this.#droppedHere++;
  }

  #droppedWords() {
    const sum = this.#droppedHere + this.#droppedBefore;
    const waiting = this.#coming.length;
    if (this.#isHeld) {
      return waiting === 0 ? "Paused." : `Paused: ${waiting} newer to come.`;
    }
    if (sum === 0) return "";
    const late = this.#droppedHere === 0
      ? " by the server"
      : this.#droppedBefore > 0
      ? `, ${this.#droppedBefore} of them by the server`
      : "";
    return `${counted(sum, "older row")} ${
      sum === 1 ? "was" : "were"
    } dropped${late}.`;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { list } = this.#parts;
    const { activeElement: current } = document;
    const isOutside = current === list;
    const row = {
      ArrowDown: isOutside ? this.#selected : current?.nextElementSibling,
      ArrowUp: isOutside ? this.#selected : current?.previousElementSibling,
      Home: list.firstElementChild,
      End: list.lastElementChild,
      Enter: isOutside ? this.#selected : current,
      " ": isOutside ? this.#selected : current,
    }[event.key];
    if (row === undefined) return;
    event.preventDefault();
    this.#pick(row);
  }

  /** @param {Element | null} row that a person chose */
  #pick(row) {
    if (!(row instanceof HTMLElement)) return;
    this.#setHeld(true);
    this.#select(row);
    row.focus();
  }

  /** @param {HTMLElement | null} row */
  #select(row) {
    const item = row && this.#items.get(row);
    if (!row || !item || row === this.#selected) return;
    this.#selected?.setAttribute("aria-selected", "false");
    if (this.#selected !== null) this.#selected.tabIndex = -1;
    row.setAttribute("aria-selected", "true");
    row.tabIndex = 0;
    this.#selected = row;
    this.#onSelect(item);
  }

  /** @param {Frame | Note} item */
  #createRow(item) {
    const time = make("time", {}, formatTime(item.at));
    const row = "words" in item
      ? make("div", { className: "row event" }, time, " ", item.words)
      : createFrameRow(item, time);
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", "false");
    row.tabIndex = -1;
    this.#items.set(row, item);
    return row;
  }
}

/**
 * @param {Frame} frame
 * @param {HTMLElement} time
 */
function createFrameRow(frame, time) {
  const way = frame.direction === "in" ? "to server" : "to client";
  return make(
    "div",
    { className: `row frame ${frame.direction}` },
    time,
    " ",
    make("span", { className: "way" }, way),
    " ",
    make("span", { className: "kind" }, frame.kind),
    " ",
    make("span", { className: "amount" }, countBytes(frame.length)),
    " ",
    make("span", { className: "start" }, preview(frame)),
  );
}

/** @param {Frame} frame */
function preview({ close, text, hex = "" }) {
  if (close !== undefined) {
    return `${close.code} ${close.reason}`;
  }
  return startOf(text || hex, PREVIEW_CHARS);
}
