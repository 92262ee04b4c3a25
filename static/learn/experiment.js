// @ts-check
// The common part of all experiments of the lesson: a button starts one, and a
// line tells its outcome. There is one run at a time, and every error in it
// becomes a sentence. A close code, or a status of HTTP, leads to its
// explanation.

import { byId } from "../shared/dom.js";
import { explainer } from "../shared/explainer.js";
import { ConnectionEnd } from "./caller.js";

/**
 * The outcome of a run: a sentence or two, and the code of a connection's end.
 *
 * @typedef {string | { sentence: string, code: number }} Outcome
 */

export class Experiment {
  #outcome;
  #isRunning = false;
  #onUninvited;

  /**
   * @param {string} id of its box; its parts are named `ID-…`
   * @param {(why: string) => void} onUninvited asks for the invitation code
   */
  constructor(id, onUninvited) {
    this.id = id;
    this.#onUninvited = onUninvited;
    this.#outcome = this.part("outcome", HTMLElement);
  }

  /**
   * The element with the id `ID-NAME`.
   *
   * @template {HTMLElement} T
   * @param {string} name
   * @param {new () => T} type
   */
  part(name, type) {
    return byId(`${this.id}-${name}`, type);
  }

  /**
   * Lets a button start a run.
   *
   * @param {string} name of the button
   * @param {() => Promise<Outcome>} run
   */
  on(name, run) {
    this.onPress(name, (button) => this.#run(button, run));
  }

  /**
   * Lets a button act. Until then the button cannot be pressed: a page is shown
   * before its scripts are there, and the press would be lost.
   *
   * @param {string} name of the button
   * @param {(button: HTMLButtonElement) => void} act
   */
  onPress(name, act) {
    const button = this.part(name, HTMLButtonElement);
    button.addEventListener("click", () => act(button));
    // Enter in its form presses the button.
    button.form?.addEventListener("submit", (event) => event.preventDefault());
    button.disabled = false;
  }

  /** @param {Outcome} outcome */
  tell(outcome) {
    this.#outcome.classList.remove("problem");
    if (typeof outcome === "string") {
      this.#outcome.textContent = outcome;
      return;
    }
    const { sentence, code } = outcome;
    const words = `${code < 1000 ? "HTTP" : "Code"} ${code} explained`;
    this.#outcome.replaceChildren(`${sentence} `, explainer(words, code));
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {() => Promise<Outcome>} run
   */
  async #run(button, run) {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Not `disabled`, which would take the keyboard's focus away.
    button.setAttribute("aria-disabled", "true");
    this.tell("…");
    try {
      this.tell(await run());
    } catch (error) {
      this.#complain(error);
    } finally {
      button.removeAttribute("aria-disabled");
      this.#isRunning = false;
    }
  }

  /** @param {unknown} error */
  #complain(error) {
    const why = error instanceof Error ? error.message : String(error);
    const sentence = `This did not work. ${why}`;
    const code = error instanceof ConnectionEnd ? error.code : null;
    this.tell(code === null ? sentence : { sentence, code });
    this.#outcome.classList.add("problem");
    if (code === 401) this.#onUninvited(why);
  }
}
