// Owns the stream of Server-Sent Events to somebody who watches, and the ring
// of what waits for them. Never knows what the events mean.
// Invariant: nothing is made before the reader wants it, so one who reads
// slowly costs no more than a full ring, and is told how much they missed.
import { KEEP_ALIVE_MS } from "./protocol.ts";
import { STREAM_BEGINS, STREAM_GOES_ON } from "./sse.ts";

/** What may wait for one watcher. */
export const MAX_RING_EVENTS = 256;
export const MAX_RING_CHARS = 128 * 1024;

const encoder = new TextEncoder();

export function formatEvent(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The newest events that wait; the oldest make room for them. */
export class Ring {
  #events: string[] = [];
  #chars = 0;
  #dropped = 0;

  constructor(
    private readonly maxEvents = MAX_RING_EVENTS,
    private readonly maxChars = MAX_RING_CHARS,
  ) {}

  put(event: string): void {
    this.#events.push(event);
    this.#chars += event.length;
    while (
      this.#events.length > this.maxEvents || this.#chars > this.maxChars
    ) {
      this.#chars -= this.#events.shift()?.length ?? 0;
      this.#dropped++;
    }
  }

  /** All that waits, after how many did not wait so long; or undefined. */
  take(): string | undefined {
    const count = this.#dropped;
    if (this.#events.length === 0 && count === 0) return undefined;
    const events = this.#events.join("");
    this.#events = [];
    this.#chars = 0;
    this.#dropped = 0;
    return count === 0 ? events : formatEvent("dropped", { count }) + events;
  }
}

export class Watch {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isWanted = false;
  readonly #keepAlive: ReturnType<typeof setInterval>;

  constructor(
    /** What there is to send now, if anything. */
    private readonly take: () => string | undefined,
    private readonly onEnd: () => void,
  ) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => {
        this.#isWanted = true;
        this.wake();
      },
      cancel: () => this.#end(),
    }, { highWaterMark: 0 });
    this.#write(STREAM_BEGINS);
    this.#keepAlive = setInterval(() => {
      if (this.#isWanted) this.#write(STREAM_GOES_ON);
    }, KEEP_ALIVE_MS);
  }

  /** There may be something to send. */
  wake(): void {
    if (!this.#isWanted) return;
    const text = this.take();
    if (text !== undefined) this.#write(text);
  }

  close(): void {
    this.#controller?.close();
    this.#end();
  }

  #write(text: string): void {
    this.#isWanted = false;
    this.#controller?.enqueue(encoder.encode(text));
  }

  #end(): void {
    if (this.#controller === undefined) return;
    this.#controller = undefined;
    clearInterval(this.#keepAlive);
    this.onEnd();
  }
}

/** A watch of single events, the oldest of which may be dropped. */
export class Trace {
  readonly #ring = new Ring();
  readonly #watch: Watch;

  constructor(onEnd: (trace: Trace) => void) {
    this.#watch = new Watch(() => this.#ring.take(), () => onEnd(this));
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#watch.body;
  }

  put(event: string): void {
    this.#ring.put(event);
    this.#watch.wake();
  }

  close(): void {
    this.#watch.close();
  }
}
