// Owns the `Log` contract and `MemoryLog`, which keeps nothing on disk. Never
// decides who may speak and never sends.
// Invariant: one contract suite (tests/log_contract.ts) passes on every log.
import { Buffer } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { encodeMessage } from "./protocol.ts";

/** A message that wants to be stored, encoded up to its `seq`. */
export interface Draft {
  text: string;
  /** The identity that sends it, and its own id for it, if it gave one. */
  identity?: string;
  id?: string;
}

/** What became of one draft. */
export interface Stored {
  seq: number;
  /** The encoded event. */
  event: string;
  /** It was stored before; this is what was stored then. */
  isRepeat: boolean;
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
 * The memory of a server: each room's messages, and who holds which name.
 *
 * Order. `append` gives the drafts of one call consecutive `seq`, from one
 * above the newest, in their order. It is atomic: if it rejects, nothing of
 * the call was stored and nobody will ever read any of it; the next call may
 * succeed. A room has at most one append under way; the caller sees to it.
 *
 * Repeats. The newest `REMEMBERED_IDS` pairs of room and `id` of each identity
 * are remembered, as durably as the messages. A draft whose pair is remembered
 * is not stored again; also not if both are in one call.
 *
 * Keeping. At least the newest `keep` messages of a room can be read; older
 * ones cannot, though they may be deleted later.
 *
 * Epoch. A room's `epoch` stays the same for as long as its `seq` counts on.
 * When history is lost the room begins again at 1, or after what is left, with
 * another epoch.
 *
 * Forgetting. `forget`, to be called every few minutes, drops the rooms and
 * identities that nobody used for `FORGET_AFTER_MS`. Of more rooms than
 * `MAX_ROOMS_KEPT` it drops those with the fewest messages, of more identities
 * than `MAX_IDENTITIES` those that were used longest ago. What is `inUse` now
 * stays in any case.
 *
 * Every method may reject with a `LogError`, whose message is a sentence for
 * the operator.
 *
 * Reading. An `epoch` that is given has to be the room's: of another life
 * nothing is there.
 */
export interface Log {
  head(room: string): Promise<Head>;
  append(
    room: string,
    drafts: readonly Draft[],
    nowMs: number,
  ): Promise<{ epoch: string; stored: Stored[] }>;
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
  /** The identity whose key this is, and marks it as used. */
  identify(key: string, nowMs: number): Promise<Identity | undefined>;
  /**
   * A new identity with its key, and with its hold if the log is a shared one;
   * undefined if another one has the name.
   */
  register(
    name: string,
    nowMs: number,
  ): Promise<Identity & { key: string; hold?: number } | undefined>;
  /**
   * Gives an identity another name; false if another one has it. Of a log that
   * servers share it is asked with a `hold`, for whoever has it still.
   */
  rename(identity: Identity, name: string, hold?: number): Promise<boolean>;
  /** Whether an identity has this name, present or not. */
  isReserved(name: string): Promise<boolean>;
  forget(nowMs: number, inUse: InUse): Promise<void>;
  close(): void | Promise<void>;
}

export class LogError extends Error {
  override name = "LogError";

  /** With `mayBeStored` nobody can tell whether what was appended is there. */
  constructor(message: string, readonly mayBeStored = false) {
    super(message);
  }
}

/** Ids remembered for each identity. */
export const REMEMBERED_IDS = 64;
export const FORGET_AFTER_MS = 30 * 24 * 60 * 60 * 1000;
export const MAX_IDENTITIES = 100_000;
/** Rooms whose history is kept, with or without anyone in them. */
export const MAX_ROOMS_KEPT = 10_000;

/**
 * What makes two names the same: neither case nor the width of look-alikes
 * counts (Unicode NFKC, then case folded).
 */
export function foldName(name: string): string {
  return name.normalize("NFKC").replace(/\s+/g, " ").toUpperCase()
    .toLowerCase();
}

export const newEpoch = () => randomBytes(6).toString("base64url");

// A key is `id.secret`: looked up by its id, so that the secret, of which only
// a hash is stored, can be compared in constant time.

export function newKey(): { id: string; secret: string; key: string } {
  const id = randomBytes(9).toString("base64url");
  const secret = randomBytes(18).toString("base64url");
  return { id, secret, key: `${id}.${secret}` };
}

export function splitKey(key: string): { id: string; secret: string } {
  const dot = key.indexOf(".");
  return { id: key.slice(0, dot), secret: key.slice(dot + 1) };
}

export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

export function matches(secret: string, hash: Uint8Array): boolean {
  return timingSafeEqual(hashSecret(secret), hash);
}

/** A turn as it is stored: its events, a line each. */
export interface TurnRow {
  last_seq: number;
  events: string;
}

/** The events of a turn whose `seq` is above `after` and below `below`. */
export function eventsOf(row: TurnRow, after: number, below: number): string[] {
  const events = row.events.split("\n");
  const first = row.last_seq - events.length + 1;
  return events.slice(
    Math.max(0, after + 1 - first),
    Math.max(0, below - first),
  );
}

/** As many of `events`, taken from the end given, as the limit allows. */
export function cut(
  events: readonly string[],
  limit: ReadLimit,
  from: "start" | "end",
): string[] {
  let chars = 0;
  let count = 0;
  while (count < events.length && count < limit.count) {
    chars += events.at(from === "start" ? count : -1 - count)?.length ?? 0;
    if (count > 0 && chars > limit.chars) break;
    count++;
  }
  return from === "start"
    ? events.slice(0, count)
    : events.slice(events.length - count);
}

/** The pairs of room and id that an identity used last, with their `seq`. */
export class Recent {
  readonly #seqs: Map<string, number>;

  constructor(entries: [string, number][] = []) {
    this.#seqs = new Map(entries);
  }

  /**
   * The `seq` that goes with the pair: `seq`, unless it is known already.
   * `room` is the room's number, not its name: a room that was forgotten and
   * began again is another one.
   */
  remember(room: number, id: string, seq: number): number {
    const pair = `${room} ${id}`;
    const known = this.#seqs.get(pair);
    if (known !== undefined) return known;
    this.#seqs.set(pair, seq);
    if (this.#seqs.size > REMEMBERED_IDS) {
      const [oldest = ""] = this.#seqs.keys();
      this.#seqs.delete(oldest);
    }
    return seq;
  }

  get entries(): [string, number][] {
    return [...this.#seqs];
  }
}

interface MemoryRoom {
  id: number;
  epoch: string;
  /** The `seq` before that of `events[0]`. */
  floor: number;
  events: string[];
  usedAtMs: number;
}

interface MemoryIdentity {
  name: string;
  hash: Uint8Array;
  recent: Recent;
  usedAtMs: number;
}

/** The contract in memory: all is gone when the process ends. */
export class MemoryLog implements Log {
  readonly #rooms = new Map<string, MemoryRoom>();
  readonly #identities = new Map<string, MemoryIdentity>();
  /** Identities by folded name. */
  readonly #names = new Map<string, string>();
  /** That of every room in which nothing was said yet. */
  #epoch = newEpoch();
  #roomCount = 0;

  /** Keeps the newest `keep` messages of each room. */
  constructor(private readonly keep: number) {}

  head(name: string): Promise<Head> {
    const { epoch, floor, events } = this.#room(name);
    return Promise.resolve({ epoch, seq: floor + events.length });
  }

  append(name: string, drafts: readonly Draft[], nowMs: number) {
    const room = this.#room(name);
    room.usedAtMs = nowMs;
    this.#rooms.set(name, room);
    const stored = drafts.map((draft) => this.#store(room, draft));
    this.#prune(room);
    return Promise.resolve({ epoch: room.epoch, stored });
  }

  #store(room: MemoryRoom, draft: Draft): Stored {
    const { text, identity = "", id } = draft;
    const next = room.floor + room.events.length + 1;
    const seq = id === undefined ? next : this.#identities.get(identity)?.recent
      .remember(room.id, id, next) ?? next;
    if (seq !== next) {
      const event = room.events[seq - room.floor - 1] ??
        encodeMessage(seq, text);
      return { seq, event, isRepeat: true };
    }
    const event = encodeMessage(seq, text);
    room.events.push(event);
    return { seq, event, isRepeat: false };
  }

  /** Now and then, since cutting an array moves all that is left of it. */
  #prune(room: MemoryRoom): void {
    const surplus = room.events.length - this.keep;
    if (surplus <= this.keep / 10) return;
    room.events.splice(0, surplus);
    room.floor += surplus;
  }

  after(name: string, seq: number, limit: ReadLimit, epoch?: string) {
    const { floor, events, ...room } = this.#room(name);
    const start = Math.max(0, events.length - this.keep);
    const from = seq - floor;
    const isOther = epoch !== undefined && epoch !== room.epoch;
    return Promise.resolve(
      isOther || from < start || from > events.length
        ? undefined
        : cut(events.slice(from, from + limit.count), limit, "start"),
    );
  }

  before(name: string, seq: number, limit: ReadLimit, epoch?: string) {
    const { floor, events, ...room } = this.#room(name);
    if (epoch !== undefined && epoch !== room.epoch) {
      return Promise.resolve({ events: [], more: false });
    }
    const start = Math.max(0, events.length - this.keep);
    const end = Math.max(start, Math.min(events.length, seq - floor - 1));
    const found = cut(events.slice(start, end), limit, "end");
    const more = found.length < end - start;
    return Promise.resolve({ events: found, more });
  }

  identify(key: string, nowMs: number) {
    const { id, secret } = splitKey(key);
    const identity = this.#identities.get(id);
    if (!identity || !matches(secret, identity.hash)) {
      return Promise.resolve(undefined);
    }
    identity.usedAtMs = nowMs;
    return Promise.resolve({ id, name: identity.name });
  }

  register(name: string, nowMs: number) {
    if (this.#names.has(foldName(name))) return Promise.resolve(undefined);
    const { id, secret, key } = newKey();
    const hash = hashSecret(secret);
    const recent = new Recent();
    this.#identities.set(id, { name, hash, recent, usedAtMs: nowMs });
    this.#names.set(foldName(name), id);
    return Promise.resolve({ id, name, key });
  }

  rename({ id }: Identity, name: string) {
    const identity = this.#identities.get(id);
    const holder = this.#names.get(foldName(name)) ?? id;
    if (!identity || holder !== id) return Promise.resolve(false);
    this.#names.delete(foldName(identity.name));
    this.#names.set(foldName(name), id);
    identity.name = name;
    return Promise.resolve(true);
  }

  isReserved(name: string) {
    return Promise.resolve(this.#names.has(foldName(name)));
  }

  forget(nowMs: number, inUse: InUse) {
    for (const id of inUse.identities) {
      const identity = this.#identities.get(id);
      if (identity !== undefined) identity.usedAtMs = nowMs;
    }
    const oldestMs = nowMs - FORGET_AFTER_MS;
    const rooms = [...this.#rooms]
      .map(([name, { usedAtMs, floor, events }]) => ({
        name,
        isOld: usedAtMs <= oldestMs,
        seq: floor + events.length,
      }))
      .sort((a, b) => b.seq - a.seq);
    rooms.forEach(({ name, isOld }, i) => {
      if (inUse.rooms.has(name)) return;
      if (isOld || i >= MAX_ROOMS_KEPT) this.#forgetRoom(name);
    });
    const identities = [...this.#identities]
      .sort(([, a], [, b]) => b.usedAtMs - a.usedAtMs);
    identities.forEach(([id, { usedAtMs }], i) => {
      const isOld = usedAtMs <= oldestMs;
      if (isOld || i >= MAX_IDENTITIES) this.#forgetIdentity(id);
    });
    return Promise.resolve();
  }

  close(): void {}

  #room(name: string): MemoryRoom {
    return this.#rooms.get(name) ??
      {
        id: ++this.#roomCount,
        epoch: this.#epoch,
        floor: 0,
        events: [],
        usedAtMs: 0,
      };
  }

  #forgetRoom(name: string): void {
    this.#rooms.delete(name);
    // It begins again at 1, which must not pass for its old life.
    this.#epoch = newEpoch();
  }

  #forgetIdentity(id: string): void {
    const name = this.#identities.get(id)?.name;
    if (name !== undefined) this.#names.delete(foldName(name));
    this.#identities.delete(id);
  }
}
