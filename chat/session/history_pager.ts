// Gives one client the history of its room: the first events, the messages that
// it missed until it is live, and the pages that it asks for. A page is read
// when most of what was sent before has left this machine's memory, when the
// client's turn comes (`history_queue.ts`), and when its allowance has some
// history left (`room/rates.ts`). The client gets messages in order: `position`
// is the newest one that it was sent, and the client is live when that is the
// newest of the room. The end of the session ends every wait.
import { Buffer } from "node:buffer";
import { type DeleteEvent, encodeDeleted, seqOf } from "../protocol/events.ts";
import { MAX_SENT_BYTES } from "../protocol/frames.ts";
import { DEFAULT_HISTORY, type Hello } from "../protocol/requests.ts";
import type { Allowance } from "../room/rates.ts";
import type { Room } from "../room/room.ts";
import type { Purpose } from "./history_queue.ts";
import type { Session } from "./session.ts";

/** How often to look whether a client has read the last page. */
const READ_PAUSE_MS = 20;

/** How long pages may wait for a client that reads nothing at all. */
const READ_TIMEOUT_MS = 30_000;

/** Pages of history that may wait for a client to read; more disconnect it. */
export const MAX_WAITING_PAGES = 32;

/** How often, at least, to look whether a client may be given history. */
const RATE_PAUSE_MS = 250;

/** The first events for a client, and its position after them. */
interface Missed {
  epoch: string;
  events: string[];
  /** Whether these are all events after `since`; null without a `since`. */
  recovered: boolean | null;
  position: number;
}

export class HistoryPager {
  /** The newest message that the client was sent. */
  position = 0;
  /** Whether that is the newest of the room, so that the next turn follows. */
  isLive = false;
  /** The newest message from before the client came. */
  #historyEnd = 0;
  /** The client has to be told deletions since this was the newest message. */
  #deletedSince: number | undefined;
  /** Whether it was told that it is given all of that. */
  #isOwedAll = false;
  /** The room's newest message and deletions when the client began to read. */
  #before = { deletions: 0, seq: 0 };
  #waitingPages = 0;
  // Most clients need none of these, and there may be thousands of clients.
  #paging: Promise<void> | undefined;
  /** Each function ends a pause that is under way. */
  #pauses: Set<() => void> | undefined;

  /** For a client that is about to come into `room`. */
  constructor(
    private readonly session: Session,
    private readonly room: Room,
    private readonly allowance: Allowance,
  ) {}

  /**
   * The events that the client of this `hello` missed, or the newest events. If
   * its allowance has no history left when its turn comes, it is let in
   * without, and the events follow. Undefined if the session ended. Rejects as
   * the store does.
   */
  async missed(hello: Hello): Promise<Missed | undefined> {
    const { deletionCount: deletions, head } = this.room;
    const { since } = hello;
    const isKnown = since?.epoch === head.epoch;
    this.#before = { deletions, seq: isKnown ? since.seq : head.seq };
    const read = () => this.#readMissed(hello);
    if (hello.since === undefined && hello.history === 0) return await read();
    const { maxTurnChars } = this.room;
    const missed = await this.#atTurn(
      () => this.#tryRead(read, maxTurnChars),
      "missed",
    );
    // After a stop the store is closed, and nobody needs the events.
    if (missed !== undefined || this.session.hasEnded) return missed;
    return await this.#findMissed(hello);
  }

  /** Like `#readMissed`, without events: the position before the first one. */
  async #findMissed(
    { since, history = DEFAULT_HISTORY }: Hello,
  ): Promise<Missed> {
    const { room } = this;
    const { epoch, seq } = room.head;
    const events: string[] = [];
    if (since?.epoch === epoch) {
      const { isComplete } = await room.deletions(since.seq, 1);
      const isKept = await room.after(since.seq, 1) !== undefined;
      const position = since.seq;
      if (isKept && isComplete) {
        this.#deletedSince = position;
        this.#isOwedAll = true;
        return { epoch, events, recovered: true, position };
      }
    }
    const first = Math.max(1, seq - history + 1);
    const oldest = await room.before(first + 1, 1);
    const position = oldest.events.length > 0 ? first - 1 : seq;
    return { epoch, events, recovered: since ? false : null, position };
  }

  async #readMissed(
    { since, history = DEFAULT_HISTORY }: Hello,
  ): Promise<Missed> {
    const { room } = this;
    const { epoch, seq } = room.head;
    if (since?.epoch === epoch) {
      const events = await room.missed(since.seq);
      const { events: deletions, isComplete } = await room.deletions(since.seq);
      if (events !== undefined && isComplete) {
        // Messages that are stored but not delivered yet will come with their turn.
        const reached = Math.max(0, room.head.seq - since.seq);
        const known = withoutDeleted(events.slice(0, reached), deletions);
        const position = since.seq + known.length;
        // Deletions before the messages, for with those its position moves.
        const told = [...deletions, ...known];
        return { epoch, events: told, recovered: true, position };
      }
    }
    const { events } = await room.newest(seq, history);
    return { epoch, events, recovered: since ? false : null, position: seq };
  }

  /** The client comes into the room with the messages up to `position`. */
  begin(position: number): void {
    this.position = position;
    const { deletions, seq } = this.#before;
    // The client may have read the text of these messages without hearing that
    // they were deleted.
    if (this.room.deletionCount !== deletions) this.#deletedSince = seq;
    this.#historyEnd = this.room.head.seq;
  }

  /**
   * Sends the messages that the client has not seen, page by page, until it is
   * live. Returns early if the session ends; disconnects the client if some of
   * these messages are no longer kept.
   */
  async catchUp(): Promise<void> {
    this.isLive = false;
    const { room, session } = this;
    await this.#sendDeletions();
    while (!session.hasEnded) {
      // Looking and going live are one step, so no turn is lost in between.
      const missing = room.head.seq - this.position;
      if (missing <= 0) {
        this.isLive = true;
        return;
      }
      await this.#untilRead();
      const read = async () => ({ events: await room.after(this.position) });
      // Newer messages cost no allowance: a live client would have got them
      // anyway.
      const page = await (this.position < this.#historyEnd
        ? this.#read(read, room.maxTurnChars, "missed")
        : this.#atTurn(read, "missed"));
      if (page === undefined) {
        return;
      }
      if (page.events === undefined) {
        return session.disconnect("history_moved");
      }
      const events = page.events.slice(0, missing);
      this.position += events.length;
      this.session.sendEvents(events);
    }
  }

  /** Tells the client deletions, if that is due. Most often there are none. */
  async #sendDeletions(): Promise<void> {
    const seq = this.#deletedSince;
    this.#deletedSince = undefined;
    if (seq === undefined) return;
    if ((await this.room.deletions(seq, 1)).events.length === 0) return;
    const read = () => this.room.deletions(seq);
    const found = await this.#read(read, MAX_SENT_BYTES, "missed");
    if (found === undefined || found.events.length === 0) return;
    if (this.#isOwedAll && !found.isComplete) {
      return this.session.disconnect("history_moved");
    }
    this.session.sendEvents(found.events);
  }

  /** Whether the maximum number of pages is waiting. */
  get isFull(): boolean {
    return this.#waitingPages === MAX_WAITING_PAGES;
  }

  /** Whether many bytes still wait for the client to read them. */
  get isBehind(): boolean {
    const { transport, at } = this.session;
    return transport.bufferedAmount > at.overload.sendLimit / 4;
  }

  /**
   * Sends one page after the other, each when most of the last one has left
   * this machine's memory; to be called while it is not full. The pages of
   * requests that come together are not all written at once: a few of them
   * would exceed the send limit of a client that reads well. Rejects as `read`
   * does.
   */
  async sendPage(
    read: () => Promise<{ events: readonly string[]; text: string }>,
  ): Promise<void> {
    this.#waitingPages++;
    const earlier = this.#paging ?? Promise.resolve();
    const page = earlier.then(async () => {
      await this.#untilRead();
      const found = await this.#read(read, MAX_SENT_BYTES, "asked");
      if (found !== undefined) this.session.sendEvents([found.text]);
    }).finally(() => this.#waitingPages--);
    this.#paging = page.catch(() => {});
    await page;
  }

  /** Ends every wait; to be called when the session has ended. */
  close(): void {
    for (const end of this.#pauses ?? []) end();
  }

  /**
   * Reads from the history as soon as the client may be given some; undefined
   * if the session ended.
   */
  async #read<Found extends { events: readonly string[] | undefined }>(
    read: () => Promise<Found>,
    pageBytes: number,
    purpose: Purpose,
  ): Promise<Found | undefined> {
    const { allowance, session } = this;
    const { monotonic } = session.at.context;
    while (!session.hasEnded) {
      const waitMs = allowance.takeHistory(0, monotonic());
      if (waitMs > 0) {
        await this.#pause(Math.min(waitMs, RATE_PAUSE_MS));
        continue;
      }
      const found = await this.#atTurn(
        () => this.#tryRead(read, pageBytes),
        purpose,
      );
      if (found !== undefined) return found;
    }
  }

  /**
   * Reads from the history if the client may be given some now, else returns
   * undefined. Gives back the unused part of a page's allowance.
   */
  async #tryRead<Found extends { events: readonly string[] | undefined }>(
    read: () => Promise<Found>,
    pageBytes: number,
  ): Promise<Found | undefined> {
    const { allowance } = this;
    const { monotonic } = this.session.at.context;
    const taken = Math.min(pageBytes, allowance.mostHistory);
    if (allowance.takeHistory(taken, monotonic()) > 0) return undefined;
    let used = 0;
    try {
      const found = await read();
      for (const event of found.events ?? []) used += Buffer.byteLength(event);
      return found;
    } finally {
      allowance.giveBackHistory(taken - used, monotonic());
    }
  }

  /** Does `work` when the client has its turn; undefined if it has ended. */
  async #atTurn<Found>(
    work: () => Promise<Found>,
    purpose: Purpose,
  ): Promise<Found | undefined> {
    const { session } = this;
    if (session.hasEnded || !await this.#untilTurn(purpose)) return undefined;
    try {
      return session.hasEnded ? undefined : await work();
    } finally {
      session.at.history.finish();
    }
  }

  /** Waits for the turn; false if the session ended first: no turn begins. */
  #untilTurn(purpose: Purpose): Promise<boolean> {
    const { history } = this.session.at;
    const pauses = this.#pauses ??= new Set();
    return new Promise((resolve) => {
      const begin = () => {
        pauses.delete(end);
        resolve(true);
      };
      const end = () => {
        history.leave(begin);
        pauses.delete(end);
        resolve(false);
      };
      pauses.add(end);
      history.enter(begin, purpose);
    });
  }

  /** Waits until most of what was sent has left this machine's memory. */
  async #untilRead(): Promise<void> {
    const { session } = this;
    // Not by a clock: while this program does not run, no client can read.
    let pausesLeft = READ_TIMEOUT_MS / READ_PAUSE_MS;
    while (!session.hasEnded && this.isBehind) {
      if (pausesLeft-- <= 0) {
        return session.disconnect("slow_reader");
      }
      await this.#pause(READ_PAUSE_MS);
    }
  }

  /** Waits, but not beyond the end of the session. */
  #pause(ms: number): Promise<void> {
    const pauses = this.#pauses ??= new Set();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      pauses.add(end);
    });
  }
}

/** Messages that were read before these deletions, without deleted text. */
function withoutDeleted(
  messages: readonly string[],
  deletions: readonly string[],
): string[] {
  if (deletions.length === 0) return [...messages];
  const targets = new Set(
    deletions.map((event) => (JSON.parse(event) as DeleteEvent).target),
  );
  return messages.map((message) =>
    targets.has(seqOf(message)) ? encodeDeleted(message) : message
  );
}
