// @ts-check
// Splits a text into its characters with their bytes in UTF-8, so that a
// student sees why 13 characters can be 17 bytes. Functions of their arguments
// only.

/** @typedef {{ character: string, codePoint: number, bytes: number[] }} Unit */

/**
 * A text by its code points. Half of a surrogate pair becomes U+FFFD, as it
 * does in `send()`.
 *
 * @param {string} text
 * @returns {Unit[]}
 */
export function unitsOf(text) {
  const encoder = new TextEncoder();
  return [...text].map((character) => ({
    character,
    codePoint: character.codePointAt(0) ?? 0,
    bytes: [...encoder.encode(character)],
  }));
}

/**
 * @param {Unit[]} units
 * @returns {string} a sentence that adds the bytes up
 */
export function addUp(units) {
  const total = units.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const parts = [1, 2, 3, 4].flatMap((length) => {
    const count = units.filter(({ bytes }) => bytes.length === length).length;
    return count === 0 ? [] : [`${count} × ${length}`];
  });
  const sum = parts.length === 0 ? "" : ` (${parts.join(" + ")})`;
  return `${count(units.length, "character")}, ${count(total, "byte")}${sum}.`;
}

/**
 * @param {number} number
 * @param {number} digits at least
 */
export function hex(number, digits) {
  return number.toString(16).toUpperCase().padStart(digits, "0");
}

/**
 * @param {number} number
 * @param {string} noun
 */
function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
