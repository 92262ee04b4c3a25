// @ts-check
// Owns what the browser keeps for the page between two loads. It never knows
// what the values mean. Invariant: it works, if only until the page is left,
// where the browser's storage is switched off or full.

const PREFIX = "partyline.";

/** The part of the browser's Storage that is used here. */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store */

export class Memory {
  #store;
  /** @type {Map<string, string>} */
  #values = new Map();

  /** @param {Store | null} store */
  constructor(store) {
    this.#store = store;
  }

  /**
   * @param {string} key
   * @returns {string | null}
   */
  get(key) {
    try {
      return this.#store?.getItem(PREFIX + key) ?? this.#values.get(key) ??
        null;
    } catch {
      return this.#values.get(key) ?? null;
    }
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  set(key, value) {
    this.#values.set(key, value);
    try {
      this.#store?.setItem(PREFIX + key, value);
    } catch {
      // An old value that stayed behind would be taken for the new one.
      this.#store?.removeItem(PREFIX + key);
    }
  }

  /** Forgets all that is the page's. */
  clear() {
    this.#values.clear();
    for (const key of Object.keys(this.#store ?? {})) {
      if (key.startsWith(PREFIX)) this.#store?.removeItem(key);
    }
  }
}

/** What this tab keeps: it survives a reload, and a copy of the tab has it. */
export function tabMemory() {
  return new Memory(storeOf(() => sessionStorage));
}

/** What all tabs of this site share. */
export function sharedMemory() {
  return new Memory(storeOf(() => localStorage));
}

/**
 * Where cookies are blocked, looking at the storage is enough to throw.
 *
 * @param {() => Storage} find
 */
function storeOf(find) {
  try {
    return find();
  } catch {
    return null;
  }
}
