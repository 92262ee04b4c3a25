// A client's line over Server-Sent Events (WHATWG HTML section 9.2): the server
// sends a stream of events, the client makes a POST for each request. The `id:`
// of an event names the newest message that the client has after this event.
import { CloseCode } from "../protocol/close_codes.ts";
import { escapeControls, KEEP_ALIVE_MS, seqOf } from "../protocol/events.ts";
import type { Transport } from "../session/session.ts";

const encoder = new TextEncoder();

/** How a stream begins: a lost one may be opened again after so many ms. */
export const STREAM_BEGINS = "retry: 1000\n\n";

/**
 * When a client may ask again whose key is in use on another connection: if it
 * asked soon, two streams would supersede each other for ever. About the
 * longest time of JavaScript's timers, which is 2^31 - 1 ms.
 */
const SUPERSEDED_RETRY_MS = 24 * 24 * 60 * 60 * 1000;

/** A comment, so that no network cuts a silent stream. */
export const STREAM_GOES_ON = ": still here\n\n";

/** If more bytes than this are waiting, the end does not wait for them. */
const MAX_LEFT_BYTES = 64 * 1024;

export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store, no-transform",
  // Otherwise nginx collects the events, and a browser sees them too late.
  "x-accel-buffering": "no",
};

/** Ends the body of a response that the client does not read; no fault. */
export class CutOff extends Error {}

export class EventStream implements Transport {
  /** The body of the response. */
  readonly body: ReadableStream<Uint8Array>;
  /** The client ended the stream, as it does to go on with polls. */
  wasLeft = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #keepAlive: ReturnType<typeof setInterval>;

  constructor(
    /** Names the life of the room's history, for the ids. */
    private readonly epoch: () => string,
    private readonly onEnd: () => void,
  ) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.wasLeft = true;
        this.#end();
      },
    }, { highWaterMark: 0, size: (chunk) => chunk?.byteLength ?? 0 });
    this.#write(STREAM_BEGINS);
    this.#keepAlive = setInterval(
      () => this.#write(STREAM_GOES_ON),
      KEEP_ALIVE_MS,
    );
  }

  get bufferedAmount(): number {
    return -(this.#controller?.desiredSize ?? 0);
  }

  send(_frame: unknown, events: readonly string[]): void {
    const epoch = this.epoch();
    const text = events.map((event) => formatEvent(event, epoch)).join("");
    this.#write(escapeControls(text));
  }

  /**
   * Sends code and reason as an event `close`, because SSE has no close, and
   * the time to ask again as `retry:`, because an `EventSource` always asks
   * again. Cuts off a client that does not read.
   */
  close(code: number, reason: string, retryAfterMs?: number): void {
    if (this.bufferedAmount > MAX_LEFT_BYTES) {
      this.#controller?.error(new CutOff(reason));
    } else {
      const data = JSON.stringify({ code, reason });
      const retryMs = code === CloseCode.takenOver
        ? SUPERSEDED_RETRY_MS
        : retryAfterMs;
      const retry = retryMs === undefined
        ? ""
        : `retry: ${Math.ceil(retryMs)}\n`;
      this.#write(`${retry}event: close\ndata: ${data}\n\n`);
      this.#controller?.close();
    }
    this.#end();
  }

  #write(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
  }

  #end(): void {
    clearInterval(this.#keepAlive);
    this.#controller = undefined;
    this.onEnd();
  }
}

/**
 * One encoded event in the format of SSE. A message is an event without a name,
 * which a browser gives to `onmessage`; its id is what a browser sends back as
 * `Last-Event-ID`. Encoded events contain no line breaks, and their first
 * fields always have the same order.
 */
export function formatEvent(event: string, epoch: string): string {
  const seq = seqOf(event);
  if (seq > 0) return `id: ${epoch}:${seq}\ndata: ${event}\n\n`;
  const type = /^\{"type":"(\w+)"/.exec(event)?.[1];
  return `event: ${type}\ndata: ${event}\n\n`;
}
