// The queue of those who are to be given history. To read and encode one page takes
// up to a few milliseconds, and hundreds of clients may ask for one at the same
// moment. So one page is begun in each turn of the event loop, and what is said
// meanwhile goes out in between.
//
// A client has at most two places: one for what it missed, and one for the pages
// that it asks for, which it is given one after the other. For its next page it
// queues again. So all come round in turn, and the queue has no more than two places
// for each connection. A client that goes gives up its places.
//
// What was missed comes first, or many who search would keep others from coming in.
// But of a few turns one is for what was asked for, however many come in.
import { setImmediate } from "node:timers";

/**
 * Pages that may be under way at once: a store on another machine takes longer than
 * a turn, and what is said has to pass through it as well.
 */
export const MAX_PAGES_UNDER_WAY = 8;

/** Of so many turns one is for a page that was asked for. */
export const TURNS_FOR_ASKED = 4;

/** What a page is for: what a client missed, or what it asked for. */
export type Purpose = "missed" | "asked";

export class HistoryQueue {
  readonly #missed = new Line();
  readonly #asked = new Line();
  /** Turns since a page that was asked for was begun. */
  #turns = 0;
  #underWay = 0;
  #turning: ReturnType<typeof setImmediate> | undefined;

  /** How many wait. */
  get length(): number {
    return this.#missed.length + this.#asked.length;
  }

  /** Calls `begin` when its turn comes; `finish` has to follow. */
  enter(begin: () => void, purpose: Purpose): void {
    (purpose === "missed" ? this.#missed : this.#asked).enter(begin);
    this.#goOn();
  }

  /** Gives up a place whose turn has not come. */
  leave(begin: () => void): void {
    this.#missed.leave(begin);
    this.#asked.leave(begin);
  }

  /** What was begun is done, or failed. */
  finish(): void {
    this.#underWay--;
    this.#goOn();
  }

  #goOn(): void {
    if (this.length === 0) return;
    if (this.#underWay >= MAX_PAGES_UNDER_WAY) return;
    this.#turning ??= setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#turning = undefined;
    const begin = this.#takeFirst();
    if (begin === undefined) return;
    this.#underWay++;
    begin();
    this.#goOn();
  };

  #takeFirst(): (() => void) | undefined {
    this.#turns++;
    const isForMissed = this.#turns < TURNS_FOR_ASKED ||
      this.#asked.length === 0;
    const missed = isForMissed ? this.#missed.takeFirst() : undefined;
    if (missed !== undefined) return missed;
    this.#turns = 0;
    return this.#asked.takeFirst();
  }
}

/** Places in the order in which they were taken. */
class Line {
  readonly #waiting = new Set<() => void>();
  /** Comes to the first; a `Set` asked for its first passes all deleted before it. */
  #order = this.#waiting.values();

  get length(): number {
    return this.#waiting.size;
  }

  enter(begin: () => void): void {
    this.#waiting.add(begin);
  }

  leave(begin: () => void): void {
    this.#waiting.delete(begin);
  }

  takeFirst(): (() => void) | undefined {
    let { value: first } = this.#order.next();
    if (first === undefined) {
      this.#order = this.#waiting.values();
      first = this.#order.next().value;
    }
    if (first !== undefined) this.#waiting.delete(first);
    return first;
  }
}
