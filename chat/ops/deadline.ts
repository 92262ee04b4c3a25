// A deadline for what a peer is to say or to read. Where the process was stopped
// or the machine slept, a timer is due before anything was read that came
// meanwhile; so such a time does not count, and what is there is read first.

/** For what has come but was not read yet, also if nothing was late. */
export const READ_MS = 100;

export class Deadline {
  #timer: ReturnType<typeof setTimeout>;

  /**
   * Calls `late` when `ms` have passed, and `READ_MS`; if this program did not
   * run meanwhile, that much later, by `ms` at the most.
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
