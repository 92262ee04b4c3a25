// @ts-check
// The invitation code: it comes with the link or is typed in, and is kept for
// this tab. It does not stay in the visible address, where others could read it.

import { invitationFrom } from "./address.js";

/** @import { Memory } from "./storage.js" */

const KEY = "invite";

export class Invitation {
  #memory;
  #code;

  /**
   * Begins with what the tab remembers of the last time.
   *
   * @param {Memory} memory
   */
  constructor(memory) {
    this.#memory = memory;
    this.#code = memory.get(KEY) ?? "";
  }

  /** "" if there is none. */
  get code() {
    return this.#code;
  }

  /** @param {string} code */
  use(code) {
    this.#code = code;
    this.keep();
  }

  /** Writes it down again, where the tab's memory was cleared meanwhile. */
  keep() {
    this.#memory.set(KEY, this.#code);
  }

  /** Takes it out of the page's address. Returns false if it is not there. */
  takeFromAddress() {
    const code = invitationFrom(location.hash);
    if (code === "") return false;
    this.use(code);
    hideFragment();
    return true;
  }
}

/** Takes what is in the fragment of the page's address out of it. */
export function hideFragment() {
  try {
    history.replaceState(
      history.state,
      "",
      location.pathname + location.search,
    );
  } catch {
    // Safari allows a hundred changes in a while. This leaves a bare "#".
    location.hash = "";
  }
}
