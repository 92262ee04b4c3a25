// @ts-check
// The form in which people change their name. It stands among the people;
// somebody who is new finds it at the message box first, until the name was
// kept or changed, or until the first message. While somebody writes a name
// that is too long, the form says so and does not cut it; the server checks all
// else, and says why not. A name that somebody is just writing is not
// overwritten; one rename is under way at a time.

/** As the server counts them (chat/protocol/names.ts). */
const MAX_CHARACTERS = 24;

/**
 * @typedef {object} Parts
 * @property {HTMLFormElement} form
 * @property {HTMLInputElement} input
 * @property {HTMLButtonElement} button
 * @property {HTMLElement} note beside the input, read by a screen reader
 * @property {HTMLElement} home the form's place among the people
 * @property {HTMLElement} people the column around that place
 * @property {HTMLElement} arrival its place at the message box
 * @property {HTMLElement} arrivalWords for screen readers only
 * @property {HTMLTextAreaElement} box the message box
 */

export class NameForm {
  #parts;
  #rename;
  /** @type {string | null} */
  #name = null;
  #isAsking = false;
  #isOffered = false;
  #hasProblem = false;
  #onAnswer = () => {};

  /**
   * @param {Parts} parts
   * @param {(name: string) => boolean} rename false if not connected
   */
  constructor(parts, rename) {
    this.#parts = parts;
    this.#rename = rename;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    parts.form.addEventListener("keydown", ({ key, isComposing }) => {
      if (key === "Escape" && !isComposing) this.#keep();
    });
    parts.input.addEventListener("input", () => {
      this.#sayIfTooLong();
      this.#nameButton();
    });
  }

  /** Offers the name that the server gave to somebody who is new. */
  offer() {
    const { arrival, arrivalWords, form, people } = this.#parts;
    this.#isOffered = true;
    arrival.append(form);
    // Without a field in the column, the keyboard could not scroll it.
    people.tabIndex = 0;
    arrivalWords.textContent = `You are ${this.#name} here. ` +
      "The field before the message box changes your name.";
    this.#nameButton();
  }

  /**
   * Before a first message, asks once for the name that stands in the field.
   * Returns whether the message has to wait for the answer.
   *
   * @param {() => void} onAnswer called when the answer came
   */
  settle(onAnswer) {
    if (!this.#isOffered || this.#hasProblem) return false;
    this.#submit();
    if (this.#isAsking) this.#onAnswer = onAnswer;
    return this.#isAsking;
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
    if (this.#isAsking || !isWriting) input.value = name ?? "";
    if (this.#isAsking) {
      this.#endOffer();
      this.#say(`You are ${name} now.`, false);
    }
    this.#answered();
  }

  /**
   * The server said no. Returns false if the form had asked for nothing.
   *
   * @param {string} reason a sentence for a person
   */
  refused(reason) {
    if (!this.#isAsking) return false;
    this.#say(reason, true);
    this.#answered();
    return true;
  }

  /** A message was sent: the outcome of an earlier rename is no news now. */
  said() {
    if (!this.#hasProblem) this.#say("", false);
  }

  /** The connection is lost, and the answer with it, if there was one. */
  lineDown() {
    this.refused("The connection was lost. Try again when it is back.");
  }

  #answered() {
    const onAnswer = this.#onAnswer;
    this.#isAsking = false;
    this.#onAnswer = () => {};
    onAnswer();
  }

  #submit() {
    const { input } = this.#parts;
    const name = input.value.trim();
    if (this.#isAsking) return;
    if (name === "" || name === this.#name) return this.#keep();
    if (surplusOf(name) > 0) return this.#sayIfTooLong();
    this.#isAsking = this.#rename(name);
    if (this.#isAsking) this.#say("", false);
    else {this.#say(
        "Not connected: try again when the connection is back.",
        true,
      );}
  }

  /** The name stays as it is. */
  #keep() {
    if (this.#isAsking) return;
    this.#parts.input.value = this.#name ?? "";
    this.#say("", false);
    this.#endOffer();
  }

  #endOffer() {
    if (!this.#isOffered) return;
    const { arrivalWords, box, form, home, people } = this.#parts;
    const hadFocus = form.contains(document.activeElement);
    this.#isOffered = false;
    arrivalWords.textContent = "";
    home.append(form);
    people.removeAttribute("tabindex");
    this.#nameButton();
    if (hadFocus) box.focus();
  }

  #nameButton() {
    const { button, input } = this.#parts;
    const isKept = this.#isOffered && input.value.trim() === this.#name;
    button.textContent = isKept ? "Keep this name" : "Rename";
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
    this.#hasProblem = isProblem;
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
