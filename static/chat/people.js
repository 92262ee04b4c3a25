// @ts-check
// Shows the list of people: beside the transcript where there is space for it,
// otherwise as a popover behind a button. However many events come, the list is
// made once per repaint.

import { mediaQuery } from "../shared/dom.js";

/** @import { Members } from "../client/members.js" */

// The same width as in chat.css.
const WIDE = "(min-width: 64rem)";

/**
 * @typedef {object} Parts
 * @property {HTMLElement} panel
 * @property {HTMLElement} button opens the panel where it is a popover
 * @property {HTMLElement} buttonCount
 * @property {HTMLElement} buttonUnit
 * @property {HTMLElement} heading says how many there are
 * @property {HTMLElement} list
 * @property {HTMLElement} more asks for further names
 */

export class People {
  #parts;
  #members;
  /** @type {string | null} */
  #ownName = null;
  #updateIsPlanned = false;

  /**
   * @param {Parts} parts
   * @param {Members} members
   * @param {() => void} askForMore
   */
  constructor(parts, members, askForMore) {
    this.#parts = parts;
    this.#members = members;
    const wide = mediaQuery(WIDE);
    const place = () => {
      // Without the attribute it is a part of the page like any other.
      parts.panel.popover = wide.matches ? null : "auto";
      parts.button.hidden = wide.matches;
    };
    wide.addEventListener("change", place);
    place();
    parts.panel.hidden = false;
    parts.more.addEventListener("click", askForMore);
  }

  /**
   * Shows the members as they are at the next repaint.
   *
   * @param {string | null} ownName
   */
  show(ownName) {
    this.#ownName = ownName;
    if (this.#updateIsPlanned) return;
    this.#updateIsPlanned = true;
    requestAnimationFrame(() => {
      this.#updateIsPlanned = false;
      this.#update();
    });
  }

  #update() {
    const { buttonCount, buttonUnit, heading, list, more } = this.#parts;
    const { count, names } = this.#members;
    const total = count.toLocaleString("en");
    const unit = count === 1 ? "person" : "people";
    buttonCount.textContent = total;
    buttonUnit.textContent = unit;
    heading.textContent = names.length < count
      ? `${names.length} of ${total} shown`
      : `${total} ${unit}`;
    more.hidden = names.length >= count;
    list.replaceChildren(...names.map((name) => this.#createItem(name)));
  }

  /** @param {string} name */
  #createItem(name) {
    const item = document.createElement("li");
    const words = document.createElement("bdi");
    words.textContent = name;
    item.append(words);
    if (name !== this.#ownName) return item;
    const you = document.createElement("span");
    you.className = "you";
    you.textContent = "you";
    item.append(" ", you);
    return item;
  }
}
