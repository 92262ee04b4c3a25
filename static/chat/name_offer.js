// @ts-check
// Offers the names that an "@" in the box may become. The arrow keys choose
// one, Enter or Tab takes it, Escape sends the offer away until the text
// changes.

const MAX_NAMES = 5;
/** Characters after the "@" that are looked at; no name is longer. */
const MAX_LOOKED_AT = 64;
/** Where a key leads in the list. */
const STEPS = /** @type {Record<string, number>} */ ({
  ArrowUp: -1,
  ArrowDown: 1,
});

/**
 * @typedef {object} Parts
 * @property {HTMLTextAreaElement} box
 * @property {HTMLElement} list a listbox
 */

export class NameOffer {
  #parts;
  #names;
  #onTake;
  /** @type {string[]} the names offered now */
  #offered = [];
  #chosen = 0;
  /** Where the "@" stands. */
  #at = 0;

  /**
   * @param {Parts} parts
   * @param {() => string[]} names of the others who are here
   * @param {() => void} onTake the text in the box has changed
   */
  constructor(parts, names, onTake) {
    this.#parts = parts;
    this.#names = names;
    this.#onTake = onTake;
    const { box, list } = parts;
    box.addEventListener("input", () => this.#look());
    box.addEventListener("blur", () => this.#show([]));
    box.addEventListener("keydown", (event) => this.#keyDown(event));
    // A press in the list must not take the focus from the box.
    list.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest("li") : null;
      if (option !== null) this.#take([...list.children].indexOf(option));
    });
  }

  #look() {
    const { value, selectionStart: end } = this.#parts.box;
    const from = Math.max(0, end - MAX_LOOKED_AT);
    const text = value.slice(from, end).toLowerCase();
    const at = text.lastIndexOf("@");
    const before = at === 0 ? value.at(from - 1) ?? " " : text.at(at - 1) ?? "";
    if (at === -1 || (from + at > 0 && before.trim() !== "")) {
      return this.#show([]);
    }
    const written = text.slice(at + 1);
    this.#at = from + at;
    const fitting = this.#names().filter((name) =>
      name.toLowerCase().startsWith(written)
    );
    this.#show(fitting.slice(0, MAX_NAMES));
  }

  /** @param {string[]} names */
  #show(names) {
    const { list } = this.#parts;
    if (names.length === 0 && list.hidden) return;
    this.#offered = names;
    this.#chosen = 0;
    list.hidden = names.length === 0;
    list.replaceChildren(...names.map(createOption));
    this.#mark();
  }

  /** Shows which one is chosen, also to a screen reader. */
  #mark() {
    const { box, list } = this.#parts;
    for (const [i, option] of [...list.children].entries()) {
      option.ariaSelected = String(i === this.#chosen);
    }
    const chosen = list.children[this.#chosen];
    if (chosen === undefined) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", chosen.id);
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    const { key, shiftKey, isComposing } = event;
    const count = this.#offered.length;
    if (count === 0 || isComposing || shiftKey) return;
    const step = STEPS[key];
    if (step !== undefined) {
      this.#chosen = (this.#chosen + step + count) % count;
      this.#mark();
    } else if (key === "Enter" || key === "Tab") this.#take(this.#chosen);
    else if (key === "Escape") this.#show([]);
    else return;
    event.preventDefault();
    // Else Enter would send the message as well.
    event.stopImmediatePropagation();
  }

  /** @param {number} index */
  #take(index) {
    const { box } = this.#parts;
    const name = this.#offered[index];
    if (name === undefined) return;
    this.#show([]);
    box.setRangeText(`@${name} `, this.#at, box.selectionStart, "end");
    this.#onTake();
  }
}

/**
 * @param {string} name
 * @param {number} index
 */
function createOption(name, index) {
  const option = document.createElement("li");
  option.id = `name-offer-${index}`;
  option.role = "option";
  option.dir = "auto";
  option.textContent = name;
  return option;
}
