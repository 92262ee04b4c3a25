// Owns the contract of a log that several servers have in common: what they
// tell each other about rooms, names and identities. Never knows how.
// Invariant: whoever holds to it cannot be told from one server, but for what
// is written here.
import type { Draft, Log, Stored } from "./log.ts";

/** Who is in a room, under which name; `hold` is 0 without an identity. */
export interface Presence {
  name: string;
  /** Higher than that of whoever had the identity, or the name, before. */
  hold: number;
}

/** One thing that happens in a turn. A `text` is encoded up to its `count`. */
export type Entry =
  | { kind: "message"; draft: Draft }
  | { kind: "join" | "leave"; member: Presence; text: string }
  | { kind: "rename"; before: string; member: Presence; text: string }
  | { kind: "passing"; text: string };

/** A turn as all servers hear of it, their own and those of others. */
export interface Heard {
  epoch: string;
  /** Counts up with all that is told, in all rooms. */
  clock: number;
  /** Encoded events; a message has the `seq` that follows the one before. */
  events: string[];
}

/** Where a room stands. `names` are those of all servers' members. */
export interface Snapshot {
  epoch: string;
  seq: number;
  /** What has a `clock` up to this is in it already. */
  clock: number;
  names: string[];
}

/** A room on this server. No method may throw. */
export interface Follower {
  heard(turn: Heard): void;
  /** Somebody drew on another node. */
  drawn(frame: ArrayBuffer): void;
  /** What was told may have been missed, or what was to be told was lost. */
  resync(): void;
}

/** This server, to those beside it. No method may throw. */
export interface Node {
  /** Somebody came on another server with the key of this identity. */
  giveWay(identity: string, hold: number): void;
  /** The log does not know any more, or not surely, who is on this server. */
  rejoin(): void;
  /** Does what another server asks for a client of its own. */
  answer(question: string): Promise<string>;
}

/**
 * A log that several servers, its nodes, have in common.
 *
 * Turns. `commit` stores a turn's messages, changes who is in the room, and
 * tells all of it to every follower on every node, in one step: all hear the
 * same turns of a room in the same order. Where `join` and `leave` change
 * nothing they are not told. What was said in another `epoch` is refused, for
 * who said it was forgotten with that. It waits a moment for a log that is away. If it
 * rejects with an error that `mayBeStored`, the messages are stored or not,
 * but will not be stored any more; else they are not.
 *
 * Missing. A follower that hears a `seq` beyond the next one reads what is
 * between from the log. After a node was cut off, its followers `resync`.
 *
 * Leases. What a node says of itself (who is there, which names are taken) is
 * forgotten when it has been silent for its lease; then the others hear that
 * its members left.
 */
export interface SharedLog extends Log {
  /** Begins to take part. To be called once, before all that follows. */
  join(node: Node): void;
  commit(
    room: string,
    entries: readonly Entry[],
    nowMs: number,
    epoch: string,
  ): Promise<{ epoch: string; stored: Stored[] }>;
  /** Hears of the room's turns from now on, instead of an earlier follower. */
  follow(room: string, follower: Follower): Promise<void>;
  unfollow(room: string, follower: Follower): void;
  /** Shows the followers on other nodes what was drawn; may be lost. */
  draw(room: string, frame: ArrayBuffer): void;
  /** Makes `members` all that this node has in the room. */
  sync(
    room: string,
    members: readonly Presence[],
    nowMs: number,
  ): Promise<Snapshot>;
  /** Holds a name for someone without an identity; false if it is taken. */
  claim(name: string): Promise<boolean>;
  /** Gives a name back, to all of them after `restMs`. */
  unclaim(name: string, restMs: number): void;
  /**
   * Holds an identity, with the name that it has by now; whoever does on
   * another node gives way. Undefined if there is none any more.
   */
  hold(identity: string): Promise<{ hold: number; name: string } | undefined>;
  /** Which of these identities another node holds by now. */
  lostHolds(holds: ReadonlyMap<string, number>): Promise<string[]>;
  letGo(identity: string, hold: number): void;
  /** The other node where somebody is under this identity. */
  nodeOf(identity: string): Promise<string | undefined>;
  /** Has another node answer, at most within `waitMs`. */
  ask(node: string, question: string, waitMs: number): Promise<string>;
}

export function isShared(log: Log): log is SharedLog {
  return "commit" in log;
}
