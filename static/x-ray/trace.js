// @ts-check
// The trace of one connection's traffic: bytes to the client above the line,
// bytes to the server below, for the newest SAMPLES steps. While there is no
// traffic, the page does not change.

import { makeSvg } from "../shared/svg.js";

const SAMPLES = 40;
const HALF = 12;
/** So many bytes in one step fill a half, on a logarithmic scale. */
const FULL_BYTES = 100_000;

export class Trace {
  /** @type {{ out: number, in: number }[]} */
  #steps = [];
  #above = makeSvg("path", { class: "above", d: "" });
  #below = makeSvg("path", { class: "below", d: "" });
  element = makeSvg(
    "svg",
    {
      class: "trace",
      viewBox: `0 ${-HALF} ${SAMPLES} ${2 * HALF}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    makeSvg("path", { class: "zero", d: `M0 0H${SAMPLES}` }),
    this.#above,
    this.#below,
  );

  /**
   * @param {number} outBytes since the last step
   * @param {number} inBytes
   */
  step(outBytes, inBytes) {
    const isFlat = outBytes === 0 && inBytes === 0;
    if (isFlat && this.#steps.length === 0) return;
    this.#steps.push({ out: outBytes, in: inBytes });
    if (this.#steps.length > SAMPLES) this.#steps.shift();
    if (this.#steps.every((step) => step.out + step.in === 0)) this.#steps = [];
    this.#above.setAttribute("d", this.#draw((step) => -height(step.out)));
    this.#below.setAttribute("d", this.#draw((step) => height(step.in)));
  }

  /** @param {(step: { out: number, in: number }) => number} y */
  #draw(y) {
    const from = SAMPLES - this.#steps.length;
    return this.#steps.map((step, i) => {
      const tip = y(step);
      return tip === 0 ? "" : `M${from + i} 0V${tip.toFixed(1)}h.8V0z`;
    }).join("");
  }
}

/** @param {number} bytes */
function height(bytes) {
  const share = Math.log1p(bytes) / Math.log1p(FULL_BYTES);
  return Math.min(1, share) * HALF;
}
