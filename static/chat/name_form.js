// @ts-check
// The form in which people change their name. A name that is too long is said
// to be while it is written, and kept as it is; all else the server checks,
// and knows why not. A name that someone is just writing is not overwritten;
// one rename is under way at a time.

/** As the server counts them (chat/protocol/names.ts). */
const MAX_CHARACTERS = 24;

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
    parts.input.addEventListener("input", () => this.#sayIfTooLong());
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
    this.refused("The connection was lost. Try again when it is back.");
  }

  #submit() {
    const { input } = this.#parts;
    const name = input.value.trim();
    if (name === "" || name === this.#name || this.#isAsking) return;
    if (surplusOf(name) > 0) return this.#sayIfTooLong();
    this.#isAsking = this.#rename(name);
    if (this.#isAsking) this.#say("", false);
    else {this.#say(
        "Not connected: try again when the connection is back.",
        true,
      );}
  }

  #sayIfTooLong() {
    const surplus = surplusOf(this.#parts.input.value.trim());
    const words = surplus > 0
      ? `Too long: a name has at most ${MAX_CHARACTERS} characters; ` +
        `this one has ${surplus} too many.`
      : "";
    this.#say(words, surplus > 0);
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

/**
 * How many characters are too many.
 *
 * @param {string} name
 */
function surplusOf(name) {
  // To normalise a long text of combining marks takes seconds.
  const isLong = name.length > 2 * MAX_CHARACTERS;
  const folded = isLong ? name : name.normalize("NFKC");
  return [...folded].length - MAX_CHARACTERS;
}
