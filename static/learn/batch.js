// @ts-check
// Collects the points of a stroke, and sends them together once per repaint, so
// that there are fewer frames than the server's rate allows. No point is lost:
// each batch begins where the last one ended.

import { MAX_POINTS } from "./stroke.js";

/** @import { Point } from "./stroke.js" */

/** The server takes 60 frames a second; a fast screen repaints more often. */
const PAUSE_MS = 30;

export class Batch {
  /** @type {Point[]} */
  #points = [];
  #isScheduled = false;
  /** Whether the first of the points was in the last batch already. */
  #isContinued = false;
  #sentMs = -Infinity;
  #send;

  /** @param {(points: Point[]) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Point} point where the pen touched the board */
  begin(point) {
    this.flush();
    this.#points = [point];
    this.#isContinued = false;
    this.#schedule();
  }

  /** @param {Point} point */
  add(point) {
    this.#points.push(point);
    if (this.#points.length >= MAX_POINTS) this.flush();
    else this.#schedule();
  }

  /** Sends the points; the last one stays, to begin the next batch. */
  flush() {
    const points = this.#points;
    if (points.length === 0 || points.length === 1 && this.#isContinued) return;
    this.#send(points);
    this.#sentMs = performance.now();
    this.#points = points.slice(-1);
    this.#isContinued = true;
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame((nowMs) => this.#tick(nowMs));
  }

  /** @param {number} nowMs */
  #tick(nowMs) {
    this.#isScheduled = false;
    if (nowMs - this.#sentMs < PAUSE_MS) this.#schedule();
    else this.flush();
  }
}
