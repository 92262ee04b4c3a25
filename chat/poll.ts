// Owns a member's line over single requests: what is for it waits here until
// it asks, for as long as it keeps asking; and after the end a while for its
// last words. Never reads a request.
// Invariant: a message leaves only when the client says that it has it, so an
// answer that is lost on the way loses none.
import { seqOf } from "./protocol.ts";
import type { Line } from "./session.ts";

/** How long someone who does not ask is still in the room. */
export const LEASE_MS = 15_000;

interface Letter {
  event: string;
  /** 0 for what goes once, and is not waited to be acknowledged. */
  seq: number;
}

export class Mailbox implements Line {
  /** What follows this message is here, or has been taken. */
  #floor: number | undefined;
  /** The newest message that ever was here. */
  #last = 0;
  #letters: Letter[] = [];
  #chars = 0;
  /** Ends the wait of the request that is open now. */
  #wake = () => {};
  /** Requests that are open now. */
  #requests = 0;
  /** Those of them that wait. */
  #asking = 0;
  #hasEnded = false;
  #lease: ReturnType<typeof setTimeout> | undefined;

  constructor(
    /** Hears what was to be told about the end, if nobody was asking. */
    private readonly onEnd: (unheard: string[]) => void,
  ) {
    this.#startLease();
  }

  get bufferedAmount(): number {
    return this.#chars;
  }

  send(_frame: string, events: readonly string[]): void {
    if (this.#hasEnded) return;
    this.#floor ??= floorOf(events);
    for (const event of events) {
      // The answer to a message that was sent again comes out of line.
      const seq = seqOf(event) > this.#last ? seqOf(event) : 0;
      this.#last = Math.max(this.#last, seq);
      this.#letters.push({ event, seq });
      this.#chars += event.length;
    }
    this.#wake();
  }

  /** Whether it has all that follows the message `seq`. */
  canGoOn(seq: number): boolean {
    return this.#floor === undefined || seq >= this.#floor;
  }

  /** Tells code and reason, as an event `close` like that of SSE. */
  close(code: number, reason: string): void {
    this.send("", [JSON.stringify({ type: "close", code, reason })]);
    const events = this.#letters.map(({ event }) => event);
    this.#end(this.#asking > 0 ? [] : events.filter(isAboutTheEnd));
  }

  #end(unheard: string[] = []): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#lease);
    this.#wake();
    this.onEnd(unheard);
  }

  /**
   * What came after the message `seq`, waiting for it up to `waitMs`. A second
   * request ends the wait of the first.
   */
  async take(seq: number, waitMs: number): Promise<string[]> {
    if (seq > 0) this.#floor = Math.max(this.#floor ?? 0, seq);
    this.#drop((letter) => letter.seq > 0 && letter.seq <= seq);
    this.#wake();
    this.#requests++;
    clearTimeout(this.#lease);
    if (this.#letters.length === 0 && waitMs > 0 && !this.#hasEnded) {
      await this.#wait(waitMs);
    }
    const events = this.#letters.map(({ event }) => event);
    this.#drop((letter) => letter.seq === 0);
    return events;
  }

  /** The answer is on its way, or nobody is there to take it. */
  answered(): void {
    this.#requests--;
    if (this.#requests === 0) this.#startLease();
  }

  async #wait(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    this.#wake = resolve;
    this.#asking++;
    await promise;
    this.#asking--;
    clearTimeout(timer);
  }

  #startLease(): void {
    clearTimeout(this.#lease);
    if (this.#hasEnded) return;
    this.#lease = setTimeout(() => this.#end(), LEASE_MS);
  }

  #drop(isGone: (letter: Letter) => boolean): void {
    this.#letters = this.#letters.filter((letter) => !isGone(letter));
    this.#chars = this.#letters.reduce(
      (sum, { event }) => sum + event.length,
      0,
    );
  }
}

/** Where the first events of a session begin: a welcome and what follows it. */
function floorOf([welcome = "{}", first]: readonly string[]): number {
  return first === undefined ? JSON.parse(welcome).seq ?? 0 : seqOf(first) - 1;
}

function isAboutTheEnd(event: string): boolean {
  return /^\{"type":"(error|close)"/.test(event);
}

/** Mailboxes whose last words are kept. */
const MAX_LAST_WORDS = 10_000;

/**
 * What was told about the end to clients that were between two requests, by
 * the names of their lines. It is kept as long as they would have been waited
 * for: why the end came decides whether, and when, they may come back.
 */
export class LastWords {
  readonly #kept = new Map<string, { events: string[]; untilMs: number }>();

  add(name: string | undefined, events: string[], nowMs: number): void {
    if (name === undefined || events.length === 0) return;
    for (const [oldest, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size < MAX_LAST_WORDS) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(name, { events, untilMs: nowMs + LEASE_MS });
  }

  /** What was told to this line, once; undefined if there is nothing. */
  take(name: string | undefined, nowMs: number): string[] | undefined {
    if (name === undefined) return undefined;
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    return kept && kept.untilMs > nowMs ? kept.events : undefined;
  }
}
