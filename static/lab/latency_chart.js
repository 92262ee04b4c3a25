// @ts-check
// The chart of the latencies: for each way a ring for each message at the
// moment when a WebSocket listener had it, and below it a dot for when the
// receiver had it, on one logarithmic axis that all ways share, with lines at
// the median and at the slowest.

import { formatAdded, formatMs, grouped } from "../shared/units.js";
import { decades, percentile } from "./statistics.js";
import { makeSvg } from "../shared/svg.js";
import { drawing } from "./drawing.js";

/** @import { Content } from "./rows.js" */
/** @import { Result } from "./work.js" */

// A lane for the rings above one for the dots.
const LANE_HEIGHT = 34;
const HEIGHT = 2 * LANE_HEIGHT;
const MARGIN = 14;
const RADIUS = 4;

/** @type {Content} */
export const latencyChart = {
  words: ({ latencies, sendings, receivings }) =>
    `median ${formatMs(percentile(latencies, 50))}, ` +
    `slowest ${formatMs(percentile(latencies, 100))}` +
    (sendings.length === 0
      ? ""
      : ` · sending ${formatMs(percentile(sendings, 50))}, ` +
        `receiving ${formatAdded(percentile(receivings, 50))}`),

  draw({ latencies, sendings }, all, width) {
    const x = scale(all, width);
    const grid = ticks(all).map((ms) => line(x(ms), 0, HEIGHT, "grid"));
    const marks = latencies.length === 0 ? [] : [
      line(x(percentile(latencies, 50)), LANE_HEIGHT, HEIGHT - 2, "median"),
      line(x(percentile(latencies, 100)), LANE_HEIGHT, HEIGHT - 2, "tail"),
    ];
    return drawing(width, HEIGHT, [
      ...grid,
      ...sendings.map((ms, i) => circle(x(ms), heightOf(i), "ring")),
      ...latencies.map((ms, i) =>
        circle(x(ms), heightOf(i) + LANE_HEIGHT, "dot")
      ),
      ...marks,
    ]);
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
 * Where a time is, in pixels from the left.
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
  return (ms) => MARGIN + (Math.log10(atLeast(ms)) - from) * perDecade;
}

/** @param {Result[]} all */
function ticks(all) {
  const times = all.flatMap(({ latencies, sendings }) => [
    ...latencies,
    ...sendings,
  ]);
  return decades(times.map(atLeast));
}

/**
 * A browser's clock is coarse: a time too short for it is not 0.
 *
 * @param {number} ms
 */
function atLeast(ms) {
  return Math.max(ms, 0.1);
}

/**
 * Marks of the same latency lie beside each other, in an order that looks
 * random.
 *
 * @param {number} i
 */
function heightOf(i) {
  const steps = 7;
  return LANE_HEIGHT / 2 + ((i * 3) % steps - (steps - 1) / 2) * 3.5;
}

/**
 * @param {number} cx
 * @param {number} cy
 * @param {string} className
 */
function circle(cx, cy, className) {
  return makeSvg("circle", { class: className, r: RADIUS, cx, cy });
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
