// @ts-check
// Cuts a text without cutting a character in two.

/**
 * The first characters of a text, none of them cut in half.
 *
 * @param {string} text
 * @param {number} maxUnits in UTF-16 units
 */
export function startOf(text, maxUnits) {
  const isPair = (text.codePointAt(maxUnits - 1) ?? 0) > 0xffff;
  return text.slice(0, isPair ? maxUnits - 1 : maxUnits);
}
