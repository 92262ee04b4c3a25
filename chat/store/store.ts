// The contract of a store, the memory of a server. A store holds the messages
// of each room, decides their order, and knows who is in which room and who
// owns which name. `LocalStore` fulfils the contract for a single server, on an
// archive in memory or in a SQLite file; `RedisStore` for several servers that
// are one to their clients. One contract suite
// (tests/support/store_contract.ts) runs on all of them.

import type { JoinEvent } from "../protocol/events.ts";

/** A message to be stored, encoded up to its `seq`. */
export interface Draft {
  kind: "message";
  text: string;
  /** The sender's identity, and the sender's own id for the message, if any. */
  identity?: string;
  id?: string;
}

export interface Head {
  /** Names the life of a room's history. */
  epoch: string;
  /** The newest message; 0 if there is none. */
  seq: number;
}

/** How much to read at once. At least one event is returned if one exists. */
export interface ReadLimit {
  count: number;
  chars: number;
}

/** Names of rooms and ids of identities that must not be forgotten. */
export interface InUse {
  rooms: ReadonlySet<string>;
  identities: ReadonlySet<string>;
}

/** A person who comes back with a key. */
export interface Identity {
  id: string;
  name: string;
}

/**
 * A fencing token: of two holders of a key, on whichever servers, the later one
 * has the higher token. A person without an identity has 0.
 */
export type Generation = number;

/** A person in a room, under a name. */
export interface Presence {
  name: string;
  generation: Generation;
}

/** One entry of a turn. `at` is ISO 8601; `text` is an encoded event. */
export type Entry =
  | Draft
  | { kind: "join" | "leave"; at: string; member: Presence }
  | { kind: "rename"; at: string; before: string; member: Presence }
  | { kind: "ephemeral"; text: string };

/** A message to be deleted, if `author` wrote it, in that life of the room. */
export interface Deletion {
  target: number;
  author: string;
  epoch: string;
  /** The encoded event that tells the deletion. */
  text: string;
}

/** The outcome: the message was deleted now or before, or it cannot be. */
export type Deleted = "deleted" | "repeated" | "foreign" | "missing";

/** The deletions since a message was the newest. */
export interface Deletions {
  /** The events that tell of it, the oldest first. */
  events: string[];
  /** Whether all of them are kept, as far as the store can know. */
  isComplete: boolean;
}

/** One event of a turn, as the store publishes it. */
export interface Published {
  /** The encoded event. */
  text: string;
  /** 0 for an event that is not a message. */
  seq: number;
  /** The name that comes into the room, and the name that goes. */
  came?: string;
  left?: string;
  /** The event itself, if it is a join. */
  join?: JoinEvent;
  /** The `seq` of the deleted message, if the event is a deletion. */
  target?: number;
}

/** The message of one draft, as it is published. */
export interface Stored extends Published {
  /** The message had been stored before; this is the message from then. */
  isRepeat: boolean;
}

/** Where a room stands. `names` are the members on all servers. */
export interface Snapshot extends Head {
  names: string[];
}

/** A room on this server, as its store sees it. No method may throw or wait. */
export interface Subscriber {
  /** The newest message that was published, and the life of the history. */
  readonly head: Readonly<Head>;
  /** The people in the room, on all servers, as far as published. */
  readonly roster: ReadonlySet<string>;
  /** Local members whose rename was not published yet, by their new name. */
  readonly renamed: ReadonlyMap<string, string>;
  /** How much one turn may carry, in characters. */
  readonly maxTurnChars: number;
  /** The people in the room on this server. */
  localMembers(): Presence[];
  /** Receives where the room stands. Called once, before the first turn. */
  begin(snapshot: Snapshot): void;
  /** Receives the next turn. Its messages follow `head.seq` without a gap. */
  publish(turn: readonly Published[]): void;
  /** The history was lost: the room goes on after `head`. */
  restart(head: Head): void;
  /** The unpublished messages up to `seq` cannot be read any more. */
  skip(seq: number): void;
  /** Somebody drew; `by` is the drawer, if on this server. False if it is lost. */
  drawn(frame: ArrayBuffer, by?: object): boolean;
}

/** Functions that a store of several servers calls. None may throw. */
export interface ServerHandlers {
  /** Somebody came on another server with the key of this identity. */
  supersede(identity: string, generation: Generation): void;
  /** The store no longer knows for sure who is on this server. */
  rejoin(): void;
  /**
   * Answers a request that another server makes for its own client. `signal` aborts
   * when this client does not wait for the answer any more.
   */
  answer(question: string, signal: AbortSignal): Promise<string>;
}

/**
 * How messages and identities are kept, for every implementation: `Store`, and
 * the `Archive` of a `LocalStore`.
 *
 * Order. Messages get consecutive `seq` in the order in which they are stored.
 * The drafts of one call are stored together or not at all, and no message is
 * visible before it is stored.
 *
 * Repeats. The newest `REMEMBERED_IDS` pairs of room and `id` of each identity
 * are remembered, as durably as the messages. A draft whose pair is remembered
 * is not stored again, even if both are in one call.
 *
 * Keeping. At least the newest `keep` messages of a room can be read; older
 * ones cannot, though they may be deleted later.
 *
 * Deleting. A deleted message keeps its `seq` and from then on reads as
 * `encodeDeleted` makes it; its text is kept nowhere. Each room keeps the
 * newest `MAX_DELETIONS` events that tell a deletion, each with the newest
 * `seq` at that time.
 *
 * Epoch. A room's `epoch` stays the same for as long as its `seq` counts on.
 * When history is lost the room begins again at 1, or after the messages that
 * are left, with another epoch. A reading method that is given an `epoch` other
 * than the room's finds nothing.
 *
 * Forgetting. `forget`, to be called every few minutes, drops the rooms and
 * identities that nobody used for `FORGET_AFTER_MS`. A store measures that by a
 * clock of its own. It counts only time in which a server ran, so a clock that
 * is set forward forgets nothing. If there are more rooms than
 * `MAX_ROOMS_KEPT`, those with the fewest messages are dropped; if there are
 * more identities than `MAX_IDENTITIES`, those that stand lowest (see
 * `standingOf`), and among equals those that were used longest ago. Rooms and
 * identities that are `inUse` stay in any case.
 *
 * Every method may reject with a `StoreError`, whose message is a sentence for
 * the operator.
 */
export interface Records {
  head(room: string): Promise<Head>;
  /**
   * The events that follow `seq`, the oldest first. Undefined if some of them
   * are gone, or if the room has not reached `seq`.
   */
  after(
    room: string,
    seq: number,
    limit: ReadLimit,
    epoch?: string,
  ): Promise<string[] | undefined>;
  /** The newest events below `seq`, oldest first; `more`: some are older. */
  before(
    room: string,
    seq: number,
    limit: ReadLimit,
    epoch?: string,
  ): Promise<{ events: string[]; more: boolean }>;
  /** Deletes a message at the request of its author. */
  delete(room: string, deletion: Deletion): Promise<Deleted>;
  /** Up to `count` events that tell deletions since `seq` was the newest. */
  deletions(
    room: string,
    seq: number,
    count: number,
    epoch: string,
  ): Promise<Deletions>;
  /** The identity whose key this is, and marks it as used. */
  identify(key: string): Promise<Identity | undefined>;
  forget(inUse: InUse): Promise<void>;
  close?(): void | Promise<void>;
}

/**
 * Turns. `append` stores a turn's messages, changes who is in the room, and
 * publishes the turn to every room that subscribed, on every server: all of
 * them get the same turns of a room in the same order, without a gap. A local
 * store publishes before `append` ends; with several servers either may come
 * first. A join or leave that changes nothing is not published; a deletion by
 * `delete` is. If `append` rejects with an error that `mayBeStored`, the
 * messages may have been stored, but will not be stored later; after any other
 * error they are not stored. A room has at most one append under way.
 *
 * Names. A name has one holder at a time: an identity, present or not, or a
 * person without an identity who claimed it.
 *
 * Several servers. A server's own statements (who is there, which names are
 * claimed) are forgotten when it has been silent for its lease; then the others
 * hear that its members left.
 */
export interface Store extends Records {
  close(): void | Promise<void>;
  /** Only in a store that several servers use. */
  readonly peers?: Peers;
  append(
    room: string,
    entries: readonly Entry[],
    nowMs: number,
  ): Promise<Stored[]>;
  /** Publishes the room's turns to `subscriber` from now on. */
  subscribe(room: string, subscriber: Subscriber): Promise<void>;
  unsubscribe(room: string, subscriber: Subscriber): void;
  /**
   * Joins and leaves were lost on their way: `localMembers` is the truth, and
   * the changes that follow from it are published.
   */
  resync(room: string): void;
  /** The rooms with people in them, on all servers, and their numbers. */
  rooms(): Promise<ReadonlyMap<string, number>>;
  /** Shows a stroke to all others who draw in the room; may be lost. */
  draw(room: string, frame: ArrayBuffer, by: object): void;
  /** Claims a name for a person without an identity; false if it is taken. */
  claim(name: string): Promise<boolean>;
  /** Gives a claimed name back; everyone may have it after `restMs`. */
  unclaim(name: string, restMs: number): void;
  /**
   * A new identity with its key; undefined if the name is taken. Its burst of
   * messages is full after `fullInMs`.
   */
  register(name: string, fullInMs?: number): Promise<
    Identity & { key: string; generation: Generation } | undefined
  >;
  /**
   * Gives an identity another name; false if the name is taken, or if the
   * identity no longer has this `generation`.
   */
  rename(
    identity: Identity & { generation: Generation },
    name: string,
  ): Promise<boolean>;
  /**
   * Takes an identity for this server, under its present name, and supersedes
   * its holder on another server. Undefined if the identity no longer exists. A
   * store of several servers adds after how many milliseconds the identity's
   * burst is full again, by the messages that it sent.
   */
  acquire(
    identity: Identity,
  ): Promise<
    { generation: Generation; name: string; fullInMs?: number } | undefined
  >;
  /** Nobody on this server has the identity any more. */
  release(identity: string, generation: Generation): void;
}

/** The other servers on the same store. May reject with a `StoreError`. */
export interface Peers {
  /** Begins to serve: from now on the other servers may call this one. */
  join(handlers: ServerHandlers): void;
  /** The identities among these that another server holds by now. */
  superseded(held: ReadonlyMap<string, Generation>): Promise<string[]>;
  /** The other server where somebody is under this identity. */
  peerOf(identity: string): Promise<Peer | undefined>;
}

/** Another server. */
export interface Peer {
  /**
   * Asks it, and waits at most `waitMs`. When `signal` aborts, it is told so and
   * answers at once. Rejects with a `StoreError`.
   */
  ask(
    question: string,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<string>;
}

export class StoreError extends Error {
  override name = "StoreError";

  /** `mayBeStored`: nobody can tell whether the messages were stored. */
  constructor(message: string, readonly mayBeStored = false) {
    super(message);
  }

  /** The message alone, which is a sentence for the operator. */
  override toString(): string {
    return this.message;
  }
}

/** When a client may try again after the store failed. */
export const STORE_RETRY_MS = 2_000;

/** How long a name that was assigned stays unused after its holder has gone. */
export const NAME_REST_MS = 60_000;

/** Events of deleted messages that are kept for each room. */
export const MAX_DELETIONS = 1_000;

/** Ids remembered for each identity. */
export const REMEMBERED_IDS = 64;
export const FORGET_AFTER_MS = 30 * 24 * 60 * 60 * 1000;
export const MAX_IDENTITIES = 100_000;

/** An identity that was used for less than this hardly had a user. */
export const MOMENT_MS = 60_000;

/**
 * How an identity that was used over `spanMs`, from its making to its last use,
 * stands: a longer use stands higher. Anybody can use any number of identities
 * for a moment; of those, identities that sent a message stand higher.
 */
export function standingOf(spanMs: number, hasSpoken: boolean): number {
  return spanMs < MOMENT_MS ? Number(hasSpoken) : spanMs;
}

/** Over which time something was used, by the store's own clock. */
interface Use {
  madeAtMs: number;
  usedAtMs: number;
}

/**
 * Of rooms that nobody is in, the `count` that stand lowest. Rooms that somebody makes
 * for a moment cannot push out one that was used for longer, however many they are and
 * whatever is said in them.
 */
export function lowestOf<Room extends Use>(
  rooms: readonly Room[],
  count: number,
): Room[] {
  const standing = ({ madeAtMs, usedAtMs }: Use) =>
    standingOf(usedAtMs - madeAtMs, false);
  return [...rooms]
    .sort((a, b) => standing(a) - standing(b) || a.usedAtMs - b.usedAtMs)
    .slice(0, Math.max(0, count));
}

/** Rooms whose history is kept, with or without anyone in them. */
export const MAX_ROOMS_KEPT = 10_000;
