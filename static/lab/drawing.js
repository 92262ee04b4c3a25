// @ts-check
// The frame of the lab's drawings. A screen reader passes over it, because the
// page says in words what a drawing shows.

import { makeSvg } from "../shared/svg.js";

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
