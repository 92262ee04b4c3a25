// @ts-check
// Owns how the list of people is shown: beside the transcript where there is
// space for it, else as a popover behind a button. It never decides who is in
// the list. Invariant: however many events come, one list is made per picture.

/** @import { Members } from "./members.js" */

// As in style.css.
const WIDE = "(min-width: 64rem)";

/**
 * @typedef {object} Parts
 * @property {HTMLElement} panel
 * @property {HTMLElement} button opens the panel where it is a popover
 * @property {HTMLElement} buttonCount
 * @property {HTMLElement} heading says how many there are
 * @property {HTMLElement} list
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
   */
  constructor(parts, members) {
    this.#parts = parts;
    this.#members = members;
    const wide = matchMedia(WIDE);
    const place = () => {
      // Without the attribute it is a part of the page like any other.
      parts.panel.popover = wide.matches ? null : "auto";
      parts.button.hidden = wide.matches;
    };
    wide.addEventListener("change", place);
    place();
    parts.panel.hidden = false;
  }

  /**
   * Shows the members as they are by the next picture.
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
    const { buttonCount, heading, list } = this.#parts;
    const { count, names } = this.#members;
    const total = count.toLocaleString("en");
    buttonCount.textContent = total;
    heading.textContent = names.length < count
      ? `${names.length} of ${total} shown`
      : `${total} ${count === 1 ? "person" : "people"}`;
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
