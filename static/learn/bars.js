// @ts-check
// Draws durations as bars against a deadline. A bar that passes the deadline is
// drawn as late.

import { formatMs } from "../shared/units.js";
import { makeSvg } from "../shared/svg.js";
import { show, write } from "./picture.js";

const ROW_EM = 1.5;
const HEAD_EM = 1.6;

/**
 * @param {HTMLElement} place
 * @param {string} label
 * @param {number[]} durationsMs
 * @param {number} deadlineMs
 */
export function showBars(place, label, durationsMs, deadlineMs) {
  const spanMs = Math.max(deadlineMs * 1.25, ...durationsMs);
  const height = HEAD_EM + durationsMs.length * ROW_EM + 0.3;
  show(place, height, label, (width) => {
    // The space at the end is for the number beside the longest bar.
    const x = (/** @type {number} */ ms) => (width - 5) * ms / spanMs;
    const y = (/** @type {number} */ i) => HEAD_EM + i * ROW_EM;

    const at = x(deadlineMs);
    return [
      ...durationsMs.map((ms, i) =>
        makeSvg("rect", {
          x: 0,
          y: y(i) + 0.2,
          width: Math.max(0.1, x(ms)),
          height: ROW_EM - 0.4,
          class: `bar ${ms > deadlineMs ? "late" : "met"}`,
        })
      ),
      makeSvg("line", {
        x1: at,
        x2: at,
        y1: HEAD_EM - 0.3,
        y2: height,
        class: "deadline",
      }),
      // After the deadline's line, which would strike some of them through.
      ...durationsMs.map((ms, i) =>
        write(x(ms) + 0.4, y(i) + 1.05, formatMs(ms), "number")
      ),

      write(at, 1, `deadline ${deadlineMs} ms`, "number middle"),
    ];
  });
}
