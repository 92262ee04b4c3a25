// Owns the messages that one client sent, by their number: which are not
// acknowledged, which are to be sent again. Never sends.
// Invariant: a message leaves it when it was shown, and every one that is sent
// again for want of trust has to be shown again.
import type { Life } from "./ledger.ts";

/** Where a message is. */
export interface Place {
  life: Life;
  seq: number;
}

export class Outbox {
  /** Where each acknowledged message was last said to be. */
  readonly acknowledged = new Map<number, Place>();
  /** Not acknowledged, with the time they were sent at, in order. */
  readonly #waiting = new Map<number, number>();
  /** Acknowledged, but taken for lost: the server has to answer again. */
  readonly #doubted = new Set<number>();

  get size(): number {
    return this.#waiting.size;
  }

  get isEmpty(): boolean {
    return this.#waiting.size + this.#doubted.size === 0;
  }

  /** When the oldest message was sent that is not acknowledged. */
  get oldestAtMs(): number | undefined {
    return this.#waiting.values().next().value;
  }

  add(n: number): void {
    this.#waiting.set(n, performance.now());
  }

  /** Does not believe an acknowledgement any more. */
  doubt(n: number): void {
    if (this.acknowledged.has(n)) this.#doubted.add(n);
  }

  /** What was acknowledged is lost, and so is who could answer again. */
  trust(): void {
    this.#doubted.clear();
  }

  isWaiting(n: number): boolean {
    return this.#waiting.has(n);
  }

  /** All that is to be sent again, in the order in which it was sent. */
  again(): number[] {
    this.restartClock();
    return [...this.#doubted, ...this.#waiting.keys()].sort((a, b) => a - b);
  }

  /** For when there was a reason why nothing was shown. */
  restartClock(): void {
    for (const n of this.#waiting.keys()) this.add(n);
  }

  /** A message was shown; true if it was waited for. */
  show(n: number, place: Place): boolean {
    this.#doubted.delete(n);
    this.acknowledged.set(n, place);
    return this.#waiting.delete(n);
  }

  describe(): string {
    return `unacknowledged ${[...this.#waiting.keys()].join() || "none"}, ` +
      `unanswered ${[...this.#doubted].join() || "none"}`;
  }
}
