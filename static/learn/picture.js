// @ts-check
// Makes the lesson's figures: each is as wide as its place, with type as large
// as the page's. Colours come from classes, so that they follow the colour
// scheme.

import { makeSvg } from "../shared/svg.js";

/**
 * Puts a picture into its place. Lengths are in em, so that the drawing grows
 * with the page's type and fits a phone.
 *
 * @param {HTMLElement} place
 * @param {number} height in em
 * @param {string} label for screen readers
 * @param {(width: number) => Node[]} paint gets the width in em
 */
export function show(place, height, label, paint) {
  place.hidden = false;
  const emPx = parseFloat(getComputedStyle(place).fontSize);
  const width = Math.max(16, place.clientWidth / emPx);
  const picture = makeSvg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label,
  }, ...paint(width));
  place.replaceChildren(picture);
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} className
 */
export function write(x, y, text, className = "") {
  return makeSvg("text", { x, y, class: className }, text);
}
