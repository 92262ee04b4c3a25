// @ts-check
// Finds the elements that the page's scripts need, and tells the window's
// state. An element from byId exists and has the type that was asked for, so
// callers need not check.

/**
 * The element with this id. Throws if index.html and the scripts disagree.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`index.html has no ${type.name} with the id "${id}"`);
}

/**
 * Whether a media query matches the window, and later changes of that.
 *
 * @param {string} query
 * @returns {Pick<MediaQueryList, "matches" | "addEventListener">}
 */
export function mediaQuery(query) {
  return globalThis.matchMedia?.(query) ??
    { matches: false, addEventListener: () => {} };
}
