// @ts-check
// Owns the list of who is in the room. It never shows it. Invariant: a name
// is in the list at most once, so events may repeat what the list already
// has; of a large room it knows some names, but always the count.

/** @import { Join, Leave, Rename, Welcome } from "./protocol.js" */

const MAX_NAMES = 200;

export class Members {
  /** @type {Set<string>} */
  #names = new Set();
  #count = 0;

  /** How many are in the room, whether we know their names or not. */
  get count() {
    return this.#count;
  }

  /**
   * The names that are known, in the order of the alphabet.
   *
   * @returns {string[]}
   */
  get names() {
    return [...this.#names].sort((a, b) => a.localeCompare(b));
  }

  /** @param {Welcome | Join | Leave | Rename} event */
  hear(event) {
    switch (event.type) {
      case "welcome":
        this.#names = new Set(event.members);
        break;
      case "join":
        if (this.#names.size < MAX_NAMES) this.#names.add(event.sender);
        break;
      case "leave":
        this.#names.delete(event.sender);
        break;
      case "rename":
        if (this.#names.delete(event.sender)) this.#names.add(event.name);
        return;
    }
    this.#count = event.count;
  }
}
