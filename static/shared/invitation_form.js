// @ts-check
// The form that asks for the invitation code; the server knows which code is
// right. The form takes the keyboard's focus only from what it covers, and does
// not overwrite what somebody is typing.

import { invitationFrom } from "./address.js";

/**
 * @typedef {object} Parts
 * @property {HTMLElement} covered what cannot be used while it is open
 * @property {HTMLFormElement} form
 * @property {HTMLInputElement} input
 * @property {HTMLElement} note a voice reads what it says
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
      // Some will paste the whole link.
      submit(invitationFrom(typed.slice(typed.indexOf("#"))) || typed);
    });
    input.addEventListener("input", () => this.#say(""));
  }

  /** Whether it is in the way. */
  get isOpen() {
    return !this.#parts.form.hidden;
  }

  /**
   * The server wants another code than the one that it was given, if any.
   *
   * @param {string} why
   * @param {string} code what it was given, or ""
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

  /** The line is not up yet, for another reason. */
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
