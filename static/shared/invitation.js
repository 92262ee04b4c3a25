// @ts-check
// The invitation code: it comes with the link or is typed in, and is kept for
// this tab. It does not stay in the visible address, where others could read
// it.

import { invitationFrom } from "./address.js";

/** @import { Memory } from "./storage.js" */

const KEY = "invite";

export class Invitation {
  #memory;
  #code;

  /**
   * Begins with the code that the tab remembers from the last time.
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

  /** Stores the code again, where the tab's memory was cleared meanwhile. */
  keep() {
    this.#memory.set(KEY, this.#code);
  }

  /** Takes the code out of the address. Returns false if none is there. */
  takeFromAddress() {
    const code = invitationFrom(location.hash);
    if (code === "") return false;
    this.use(code);
    hideFragment();
    return true;
  }
}

/** Removes the fragment from the page's address. */
export function hideFragment() {
  try {
    history.replaceState(
      history.state,
      "",
      location.pathname + location.search,
    );
  } catch {
    // Safari allows 100 such changes in a short time. This leaves a bare "#".
    location.hash = "";
  }
}
