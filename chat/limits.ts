// Owns the token bucket that holds a rate. Never reads a clock: the caller
// passes `now`. Invariant: over any time t it lets through at most
// burst + ratePerSecond * t.

export class TokenBucket {
  #tokens: number;
  #filledAtMs: number;

  /** A full bucket of `burst` tokens. `ratePerSecond` 0 means no limit. */
  constructor(
    readonly ratePerSecond: number,
    readonly burst: number,
    nowMs: number,
  ) {
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** Takes a token. Returns 0, or, when none is left, the ms until there is. */
  take(nowMs: number): number {
    const waitMs = this.peek(nowMs);
    if (waitMs === 0) this.#tokens -= 1;
    return waitMs;
  }

  /** What `take` would return; takes nothing. */
  peek(nowMs: number): number {
    if (this.ratePerSecond === 0) return 0;
    // A clock set back must not drain the bucket.
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs);
    const refilled = this.#tokens + elapsedMs * this.ratePerSecond / 1000;
    this.#tokens = Math.min(this.burst, refilled);
    this.#filledAtMs = nowMs;
    if (this.#tokens >= 1) return 0;
    return Math.ceil((1 - this.#tokens) * 1000 / this.ratePerSecond);
  }
}
