// The connections that closed lately, for the projector: why each of them
// closed, and its last frames. They are kept only while somebody watches all
// connections.

/** How long a closed connection is shown, in milliseconds. */
export const CLOSED_KEPT_MS = 60_000;

/** How many closed connections are shown; the newest stay. */
export const MAX_CLOSED = 50;

export class ClosedConnections<
  Row extends { id: number },
  Recorder extends { forget(): void },
> {
  /** By the connection's number, the oldest first. */
  readonly #all = new Map<
    number,
    { row: Row; recorder: Recorder; atMs: number }
  >();

  /** `monotonic` returns milliseconds. */
  constructor(private readonly monotonic: () => number) {}

  add(row: Row, recorder: Recorder): void {
    this.#all.set(row.id, { row, recorder, atMs: this.monotonic() });
    for (const [id] of this.#all) {
      if (this.#all.size <= MAX_CLOSED) break;
      this.#remove(id);
    }
  }

  /** The newest row first. */
  get rows(): Row[] {
    return [...this.#all.values()].map(({ row }) => row).reverse();
  }

  recorderOf(id: number): Recorder | undefined {
    return this.#all.get(id)?.recorder;
  }

  removeOld(): void {
    const endMs = this.monotonic() - CLOSED_KEPT_MS;
    for (const [id, { atMs }] of this.#all) {
      if (atMs <= endMs) this.#remove(id);
    }
  }

  clear(): void {
    for (const [id] of this.#all) this.#remove(id);
  }

  #remove(id: number): void {
    this.#all.get(id)?.recorder.forget();
    this.#all.delete(id);
  }
}
