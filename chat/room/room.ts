// A room: a Set of members, and a queue for the next turn. The store decides
// the order and publishes every turn, also those of other servers; the room
// encodes a turn once and gives it to each member. A turn reaches members only
// after it is stored, and reaches all of them in the same order.
import { setImmediate } from "node:timers";
import { type Context, noteStore } from "../ops/context.ts";
import {
  encode,
  encodeDeleted,
  encodeDraft,
  MAX_LISTED_MEMBERS,
  type MessageEvent,
  seqOf,
} from "../protocol/events.ts";
import type { EventFrame } from "../protocol/frames.ts";
import { MAX_HISTORY, type MessageRequest } from "../protocol/requests.ts";
import {
  type Deleted,
  type Deletions,
  type Draft,
  type Entry,
  type Head,
  MAX_DELETIONS,
  type Presence,
  type Published,
  type Snapshot,
  type Store,
  STORE_RETRY_MS,
  type Stored,
  StoreError,
  type Subscriber,
} from "../store/store.ts";
import type { Board } from "./board.ts";
import { type SharedRate, weightOf } from "./rates.ts";
import { type Author, Turn, TurnQueue, type Waiting } from "./turn.ts";

/** A person in a room or about to be. A drawer is a guest, but no member. */
export interface Guest {
  readonly name: string;
  /** True until the client's second request, and after it broke one off. */
  readonly isUnconfirmed?: boolean;
}

/** A person who chats in a room. No method may throw or wait. */
export interface Member extends Guest, Author {
  /** Higher than every earlier holder's of the identity; 0 without one. */
  readonly generation?: number;
  /** The public id of the member's identity, if it has one. */
  readonly authorId?: string;
  /** Whether the member may be back at once, on another line. */
  readonly mayBeBack?: boolean;
  /** Sends to the member; one that cannot keep up leaves the room. */
  readonly session: { send(frame: string, events: readonly string[]): void };
  /** The frames of a turn for this member; fewer while it reads the history. */
  framesOf(turn: Turn): readonly EventFrame[];
  /** Called when the room's history was lost and begins anew. */
  restart?(): void;
  /** Called when the room has missed messages after its last turn. */
  lag?(): void;
}

/** Events other than messages cause at most one turn in this time. */
export const PRESENCE_PAUSE_MS = 250;

/**
 * Joins into a large room wait longer, the more people are in it, so that a
 * second of joins costs about as much as in a small room.
 */
const MAX_JOIN_PAUSE_MS = 2_000;

/** How long a leave is not told if the member may be back at once. */
const BACK_WITHIN_MS = 3_000;

/**
 * How many of a room's newest messages can be deleted. Redis cannot change a
 * message in its place, so deleting one costs as much as all messages after it.
 */
export const MAX_DELETABLE = 10_000;

export class Room implements Subscriber {
  readonly members = new Set<Member>();
  /** All people who are in this room or about to be. */
  readonly guests = new Set<Guest>();
  /** The newest published message; `epoch` is "" before the store knows it. */
  readonly head: Head = { epoch: "", seq: 0 };
  /**
   * The newest message that anybody here can have seen. A message that was
   * stored or read here, or on another server, may not be published here yet.
   */
  #newestSeq = 0;
  readonly roster = new Set<string>();
  /** The newest messages whose deletion was published here. */
  readonly #deleted = new Set<number>();
  #deletionCount = 0;
  /** Names of members here that are not in the roster yet. */
  readonly #unlisted = new Set<string>();
  readonly renamed = new Map<string, string>();
  /** Members who may be back, by name, and the timers that tell their leave. */
  readonly #absent = new Map<
    string,
    { member: Member; timer: ReturnType<typeof setTimeout> }
  >();
  readonly #queue = new TurnQueue();
  /** The roster, as `listMembers` and `pageOfMembers` return it. */
  #listed: string | undefined;
  #sorted: string[] | undefined;
  /** The last page of history; joins before the next turn share it. */
  #read: { key: string; page: Promise<unknown> } | undefined;
  /** Members whose typing waits for a turn; once is enough. */
  readonly #typists = new Set<Member>();
  #lastTime = { atMs: NaN, text: "" };
  /**
   * The turn that is under way, at most one: a slow store makes the next one
   * larger. `setImmediate` runs after all frames that have arrived are read, so
   * they share the turn; a timer would wait a millisecond.
   */
  #turning: ReturnType<typeof setImmediate> | undefined;
  /**
   * Messages of this server whose turn was not published yet. A local store
   * publishes a turn before `append` ends; with Redis either may come first.
   */
  #unpublished = 0;
  #presenceTimer: ReturnType<typeof setTimeout> | undefined;
  #pauseEndsMs = 0;
  /** Whether joins and leaves were dropped since the turn under way began. */
  #hasOverflowed = false;
  #opening: Promise<void> | undefined;
  #isClosed = false;

  /** `onIdle` is called when nothing waits any more. */
  constructor(
    readonly name: string,
    private readonly store: Store,
    readonly maxTurnChars: number,
    readonly rate: SharedRate,
    /** Where those are who draw here. They are guests, and no members. */
    readonly board: Board,
    private readonly context: Context,
    private readonly onIdle: (room: Room) => void,
  ) {}

  /** How many people are in the room, on all servers. */
  get count(): number {
    return this.roster.size + this.#unlisted.size;
  }

  /** The people in the room, on all servers. */
  *names(): Iterable<string> {
    yield* this.roster;
    yield* this.#unlisted;
  }

  /**
   * Up to `MAX_LISTED_MEMBERS` people in the room, on all servers, encoded as a
   * list: `name` first, which is somebody here.
   */
  listMembers(name: string): string {
    const others = MAX_LISTED_MEMBERS - 1;
    const isLarge = this.roster.size > MAX_LISTED_MEMBERS;
    if (!isLarge || this.roster.has(name)) {
      const names = [name];
      for (const other of this.names()) {
        if (names.length > others) break;
        if (other !== name) names.push(other);
      }
      return JSON.stringify(names);
    }
    this.#listed ??= JSON.stringify([...this.roster].slice(0, others));
    return `[${JSON.stringify(name)},${this.#listed.slice(1)}`;
  }

  /** Published names after `after`, in the order of code units. */
  pageOfMembers(after: string): { members: string[]; more: boolean } {
    const names = this.#sorted ??= [...this.roster].sort();
    const from = after === "" ? 0 : upperBound(names, after);
    const members = names.slice(from, from + MAX_LISTED_MEMBERS);
    return { members, more: from + members.length < names.length };
  }

  /**
   * Reads where the history stands, and listens from then on. Rejects as the
   * store does. A room that was closed meanwhile stays closed: another one may
   * have its name.
   */
  open(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#opening ??= this.store.subscribe(this.name, this).catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Unsubscribes from the store. */
  close(): void {
    this.#isClosed = true;
    this.store.unsubscribe(this.name, this);
  }

  /**
   * The newest events up to `seq`, as `before`. People who come between two
   * turns share one reading.
   */
  newest(seq: number, count: number) {
    return this.#once(
      `newest ${this.head.epoch} ${seq} ${count}`,
      () => this.before(seq + 1, count),
    );
  }

  /** Like `after`, shared like `newest`. */
  missed(seq: number): Promise<string[] | undefined> {
    return this.#once(
      `missed ${this.head.epoch} ${this.head.seq} ${seq}`,
      () => this.after(seq),
    );
  }

  #once<T>(key: string, read: () => Promise<T>): Promise<T> {
    if (this.#read?.key === key) return this.#read.page as Promise<T>;
    const page = read();
    const shared = { key, page };
    this.#read = shared;
    page.catch(() => {
      if (this.#read === shared) this.#read = undefined;
    });
    return page;
  }

  /** Up to a turn's worth of events after `seq`; see `Store.after`. */
  async after(
    seq: number,
    count = MAX_HISTORY,
  ): Promise<string[] | undefined> {
    const limit = { count, chars: this.maxTurnChars };
    const { epoch } = this.head;
    const events = await this.store.after(this.name, seq, limit, epoch);
    if (events !== undefined) this.#noteNewest(epoch, seq + events.length);
    return events && this.#withoutDeleted(events);
  }

  /**
   * The newest events below `seq`, at most `count` and about `maxChars`; see
   * `Store.before`.
   */
  async before(seq: number, count: number, maxChars = this.maxTurnChars) {
    const limit = { count, chars: Math.min(maxChars, this.maxTurnChars) };
    const { epoch } = this.head;
    const page = await this.store.before(this.name, seq, limit, epoch);
    this.#noteNewest(epoch, seqOf(page.events.at(-1) ?? ""));
    return { ...page, events: this.#withoutDeleted(page.events) };
  }

  /**
   * A page that was read before a deletion must not show the message's text to
   * a member who has been told of the deletion.
   */
  #withoutDeleted(events: string[]): string[] {
    if (this.#deleted.size === 0) return events;
    return events.map((event) =>
      this.#deleted.has(seqOf(event)) ? encodeDeleted(event) : event
    );
  }

  /**
   * Deletes a message, if `member` is its author; then all members are told.
   * Also returns the event that tells it, for a client that deletes it again.
   */
  async delete(
    target: number,
    { name: sender, authorId: author = "" }: Member,
  ): Promise<{ outcome: Deleted; text: string }> {
    const { epoch } = this.head;
    const text = encode({ type: "delete", at: this.#time(), sender, target });
    const isOld = target <= this.head.seq - MAX_DELETABLE;
    const deletion = { target, author, epoch, text };
    const outcome = isOld
      ? "missing"
      : await this.store.delete(this.name, deletion);
    return { outcome, text };
  }

  /** The deletions since `seq` was the newest; as `Store.deletions`. */
  deletions(seq: number, count = MAX_DELETIONS): Promise<Deletions> {
    return this.store.deletions(this.name, seq, count, this.head.epoch);
  }

  /** How many deletions were published here. */
  get deletionCount(): number {
    return this.#deletionCount;
  }

  /** Whether a message with this `seq` exists or existed. */
  hasReached(seq: number): boolean {
    return seq <= Math.max(this.head.seq, this.#newestSeq);
  }

  #noteNewest(epoch: string, seq: number): void {
    if (epoch !== this.head.epoch) return;
    this.#newestSeq = Math.max(this.#newestSeq, seq);
  }

  /** Whether the room may be closed. */
  get isIdle(): boolean {
    return this.guests.size === 0 && this.#turning === undefined &&
      this.#queue.length === 0;
  }

  join(member: Member): void {
    this.members.add(member);
    // The leave was not told yet, so the store will not tell the join either.
    this.#forgetAbsent(member.name);
    if (!this.roster.has(member.name)) this.#unlisted.add(member.name);
    this.#announce({
      kind: "join",
      at: this.#time(),
      member: presenceOf(member),
    });
  }

  /**
   * Removes a guest at once. The other members are told when a member leaves,
   * after a while if it may be back. Idempotent.
   */
  leave(guest: Guest): void {
    this.guests.delete(guest);
    this.#read = undefined;
    if (this.#isMember(guest)) this.#part(guest);
    if (this.guests.size > 0) return;
    // Nobody is left here to wait for, so what waits goes out at once.
    for (const { member } of this.#absent.values()) this.#tellLeave(member);
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = undefined;
    this.#typists.clear();
    if (this.#queue.length > 0) this.#turning ??= setImmediate(this.#turn);
  }

  #isMember(guest: Guest): guest is Member {
    const guests: ReadonlySet<Guest> = this.members;
    return guests.has(guest);
  }

  #part(member: Member): void {
    this.#typists.delete(member);
    this.members.delete(member);
    this.#unlisted.delete(member.name);
    // A member with two names for a moment has to be counted anew.
    const isRenamed = this.renamed.delete(member.name);
    if (isRenamed || !member.mayBeBack) return this.#tellLeave(member);
    this.#forgetAbsent(member.name);
    const timer = setTimeout(() => this.#tellLeave(member), BACK_WITHIN_MS);
    this.#absent.set(member.name, { member, timer });
  }

  #forgetAbsent(name: string): void {
    clearTimeout(this.#absent.get(name)?.timer);
    this.#absent.delete(name);
  }

  #tellLeave(member: Member): void {
    this.#forgetAbsent(member.name);
    this.#announce({
      kind: "leave",
      at: this.#time(),
      member: presenceOf(member),
    });
  }

  /** Shows a stroke to the other drawers in the room. */
  draw(frame: ArrayBuffer, by: Guest): void {
    this.store.draw(this.name, frame, by);
  }

  drawn(frame: ArrayBuffer, by?: object): boolean {
    return this.board.show(frame, by, this.context.monotonic());
  }

  /** Tells the room that `member` has a new name instead of `before`. */
  rename(member: Member, before: string): void {
    const { name } = member;
    this.renamed.set(name, this.renamed.get(before) ?? before);
    this.renamed.delete(before);
    if (this.#unlisted.delete(before)) this.#unlisted.add(name);
    this.#announce({
      kind: "rename",
      at: this.#time(),
      before,
      member: presenceOf(member),
    });
  }

  typing(member: Member): void {
    if (this.#typists.has(member)) return;
    this.#typists.add(member);
    const { name } = member;
    const text = encode({ type: "typing", at: this.#time(), sender: name });
    this.#announce({ kind: "ephemeral", text });
  }

  /** Queues a message for the next turn; false if too many wait already. */
  say(
    author: Member,
    { message, id, replyTo }:
      & Pick<MessageRequest, "message">
      & Partial<MessageRequest>,
    identity?: string,
  ): boolean {
    const { name: sender, authorId } = author;
    const said = {
      at: this.#time(),
      sender,
      ...(authorId !== undefined && { author: authorId }),
      message,
    };
    // Encoded now, because the name may be another one in the turn.
    const entry: Draft = identity === undefined || id === undefined
      ? { kind: "message", text: encodeDraft(said) }
      : {
        kind: "message",
        text: encodeDraft({
          ...said,
          id,
          ...(replyTo !== undefined && { replyTo }),
        }),
        identity,
        id,
      };
    const isQueued = this.#queue.push({ entry, author });
    if (isQueued) this.#turning ??= setImmediate(this.#turn);
    return isQueued;
  }

  /**
   * Queues an event that is not stored. The first one goes out at once; the
   * following ones wait for the next message or the end of the pause, so that a
   * storm of joins is a few frames.
   */
  #announce(entry: Exclude<Entry, Draft>): void {
    if (this.#queue.push({ entry })) {
      if (this.#presenceTimer === undefined) this.#pausePresence();
      else if (entry.kind !== "join") this.#endPauseWithin(PRESENCE_PAUSE_MS);
      return;
    }
    // Instead of all these events, the store is told who is here.
    this.#queue.removeAll("presence");
    this.#hasOverflowed = true;
    this.#turning ??= setImmediate(this.#turn);
  }

  #pausePresence(): void {
    this.#turning ??= setImmediate(this.#turn);
    const growth = Math.max(1, this.members.size / MAX_LISTED_MEMBERS);
    const pauseMs = Math.min(PRESENCE_PAUSE_MS * growth, MAX_JOIN_PAUSE_MS);
    this.#pauseEndsMs = Infinity;
    this.#endPauseWithin(pauseMs);
  }

  #endPauseWithin(ms: number): void {
    const endsMs = performance.now() + ms;
    if (endsMs >= this.#pauseEndsMs) return;
    this.#pauseEndsMs = endsMs;
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = setTimeout(() => {
      this.#presenceTimer = undefined;
      if (this.#queue.length > 0) this.#pausePresence();
    }, ms);
  }

  /** Stores the waiting entries, which publishes them; tells the authors. */
  readonly #turn = async (): Promise<void> => {
    const beganMs = performance.now();
    const waiting = this.#queue.nextTurn(this.maxTurnChars);
    this.#typists.clear();
    this.#read = undefined;
    const said = waiting.filter(({ author }) => author !== undefined);
    const { epoch, seq } = this.head;
    this.#unpublished += said.length;
    try {
      const stored = waiting.length === 0 ? [] : await this.store.append(
        this.name,
        waiting.map(({ entry }) => entry),
        this.context.now(),
      );
      if (said.length > 0) noteStore(this.context);
      this.#noteNewest(epoch, stored.at(-1)?.seq ?? 0);
      said.forEach((one, i) => settle(one, stored[i], seq));
      this.#forgetUnpublished(stored.filter(({ isRepeat }) => isRepeat).length);
    } catch (error) {
      this.#forgetUnpublished(said.length);
      this.#refuse(said, error);
    }
    const seconds = (performance.now() - beganMs) / 1000;
    this.context.metrics.turns.observe(seconds);
    this.#endTurn();
  };

  #endTurn(): void {
    this.#turning = undefined;
    if (this.#hasOverflowed) {
      this.#hasOverflowed = false;
      this.store.resync(this.name);
    }
    const isPaused = this.#presenceTimer !== undefined;
    const hasMore = isPaused
      ? this.#queue.messageCount > 0
      : this.#queue.length > 0;
    if (hasMore) this.#turning ??= setImmediate(this.#turn);
    else if (this.isIdle) this.onIdle(this);
  }

  /** Tells the authors that their messages could not be stored. */
  #refuse(said: Waiting[], error: unknown): void {
    noteStore(this.context, error);
    const message = error instanceof StoreError && error.mayBeStored
      ? "The server does not know whether this message was stored."
      : "The server cannot store messages now: this message was not sent.";
    for (const { author, entry } of said) {
      author?.refuse("log_unavailable", message, idOf(entry), STORE_RETRY_MS);
    }
  }

  // Called by the store.

  localMembers(): Presence[] {
    return [...this.members].map(presenceOf);
  }

  begin({ epoch, seq, names }: Snapshot): void {
    Object.assign(this.head, { epoch, seq });
    for (const name of names) this.roster.add(name);
    this.#listed = undefined;
    this.#sorted = undefined;
  }

  publish(published: readonly Published[]): void {
    if (published.length === 0) return;
    for (const { came, left, target } of published) {
      this.#note(came, left);
      if (target !== undefined) this.#noteDeleted(target);
    }
    const turn = new Turn(published);
    const { messages, deliveries } = this.context.metrics;
    if (turn.firstSeq !== undefined && turn.lastSeq !== undefined) {
      const count = turn.lastSeq - turn.firstSeq + 1;
      messages.add(count);
      this.#countOthers(published.filter(({ seq }) => seq !== 0));
      this.head.seq = turn.lastSeq;
    }
    deliveries.add(this.members.size);
    for (const member of this.members) {
      try {
        for (const { text, events } of member.framesOf(turn)) {
          member.session.send(text, events);
        }
      } catch (fault) {
        // The store must not take this error for its own.
        this.context.logger.fault(
          "A turn could not be delivered to a member.",
          fault,
        );
      }
    }
  }

  /** Counts published messages of other servers towards this room's rate. */
  #countOthers(messages: readonly Published[]): void {
    const others = Math.max(0, messages.length - this.#unpublished);
    this.#forgetUnpublished(messages.length);
    if (others === 0) return;
    // Most often all messages of a turn come from one server.
    const weight = messages.reduce((sum, { text }) => sum + weightIn(text), 0);
    const share = others / messages.length;
    this.rate.note(weight * share, others, this.context.monotonic());
  }

  #forgetUnpublished(count: number): void {
    this.#unpublished = Math.max(0, this.#unpublished - count);
  }

  #noteDeleted(seq: number): void {
    this.#read = undefined;
    this.#deletionCount++;
    this.#deleted.add(seq);
    const [oldest] = this.#deleted;
    if (this.#deleted.size > MAX_DELETIONS && oldest !== undefined) {
      this.#deleted.delete(oldest);
    }
  }

  #note(came: string | undefined, left: string | undefined): void {
    if (came === undefined && left === undefined) return;
    this.#listed = undefined;
    this.#sorted = undefined;
    if (left !== undefined) this.roster.delete(left);
    if (came === undefined) return;
    this.roster.add(came);
    this.#unlisted.delete(came);
    if (left === undefined) {
      // A member that is published under this name needs no rename any more.
      // One that is published under an earlier name has that in the roster
      // until its rename is published.
      this.renamed.delete(came);
      for (const [name, known] of this.renamed) {
        if (known === came) this.#unlisted.delete(name);
      }
      return;
    }
    // Further renames of the same member that are still to come follow this
    // one.
    for (const [name, known] of this.renamed) {
      if (known !== left) continue;
      if (name === came) this.renamed.delete(name);
      else this.renamed.set(name, came);
    }
  }

  restart(head: Head): void {
    Object.assign(this.head, head);
    this.#newestSeq = 0;
    this.#deleted.clear();
    // The authors of these messages saw the history that is lost.
    const said = this.#queue.removeAll("messages");
    this.#refuse(said, new StoreError("The history was lost and began again."));
    for (const member of this.members) member.restart?.();
  }

  skip(seq: number): void {
    this.head.seq = seq;
    for (const member of this.members) member.lag?.();
  }

  /** The time as ISO 8601; written once per millisecond. */
  #time(): string {
    const atMs = this.context.now();
    if (this.#lastTime.atMs !== atMs) {
      this.#lastTime = { atMs, text: new Date(atMs).toISOString() };
    }
    return this.#lastTime.text;
  }
}

/** The index of the first value above `value` in a sorted list. */
function upperBound(sorted: readonly string[], value: string): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? "") > value) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** As how many messages the message of this event counts. */
function weightIn(event: string): number {
  // Few messages are so long that their text has to be measured.
  const isLong = weightOf(event) > 1;
  return isLong ? weightOf((JSON.parse(event) as MessageEvent).message) : 1;
}

function presenceOf({ name, generation = 0 }: Member): Presence {
  return { name, generation };
}

function idOf(entry: Entry): string | undefined {
  return entry.kind === "message" ? entry.id : undefined;
}

/**
 * Tells the author what became of its message; `seq` was the newest before the
 * turn. A local store has published the turn by now; Redis may not have.
 */
function settle(
  { author, entry }: Waiting,
  stored: Stored | undefined,
  seq: number,
): void {
  if (stored === undefined) return;
  author?.stored?.(stored.text, idOf(entry));
  // A message that this turn or a later one publishes needs no answer.
  if (stored.isRepeat && stored.seq <= seq) {
    author?.acknowledge?.(stored.text, stored.seq);
  }
}
