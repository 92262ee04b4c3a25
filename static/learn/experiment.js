// @ts-check
// Owns what all experiments of the lesson have in common: a button that starts
// one, and the line that tells what came of it. It never connects. Invariant:
// one run at a time; whatever goes wrong in it ends as a sentence.

import { byId } from "../dom.js";
import { Uninvited } from "./caller.js";

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
   * What a button starts.
   *
   * @param {string} name of the button
   * @param {() => Promise<string>} run returns the outcome, a sentence or two
   */
  on(name, run) {
    this.onPress(name, (button) => this.#run(button, run));
  }

  /**
   * What a button does. Until it is known, the button cannot be pressed: a
   * page is shown before its scripts are there, and the press would be lost.
   *
   * @param {string} name of the button
   * @param {(button: HTMLButtonElement) => void} act
   */
  onPress(name, act) {
    const button = this.part(name, HTMLButtonElement);
    button.addEventListener("click", () => act(button));
    button.disabled = false;
  }

  /** @param {string} sentence */
  tell(sentence) {
    this.#outcome.classList.remove("problem");
    this.#outcome.textContent = sentence;
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {() => Promise<string>} run
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
    this.tell(`This did not work. ${why}`);
    this.#outcome.classList.add("problem");
    if (error instanceof Uninvited) this.#onUninvited(why);
  }
}

/**
 * A time for people.
 *
 * @param {number} ms
 */
export function formatMs(ms) {
  return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
