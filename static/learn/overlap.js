// @ts-check
// Draws messages of two directions along one axis of time, each as a bar from
// its sending to its arrival. The time in which both directions carry a message
// is shaded behind the bars, but not behind their names.

import { formatMs } from "../shared/units.js";
import { makeSvg } from "../shared/svg.js";
import { show, write } from "./picture.js";

/**
 * A message under way.
 *
 * @typedef {{ sentMs: number, cameMs: number }} Way
 * @typedef {{ name: string, ways: Way[], kind: "out" | "in" }} Direction
 */

// Each message has a row of its own, below the name of its direction.
const NAME_EM = 1.5;
const ROW_EM = 0.45;
const GAP_EM = 0.4;
const FOOT_EM = 1.4;
const SHORTEST_BAR_EM = 0.25;

/**
 * The times in which both messages of a pair were under way.
 *
 * @param {Way[]} some
 * @param {Way[]} others
 * @returns {Way[]}
 */
export function overlapsOf(some, others) {
  return some.flatMap((a) =>
    others.map((b) => ({
      sentMs: Math.max(a.sentMs, b.sentMs),
      cameMs: Math.min(a.cameMs, b.cameMs),
    }))
  ).filter(({ sentMs, cameMs }) => sentMs < cameMs);
}

/**
 * @param {HTMLElement} place
 * @param {string} label
 * @param {[Direction, Direction]} directions times counted from the start
 */
export function showOverlap(place, label, directions) {
  const [above, below] = directions;
  const ways = [...above.ways, ...below.ways];
  const spanMs = Math.max(1, ...ways.map(({ cameMs }) => cameMs));
  const middle = NAME_EM + above.ways.length * ROW_EM + GAP_EM;
  const bottom = middle + NAME_EM + below.ways.length * ROW_EM;
  const foot = bottom + FOOT_EM - 0.3;
  show(place, bottom + FOOT_EM, label, (width) => {
    const x = (/** @type {number} */ ms) => width * ms / spanMs;
    return [
      ...overlapsOf(above.ways, below.ways).flatMap((way) =>
        [above, below].map(({ ways }, i) =>
          drawBar(way, i * middle + NAME_EM, ways.length * ROW_EM, "both", x)
        )
      ),
      ...drawDirection(above, 0, x),
      ...drawDirection(below, middle, x),
      write(0, foot, "0 ms", "axis"),
      write(width / 2, foot, "shaded: both at once", "axis middle"),
      write(width, foot, formatMs(spanMs), "axis end"),
    ];
  });
}

/**
 * @param {Direction} direction
 * @param {number} top
 * @param {(ms: number) => number} x
 */
function drawDirection({ name, ways, kind }, top, x) {
  return [
    write(0, top + 1, name),
    ...ways.map((way, i) =>
      drawBar(way, top + NAME_EM + i * ROW_EM, ROW_EM, `way ${kind}`, x)
    ),
  ];
}

/**
 * @param {Way} way
 * @param {number} y
 * @param {number} height
 * @param {string} className
 * @param {(ms: number) => number} x
 */
function drawBar({ sentMs, cameMs }, y, height, className, x) {
  const width = Math.max(SHORTEST_BAR_EM, x(cameMs) - x(sentMs));
  return makeSvg("rect", {
    x: x(sentMs),
    y,
    width,
    height,
    class: className,
  });
}
