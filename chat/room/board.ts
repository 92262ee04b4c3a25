// A room's drawing board: what one draws is shown to all others, so its cost grows
// by the square of those who draw. The board has so many bytes a second for all of
// them: half of it is divided evenly, the other half is for whoever draws first. A
// stroke for which nothing is left is lost.
import { TokenBucket } from "../ops/rate_limit.ts";

/** Shows somebody who draws what another one drew. May not throw or wait. */
type Show = (frame: ArrayBuffer) => void;

/** On one board at a time. */
export const MAX_DRAWERS = 64;

/** Bytes a second that a board sends, to all who draw there together. */
export const BOARD_BYTES_PER_SECOND = 16 * 1024 * 1024;

/** Sending the shortest frame costs about as much as one of this size. */
const LEAST_FRAME_BYTES = 512;

function newBucket(bytesPerSecond: number, nowMs: number): TokenBucket {
  return new TokenBucket(bytesPerSecond, bytesPerSecond, nowMs);
}

export class Board {
  /** Those who draw, each with what it may have sent in any case. */
  readonly drawers = new Map<object, { show: Show; share: TokenBucket }>();
  #common: TokenBucket | undefined;

  /** False if too many draw here. */
  join(drawer: object, show: Show, nowMs: number): boolean {
    if (this.drawers.size >= MAX_DRAWERS) return false;
    const rate = BOARD_BYTES_PER_SECOND / 2 / MAX_DRAWERS;
    // It begins empty, or coming again and again would be a way around it.
    const share = new TokenBucket(rate, rate, nowMs, 0);
    this.drawers.set(drawer, { show, share });
    return true;
  }

  leave(drawer: object): void {
    this.drawers.delete(drawer);
  }

  /** Shows a frame to all but `by`, who drew it if that was done here. */
  show(frame: ArrayBuffer, by: object | undefined, nowMs: number): void {
    const bytes = this.drawers.size *
      Math.max(frame.byteLength, LEAST_FRAME_BYTES);
    const own = by && this.drawers.get(by);
    if (own?.share.take(nowMs, bytes) !== 0) {
      this.#common ??= newBucket(BOARD_BYTES_PER_SECOND / 2, nowMs);
      if (this.#common.take(nowMs, bytes) !== 0) return;
    }
    for (const [drawer, { show }] of this.drawers) {
      if (drawer !== by) show(frame);
    }
  }
}
