// Owns `Room` (a Set of members, what waits, its turns) and `Turn`. Never
// knows a member's transport, never writes to a socket.
// Invariant: the log decides the order, once a turn; every member is given the
// same turns in that order, and none before it is stored.
import { setImmediate } from "node:timers";
import {
  type Draft,
  type Head,
  type Log,
  LogError,
  type ReadLimit,
  type Stored,
} from "./log.ts";
import {
  encode,
  encodeDraft,
  encodeFrame,
  type ErrorCode,
  MAX_HISTORY,
  type ServerEvent,
} from "./protocol.ts";
import { noteLog, type World } from "./world.ts";

/** Someone in a room, however connected. No method may throw or wait. */
export interface Member {
  readonly name: string;
  /** Higher than that of whoever had its identity before; 0 without one. */
  readonly hold?: number;
  /** Takes one turn. A member that cannot keep up leaves the room. */
  deliver(turn: Turn): void;
  /** Takes the event of a message that it sent again, with its `seq`. */
  acknowledge(event: string, seq: number): void;
  /** Hears that its message was stored, before it is delivered. */
  stored?(event: string, id: string | undefined): void;
  /** Hears that its message was not stored, and may be after `retryAfterMs`. */
  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void;
  /** Hears that the room's history was lost and begins anew. */
  restart(): void;
  /** Hears that the room does not know what came after its last turn. */
  lag?(): void;
}

/** Someone at a room's drawing board. */
export interface Drawer {
  /** Takes what another one drew. May not throw or wait. */
  show(frame: ArrayBuffer): void;
}

/** Messages that may wait for a turn in one room; one more is refused. */
export const MAX_QUEUED = 10_000;

/** Of events that are not messages there is at most one turn in this time. */
export const PRESENCE_PAUSE_MS = 250;

/** After a log failed, when a client may try again. */
export const LOG_RETRY_MS = 2_000;

export interface Said {
  author: Member;
  draft: Draft;
}

type Presence = Extract<
  ServerEvent,
  { type: "join" | "leave" | "rename" | "typing" }
>;

/** What a member did, and its `hold` then. */
export interface Announced {
  event: Presence;
  hold: number;
}

export interface Encoded {
  text: string;
  /** 0 for what is not a message. */
  seq: number;
  isPlain: boolean;
}

/** What happened in a room at one moment, encoded once for all members. */
export class Turn {
  /** The `seq` of the first and of the last message, if there is one. */
  readonly firstSeq: number | undefined;
  readonly lastSeq: number | undefined;
  #events: string[] | undefined;
  #frame: string | undefined;
  #presence: string[] | undefined;
  #plain: string[] | undefined;

  constructor(private readonly encoded: readonly Encoded[]) {
    this.firstSeq = encoded.find(({ seq }) => seq !== 0)?.seq;
    this.lastSeq = encoded.findLast(({ seq }) => seq !== 0)?.seq;
  }

  /** All of it, encoded. */
  get events(): readonly string[] {
    return this.#events ??= this.encoded.map(({ text }) => text);
  }

  /** All of it, as one frame of the full dialect. */
  get frame(): string {
    return this.#frame ??= encodeFrame(this.events);
  }

  /** All but the messages. */
  get presence(): readonly string[] {
    return this.#presence ??= this.encoded.filter(({ seq }) => seq === 0)
      .map(({ text }) => text);
  }

  /** What the plain dialect knows, a frame each. */
  get plain(): readonly string[] {
    return this.#plain ??= this.encoded.filter(({ isPlain }) => isPlain)
      .map(({ text }) => text);
  }
}

export class Room {
  readonly members = new Set<Member>();
  /** Everyone who is in this room or about to be. */
  readonly guests = new Set<Member>();
  /** Who draws here. They are guests, and no members. */
  readonly drawers = new Set<Drawer>();
  /** What was delivered last; `epoch` is "" until `open` or the first turn. */
  head: Head = { epoch: "", seq: 0 };
  #queue: (Said | Announced)[] = [];
  #saidCount = 0;
  /** Whose typing waits for a turn; once is enough. */
  readonly #typists = new Set<Member>();
  #lastTime = { atMs: NaN, text: "" };
  #isTurning = false;
  #presenceTimer: ReturnType<typeof setTimeout> | undefined;

  /** `onIdle` is called when nothing waits any more. */
  constructor(
    readonly name: string,
    protected readonly log: Log,
    protected readonly maxTurnChars: number,
    protected readonly world: World,
    private readonly onIdle: (room: Room) => void,
  ) {}

  /** How many are in the room. */
  get count(): number {
    return this.members.size;
  }

  /** Who is in the room. */
  *names(): Iterable<string> {
    for (const { name } of this.members) yield name;
  }

  /** Finds out where the history stands. Rejects as the log does. */
  async open(): Promise<void> {
    if (this.head.epoch !== "") return;
    const head = await this.log.head(this.name);
    // A turn may have come first, and knows better.
    if (this.head.epoch === "") this.head = head;
  }

  /** It is not used any more. */
  close(): void {}

  /** The events after `seq`, at most a turn's worth; as `Log.after`. */
  after(seq: number): Promise<string[] | undefined> {
    const limit = this.#limit(MAX_HISTORY);
    return this.log.after(this.name, seq, limit, this.head.epoch);
  }

  /** The newest events below `seq`, at most `count`; as `Log.before`. */
  before(seq: number, count: number) {
    const limit = this.#limit(count);
    return this.log.before(this.name, seq, limit, this.head.epoch);
  }

  #limit(count: number): ReadLimit {
    return { count, chars: this.maxTurnChars };
  }

  /** Whether it may be forgotten. */
  get isIdle(): boolean {
    return this.guests.size === 0 && !this.#isTurning &&
      this.#queue.length === 0;
  }

  join(member: Member): void {
    this.members.add(member);
    this.#announce(member, {
      type: "join",
      at: this.time(),
      sender: member.name,
      count: this.members.size,
    });
  }

  /** Removes a member at once and tells those who remain. Idempotent. */
  leave(member: Member): void {
    this.guests.delete(member);
    this.#typists.delete(member);
    if (this.members.delete(member)) {
      this.#announce(member, {
        type: "leave",
        at: this.time(),
        sender: member.name,
        message: "Client disconnected",
        count: this.members.size,
      });
    }
    if (this.guests.size > 0) return;
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = undefined;
    this.#typists.clear();
    // Nobody is left to hear of anything but what is to be stored.
    if (!this.hasAudience) this.dropPresence();
    else if (this.#queue.length > 0) this.#startTurn();
  }

  /** Whether there is anyone to hear of those who come and go. */
  protected get hasAudience(): boolean {
    return this.members.size > 0;
  }

  /** Shows what somebody drew to the others who draw here. */
  draw(frame: ArrayBuffer, by?: Drawer): void {
    for (const drawer of this.drawers) if (drawer !== by) drawer.show(frame);
  }

  /** Tells the room that `member`, until now called `before`, has its name. */
  rename(member: Member, before: string): void {
    this.#announce(member, {
      type: "rename",
      at: this.time(),
      sender: before,
      name: member.name,
    });
  }

  typing(member: Member): void {
    if (this.#typists.has(member)) return;
    this.#typists.add(member);
    const { name } = member;
    this.#announce(member, { type: "typing", at: this.time(), sender: name });
  }

  /** Queues a message for the next turn; false if too many wait already. */
  say(
    author: Member,
    message: string,
    identity?: string,
    id?: string,
  ): boolean {
    if (this.#saidCount >= MAX_QUEUED) return false;
    this.#saidCount++;
    const said = { at: this.time(), sender: author.name, message };
    // Encoded now: the name may be another one when the turn comes.
    const draft = identity === undefined || id === undefined
      ? { text: encodeDraft(said) }
      : { text: encodeDraft({ ...said, id }), identity, id };
    this.#queue.push({ author, draft });
    this.#startTurn();
    return true;
  }

  /**
   * Queues what is not stored. The first goes out at once; what follows waits
   * for the next message or the end of the pause, so that a storm of joins is
   * a few frames.
   */
  #announce({ hold = 0 }: Member, event: Presence): void {
    if (!this.hasAudience) return;
    const isFull = this.#queue.length - this.#saidCount >= MAX_QUEUED;
    if (isFull) return this.presenceOverflowed();
    this.#queue.push({ event, hold });
    if (this.#presenceTimer === undefined) this.#pausePresence();
  }

  /** More of what is not stored waits than may: the newest is not told. */
  protected presenceOverflowed(): void {}

  protected dropPresence(): void {
    this.#queue = this.#queue.filter(isSaid);
  }

  #pausePresence(): void {
    this.#startTurn();
    this.#presenceTimer = setTimeout(() => {
      this.#presenceTimer = undefined;
      if (this.#queue.length > 0) this.#pausePresence();
    }, PRESENCE_PAUSE_MS);
  }

  /** At most one turn is under way; a slow log makes the next one larger. */
  #startTurn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    // setImmediate runs after the frames that have already arrived are read,
    // so they share this turn; a timer would wait a millisecond.
    setImmediate(() => this.#turn());
  }

  async #turn(): Promise<void> {
    const beganMs = performance.now();
    try {
      await this.commit(this.#takeBatch());
    } finally {
      const { turns } = this.world.metrics;
      turns.observe((performance.now() - beganMs) / 1000);
      this.#isTurning = false;
      const isPaused = this.#presenceTimer !== undefined;
      const hasMore = isPaused ? this.#saidCount > 0 : this.#queue.length > 0;
      if (hasMore) this.#startTurn();
      else if (this.isIdle) this.onIdle(this);
    }
  }

  /**
   * Takes as much as one turn may carry. A turn is far smaller than the send
   * limit, or it would itself look like a slow client.
   */
  #takeBatch(): (Said | Announced)[] {
    let chars = 0;
    let count = 0;
    for (const entry of this.#queue) {
      chars += isSaid(entry) ? entry.draft.text.length : PRESENCE_CHARS;
      if (count > 0 && chars > this.maxTurnChars) break;
      count++;
    }
    const batch = this.#queue.splice(0, count);
    this.#saidCount -= batch.filter(isSaid).length;
    this.#typists.clear();
    return batch;
  }

  /** Stores what was said and gives all of it to the members. */
  protected async commit(batch: (Said | Announced)[]): Promise<void> {
    const said = batch.filter(isSaid);
    const stored = said.length === 0 ? [] : await this.#store(said);
    const results = said.map((entry, i) => settle(entry, stored[i]));
    const events = batch.map((entry) =>
      isSaid(entry) ? results.shift() : encodePresence(entry.event)
    );
    this.deliver(events.filter((event) => event !== undefined));
  }

  /** Stores all or nothing. */
  async #store(said: Said[]): Promise<readonly Stored[]> {
    try {
      const { epoch, stored } = await this.log.append(
        this.name,
        said.map(({ draft }) => draft),
        this.world.now(),
      );
      noteLog(this.world);
      if (this.head.epoch !== epoch) this.restart({ epoch, seq: 0 });
      return stored;
    } catch (error) {
      this.refuseAll(said, error);
      return [];
    }
  }

  /** Tells the authors that what they said could not be stored. */
  protected refuseAll(said: Said[], error: unknown): void {
    noteLog(this.world, error);
    const message = error instanceof LogError && error.mayBeStored
      ? "The server cannot tell now whether this message was stored."
      : "The server cannot store messages now: this one was not sent.";
    for (const { author, draft } of said) {
      author.refuse("log_unavailable", message, draft.id, LOG_RETRY_MS);
    }
  }

  /** The history was lost; the room goes on after `head`. */
  protected restart(head: Head): void {
    const wasKnown = this.head.epoch !== "";
    this.head = head;
    if (!wasKnown) return;
    // Who said it is not known any more, so it would be stored under no id.
    const said = this.#queue.filter(isSaid);
    this.#queue = this.#queue.filter((entry) => !isSaid(entry));
    this.#saidCount = 0;
    this.refuseAll(said, new LogError("The history began anew."));
    for (const member of this.members) member.restart();
  }

  /** Gives a turn to all members here. */
  protected deliver(events: readonly Encoded[]): void {
    if (events.length === 0) return;
    const turn = new Turn(events);
    const { messages, deliveries } = this.world.metrics;
    if (turn.firstSeq !== undefined && turn.lastSeq !== undefined) {
      messages.add(turn.lastSeq - turn.firstSeq + 1);
      this.head.seq = turn.lastSeq;
    }
    deliveries.add(this.members.size);
    for (const member of this.members) member.deliver(turn);
  }

  /** Now, as ISO 8601; written once for all that comes in a millisecond. */
  protected time(): string {
    const atMs = this.world.now();
    if (this.#lastTime.atMs !== atMs) {
      this.#lastTime = { atMs, text: new Date(atMs).toISOString() };
    }
    return this.#lastTime.text;
  }
}

/** About what an event takes that is not a message. */
const PRESENCE_CHARS = 150;

export function isSaid(entry: Said | Announced): entry is Said {
  return "author" in entry;
}

function encodePresence(event: Presence): Encoded {
  return { text: encode(event), seq: 0, isPlain: event.type === "leave" };
}

/** Tells the author what became of its message; the event, if that is new. */
export function settle(
  { author, draft }: Said,
  stored: Stored | undefined,
): Encoded | undefined {
  if (stored === undefined) return undefined;
  const { event, seq, isRepeat } = stored;
  author.stored?.(event, draft.id);
  if (!isRepeat) return { text: event, seq, isPlain: true };
  author.acknowledge(event, seq);
}
