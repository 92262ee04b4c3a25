// A room's drawing board: everybody's strokes are shown to all others, so the
// cost grows with the square of the drawers. A board may send a fixed number of
// bytes a second: half of them is divided evenly among the drawers, the other
// half goes to those who draw first. A stroke for which no bytes are left is
// lost.
import { TokenBucket } from "../ops/rate_limit.ts";

/** Shows a drawer the stroke of another one. May not throw or wait. */
type Show = (frame: ArrayBuffer) => void;

/** Drawers on one board at a time. */
export const MAX_DRAWERS = 64;

/** On a full board, a drawer idle for this long gives way to a new one. */
export const DRAWER_IDLE_MS = 30_000;

/** Bytes a second that a board sends, to all its drawers together. */
export const BOARD_BYTES_PER_SECOND = 16 * 1024 * 1024;

/** Sending the shortest frame costs about as much as a frame of this size. */
const LEAST_FRAME_BYTES = 512;

function newBucket(bytesPerSecond: number, nowMs: number): TokenBucket {
  return new TokenBucket(bytesPerSecond, bytesPerSecond, nowMs);
}

interface Drawer {
  show: Show;
  /** Called when another drawer gets the place. */
  supersede: () => void;
}

/** A drawer, as the board knows it. */
interface Place extends Drawer {
  /** The drawer's own share of the bytes. */
  share: TokenBucket;
  /** When the drawer last drew, or came. */
  usedAtMs: number;
}

export class Board {
  readonly drawers = new Map<object, Place>();
  #common: TokenBucket | undefined;

  /** Adds a drawer; false if too many draw here. */
  join(id: object, drawer: Drawer, nowMs: number): boolean {
    if (this.drawers.size >= MAX_DRAWERS) this.#endIdle(nowMs);
    if (this.drawers.size >= MAX_DRAWERS) return false;
    const rate = BOARD_BYTES_PER_SECOND / 2 / MAX_DRAWERS;
    // The share begins empty; otherwise coming again and again would evade it.
    const share = new TokenBucket(rate, rate, nowMs, 0);
    this.drawers.set(id, { ...drawer, share, usedAtMs: nowMs });
    return true;
  }

  /** Removes the drawer who has been idle longest, if it was long enough. */
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

  /** Shows a frame to all drawers but `by`, who drew it if on this server. */
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
