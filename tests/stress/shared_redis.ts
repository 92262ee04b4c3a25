// The Redis that servers share under stress, and when it was away: what failed
// meanwhile may be put down to that. A failure counts from before it begins
// until the servers have had the time to notice its end.
import type { Redis } from "../support/redis.ts";

/** Nodes may need so long to find out that it is back. */
const RECOVERY_MS = 5_000;

/** Paused for a moment or for long, killed and started again, or emptied. */
export type FailureKind = "pause" | "freeze" | "restart" | "empty";

interface Failure {
  kind: FailureKind;
  fromMs: number;
  /** With the time to notice it. */
  toMs: number;
}

/** All times are as `Date.now()`. */
export class SharedRedis {
  readonly #failures: Failure[] = [];

  constructor(readonly server: Redis) {}

  /** Runs what makes it fail, up to where it works again. */
  async fail(kind: FailureKind, during: () => Promise<void>): Promise<void> {
    const fromMs = Date.now();
    this.#failures.push({ kind, fromMs, toMs: Infinity });
    // Who had no time yet to notice the one before does so after this one.
    const open = this.#failures.filter(({ toMs }) => fromMs <= toMs);
    for (const failure of open) failure.toMs = Infinity;
    await during();
    for (const failure of open) failure.toMs = Date.now() + RECOVERY_MS;
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
    return this.#failures.map(({ kind, fromMs, toMs }) =>
      `${kind} ${time(fromMs)} to ${time(toMs)}`
    ).join("\n");
  }

  /** How often it lost all, or may have been about to, since then. */
  emptyingsSince(ms: number): number {
    return this.#failures.filter(({ kind, toMs }) =>
      kind === "empty" && ms <= toMs
    ).length;
  }
}
