// Writes lines to standard output or standard error without ever waiting for
// the reader: a full pipe, a selection in a console or a full disk would stop
// the server with Deno's `console`. Invariant: one write is under way at a
// time, and the lines that wait are bounded.

/** Bytes of lines that may wait for the reader; further lines are dropped. */
export const MAX_WAITING_BYTES = 256 * 1024;

export class Output {
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  /** Resolves when nothing waits any more; undefined if nothing does. */
  #writing: Promise<void> | undefined;

  constructor(
    private readonly sink: Pick<typeof Deno.stdout, "write">,
    /** Makes the line that tells how many lines were dropped. */
    private readonly tellDropped: (count: number) => string,
  ) {}

  /** Never throws and never waits: a line that does not fit is dropped. */
  write(line: string): void {
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#writeAll();
  }

  /** Waits until all lines are written, at most `deadlineMs`. */
  async flush(deadlineMs: number): Promise<void> {
    if (this.#writing === undefined) return;
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, deadlineMs);
    await Promise.race([this.#writing, isLate]);
    clearTimeout(timer);
  }

  async #writeAll(): Promise<void> {
    do {
      for (let lines; (lines = this.#waiting.splice(0)).length > 0;) {
        for (const line of lines) {
          if (!await this.#writeOne(line)) this.#dropped++;
          this.#waitingBytes -= line.length;
        }
      }
      await this.#confess();
    } while (this.#waiting.length > 0);
    this.#writing = undefined;
  }

  /** Tells how many lines were dropped, once there is a reader again. */
  async #confess(): Promise<void> {
    const count = this.#dropped;
    if (count === 0) return;
    const line = new TextEncoder().encode(`${this.tellDropped(count)}\n`);
    if (await this.#writeOne(line)) this.#dropped -= count;
  }

  /**
   * False if the line cannot be written: the pipe is closed, the disk is full.
   */
  async #writeOne(bytes: Uint8Array): Promise<boolean> {
    try {
      for (let at = 0; at < bytes.length;) {
        const written = await this.sink.write(bytes.subarray(at));
        if (written === 0) return false;
        at += written;
      }
      return true;
    } catch {
      return false;
    }
  }
}
