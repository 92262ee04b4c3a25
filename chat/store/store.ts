// The contract of a store: the memory of a server. It holds the messages of each
// room, decides their order, knows who is in which room, and who owns which name.
// `LocalStore` keeps it for a single server, on an archive in memory or in a
// SQLite file; `RedisStore` for several servers that are one to their clients.
// One contract suite (tests/support/store_contract.ts) runs on all of them.

import type { JoinEvent } from "../protocol/events.ts";

/** A message that wants to be stored, encoded up to its `seq`. */
export interface Draft {
  kind: "message";
  text: string;
  /** The identity that sends it, and its own id for it, if it gave one. */
  identity?: string;
  id?: string;
}

export interface Head {
  /** Names the life of a room's history. */
  epoch: string;
  /** Of the newest message; 0 if there is none. */
  seq: number;
}

/** How much to read at once. At least one event is returned if there is one. */
export interface ReadLimit {
  count: number;
  chars: number;
}

/** What must not be forgotten: names of rooms and ids of identities. */
export interface InUse {
  rooms: ReadonlySet<string>;
  identities: ReadonlySet<string>;
}

/** Someone who comes back with a key. */
export interface Identity {
  id: string;
  name: string;
}

/**
 * A fencing token: whoever came later with the same key, on whichever server,
 * has the higher one. Someone without an identity has 0.
 */
export type Generation = number;

/** Who is in a room, under which name. */
export interface Presence {
  name: string;
  generation: Generation;
}

/** One thing that a turn brings. `at` is ISO 8601; `text` is an encoded event. */
export type Entry =
  | Draft
  | { kind: "join" | "leave"; at: string; member: Presence }
  | { kind: "rename"; at: string; before: string; member: Presence }
  | { kind: "ephemeral"; text: string };

/** A message that is to be deleted, if it is its author's, in that life of the room. */
export interface Deletion {
  target: number;
  author: string;
  epoch: string;
  /** The encoded event that tells of it. */
  text: string;
}

/** What became of it: the message was deleted now or before, or it cannot be. */
export type Deleted = "deleted" | "repeated" | "foreign" | "missing";

/** What was deleted since a message was the newest. */
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
  /** 0 for what is not a message. */
  seq: number;
  /** The name that is in the room from now on, and the one that is no longer. */
  came?: string;
  left?: string;
  /** The event itself, if it is a join. */
  join?: JoinEvent;
  /** The `seq` of the message that is deleted, if it tells of that. */
  target?: number;
}

/** What became of one draft: the message, as it is published. */
export interface Stored extends Published {
  /** It was stored before; this is what was stored then. */
  isRepeat: boolean;
}

/** Where a room stands. `names` are those of the members on all servers. */
export interface Snapshot extends Head {
  names: string[];
}

/** A room on this server, as its store sees it. No method may throw or wait. */
export interface Subscriber {
  /** The newest message that was published, in which life of the history. */
  readonly head: Readonly<Head>;
  /** Who is in the room, on all servers, as far as it was published. */
  readonly roster: ReadonlySet<string>;
  /** Members on this server whose rename was not published yet, by their new name. */
  readonly renamed: ReadonlyMap<string, string>;
  /** How much one turn may carry, in characters. */
  readonly maxTurnChars: number;
  /** Who is in the room on this server. */
  localMembers(): Presence[];
  /** Where the room stands. Comes once, before the first turn. */
  begin(snapshot: Snapshot): void;
  /** Takes the next turn. Its messages follow `head.seq` without a gap. */
  publish(turn: readonly Published[]): void;
  /** The history was lost: the room goes on after `head`. */
  restart(head: Head): void;
  /** What follows up to `seq` cannot be read any more. */
  skip(seq: number): void;
  /** Somebody drew; `by` is who, if that is somebody on this server. */
  drawn(frame: ArrayBuffer, by?: object): void;
}

/** The functions by which a store of several servers calls this one. None may throw. */
export interface ServerHandlers {
  /** Somebody came on another server with the key of this identity. */
  supersede(identity: string, generation: Generation): void;
  /** The store does not know any more, or not surely, who is on this server. */
  rejoin(): void;
  /** Does what another server asks for a client of its own. */
  answer(question: string): Promise<string>;
}

/**
 * What is kept of messages and identities, and the rules for whoever stores it:
 * `Store`, and the `Archive` of a `LocalStore`.
 *
 * Order. Messages get consecutive `seq` in the order in which they are stored.
 * What one call stores is stored whole or not at all, and nothing is visible
 * before it is stored.
 *
 * Repeats. The newest `REMEMBERED_IDS` pairs of room and `id` of each identity
 * are remembered, as durably as the messages. A draft whose pair is remembered
 * is not stored again; also not if both are in one call.
 *
 * Keeping. At least the newest `keep` messages of a room can be read; older
 * ones cannot, though they may be deleted later.
 *
 * Deleting. A message that is deleted keeps its `seq`, and reads from then on as
 * `encodeDeleted` makes it; its text is kept nowhere. Of each room the newest
 * `MAX_DELETIONS` events that tell of it are kept, with the newest `seq` of then.
 *
 * Epoch. A room's `epoch` stays the same for as long as its `seq` counts on.
 * When history is lost the room begins again at 1, or after what is left, with
 * another epoch. An `epoch` that is given to a reading method has to be the
 * room's: of another life nothing is there.
 *
 * Forgetting. `forget`, to be called every few minutes, drops the rooms and
 * identities that nobody used for `FORGET_AFTER_MS`. A store counts that by a
 * clock of its own, which goes on only while a server runs: it was seen that
 * nobody came, and no clock that is set can make that up. Of more rooms than
 * `MAX_ROOMS_KEPT`, and of more identities than `MAX_IDENTITIES`, it drops those that
 * stand lowest (see `standingOf`), and of those that stand alike the ones that were
 * used longest ago. What is `inUse` now stays in any case, and a room in use keeps its
 * epoch.
 *
 * Every method may reject with a `StoreError`, whose message is a sentence for
 * the operator.
 */
export interface Records {
  head(room: string): Promise<Head>;
  /**
   * The events that follow `seq`, the oldest first. Undefined if they are no
   * longer all there, or if `seq` is one that the room has not reached.
   */
  after(
    room: string,
    seq: number,
    limit: ReadLimit,
    epoch?: string,
  ): Promise<string[] | undefined>;
  /** The newest events below `seq`, the oldest first, and if there are more. */
  before(
    room: string,
    seq: number,
    limit: ReadLimit,
    epoch?: string,
  ): Promise<{ events: string[]; more: boolean }>;
  /** Deletes a message that its author wants to be deleted. */
  delete(room: string, deletion: Deletion): Promise<Deleted>;
  /**
   * Up to `count` events that tell what was deleted since `seq` was the newest, and
   * whether there are less than are kept: else there may have been more.
   */
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
 * Turns. `append` stores a turn's messages, changes who is in the room, and then
 * publishes the turn to every room that subscribed, on every server: all of them
 * get the same turns of a room in the same order, without a gap. A join or leave
 * that changes nothing is not published. What `delete` deletes is published too. If `append` rejects with an error that
 * `mayBeStored`, the messages are stored or not, but will not be stored any
 * more; else they are not. A room has at most one append under way.
 *
 * Names. A name has one holder at a time: an identity, present or not, or
 * somebody without an identity who claimed it.
 *
 * Several servers. What a server says of itself (who is there, which names are
 * claimed) is forgotten when it has been silent for its lease; then the others
 * hear that its members left.
 */
export interface Store extends Records {
  close(): void | Promise<void>;
  /** Of a store that several servers use. */
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
   * Comings and goings were lost on their way: what `localMembers` says is true, and
   * what that changes is published.
   */
  resync(room: string): void;
  /** The rooms with people in them, on all servers, and how many are in each. */
  rooms(): Promise<ReadonlyMap<string, number>>;
  /** Shows what was drawn to all who drew here or elsewhere; may be lost. */
  draw(room: string, frame: ArrayBuffer, by: object): void;
  /** Claims a name for someone without an identity; false if it is taken. */
  claim(name: string): Promise<boolean>;
  /** Gives a claimed name back, to everyone after `restMs`. */
  unclaim(name: string, restMs: number): void;
  /**
   * A new identity with its key; undefined if the name is taken. It may say all of
   * its burst after `fullInMs`.
   */
  register(name: string, fullInMs?: number): Promise<
    Identity & { key: string; generation: Generation } | undefined
  >;
  /**
   * Gives an identity another name, which it may have for as long as it is of
   * this `generation`; false if the name is taken, or the identity superseded.
   */
  rename(
    identity: Identity & { generation: Generation },
    name: string,
  ): Promise<boolean>;
  /**
   * Takes an identity for this server, with the name that it has by now; whoever
   * has it on another server is superseded. Undefined if there is none any more.
   * A store of several servers tells after how many milliseconds, going by what the
   * identity said, all of its burst may be said again.
   */
  acquire(
    identity: Identity,
  ): Promise<
    { generation: Generation; name: string; fullInMs?: number } | undefined
  >;
  /** This server has nobody under the identity any more. */
  release(identity: string, generation: Generation): void;
}

/** The other servers that use the same store. May reject with a `StoreError`. */
export interface Peers {
  /** Begins to serve: from now on the others call this one. */
  join(handlers: ServerHandlers): void;
  /** Which of these identities another server holds by now. */
  superseded(held: ReadonlyMap<string, Generation>): Promise<string[]>;
  /** The other server where somebody is under this identity. */
  peerOf(identity: string): Promise<Peer | undefined>;
}

/** Another server. */
export interface Peer {
  /** Has it answer, at most within `waitMs`. Rejects with a `StoreError`. */
  ask(question: string, waitMs: number): Promise<string>;
}

export class StoreError extends Error {
  override name = "StoreError";

  /** With `mayBeStored` nobody can tell whether what was appended is there. */
  constructor(message: string, readonly mayBeStored = false) {
    super(message);
  }

  /** The message alone, which is a sentence for the operator. */
  override toString(): string {
    return this.message;
  }
}

/** After a store failed, when a client may try again. */
export const STORE_RETRY_MS = 2_000;

/** A name that was assigned stays unused this long after its holder has gone. */
export const NAME_REST_MS = 60_000;

/** Events of deleted messages that are kept for each room. */
export const MAX_DELETIONS = 1_000;

/** Ids remembered for each identity. */
export const REMEMBERED_IDS = 64;
export const FORGET_AFTER_MS = 30 * 24 * 60 * 60 * 1000;
export const MAX_IDENTITIES = 100_000;

/** An identity or a room that was used for less than this was hardly anybody's. */
export const MOMENT_MS = 60_000;

/**
 * How an identity stands that was used over `spanMs`, from when it was made until it
 * was used last: what was used longer stands higher. For a moment anybody can use
 * any number of them; of those, the ones stand higher under which something was said.
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
