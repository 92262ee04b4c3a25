// The queue of clients that are to be given history. To read and encode one
// page takes up to a few milliseconds, and hundreds of clients may ask for one
// at the same moment. So one page is begun in each turn of the event loop, and
// chat messages go out in between.
//
// A client has at most two places: one for the messages that it missed, and one
// for the pages that it asks for, one after the other. For its next page it
// queues again. So all clients have their turn, and the queue has at most two
// places for each connection. A client that goes gives up its places.
import { setImmediate } from "node:timers";

/**
 * Pages that may be under way at once. A store on another machine takes longer
 * than a turn of the event loop, and chat messages have to pass through it too.
 */
export const MAX_PAGES_UNDER_WAY = 8;

/** One in this many turns is for a page that a client asked for. */
export const TURNS_FOR_ASKED = 4;

/** Whether a page has what a client missed, or what it asked for. */
export type Purpose = "missed" | "asked";

export class HistoryQueue {
  readonly #missed = new Fifo();
  readonly #asked = new Fifo();
  /** Turns since the last page that a client asked for. */
  #turns = 0;
  #underWay = 0;
  #turning: ReturnType<typeof setImmediate> | undefined;

  /** How many places wait. */
  get length(): number {
    return this.#missed.length + this.#asked.length;
  }

  /** Calls `begin` when its turn comes; the caller then calls `finish`. */
  enter(begin: () => void, purpose: Purpose): void {
    (purpose === "missed" ? this.#missed : this.#asked).enter(begin);
    this.#goOn();
  }

  /** Gives up a place whose turn has not come. */
  leave(begin: () => void): void {
    this.#missed.leave(begin);
    this.#asked.leave(begin);
  }

  /** The page that was begun is done, or failed. */
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
class Fifo {
  readonly #waiting = new Set<() => void>();
  /** Finds the first; a new iterator passes all deleted entries before it. */
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
