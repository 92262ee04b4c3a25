// @ts-check
// Bar charts: a bar for each way, in the parts that it is made of. All bars
// begin at 0 and have one scale, and the longest is as wide as the figure, so
// that lengths can be compared.

import { makeSvg } from "../shared/svg.js";
import { drawing } from "./drawing.js";

/** @import { Content } from "./rows.js" */
/** @import { Cost } from "./meter.js" */
/** @import { Result } from "./work.js" */

const HEIGHT = 26;

/**
 * lab.css gives each `className` a colour.
 *
 * @typedef {object} Part
 * @property {(cost: Cost) => number} of
 * @property {string} className
 */

/**
 * @param {Part[]} parts from left to right
 * @param {(cost: Cost) => string} words
 * @returns {Content}
 */
export function barChart(parts, words) {
  /** @param {Result} result */
  const total = ({ cost }) => parts.reduce((sum, { of }) => sum + of(cost), 0);
  /** @param {Result[]} all */
  const longest = (all) => Math.max(1, ...all.map(total));
  return {
    words: ({ cost }) => words(cost),

    draw({ cost }, all, width) {
      const perUnit = width / longest(all);
      let x = 0;
      const bars = parts.map(({ of, className }) => {
        const length = of(cost) * perUnit;
        const bar = makeSvg("rect", {
          class: className,
          x,
          y: 0,
          width: length,
          height: HEIGHT,
        });
        x += length;
        return bar;
      });
      return drawing(width, HEIGHT, bars);
    },

    // The words above each bar say how long it is.
    axis: () => [],
  };
}
