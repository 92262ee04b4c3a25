// A deadline for something that a peer has to send or to read. If the process
// was stopped or the machine slept, a timer fires before the data that arrived
// meanwhile is read; so such a time does not count, and that data is read
// first.

/** Time to read what has already arrived. */
export const READ_MS = 100;

export class Deadline {
  #timer: ReturnType<typeof setTimeout>;

  /**
   * Calls `late` after `ms` and `READ_MS`. Time in which this program did not
   * run is added, up to `ms`.
   */
  constructor(ms: number, late: () => void) {
    const dueMs = performance.now() + ms;
    this.#timer = setTimeout(() => {
      const missedMs = Math.max(0, performance.now() - dueMs);
      this.#timer = setTimeout(late, READ_MS + Math.min(ms, missedMs));
    }, ms);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
