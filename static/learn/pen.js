// @ts-check
// Moves the pen over the board, by pointer or by keyboard. Between "down" and
// "up" there are only moves, whatever the hand or the keys do.

import { MAX_COORDINATE } from "./stroke.js";

/** @import { Point } from "./stroke.js" */

/**
 * @typedef {object} Hand
 * @property {(point: Point) => void} down the pen touches the board
 * @property {(point: Point) => void} move while it touches
 * @property {() => void} up
 * @property {(point: Point, isDown: boolean) => void} place by the keyboard
 */

/** A part of the board, for one press of an arrow key; a tenth with Shift. */
const STEP = 0.02;

/** @type {Map<string, Point>} */
const DIRECTIONS = new Map([
  ["ArrowLeft", [-1, 0]],
  ["ArrowRight", [1, 0]],
  ["ArrowUp", [0, -1]],
  ["ArrowDown", [0, 1]],
]);

export class Pen {
  /** @type {Point} */
  #at = [MAX_COORDINATE / 2 | 0, MAX_COORDINATE / 2 | 0];
  #isDown = false;
  /** Moves nothing while the board is not connected. */
  isHeld = false;
  #hand;

  /**
   * @param {HTMLElement} board
   * @param {(event: PointerEvent) => Point} pointAt
   * @param {Hand} hand
   */
  constructor(board, pointAt, hand) {
    this.#hand = hand;
    board.addEventListener("pointerdown", (event) => {
      if (!this.isHeld || event.button !== 0) return;
      board.setPointerCapture(event.pointerId);
      this.lift();
      this.#lower(pointAt(event));
    });
    board.addEventListener("pointermove", (event) => {
      if (!board.hasPointerCapture(event.pointerId)) return;
      // A fast hand makes several moves between two repaints. Safari has had
      // this method for a short time only.
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const move of moves.length > 0 ? moves : [event]) {
        this.#moveTo(pointAt(move));
      }
    });
    for (const type of ["pointerup", "pointercancel"]) {
      board.addEventListener(type, () => this.lift());
    }
    board.addEventListener("keydown", (event) => this.#press(event));
    board.addEventListener("blur", () => this.lift());
  }

  lift() {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#hand.up();
  }

  /** @param {Point} point */
  #lower(point) {
    this.#isDown = true;
    this.#at = point;
    this.#hand.down(point);
  }

  /** @param {Point} point */
  #moveTo(point) {
    this.#at = point;
    if (this.#isDown) this.#hand.move(point);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (!this.isHeld || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = DIRECTIONS.get(event.key);
    if (direction !== undefined) {
      const step = MAX_COORDINATE * STEP * (event.shiftKey ? 0.1 : 1);
      const [x, y] = this.#at;
      this.#moveTo([
        clamp(x + direction[0] * step),
        clamp(y + direction[1] * step),
      ]);
    } else if (event.key === " ") {
      if (this.#isDown) this.lift();
      else this.#lower(this.#at);
    } else {
      return;
    }
    event.preventDefault();
    this.#hand.place(this.#at, this.#isDown);
  }
}

/** @param {number} coordinate */
function clamp(coordinate) {
  return Math.round(Math.min(MAX_COORDINATE, Math.max(0, coordinate)));
}
