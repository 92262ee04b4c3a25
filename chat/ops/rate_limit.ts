// The arithmetic of rates. A token bucket lets through, over any time t, at
// most burst + ratePerSecond * t. A call that takes several tokens at once may
// take more than there are; then the others wait until those are back. A recent
// count weighs each event less, the longer ago it was. The caller passes the
// time of a monotonic clock.

export class TokenBucket {
  #tokens: number;
  #filledAtMs: number;

  /**
   * A bucket for at most `burst` tokens that begins with `tokens`.
   * `ratePerSecond` 0 means no limit.
   */
  constructor(
    readonly ratePerSecond: number,
    readonly burst: number,
    nowMs: number,
    tokens = burst,
  ) {
    this.#tokens = tokens;
    this.#filledAtMs = nowMs;
  }

  /**
   * Takes tokens. Returns 0; or, when none is left, the ms until there is one.
   */
  take(nowMs: number, count = 1): number {
    const waitMs = this.peek(nowMs);
    if (waitMs === 0) this.#tokens -= count;
    return waitMs;
  }

  /** Returns the same as `take`, but takes nothing. */
  peek(nowMs: number): number {
    if (this.ratePerSecond === 0) return 0;
    this.#fill(nowMs);
    if (this.#tokens >= 1) return 0;
    return Math.ceil((1 - this.#tokens) * 1000 / this.ratePerSecond);
  }

  /** Milliseconds until the bucket is full, if nothing is taken. */
  fullInMs(nowMs: number): number {
    if (this.ratePerSecond === 0) return 0;
    this.#fill(nowMs);
    return (this.burst - this.#tokens) * 1000 / this.ratePerSecond;
  }

  /** Whether the bucket is full. */
  isAsNew(nowMs: number): boolean {
    return this.fullInMs(nowMs) === 0;
  }

  /** Gives back tokens that were not used; a negative count takes more. */
  giveBack(count: number): void {
    this.#tokens += count;
  }

  /** Takes so many tokens that the bucket is full in `ms` at the earliest. */
  drain(ms: number, nowMs: number): void {
    this.#fill(nowMs);
    const tokens = this.burst - ms * this.ratePerSecond / 1000;
    this.#tokens = Math.min(this.#tokens, tokens);
  }

  #fill(nowMs: number): void {
    // A clock set back must not drain the bucket.
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs);
    const refilled = this.#tokens + elapsedMs * this.ratePerSecond / 1000;
    this.#tokens = Math.min(this.burst, refilled);
    this.#filledAtMs = nowMs;
  }
}

export class DecayingCount {
  #count = 0;
  #countedAtMs = -Infinity;

  /** An event `timeConstantMs` ago weighs 1/e. */
  constructor(readonly timeConstantMs: number) {}

  at(nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#countedAtMs);
    return this.#count * Math.exp(-elapsedMs / this.timeConstantMs);
  }

  add(count: number, nowMs: number): void {
    this.#count = this.at(nowMs) + count;
    this.#countedAtMs = nowMs;
  }
}
