// A room's drawing board: what one draws is shown to all others, so its cost grows
// by the square of those who draw. The board has so many bytes a second for all of
// them: half of it is divided evenly, the other half is for whoever draws first. All
// boards of the server share a rate besides. A stroke for which nothing is left is
// lost. The places of a full board are shared by the networks of those who draw.
import { type RecentCount, TokenBucket } from "../ops/rate_limit.ts";
import { SharedRate } from "./rates.ts";

/** Shows somebody who draws what another one drew. May not throw or wait. */
type Show = (frame: ArrayBuffer) => void;

/** On one board at a time. */
export const MAX_DRAWERS = 64;

/**
 * On a full board, one of whom no stroke was shown for so long gives way to one who
 * comes.
 */
export const DRAWER_IDLE_MS = 30_000;

/** Bytes a second that a board sends, to all who draw there together. */
export const BOARD_BYTES_PER_SECOND = 16 * 1024 * 1024;

/** Bytes a second that all boards of this server send together. */
export const ALL_BOARDS_BYTES_PER_SECOND = 32 * 1024 * 1024;

/** Sending the shortest frame costs about as much as one of this size. */
const LEAST_FRAME_BYTES = 512;

function newBucket(bytesPerSecond: number, nowMs: number): TokenBucket {
  return new TokenBucket(bytesPerSecond, bytesPerSecond, nowMs);
}

interface Drawer {
  show: Show;
  /** Its place goes to another one. */
  supersede: (why: "board_idle" | "board_full") => void;
  network: string;
}

/** What a board knows of one who draws. */
interface Place extends Drawer {
  /** What it may have sent in any case. */
  share: TokenBucket;
  /** When a stroke of it was shown, or it came. */
  usedAtMs: number;
}

/** The rate that all boards of a server share. */
export function newBoardsRate(): SharedRate {
  const bytesPerSecond = ALL_BOARDS_BYTES_PER_SECOND;
  return new SharedRate(bytesPerSecond, bytesPerSecond);
}

export class Board {
  readonly drawers = new Map<object, Place>();
  #common: TokenBucket | undefined;
  /** What this board took of the rate of all. */
  readonly #taken: { said: RecentCount };

  constructor(private readonly all: SharedRate) {
    this.#taken = { said: all.newCount() };
  }

  /** False if too many draw here. */
  join(id: object, drawer: Drawer, nowMs: number): boolean {
    const isFull = this.drawers.size >= MAX_DRAWERS;
    if (isFull && !this.#endIdle(nowMs)) this.#endCrowded(drawer.network);
    if (this.drawers.size >= MAX_DRAWERS) return false;
    const rate = BOARD_BYTES_PER_SECOND / 2 / MAX_DRAWERS;
    // It begins empty, or coming again and again would be a way around it.
    const share = new TokenBucket(rate, rate, nowMs, 0);
    this.drawers.set(id, { ...drawer, share, usedAtMs: nowMs });
    return true;
  }

  /** Takes the place of the one who drew nothing for the longest time. */
  #endIdle(nowMs: number): boolean {
    const [id, place] = longestIdle([...this.drawers]);
    if (place.usedAtMs + DRAWER_IDLE_MS > nowMs) return false;
    this.#end(id, place, "board_idle");
    return true;
  }

  /**
   * Takes a place of the network that has most, if one of another network comes that
   * has at least two less.
   */
  #endCrowded(network: string): void {
    const places = Map.groupBy(this.drawers, ([, place]) => place.network);
    const most = [...places.values()].reduce((one, other) =>
      other.length > one.length ? other : one
    );
    if (most.length < (places.get(network)?.length ?? 0) + 2) return;
    this.#end(...longestIdle(most), "board_full");
  }

  #end(id: object, place: Place, why: "board_idle" | "board_full"): void {
    this.drawers.delete(id);
    place.supersede(why);
  }

  leave(drawer: object): void {
    this.drawers.delete(drawer);
  }

  /**
   * Shows a frame to all but `by`, who drew it if that was done here. False if it is
   * lost, because too much is drawn here or on all boards.
   */
  show(frame: ArrayBuffer, by: object | undefined, nowMs: number): boolean {
    const bytes = this.drawers.size *
      Math.max(frame.byteLength, LEAST_FRAME_BYTES);
    const own = by && this.drawers.get(by);
    if (own?.share.take(nowMs, bytes) !== 0) {
      this.#common ??= newBucket(BOARD_BYTES_PER_SECOND / 2, nowMs);
      if (this.#common.take(nowMs, bytes) !== 0) return false;
    }
    if (this.all.take(this.#taken, nowMs, bytes) !== 0) return false;
    // An empty frame is no stroke.
    if (own && frame.byteLength > 0) own.usedAtMs = nowMs;
    for (const [drawer, { show }] of this.drawers) {
      if (drawer !== by) show(frame);
    }
    return true;
  }
}

/** Of these, at least one, the one that drew nothing for the longest time. */
function longestIdle(places: [object, Place][]): [object, Place] {
  return places.reduce((one, other) =>
    other[1].usedAtMs < one[1].usedAtMs ? other : one
  );
}
