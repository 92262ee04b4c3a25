// @ts-check
// Draws moments on lanes along one axis of time.

import { formatMs } from "../shared/units.js";
import { makeSvg } from "../shared/svg.js";
import { show, write } from "./picture.js";

/**
 * @typedef {object} Lane
 * @property {string} name
 * @property {number[]} atMs
 * @property {"out" | "in"} kind
 */

const LANE_EM = 3;
const MARK_EM = 0.35;

/**
 * @param {HTMLElement} place
 * @param {string} label
 * @param {Lane[]} lanes times counted from the start
 */
export function showTimeLine(place, label, lanes) {
  const spanMs = Math.max(1, ...lanes.flatMap(({ atMs }) => atMs));
  const height = lanes.length * LANE_EM + 1.5;
  show(place, height, label, (width) => {
    const x = (/** @type {number} */ ms) =>
      MARK_EM + (width - 2 * MARK_EM) * ms / spanMs;
    const foot = height - 0.3;
    return [
      ...lanes.flatMap((lane, i) => drawLane(lane, i * LANE_EM, width, x)),
      write(0, foot, "0 ms", "axis"),
      write(width, foot, formatMs(spanMs), "axis end"),
    ];
  });
}

/**
 * @param {Lane} lane
 * @param {number} top
 * @param {number} width
 * @param {(ms: number) => number} x
 */
function drawLane({ name, atMs, kind }, top, width, x) {
  const y = top + 2.1;
  return [
    write(0, top + 1, name),
    makeSvg("line", { x1: 0, x2: width, y1: y, y2: y, class: "lane" }),
    ...atMs.map((ms) =>
      makeSvg("circle", { cx: x(ms), cy: y, r: MARK_EM, class: `mark ${kind}` })
    ),
  ];
}
