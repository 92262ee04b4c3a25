// A client's line over single requests: events wait in a mailbox until the
// client asks, for as long as it keeps asking; after the end the last words are
// kept for a while. A message leaves the mailbox only when the client says that
// it has the message, so an answer that is lost on the way loses none.
import { Buffer } from "node:buffer";
import { Deadline } from "../ops/deadline.ts";
import { seqOf } from "../protocol/events.ts";
import type { Transport } from "../session/session.ts";
import {
  FIRST_POLL_TIMEOUT_MS,
  POLL_TIMEOUT_MS,
  type PollPlace,
} from "./poll_places.ts";

/** Longest wait of a long poll; networks often cut at 60 s. */
export const MAX_WAIT_SECONDS = 50;

interface Letter {
  event: string;
  /** 0 for an event that is given once, without an acknowledgement. */
  seq: number;
  /** The letter was in an answer, which may have been lost. */
  wasGiven?: true;
}

export class Mailbox implements Transport {
  /** All that follows this message is here, or has been taken. */
  #floor: number | undefined;
  /** The newest message that ever was here. */
  #last = 0;
  #letters: Letter[] = [];
  /**
   * Events since the last request, as they came: all members of the room share
   * these arrays, so that waiting costs little.
   */
  #arrived: (readonly string[])[] = [];
  #chars = 0;
  /** Ends the wait of the newest request. */
  #wake = () => {};
  /** Requests that are open now. */
  #requests = 0;
  /** Open requests that wait. */
  #asking = 0;
  #hasEnded = false;
  #lease: Deadline | undefined;

  constructor(
    private readonly place: Pick<PollPlace, "isUnconfirmed" | "abandon">,
    /** Receives the events about the end that no request is waiting for. */
    private readonly onEnd: (unheard: string[]) => void,
    /** The `seq` of the client's hello. */
    private readonly since = 0,
  ) {
    this.#startLease();
  }

  get bufferedAmount(): number {
    return this.#chars;
  }

  get isUnconfirmed(): boolean {
    return this.place.isUnconfirmed;
  }

  send(_frame: unknown, events: readonly string[]): void {
    if (this.#hasEnded) return;
    this.#arrived.push(events);
    for (const event of events) {
      this.#floor ??= this.#floorOf(event);
      this.#chars += event.length;
    }
    this.#wake();
  }

  /** Makes letters of the events that arrived. */
  #sort(): void {
    for (const event of this.#arrived.splice(0).flat()) {
      // The answer to a message that was sent again comes out of order.
      const seq = seqOf(event) > this.#last ? seqOf(event) : 0;
      this.#last = Math.max(this.#last, seq);
      this.#letters.push({ event, seq });
    }
  }

  /** Whether the mailbox has all events after the message `seq`. */
  canGoOn(seq: number): boolean {
    return this.#floor === undefined || seq >= this.#floor;
  }

  /** Bytes that were given before, and would be given again after `seq`. */
  bytesAgain(seq: number): number {
    return this.#letters
      .filter((letter) => letter.wasGiven && letter.seq > seq)
      .reduce((sum, { event }) => sum + Buffer.byteLength(event), 0);
  }

  /** The message that a welcome's events follow; undefined for other events. */
  #floorOf(event: string): number | undefined {
    if (!event.startsWith('{"type":"welcome"')) return undefined;
    const { recovered, seq } = JSON.parse(event);
    if (recovered !== true) return seq;
    // Older messages come only as answers to messages that were sent again.
    this.#last = this.since;
    return this.since;
  }

  /** Adds code and reason, as an event `close` like that of SSE. */
  close(code: number, reason: string): void {
    this.send("", [JSON.stringify({ type: "close", code, reason })]);
    this.#sort();
    const events = this.#letters.map(({ event }) => event);
    this.#end(this.#asking > 0 ? [] : events.filter(isAboutTheEnd));
  }

  /** The client does not come back, or is not waited for any more. */
  expire(): void {
    this.#end();
  }

  #end(unheard: string[] = []): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#lease?.cancel();
    this.#wake();
    this.onEnd(unheard);
  }

  /**
   * The events after the message `seq`; waits for some up to `waitMs`. A second
   * request ends the wait of the first. Returns none if `signal` says that the
   * client went meanwhile.
   */
  async take(
    seq: number,
    waitMs: number,
    /** Whether the client cannot ask for these events again. */
    isLast = false,
    signal?: AbortSignal,
  ): Promise<string[]> {
    if (seq > 0) this.#floor = Math.max(this.#floor ?? 0, seq);
    this.#sort();
    this.#drop((letter) => letter.seq > 0 && letter.seq <= seq);
    this.#wake();
    this.begin();
    if (this.#letters.length === 0 && waitMs > 0 && !this.#hasEnded) {
      if (!signal?.aborted) await this.#wait(waitMs, signal);
      this.#sort();
      if (signal?.aborted) {
        this.place.abandon();
        return [];
      }
    }
    const events = this.#letters.map(({ event }) => event);
    for (const letter of this.#letters) letter.wasGiven = true;
    this.#drop((letter) => isLast || letter.seq === 0);
    return events;
  }

  /** A request is open, until `answered`. */
  begin(): void {
    this.#requests++;
    this.#lease?.cancel();
  }

  /** The answer is on its way, or nobody is there to take it. */
  answered(): void {
    this.#requests--;
    if (this.#requests === 0) this.#startLease();
  }

  async #wait(waitMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = new Deadline(waitMs, resolve);
    this.#wake = resolve;
    const onAbort = () => resolve();
    signal?.addEventListener("abort", onAbort);
    this.#asking++;
    await promise;
    this.#asking--;
    // Deno also aborts answered requests, unless deno.json says not to.
    signal?.removeEventListener("abort", onAbort);
    deadline.cancel();
  }

  #startLease(): void {
    this.#lease?.cancel();
    if (this.#hasEnded) return;
    const leaseMs = this.isUnconfirmed
      ? FIRST_POLL_TIMEOUT_MS
      : POLL_TIMEOUT_MS;
    this.#lease = new Deadline(leaseMs, () => this.expire());
  }

  #drop(isGone: (letter: Letter) => boolean): void {
    this.#letters = this.#letters.filter((letter) => !isGone(letter));
    this.#chars = this.#letters.reduce(
      (sum, { event }) => sum + event.length,
      0,
    );
  }
}

function isAboutTheEnd(event: string): boolean {
  return /^\{"type":"(error|close)"/.test(event);
}

/** Mailboxes whose last words are kept. */
const MAX_LAST_WORDS = 10_000;

/**
 * Events about the end for clients that were between two requests, by the names
 * of their lines. They are kept as long as such a client would have been waited
 * for: they say whether, and when, it may come back.
 */
export class LastWords {
  readonly #kept = new Map<string, { events: string[]; untilMs: number }>();

  add(name: string | undefined, events: string[], nowMs: number): void {
    if (name === undefined || events.length === 0) return;
    for (const [oldest, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size < MAX_LAST_WORDS) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(name, { events, untilMs: nowMs + POLL_TIMEOUT_MS });
  }

  /** The last words for this line, once; undefined if there are none. */
  take(name: string | undefined, nowMs: number): string[] | undefined {
    if (name === undefined) return undefined;
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    return kept && kept.untilMs > nowMs ? kept.events : undefined;
  }
}
