// @ts-check
// Shows our own messages that are not stored yet, below all other lines; its
// buttons ask to take one back or to drop it. A line whose message did not
// change is not made anew, so that the keyboard does not lose the button that
// it is on.

import { createUnsentLine } from "./line.js";

/** @import { Entry } from "../client/outbox.js" */

export class UnsentLines {
  #list;
  #onTakeBack;
  #onDiscard;
  /** @type {Map<Entry, HTMLElement>} */
  #lines = new Map();

  /**
   * @param {HTMLElement} list
   * @param {(id: string) => void} onTakeBack the text belongs into the box
   * @param {(id: string) => void} onDiscard
   */
  constructor(list, onTakeBack, onDiscard) {
    this.#list = list;
    this.#onTakeBack = onTakeBack;
    this.#onDiscard = onDiscard;
  }

  /**
   * @param {readonly Entry[]} entries
   * @param {string} ownName
   */
  show(entries, ownName) {
    const known = this.#lines;
    const hasNews = entries.some((entry) => !known.has(entry));
    this.#lines = new Map();
    for (const entry of entries) {
      const line = known.get(entry) ?? this.#create(entry, ownName);
      this.#lines.set(entry, line);
      known.delete(entry);
    }
    for (const line of known.values()) line.remove();
    let place = this.#list.firstElementChild;
    for (const line of this.#lines.values()) {
      if (line === place) place = place.nextElementSibling;
      else this.#list.insertBefore(line, place);
    }
    this.#list.hidden = entries.length === 0;
    // The list scrolls; a new line, or the reason of a failure, must be seen.
    if (hasNews) this.#list.scrollTop = this.#list.scrollHeight;
  }

  /**
   * @param {Entry} entry
   * @param {string} ownName
   */
  #create(entry, ownName) {
    const line = createUnsentLine(entry, ownName);
    if (!entry.isRefused) return line;
    const buttons = document.createElement("span");
    buttons.className = "buttons";
    buttons.append(
      createButton("Put back in the box", () => this.#onTakeBack(entry.id)),
      createButton("Discard", () => this.#onDiscard(entry.id)),
    );
    line.append(buttons);
    return line;
  }
}

/**
 * @param {string} words
 * @param {() => void} onClick
 */
function createButton(words, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet-button";
  button.textContent = words;
  button.addEventListener("click", onClick);
  return button;
}
