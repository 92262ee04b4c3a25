// @ts-check
// Owns the form in which people change their name. It never checks a name:
// the server does, and knows why not. Invariant: a name that someone is just
// writing is not overwritten; one rename is under way at a time.

/**
 * @typedef {object} Parts
 * @property {HTMLFormElement} form
 * @property {HTMLInputElement} input
 * @property {HTMLElement} note beside the input; a voice reads what it says
 */

export class NameForm {
  #parts;
  #rename;
  /** @type {string | null} */
  #name = null;
  #isAsking = false;

  /**
   * @param {Parts} parts
   * @param {(name: string) => boolean} rename false if the line is down
   */
  constructor(parts, rename) {
    this.#parts = parts;
    this.#rename = rename;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    parts.input.addEventListener("input", () => this.#say("", false));
  }

  /**
   * Shows our name, as the server has it.
   *
   * @param {string | null} name
   */
  show(name) {
    const { input } = this.#parts;
    const isWriting = input.value !== (this.#name ?? "");
    this.#name = name;
    if (this.#isAsking) this.#say(`You are ${name} now.`, false);
    if (this.#isAsking || !isWriting) input.value = name ?? "";
    this.#isAsking = false;
  }

  /**
   * The server said no. Returns false if it was not asked from here.
   *
   * @param {string} reason a sentence for a person
   */
  refused(reason) {
    if (!this.#isAsking) return false;
    this.#isAsking = false;
    this.#say(reason, true);
    return true;
  }

  /** The line is down: the answer, if there was one, is lost. */
  lineDown() {
    this.refused("The line was cut off. Try again when it is back.");
  }

  #submit() {
    const { input } = this.#parts;
    const name = input.value.trim();
    if (name === "" || name === this.#name || this.#isAsking) return;
    this.#isAsking = this.#rename(name);
    if (this.#isAsking) this.#say("", false);
    else this.#say("Not connected: try again when the line is back.", true);
  }

  /**
   * @param {string} words
   * @param {boolean} isProblem
   */
  #say(words, isProblem) {
    const { input, note } = this.#parts;
    note.textContent = words;
    note.classList.toggle("problem", isProblem);
    if (isProblem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}
