// @ts-check
// Owns the one way in which the page's scripts find their elements. It never
// makes or changes any. Invariant: what byId returns exists and has the type
// that was asked for, so nobody else needs to check.

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
