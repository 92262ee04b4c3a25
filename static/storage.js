// @ts-check
// Owns what the browser keeps for the page between two loads. It never knows
// what the values mean. Invariant: it works, if only until the page is left,
// where the browser's storage is switched off or full; servers that share an
// origin under different paths share nothing here.

/** The part of the browser's Storage that is used here. */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store */

export class Memory {
  #store;
  #prefix;
  /** @type {Map<string, string>} */
  #values = new Map();

  /**
   * @param {Store | null} store
   * @param {string} path that the page is served from, as basePath gives it
   */
  constructor(store, path = "/") {
    this.#store = store;
    this.#prefix = path === "/" ? "partyline." : `partyline${path}.`;
  }

  /**
   * @param {string} key
   * @returns {string | null}
   */
  get(key) {
    try {
      return this.#store?.getItem(this.#prefix + key) ??
        this.#values.get(key) ?? null;
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
      this.#store?.setItem(this.#prefix + key, value);
    } catch {
      // An old value that stayed behind would be taken for the new one.
      this.#store?.removeItem(this.#prefix + key);
    }
  }

  /** Forgets all that is the page's. */
  clear() {
    this.#values.clear();
    for (const key of Object.keys(this.#store ?? {})) {
      if (key.startsWith(this.#prefix)) this.#store?.removeItem(key);
    }
  }
}

/**
 * What this tab keeps: it survives a reload, and a copy of the tab has it.
 *
 * @param {string} path that the page is served from
 */
export function tabMemory(path) {
  return new Memory(storeOf(() => sessionStorage), path);
}

/**
 * What all tabs of this site share.
 *
 * @param {string} path that the page is served from
 */
export function sharedMemory(path) {
  return new Memory(storeOf(() => localStorage), path);
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
