// A room's drawing board: everybody's strokes are shown to all others, so the
// cost grows with the square of the drawers. A board may send a fixed number of
// bytes a second: half of them is divided evenly among the drawers, the other
// half goes to those who draw first. All boards of the server share a rate, too.
// A stroke for which no bytes are left is lost. The places of a full board are
// shared by the networks of the drawers.
import { type DecayingCount, TokenBucket } from "../ops/rate_limit.ts";
import { SharedRate } from "./rates.ts";

/** Shows a drawer the stroke of another one. May not throw or wait. */
type Show = (frame: ArrayBuffer) => void;

/** Drawers on one board at a time. */
export const MAX_DRAWERS = 64;

/** On a full board, a drawer idle for this long gives way to a new one. */
export const DRAWER_IDLE_MS = 30_000;

/** Bytes a second that a board sends, to all its drawers together. */
export const BOARD_BYTES_PER_SECOND = 16 * 1024 * 1024;

/** Bytes a second that all boards of this server send together. */
export const ALL_BOARDS_BYTES_PER_SECOND = 32 * 1024 * 1024;

/** Sending the shortest frame costs about as much as a frame of this size. */
const LEAST_FRAME_BYTES = 512;

function newBucket(bytesPerSecond: number, nowMs: number): TokenBucket {
  return new TokenBucket(bytesPerSecond, bytesPerSecond, nowMs);
}

interface Drawer {
  show: Show;
  /** Called when another drawer gets the place. */
  supersede: (why: "board_idle" | "board_full") => void;
  network: string;
}

/** A drawer, as the board knows it. */
interface Place extends Drawer {
  /** The drawer's own share of the bytes. */
  share: TokenBucket;
  /** When the drawer last drew, or came. */
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
  /** How much this board took of the rate that all boards share. */
  readonly #taken: { taken: DecayingCount };

  constructor(private readonly all: SharedRate) {
    this.#taken = { taken: all.newCount() };
  }

  /** Adds a drawer; false if too many draw here. */
  join(id: object, drawer: Drawer, nowMs: number): boolean {
    const isFull = this.drawers.size >= MAX_DRAWERS;
    if (isFull && !this.#endIdle(nowMs)) this.#endCrowded(drawer.network);
    if (this.drawers.size >= MAX_DRAWERS) return false;
    const rate = BOARD_BYTES_PER_SECOND / 2 / MAX_DRAWERS;
    // The share begins empty; otherwise coming again and again would evade it.
    const share = new TokenBucket(rate, rate, nowMs, 0);
    this.drawers.set(id, { ...drawer, share, usedAtMs: nowMs });
    return true;
  }

  /** Removes the drawer who has been idle longest, if it was long enough. */
  #endIdle(nowMs: number): boolean {
    const [id, place] = longestIdle([...this.drawers]);
    if (place.usedAtMs + DRAWER_IDLE_MS > nowMs) return false;
    this.#end(id, place, "board_idle");
    return true;
  }

  /**
   * Removes a drawer of the network that has most, if the newcomer's network has at
   * least two less.
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
   * Shows a frame to all drawers but `by`, who drew it if on this server. Returns
   * false if it is lost, because too much is drawn here or on all boards.
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

/** The drawer that drew nothing for the longest time, of at least one. */
function longestIdle(places: [object, Place][]): [object, Place] {
  return places.reduce((one, other) =>
    other[1].usedAtMs < one[1].usedAtMs ? other : one
  );
}
