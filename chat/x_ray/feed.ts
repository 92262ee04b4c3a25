// A feed: the stream of Server-Sent Events to one reader, and the ring of
// events that wait for that reader. Events go into the stream only as fast as
// the reader takes them, so a slow reader costs no more than a full ring, and
// is told how many events were dropped.
import { KEEP_ALIVE_MS } from "../protocol/events.ts";
import { STREAM_BEGINS, STREAM_GOES_ON } from "../transport/event_stream.ts";

/** Events, and characters of events, that may wait for one reader. */
export const MAX_RING_EVENTS = 256;
export const MAX_RING_CHARS = 128 * 1024;

const encoder = new TextEncoder();

export function formatFeedEvent(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The newest waiting events. The oldest are dropped to make space. */
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

  /** The waiting events, after the number of dropped ones, if there are any. */
  drain(): string | undefined {
    const count = this.#dropped;
    if (this.#events.length === 0 && count === 0) return undefined;
    const events = this.#events.join("");
    this.#events = [];
    this.#chars = 0;
    this.#dropped = 0;
    return count === 0
      ? events
      : formatFeedEvent("dropped", { count }) + events;
  }
}

export class Feed {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isWanted = false;
  readonly #keepAlive: ReturnType<typeof setInterval>;

  constructor(
    /** The text to send now, if there is any. */
    private readonly drain: () => string | undefined,
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

  /** Sends what there is to send, when the reader takes it. */
  wake(): void {
    if (!this.#isWanted) return;
    const text = this.drain();
    if (text !== undefined) this.#write(text);
  }

  /** Sends what there is to send, and ends the stream. */
  close(): void {
    const text = this.drain();
    if (text !== undefined) this.#write(text);
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

/** A feed of single events, of which the oldest may be dropped. */
export class EventFeed {
  readonly #ring = new Ring();
  readonly #feed: Feed;

  constructor(onEnd: (feed: EventFeed) => void) {
    this.#feed = new Feed(() => this.#ring.drain(), () => onEnd(this));
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#feed.body;
  }

  put(event: string): void {
    this.#ring.put(event);
    this.#feed.wake();
  }

  close(): void {
    this.#feed.close();
  }

  /** Sends this event in place of those that wait, and ends the stream. */
  end(event: string): void {
    this.#ring.drain();
    this.put(event);
    this.close();
  }
}
