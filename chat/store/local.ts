// The store of a server that is alone: an archive on this machine keeps
// messages and identities; everything that lives only as long as the server
// (who is in which room, which names are claimed) is kept here. No other server
// has to be told. For another database on this machine implement `Archive`,
// choose it in `main.ts` and add it to `tests/unit/store_test.ts`.
import type { Clocks } from "../ops/context.ts";
import { foldName } from "../protocol/names.ts";
import { turnOf, turnOfChanges } from "./roster.ts";
import {
  type Deleted,
  type Deletion,
  type Draft,
  type Entry,
  type Generation,
  type Head,
  type Identity,
  type InUse,
  type ReadLimit,
  type Records,
  type Store,
  type Stored,
  type Subscriber,
} from "./store.ts";

/** Where a `LocalStore` keeps what must outlive a client's connection. */
export interface Archive extends Records {
  /**
   * Stores the drafts in their order under consecutive `seq`, the first one
   * above the newest. Atomic: if it rejects, no draft of the call was stored.
   */
  append(
    room: string,
    drafts: readonly Draft[],
  ): Promise<{ epoch: string; stored: Stored[] }>;
  /** The name of an identity; undefined if the identity no longer exists. */
  nameOf(identity: string): Promise<string | undefined>;
  /** A new identity with its key; undefined if another one has the name. */
  register(name: string): Promise<Identity & { key: string } | undefined>;
  /** Gives an identity another name; false if another one has it. */
  rename(identity: Identity, name: string): Promise<boolean>;
  /** Whether an identity has this name, present or not. */
  isReserved(name: string): Promise<boolean>;
}

export class LocalStore implements Store {
  readonly #rooms = new Map<string, Subscriber>();
  /** Folded names of present clients without an identity. */
  readonly #claims = new Set<string>();
  /** Folded names, and when each is free again; the soonest first. */
  readonly #resting = new Map<string, number>();
  /** Counts acquired and registered identities. */
  #generation = 0;
  /** The generations of the identities that are present. */
  readonly #generations = new Map<string, Generation>();

  constructor(
    private readonly archive: Archive,
    private readonly clocks: Clocks,
  ) {}

  async append(room: string, entries: readonly Entry[]) {
    const drafts = entries.filter((entry) => entry.kind === "message");
    const subscriber = this.#rooms.get(room);
    let stored: Stored[] = [];
    try {
      if (drafts.length > 0) {
        const result = await this.archive.append(room, drafts);
        stored = result.stored;
        const { epoch } = result;
        const isLost = epoch !== subscriber?.head.epoch;
        if (isLost) subscriber?.restart({ epoch, seq: 0 });
      }
      return stored;
    } finally {
      // Joins and leaves are published even if no message could be stored. The
      // room awaits this call, so its turn is published before it tells the
      // authors; with Redis either can come first.
      subscriber?.publish(turnOf(entries, stored, subscriber.roster));
    }
  }

  async subscribe(room: string, subscriber: Subscriber): Promise<void> {
    this.#rooms.set(room, subscriber);
    subscriber.begin({ ...await this.archive.head(room), names: [] });
  }

  unsubscribe(room: string, subscriber: Subscriber): void {
    if (this.#rooms.get(room) === subscriber) this.#rooms.delete(room);
  }

  resync(room: string): void {
    const subscriber = this.#rooms.get(room);
    if (subscriber === undefined) return;
    const names = subscriber.localMembers().map(({ name }) => name);
    subscriber.publish(turnOfChanges(subscriber, names, this.clocks.now()));
  }

  rooms() {
    const counts = [...this.#rooms]
      .map(([name, { roster }]) => [name, roster.size] as const)
      .filter(([, count]) => count > 0);
    return Promise.resolve(new Map(counts));
  }

  draw(room: string, frame: ArrayBuffer, by: object): void {
    this.#rooms.get(room)?.drawn(frame, by);
  }

  async claim(name: string): Promise<boolean> {
    if (this.#isClaimed(name)) return false;
    const folded = foldName(name);
    this.#claims.add(folded);
    try {
      if (!await this.archive.isReserved(name)) return true;
    } catch (error) {
      this.#claims.delete(folded);
      throw error;
    }
    this.#claims.delete(folded);
    return false;
  }

  unclaim(name: string, restMs: number): void {
    const folded = foldName(name);
    this.#claims.delete(folded);
    if (restMs > 0) {
      this.#resting.set(folded, this.clocks.monotonic() + restMs);
    }
  }

  #isClaimed(name: string): boolean {
    for (const [resting, freeAtMs] of this.#resting) {
      if (freeAtMs > this.clocks.monotonic()) break;
      this.#resting.delete(resting);
    }
    const folded = foldName(name);
    return this.#claims.has(folded) || this.#resting.has(folded);
  }

  async register(name: string) {
    if (this.#isClaimed(name)) return undefined;
    // Claimed, so that nobody else gets the name while the archive stores it.
    const folded = foldName(name);
    this.#claims.add(folded);
    try {
      const identity = await this.archive.register(name);
      return identity && { ...identity, generation: this.#next(identity.id) };
    } finally {
      this.#claims.delete(folded);
    }
  }

  async rename(
    identity: Identity & { generation: Generation },
    name: string,
  ): Promise<boolean> {
    return this.#generations.get(identity.id) === identity.generation &&
      !this.#isClaimed(name) && await this.archive.rename(identity, name);
  }

  async acquire({ id }: Identity) {
    // From here on no earlier holder can rename the identity.
    const generation = this.#next(id);
    const name = await this.archive.nameOf(id);
    return name === undefined ? undefined : { generation, name };
  }

  #next(identity: string): Generation {
    this.#generations.set(identity, ++this.#generation);
    return this.#generation;
  }

  release(identity: string, generation: Generation): void {
    if (this.#generations.get(identity) !== generation) return;
    this.#generations.delete(identity);
  }

  head(room: string): Promise<Head> {
    return this.archive.head(room);
  }

  after(room: string, seq: number, limit: ReadLimit, epoch?: string) {
    return this.archive.after(room, seq, limit, epoch);
  }

  before(room: string, seq: number, limit: ReadLimit, epoch?: string) {
    return this.archive.before(room, seq, limit, epoch);
  }

  async delete(room: string, deletion: Deletion): Promise<Deleted> {
    const outcome = await this.archive.delete(room, deletion);
    const { text, target } = deletion;
    if (outcome === "deleted") {
      this.#rooms.get(room)?.publish([{ text, seq: 0, target }]);
    }
    return outcome;
  }

  deletions(room: string, seq: number, count: number, epoch: string) {
    return this.archive.deletions(room, seq, count, epoch);
  }

  identify(key: string) {
    return this.archive.identify(key);
  }

  forget(inUse: InUse): Promise<void> {
    return this.archive.forget(inUse);
  }

  close(): void | Promise<void> {
    return this.archive.close?.();
  }
}
