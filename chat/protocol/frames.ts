// How encoded events are put into frames of the full dialect: into as few as
// possible, none of them larger than every client accepts.
import { Buffer } from "node:buffer";
import { seqOf } from "./events.ts";
import { exceedsBytes, type SearchRequest } from "./requests.ts";

/**
 * Largest frame that is sent, in bytes of UTF-8, unless a single event is
 * larger. Some clients accept no more by default and end the connection, such
 * as Go's coder/websocket (earlier nhooyr.io/websocket).
 */
export const MAX_SENT_BYTES = 32 * 1024;

export interface EventFrame {
  text: string;
  events: readonly string[];
}

/** The frames that carry these encoded events, in their order. */
export function encodeFrames(events: readonly string[]): EventFrame[] {
  const whole = encodeFrame(events);
  if (events.length < 2 || !exceedsBytes(whole.text, MAX_SENT_BYTES)) {
    return [whole];
  }
  const frames: EventFrame[] = [];
  let from = 0;
  let bytes = 1;
  for (const [i, event] of events.entries()) {
    // With the comma or the bracket after it.
    const size = Buffer.byteLength(event) + 1;
    if (i > from && bytes + size > MAX_SENT_BYTES) {
      frames.push(encodeFrame(events.slice(from, i)));
      from = i;
      bytes = 1;
    }
    bytes += size;
  }
  return [...frames, encodeFrame(events.slice(from))];
}

function encodeFrame(events: readonly string[]): EventFrame {
  return { text: `[${events.join(",")}]`, events };
}

/**
 * Encodes a `HistoryEvent` whose messages are already encoded: the newest of
 * them that fit in a frame, at least one.
 */
export function encodeHistory(
  before: number,
  messages: readonly string[],
  more: boolean,
): string {
  const head = { type: "history", before };
  const newest = newestFitting({ ...head, more: false }, messages);
  const hasMore = more || newest.length < messages.length;
  return withMessages({ ...head, more: hasMore }, newest);
}

/**
 * Encodes a `FoundEvent`, like `encodeHistory`. `next` is the `seq` before
 * which nothing was searched, if there are older messages.
 */
export function encodeFound(
  { text, before }: SearchRequest,
  messages: readonly string[],
  next: number | undefined,
): string {
  const head = { type: "found", text, before };
  const newest = newestFitting(
    { ...head, more: false, next: MAX_SEQ },
    messages,
  );
  const isCut = newest.length < messages.length;
  const end = isCut ? seqOf(newest[0] ?? "") : next;
  const more = end !== undefined;
  return withMessages({ ...head, more, next: end }, newest);
}

const MAX_SEQ = Number.MAX_SAFE_INTEGER;

/** The newest messages that fit in a frame with this event, at least one. */
function newestFitting(
  event: object,
  messages: readonly string[],
): readonly string[] {
  // Each message has a comma after it, except the last.
  let bytes = Buffer.byteLength(`[${withMessages(event, [])}]`) - 1;
  let from = messages.length;
  while (from > 0) {
    bytes += Buffer.byteLength(messages[from - 1] ?? "") + 1;
    if (from < messages.length && bytes > MAX_SENT_BYTES) break;
    from--;
  }
  return messages.slice(from);
}

function withMessages(event: object, messages: readonly string[]): string {
  const head = JSON.stringify(event).slice(0, -1);
  return `${head},"messages":[${messages.join(",")}]}`;
}
