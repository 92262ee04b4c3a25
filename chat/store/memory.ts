// The archive that keeps nothing on disk: everything is gone when the process
// ends. It is the shortest description of an archive's work.
import type { Clocks } from "../ops/context.ts";
import { encodeDeleted, encodeMessage } from "../protocol/events.ts";
import { foldName } from "../protocol/names.ts";
import { hashSecret, matches, newEpoch, newKey, splitKey } from "./keys.ts";
import type { Archive } from "./local.ts";
import { Looks } from "./looks.ts";
import {
  type Deletion,
  type Draft,
  FORGET_AFTER_MS,
  type Head,
  type Identity,
  type InUse,
  lowestOf,
  MAX_DELETIONS,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  type ReadLimit,
  standingOf,
  type Stored,
} from "./store.ts";
import { deletionOutcome } from "./deletion.ts";
import { RecentIds } from "./recent_ids.ts";
import { cut } from "./turn_rows.ts";

interface MemoryRoom {
  id: number;
  epoch: string;
  /** The `seq` before that of `events[0]`. */
  floor: number;
  events: string[];
  /** Events of deleted messages, each with the newest `seq` at the deletion. */
  deletions: { seq: number; text: string }[];
  madeAtMs: number;
  usedAtMs: number;
}

interface MemoryIdentity {
  name: string;
  hash: Uint8Array;
  recent: RecentIds;
  madeAtMs: number;
  usedAtMs: number;
}

export class MemoryArchive implements Archive {
  readonly #rooms = new Map<string, MemoryRoom>();
  readonly #identities = new Map<string, MemoryIdentity>();
  /** Identities by folded name. */
  readonly #names = new Map<string, string>();
  readonly #looks = new Looks();
  /** The epoch of every room without a message. */
  #epoch = newEpoch();
  #roomCount = 0;

  /** Keeps the newest `keep` messages of each room. */
  constructor(
    private readonly keep: number,
    private readonly monotonic: Clocks["monotonic"],
  ) {}

  head(name: string): Promise<Head> {
    const { epoch, floor, events } = this.#room(name);
    return Promise.resolve({ epoch, seq: floor + events.length });
  }

  append(name: string, drafts: readonly Draft[]) {
    const room = this.#room(name);
    room.usedAtMs = this.monotonic();
    if (!this.#rooms.has(name)) this.#rooms.set(name, room);
    const stored: Stored[] = [];
    for (const { text, identity = "", id } of drafts) {
      const next = room.floor + room.events.length + 1;
      const recent = this.#identities.get(identity)?.recent;
      const seq = id === undefined
        ? next
        : recent?.remember(room.id, id, next) ?? next;
      const isRepeat = seq !== next;
      const known = isRepeat ? room.events[seq - room.floor - 1] : undefined;
      const event = known ?? encodeMessage(seq, text);
      if (!isRepeat) room.events.push(event);
      stored.push({ text: event, seq, isRepeat });
    }
    this.#prune(room);
    return Promise.resolve({ epoch: room.epoch, stored });
  }

  /** Not with each message: cutting an array moves the whole rest of it. */
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
    const from = Math.max(start, end - limit.count);
    const found = cut(events.slice(from, end), limit, "end");
    const more = found.length < end - start;
    return Promise.resolve({ events: found, more });
  }

  delete(name: string, { target, author, epoch, text }: Deletion) {
    const room = this.#room(name);
    const { floor, events, deletions } = room;
    const at = target - floor - 1;
    const isKept = epoch === room.epoch && at >= events.length - this.keep;
    const event = isKept ? events[at] : undefined;
    const outcome = deletionOutcome(event, author);
    if (event !== undefined && outcome === "deleted") {
      events[at] = encodeDeleted(event);
      deletions.push({ seq: floor + events.length, text });
      if (deletions.length > MAX_DELETIONS) deletions.shift();
    }
    return Promise.resolve(outcome);
  }

  deletions(name: string, seq: number, count: number, epoch: string) {
    const room = this.#room(name);
    if (epoch !== room.epoch) {
      return Promise.resolve({ events: [], isComplete: false });
    }
    const found = room.deletions.filter((deletion) => deletion.seq >= seq);
    const events = found.slice(0, count).map(({ text }) => text);
    const isComplete = found.length < MAX_DELETIONS;
    return Promise.resolve({ events, isComplete });
  }

  identify(key: string) {
    const { id, secret } = splitKey(key);
    const identity = this.#identities.get(id);
    if (!identity || !matches(secret, identity.hash)) {
      return Promise.resolve(undefined);
    }
    identity.usedAtMs = this.monotonic();
    return Promise.resolve({ id, name: identity.name });
  }

  register(name: string) {
    if (this.#isTaken(name)) return Promise.resolve(undefined);
    const { id, secret, key } = newKey();
    const hash = hashSecret(secret);
    const recent = new RecentIds();
    const nowMs = this.monotonic();
    const times = { madeAtMs: nowMs, usedAtMs: nowMs };
    this.#identities.set(id, { name, hash, recent, ...times });
    this.#names.set(foldName(name), id);
    this.#looks.add(name);
    return Promise.resolve({ id, name, key });
  }

  rename({ id }: Identity, name: string) {
    const identity = this.#identities.get(id);
    const holder = this.#names.get(foldName(name)) ?? id;
    if (!identity || holder !== id || this.#looks.has(name, identity.name)) {
      return Promise.resolve(false);
    }
    this.#names.delete(foldName(identity.name));
    this.#names.set(foldName(name), id);
    this.#looks.delete(identity.name);
    this.#looks.add(name);
    identity.name = name;
    return Promise.resolve(true);
  }

  nameOf(identity: string) {
    return Promise.resolve(this.#identities.get(identity)?.name);
  }

  isReserved(name: string) {
    return Promise.resolve(this.#isTaken(name));
  }

  #isTaken(name: string): boolean {
    return this.#names.has(foldName(name)) || this.#looks.has(name);
  }

  forget(inUse: InUse) {
    const nowMs = this.monotonic();
    for (const id of inUse.identities) {
      const identity = this.#identities.get(id);
      if (identity !== undefined) identity.usedAtMs = nowMs;
    }
    const oldestMs = nowMs - FORGET_AFTER_MS;
    this.#forgetRooms(oldestMs, inUse.rooms);
    for (const [id, { usedAtMs }] of this.#identities) {
      if (usedAtMs <= oldestMs) this.#forgetIdentity(id);
    }
    this.#forgetLowest(inUse.identities);
    return Promise.resolve();
  }

  /** Deletes surplus identities, those that stand lowest first. */
  #forgetLowest(inUse: ReadonlySet<string>): void {
    const surplus = this.#identities.size - MAX_IDENTITIES;
    if (surplus <= 0) return;
    const away = [...this.#identities]
      .filter(([id]) => !inUse.has(id))
      .map(([id, { recent, madeAtMs, usedAtMs }]) => ({
        id,
        standing: standingOf(usedAtMs - madeAtMs, !recent.isEmpty),
        usedAtMs,
      }))
      .sort((a, b) => a.standing - b.standing || a.usedAtMs - b.usedAtMs);
    for (const { id } of away.slice(0, surplus)) this.#forgetIdentity(id);
  }

  #room(name: string): MemoryRoom {
    return this.#rooms.get(name) ??
      {
        id: ++this.#roomCount,
        epoch: this.#epoch,
        floor: 0,
        events: [],
        deletions: [],
        madeAtMs: this.monotonic(),
        usedAtMs: this.monotonic(),
      };
  }

  #forgetRooms(oldestMs: number, inUse: ReadonlySet<string>): void {
    const away = [...this.#rooms].filter(([name]) => !inUse.has(name))
      .map(([name, { events, madeAtMs, usedAtMs }]) => {
        const isOld = events.length === 0 || usedAtMs <= oldestMs;
        return { name, isOld, madeAtMs, usedAtMs };
      });
    const old = away.filter(({ isOld }) => isOld);
    const others = away.filter(({ isOld }) => !isOld);
    const surplus = this.#rooms.size - old.length - MAX_ROOMS_KEPT;
    const forgotten = [...old, ...lowestOf(others, surplus)];
    if (forgotten.length === 0) return;
    // A forgotten room begins again at 1, which must not pass for its old life.
    // Rooms in use without a message keep theirs.
    for (const name of inUse) {
      if (!this.#rooms.has(name)) this.#rooms.set(name, this.#room(name));
    }
    this.#epoch = newEpoch();
    for (const { name } of forgotten) this.#rooms.delete(name);
  }

  #forgetIdentity(id: string): void {
    const name = this.#identities.get(id)?.name;
    if (name === undefined) return;
    this.#names.delete(foldName(name));
    this.#looks.delete(name);
    this.#identities.delete(id);
  }
}
