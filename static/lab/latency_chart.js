// @ts-check
// Owns the picture of the latencies: a dot for each message on an axis that all
// ways share, and lines at the median and the 99th percentile. It never
// measures. Invariant: the axis is logarithmic and holds every dot.

import { decades, formatMs, grouped, percentile } from "./statistics.js";
import { makeSvg } from "../svg.js";
import { drawing } from "./drawing.js";

/** @import { Content } from "./rows.js" */
/** @import { Result } from "./work.js" */

const HEIGHT = 44;
const MARGIN = 14;
const RADIUS = 4;

/** @type {Content} */
export const latencyChart = {
  words: ({ latencies }) =>
    `median ${formatMs(percentile(latencies, 50))}, ` +
    `p99 ${formatMs(percentile(latencies, 99))}`,

  draw({ latencies }, all, width) {
    const x = scale(all, width);
    const grid = ticks(all).map((ms) => line(x(ms), 0, HEIGHT, "grid"));
    const dots = latencies.map((ms, i) =>
      makeSvg("circle", { class: "dot", r: RADIUS, cx: x(ms), cy: heightOf(i) })
    );
    const marks = latencies.length === 0 ? [] : [
      line(x(percentile(latencies, 50)), 2, HEIGHT - 2, "median"),
      line(x(percentile(latencies, 99)), 2, HEIGHT - 2, "tail"),
    ];
    return drawing(width, HEIGHT, [...grid, ...dots, ...marks]);
  },

  axis(all, width) {
    const x = scale(all, width);
    return ticks(all).map((ms) => ({
      text: ms < 1_000 ? `${ms} ms` : `${grouped(ms / 1_000)} s`,
      at: x(ms) / width,
    }));
  },
};

/**
 * Where a latency is, in pixels from the left.
 *
 * @param {Result[]} all
 * @param {number} width
 * @returns {(ms: number) => number}
 */
function scale(all, width) {
  const [low, ...more] = ticks(all).map(Math.log10);
  const high = more.at(-1) ?? 1;
  const from = low ?? 0;
  const perDecade = (width - 2 * MARGIN) / (high - from);
  return (ms) => MARGIN + (Math.log10(ms) - from) * perDecade;
}

/** @param {Result[]} all */
function ticks(all) {
  // A browser's clock is coarse: what takes less than it shows is not 0.
  const latencies = all.flatMap(({ latencies }) => latencies);
  return decades(latencies.map((ms) => Math.max(ms, 0.1)));
}

/**
 * Dots of the same latency lie beside each other, in an order that looks like
 * none.
 *
 * @param {number} i
 */
function heightOf(i) {
  const steps = 7;
  return HEIGHT / 2 + ((i * 3) % steps - (steps - 1) / 2) * 4.5;
}

/**
 * @param {number} x
 * @param {number} y1
 * @param {number} y2
 * @param {string} className
 */
function line(x, y1, y2, className) {
  return makeSvg("line", { x1: x, x2: x, y1, y2, class: className });
}
