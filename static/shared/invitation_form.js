// @ts-check
// The form that asks for the invitation code; the server knows which code is
// right. The form takes the keyboard's focus only from the elements that it
// covers, and does not overwrite a text that somebody is typing.

import { invitationFrom } from "./address.js";

/**
 * @typedef {object} Parts
 * @property {HTMLElement} covered cannot be used while the form is open
 * @property {HTMLFormElement} form
 * @property {HTMLInputElement} input
 * @property {HTMLElement} note its words are read by a screen reader
 */

export class InvitationForm {
  #parts;
  #isAsking = false;

  /**
   * @param {Parts} parts
   * @param {(code: string) => void} submit
   */
  constructor(parts, submit) {
    this.#parts = parts;
    const { form, input } = parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = input.value.trim();
      if (typed === "" || this.#isAsking) return;
      this.#isAsking = true;
      this.#say("");
      // Some people paste the whole link.
      submit(invitationFrom(typed.slice(typed.indexOf("#"))) || typed);
    });
    input.addEventListener("input", () => this.#say(""));
  }

  /** Whether the form is shown. */
  get isOpen() {
    return !this.#parts.form.hidden;
  }

  /**
   * Asks for a code: the server refused the one that it was given, if any.
   *
   * @param {string} why
   * @param {string} code that the server was given, or ""
   */
  ask(why, code) {
    const { covered, form, input } = this.#parts;
    const { activeElement } = document;
    const isFree = activeElement === null || activeElement === document.body ||
      covered.contains(activeElement);
    form.hidden = false;
    this.#isAsking = false;
    input.value ||= code;
    this.#say(code === "" ? "" : why);
    if (!isFree) return;
    input.focus();
    input.select();
  }

  /** There is no connection yet, for a reason other than the code. */
  stopAsking() {
    this.#isAsking = false;
  }

  close() {
    this.#isAsking = false;
    this.#parts.form.hidden = true;
    this.#parts.input.value = "";
  }

  /** @param {string} problem */
  #say(problem) {
    const { input, note } = this.#parts;
    note.textContent = problem;
    if (problem === "") input.removeAttribute("aria-invalid");
    else input.setAttribute("aria-invalid", "true");
  }
}
