// @ts-check
// Offers to mark several lines that were pasted as code, so that the page shows
// them as they are. The offer stands until something else is written.

/**
 * @typedef {object} Parts
 * @property {HTMLTextAreaElement} box
 * @property {HTMLElement} offer the words and the button
 * @property {HTMLButtonElement} button
 */

export class CodeOffer {
  #parts;
  #onFence;
  /** @type {{ from: number, text: string } | null} the pasted text */
  #pasted = null;

  /**
   * @param {Parts} parts
   * @param {() => void} onFence the text in the box has changed
   */
  constructor(parts, onFence) {
    this.#parts = parts;
    this.#onFence = onFence;
    const { box, button } = parts;
    box.addEventListener("paste", (event) => this.#paste(event));
    box.addEventListener("input", () => this.#boxChanged());
    button.addEventListener("click", () => this.#fence());
  }

  withdraw() {
    this.#pasted = null;
    this.#parts.offer.hidden = true;
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    const { box } = this.#parts;
    // With the line breaks of the box.
    const text = event.clipboardData?.getData("text/plain")
      .replaceAll("\r\n", "\n") ?? "";
    const from = box.selectionStart;
    const isCode = !isInFence(box.value.slice(0, from)) &&
      text.trim().includes("\n") && !text.includes("```");
    this.#pasted = isCode ? { from, text } : null;
  }

  /** The paste itself is the first change; the next one ends the offer. */
  #boxChanged() {
    const isNew = this.#pasted !== null && this.#parts.offer.hidden;
    if (!isNew) this.#pasted = null;
    this.#parts.offer.hidden = !isNew;
  }

  #fence() {
    const { box } = this.#parts;
    const pasted = this.#pasted;
    this.withdraw();
    box.focus();
    if (pasted === null) return;
    const { from, text } = pasted;
    const end = from + text.length;
    if (box.value.slice(from, end) !== text) return;
    const before = box.value.slice(0, from);
    const after = box.value.slice(end);
    const fenced = [
      before === "" || before.endsWith("\n") ? "" : "\n",
      "```\n",
      text.replace(/^\n+/, "").trimEnd(),
      "\n```",
      after.startsWith("\n") ? "" : "\n",
    ].join("");
    box.setRangeText(fenced, from, end, "end");
    this.#onFence();
  }
}

/**
 * Whether this text ends in a block of code that is not closed yet.
 *
 * @param {string} text
 */
export function isInFence(text) {
  let isOpen = false;
  for (const line of text.split("\n")) {
    if (isOpen ? line.trimEnd() === "```" : line.startsWith("```")) {
      isOpen = !isOpen;
    }
  }
  return isOpen;
}
