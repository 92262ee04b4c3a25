// @ts-check
// Owns the list of what happened on a connection, the newest first, and which
// frame is selected. It never draws a frame. Invariant: at most MAX_ROWS rows,
// and changes once per picture; while it is held it stays as it is.

import { closeMeaning } from "./close_codes.js";
import { make } from "./make.js";
import { countBytes, formatTime } from "./units.js";

/** @import { Derived } from "./fields.js" */

const MAX_ROWS = 200;
const PREVIEW_CHARS = 120;

/**
 * A frame as chat/tap.ts tells it; over HTTP there is no `derived`.
 *
 * @typedef {object} Frame
 * @property {number} at in milliseconds since 1970
 * @property {number} connection
 * @property {"in" | "out"} direction
 * @property {"text" | "binary" | "close"} kind
 * @property {number} length of the payload, in bytes
 * @property {string} text the beginning of the payload, if it is text
 * @property {string} [hex] the beginning of another one
 * @property {boolean} isCut
 * @property {{ code: number, reason: string }} [close]
 * @property {number} waiting
 * @property {Derived} [derived]
 */

/**
 * What is not a frame.
 *
 * @typedef {{ at: number, words: string }} Note
 */

/**
 * @typedef {object} Parts
 * @property {HTMLElement} list
 * @property {HTMLButtonElement} hold
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
  /** @type {HTMLElement | null} */
  #selected = null;

  /**
   * @param {Parts} parts
   * @param {(frame: Frame) => void} onSelect
   */
  constructor(parts, onSelect) {
    this.#parts = parts;
    this.#onSelect = onSelect;
    parts.hold.addEventListener("click", () => this.#setHeld(!this.#isHeld));
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

  /** @param {number} count of what the server had to drop */
  addDropped(count) {
    this.#droppedBefore += count;
    this.#plan();
  }

  /** @param {boolean} isHeld */
  #setHeld(isHeld) {
    this.#isHeld = isHeld;
    this.#parts.hold.textContent = isHeld ? "Go on" : "Hold";
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
      list.prepend(...items.map((item) => this.#createRow(item)));
      while (list.childElementCount > MAX_ROWS) {
        list.lastElementChild?.remove();
        this.#droppedHere++;
      }
      const newest = items.find((item) => "kind" in item);
      if (newest !== undefined) this.#follow(newest);
    }
    dropped.textContent = this.#droppedWords();
  }

  #droppedWords() {
    const sum = this.#droppedHere + this.#droppedBefore;
    const waiting = this.#coming.length;
    if (this.#isHeld) {
      return waiting === 0 ? "Held." : `Held. ${waiting} more wait.`;
    }
    if (sum === 0) return "";
    const late = this.#droppedBefore > 0
      ? `, ${this.#droppedBefore} of them before they came here`
      : "";
    return `${sum} older ones were dropped${late}.`;
  }

  /** @param {Frame} frame the newest */
  #follow(frame) {
    const button = this.#parts.list.querySelector("button");
    if (button !== null) this.#select(button, frame);
  }

  /**
   * @param {HTMLElement} button
   * @param {Frame} frame
   */
  #select(button, frame) {
    this.#selected?.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    this.#selected = button;
    this.#onSelect(frame);
  }

  /** @param {Frame | Note} item */
  #createRow(item) {
    const time = make("time", {}, formatTime(item.at));
    if ("words" in item) {
      return make("li", { className: "note" }, time, item.words);
    }
    const button = make(
      "button",
      { type: "button", className: `frame ${item.direction}` },
      time,
      " ",
      make(
        "span",
        { className: "way" },
        item.direction === "in" ? "to server" : "to client",
      ),
      " ",
      make("span", { className: "kind" }, item.kind),
      " ",
      make("span", { className: "amount" }, countBytes(item.length)),
      " ",
      make("span", { className: "start" }, preview(item)),
    );
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      this.#setHeld(true);
      this.#select(button, item);
    });
    return make("li", {}, button);
  }
}

/** @param {Frame} frame */
function preview({ close, text, hex = "" }) {
  if (close !== undefined) {
    return `${close.code} ${close.reason || closeMeaning(close.code)}`;
  }
  return (text || hex).slice(0, PREVIEW_CHARS);
}
