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

export class HistoryQueue {
  readonly #waiting = new Set<() => void>();
  /** Finds the first; a new iterator passes all deleted entries before it. */
  #order = this.#waiting.values();
  #underWay = 0;
  #turning: ReturnType<typeof setImmediate> | undefined;

  /** How many places wait. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Calls `begin` when its turn comes; the caller then calls `finish`. */
  enter(begin: () => void): void {
    this.#waiting.add(begin);
    this.#goOn();
  }

  /** Gives up a place whose turn has not come. */
  leave(begin: () => void): void {
    this.#waiting.delete(begin);
  }

  /** The page that was begun is done, or failed. */
  finish(): void {
    this.#underWay--;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#waiting.size === 0) return;
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
    let { value: first } = this.#order.next();
    if (first === undefined) {
      this.#order = this.#waiting.values();
      first = this.#order.next().value;
    }
    if (first !== undefined) this.#waiting.delete(first);
    return first;
  }
}
