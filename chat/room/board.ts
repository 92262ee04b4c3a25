// A room's drawing board: what one draws is shown to all others, so its cost grows
// by the square of those who draw. The board has so many bytes a second for all of
// them: half of it is divided evenly, the other half is for whoever draws first. A
// stroke for which nothing is left is lost.
import { TokenBucket } from "../ops/rate_limit.ts";

/** Shows somebody who draws what another one drew. May not throw or wait. */
type Show = (frame: ArrayBuffer) => void;

/** On one board at a time. */
export const MAX_DRAWERS = 64;

/** On a full board, one who drew nothing for so long gives way to one who comes. */
export const DRAWER_IDLE_MS = 30_000;

/** Bytes a second that a board sends, to all who draw there together. */
export const BOARD_BYTES_PER_SECOND = 16 * 1024 * 1024;

/** Sending the shortest frame costs about as much as one of this size. */
const LEAST_FRAME_BYTES = 512;

function newBucket(bytesPerSecond: number, nowMs: number): TokenBucket {
  return new TokenBucket(bytesPerSecond, bytesPerSecond, nowMs);
}

interface Drawer {
  show: Show;
  /** Its place goes to another one. */
  supersede: () => void;
}

/** What a board knows of one who draws. */
interface Place extends Drawer {
  /** What it may have sent in any case. */
  share: TokenBucket;
  /** When it drew, or came. */
  usedAtMs: number;
}

export class Board {
  readonly drawers = new Map<object, Place>();
  #common: TokenBucket | undefined;

  /** False if too many draw here. */
  join(id: object, drawer: Drawer, nowMs: number): boolean {
    if (this.drawers.size >= MAX_DRAWERS) this.#endIdle(nowMs);
    if (this.drawers.size >= MAX_DRAWERS) return false;
    const rate = BOARD_BYTES_PER_SECOND / 2 / MAX_DRAWERS;
    // It begins empty, or coming again and again would be a way around it.
    const share = new TokenBucket(rate, rate, nowMs, 0);
    this.drawers.set(id, { ...drawer, share, usedAtMs: nowMs });
    return true;
  }

  /** Takes the place of the one who drew nothing for the longest time. */
  #endIdle(nowMs: number): void {
    const [id, place] = [...this.drawers].reduce((one, other) =>
      other[1].usedAtMs < one[1].usedAtMs ? other : one
    );
    if (place.usedAtMs + DRAWER_IDLE_MS > nowMs) return;
    this.drawers.delete(id);
    place.supersede();
  }

  leave(drawer: object): void {
    this.drawers.delete(drawer);
  }

  /** Shows a frame to all but `by`, who drew it if that was done here. */
  show(frame: ArrayBuffer, by: object | undefined, nowMs: number): void {
    const bytes = this.drawers.size *
      Math.max(frame.byteLength, LEAST_FRAME_BYTES);
    const own = by && this.drawers.get(by);
    if (own) own.usedAtMs = nowMs;
    if (own?.share.take(nowMs, bytes) !== 0) {
      this.#common ??= newBucket(BOARD_BYTES_PER_SECOND / 2, nowMs);
      if (this.#common.take(nowMs, bytes) !== 0) return;
    }
    for (const [drawer, { show }] of this.drawers) {
      if (drawer !== by) show(frame);
    }
  }
}
