// @ts-check
// Whether a message speaks to somebody: it has "@" and the whole name in it.

const PART_OF_A_NAME = /[\p{L}\p{M}\p{N}_-]/u;

/**
 * @param {string} message
 * @param {string | null} name
 */
export function mentions(message, name) {
  if (name === null) return false;
  const text = message.toLowerCase();
  const called = `@${name.toLowerCase()}`;
  for (
    let at = text.indexOf(called);
    at !== -1;
    at = text.indexOf(called, at + 1)
  ) {
    const after = text.codePointAt(at + called.length);
    const isWhole = after === undefined ||
      !PART_OF_A_NAME.test(String.fromCodePoint(after));
    if (isWhole) return true;
  }
  return false;
}
