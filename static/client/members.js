// @ts-check
// The list of the people in the room. A name is in it at most once, so an event
// may repeat names that the list already has. In a large room the list knows
// some names, but always the count. Every leave and rename is told, so a name
// in the list is in the room.

/** @import { Join, Leave, MembersPage, Rename, Welcome } from "./protocol.js" */

const PAGE_SIZE = 200;

// "student 2" comes before "student 10".
const inOrder = new Intl.Collator(undefined, { numeric: true });

export class Members {
  /** @type {Set<string>} */
  #names = new Set();
  #count = 0;
  // People who come are listed up to so many names.
  #maxNames = PAGE_SIZE;
  #after = "";

  /** The name after which to ask for the next page; empty for the first. */
  get after() {
    return this.#after;
  }

  /** How many are in the room, whether we know their names or not. */
  get count() {
    return this.#count;
  }

  /**
   * The names that are known, in the order of the alphabet and of the numbers
   * in them.
   *
   * @returns {string[]}
   */
  get names() {
    return [...this.#names].sort(inOrder.compare);
  }

  /** How many names are known. */
  get size() {
    return this.#names.size;
  }

  /** @param {Welcome | Join | Leave | Rename | MembersPage} event */
  hear(event) {
    switch (event.type) {
      case "welcome":
        this.#names = new Set(event.members);
        this.#maxNames = PAGE_SIZE;
        this.#after = "";
        break;
      case "members":
        this.#maxNames += PAGE_SIZE;
        for (const name of event.members) this.#names.add(name);
        this.#after = event.more ? event.members.at(-1) ?? "" : "";
        break;
      case "join":
        for (const name of [event.sender, ...event.others]) {
          if (this.#names.size < this.#maxNames) this.#names.add(name);
        }
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
