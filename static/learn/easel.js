// @ts-check
// Draws the board: a canvas with the newest strokes, and the place of the
// keyboard's pen. It draws them again when the size or the colours change.

import { mediaQuery } from "../shared/dom.js";
import { COLOURS, MAX_COORDINATE } from "./stroke.js";

/** @import { Point, Stroke } from "./stroke.js" */

const MAX_STROKES = 4_000;
/** As a part of the board's width. */
const LINE_WIDTH = 0.006;

export class Easel {
  /** @type {Stroke[]} */
  #strokes = [];
  #canvas;
  #pen;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} pen shows the point; it lies over the canvas
   */
  constructor(canvas, pen) {
    this.#canvas = canvas;
    this.#pen = pen;
    new ResizeObserver(() => this.#paintAll()).observe(canvas);
    mediaQuery("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#paintAll());
  }

  /** @param {Stroke} stroke */
  add(stroke) {
    this.#strokes.push(stroke);
    if (this.#strokes.length > MAX_STROKES) this.#strokes.shift();
    this.#paint(stroke, this.#palette());
  }

  clear() {
    this.#strokes = [];
    this.#paintAll();
  }

  /** @param {Point} point */
  placePen([x, y]) {
    this.#pen.style.left = `${100 * x / MAX_COORDINATE}%`;
    this.#pen.style.top = `${100 * y / MAX_COORDINATE}%`;
  }

  /**
   * Where on the board a pointer is.
   *
   * @param {{ clientX: number, clientY: number }} event
   * @returns {Point}
   */
  pointAt({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [
      toCoordinate((clientX - left) / width),
      toCoordinate((clientY - top) / height),
    ];
  }

  #paintAll() {
    const { clientWidth, clientHeight } = this.#canvas;
    // Setting them empties the canvas.
    this.#canvas.width = clientWidth * devicePixelRatio;
    this.#canvas.height = clientHeight * devicePixelRatio;
    const palette = this.#palette();
    for (const stroke of this.#strokes) this.#paint(stroke, palette);
  }

  #palette() {
    const style = getComputedStyle(this.#canvas);
    return Array.from(
      { length: COLOURS },
      (_, i) => style.getPropertyValue(`--tone-${i}`),
    );
  }

  /**
   * @param {Stroke} stroke
   * @param {string[]} palette
   */
  #paint({ colour, points }, palette) {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const [first] = points;
    if (context === null || first === undefined) return;
    context.strokeStyle = palette[colour] ?? "";
    context.lineWidth = width * LINE_WIDTH;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    for (const [x, y] of [first, ...points]) {
      context.lineTo(
        x / MAX_COORDINATE * width,
        y / MAX_COORDINATE * height,
      );
    }
    context.stroke();
  }
}

/** @param {number} part of the width or height */
function toCoordinate(part) {
  return Math.round(Math.min(1, Math.max(0, part)) * MAX_COORDINATE);
}
