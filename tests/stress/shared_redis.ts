// Owns the Redis that nodes share under stress, and when it was away: what
// failed meanwhile may be put down to that. Never decides that it goes away.
// Invariant: a failure counts from before it begins until the nodes have had
// the time to notice that it is over.
import type { Redis } from "../redis.ts";

/** Nodes may need so long to find out that it is back. */
const RECOVERY_MS = 5_000;

interface Failure {
  fromMs: number;
  /** With the time to notice it. */
  toMs: number;
  isEmptying: boolean;
}

/** All times are as `Date.now()`. */
export class SharedRedis {
  readonly #failures: Failure[] = [];

  constructor(readonly server: Redis) {}

  /** Runs what makes it fail, up to where it works again. */
  async fail(isEmptying: boolean, during: () => Promise<void>): Promise<void> {
    const failure = { fromMs: Date.now(), toMs: Infinity, isEmptying };
    this.#failures.push(failure);
    await during();
    failure.toMs = Date.now() + RECOVERY_MS;
  }

  /** Whether it failed at some time from `fromMs` to `toMs`. */
  hasFailed(fromMs: number, toMs: number): boolean {
    return this.#failures.some((failure) =>
      failure.fromMs <= toMs && fromMs <= failure.toMs
    );
  }

  /** When that was, a line each, with the time to notice it. */
  describe(): string {
    const time = (ms: number) => ms === Infinity ? "" : new Date(ms).toJSON();
    return this.#failures.map(({ fromMs, toMs, isEmptying }) =>
      `${time(fromMs)} to ${time(toMs)}${isEmptying ? ", emptied" : ""}`
    ).join("\n");
  }

  /** How often it lost all, or may have been about to, since then. */
  emptyingsSince(ms: number): number {
    return this.#failures.filter(({ isEmptying, toMs }) =>
      isEmptying && ms <= toMs
    ).length;
  }
}
