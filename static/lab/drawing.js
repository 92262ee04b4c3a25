// @ts-check
// Owns the frame of the lab's drawings. It never knows what they show.
// Invariant: none is read by a voice; what it shows is also said in words.

import { makeSvg } from "../svg.js";

/**
 * A drawing of so many pixels.
 *
 * @param {number} width
 * @param {number} height
 * @param {SVGElement[]} children
 */
export function drawing(width, height, children) {
  return makeSvg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    "aria-hidden": "true",
  }, ...children);
}
