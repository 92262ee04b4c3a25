// Owns all rooms, all names in use and who is here under which identity. Never
// touches a message or a socket.
// Invariant: a name has one holder at a time, present or (by key) absent; a
// room is here for as long as someone is in it, about to be, or was heard.
import { foldName, type Identity, type InUse, type Log } from "./log.ts";
import { isShared, type SharedLog } from "./log_shared.ts";
import {
  isNumbered,
  makeName,
  makeNumberedName,
  nameProblem,
} from "./names.ts";
import { type Member, Room } from "./room.ts";
import { SharedRoom } from "./room_shared.ts";
import type { ErrorCode } from "./protocol.ts";
import type { World } from "./world.ts";

/** An assigned name stays unused this long after its holder has gone. */
export const NAME_REST_MS = 60_000;

/**
 * How many names that turn out to be reserved by someone absent are tried
 * before a number is added, which is hardly ever taken.
 */
const RESERVED_TRIES = 4;

export interface LobbyLimits {
  maxRooms: number;
  /** Characters of events that one turn may carry. */
  maxTurnChars: number;
}

/** Someone who can be asked to give way to a newer connection. */
export interface Holder {
  giveWay(): void;
}

/** Somebody's identity, for as long as somebody is here under it. */
export interface Held extends Identity {
  /** Higher than that of whoever had it before; 0 on a lone server. */
  hold: number;
}

export class NameError extends Error {
  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

export class Lobby {
  readonly rooms = new Map<string, Room>();
  /** Folded names of those who are here. */
  readonly #names = new Set<string>();
  /** Who has one of them without an identity. */
  readonly #claims = new Map<string, Holder>();
  /** Folded names that are free again at the time given, soonest first. */
  readonly #resting = new Map<string, number>();
  /** Who is here under an identity, by its id. */
  readonly #holders = new Map<string, { holder: Holder; hold: number }>();
  /** Identities that are asked for now, and who came after that elsewhere. */
  readonly #asked = new Map<string, { count: number; passedBy: number }>();
  /** If there may be other servers. */
  readonly #shared: SharedLog | undefined;
  /** Counts up, so that no numbered name comes twice from this process. */
  #number: number;

  constructor(
    private readonly limits: LobbyLimits,
    private readonly log: Log,
    private readonly world: World,
  ) {
    this.#number = Math.floor(world.random() * 1e9);
    this.#shared = isShared(log) ? log : undefined;
  }

  /** What the log must not forget. */
  get inUse(): InUse {
    return {
      rooms: new Set(this.rooms.keys()),
      identities: new Set(this.#holders.keys()),
    };
  }

  /** How many names someone holds who is here. */
  get nameCount(): number {
    return this.#names.size;
  }

  /** Whether `roomName` exists or there is space for one more room. */
  hasSpaceFor(roomName: string): boolean {
    return this.rooms.has(roomName) || this.rooms.size < this.limits.maxRooms;
  }

  /** Lets a guest into a room, made if need be; undefined if there are too many. */
  enter(roomName: string, guest: Member): Room | undefined {
    if (!this.hasSpaceFor(roomName)) return undefined;
    let room = this.rooms.get(roomName);
    if (room === undefined) {
      room = this.#newRoom(roomName);
      this.rooms.set(roomName, room);
    }
    room.guests.add(guest);
    return room;
  }

  #newRoom(name: string): Room {
    const { maxTurnChars } = this.limits;
    const onIdle = (room: Room) => this.#forget(room);
    return this.#shared === undefined
      ? new Room(name, this.log, maxTurnChars, this.world, onIdle)
      : new SharedRoom(name, this.#shared, maxTurnChars, this.world, onIdle);
  }

  leave(room: Room, guest: Member): void {
    room.leave(guest);
    this.#forget(room);
  }

  #forget(room: Room): void {
    if (room.isIdle && this.rooms.get(room.name) === room) {
      this.rooms.delete(room.name);
      room.close();
    }
  }

  /** A name for someone without an identity; give it back with `releaseName`. */
  async claimName(holder: Holder): Promise<string> {
    for (let tries = 0;; tries++) {
      const name = this.#pickName(tries);
      const folded = foldName(name);
      if (await this.#isFree(name)) {
        this.#claims.set(folded, holder);
        return name;
      }
      this.#names.delete(folded);
    }
  }

  releaseName(name: string): void {
    const folded = foldName(name);
    this.#names.delete(folded);
    this.#claims.delete(folded);
    // Numbered names do not come again; so at most every pair of words rests.
    const restMs = isNumbered(name) ? 0 : NAME_REST_MS;
    if (restMs > 0) this.#resting.set(folded, this.world.now() + restMs);
    this.#shared?.unclaim(name, restMs);
  }

  /**
   * The identity whose key this is. Whoever is here under it gives way.
   * Undefined if there is none; then `register` makes one.
   */
  async reclaim(key: string, holder: Holder): Promise<Held | undefined> {
    const identity = await this.log.identify(key, this.world.now());
    if (identity === undefined) return undefined;
    const held = await this.#hold(identity);
    if (held === undefined) return undefined;
    const { hold, passedBy, name } = held;
    this.#holders.get(identity.id)?.holder.giveWay();
    this.#holders.set(identity.id, { holder, hold });
    this.#names.add(foldName(name));
    if (passedBy > hold) holder.giveWay();
    return { id: identity.id, name, hold };
  }

  /**
   * Tells the other servers that the identity is here from now on. Until then
   * it may have been renamed there.
   */
  async #hold({ id, name }: Identity) {
    if (this.#shared === undefined) return { name, hold: 0, passedBy: 0 };
    const asked = this.#asked.get(id) ?? { count: 0, passedBy: 0 };
    this.#asked.set(id, asked);
    asked.count++;
    try {
      const held = await this.#shared.hold(id);
      return held && { ...held, passedBy: asked.passedBy };
    } finally {
      asked.count--;
      if (asked.count === 0) this.#asked.delete(id);
    }
  }

  /** Somebody has come on another server with the key of this identity. */
  giveWay(id: string, hold: number): void {
    const held = this.#holders.get(id);
    if (held !== undefined && held.hold < hold) held.holder.giveWay();
    const asked = this.#asked.get(id);
    if (asked !== undefined) asked.passedBy = Math.max(asked.passedBy, hold);
  }

  /** Claims again what is held here; who has lost it meanwhile gives way. */
  async rejoin(): Promise<void> {
    const shared = this.#shared;
    if (shared === undefined) return;
    const holds = [...this.#holders].map(([id, { hold }]) =>
      [id, hold] as const
    );
    const claims = [...this.#claims].map(async ([name, holder]) => {
      if (!await shared.claim(name)) holder.giveWay();
    });
    const [lost] = await Promise.all([
      shared.lostHolds(new Map(holds)),
      ...claims,
    ]);
    for (const id of lost) this.#holders.get(id)?.holder.giveWay();
  }

  /** Whether somebody has this key, here or not. */
  async isKnown(key: string): Promise<boolean> {
    return await this.log.identify(key, this.world.now()) !== undefined;
  }

  /** Who is here under the identity of this key, or on which other server. */
  async present(
    key: string,
    nowMs: number,
  ): Promise<{ holder?: Holder; node?: string }> {
    const identity = await this.log.identify(key, nowMs);
    if (identity === undefined) return {};
    // Who is here may have gone on elsewhere, and not been told of it yet.
    const node = await this.#shared?.nodeOf(identity.id);
    if (node !== undefined) return { node };
    const held = this.#holders.get(identity.id);
    return held === undefined ? {} : { holder: held.holder };
  }

  /** A new identity, called `wish` if that can be, else by a name made here. */
  async register(
    wish: string | undefined,
    holder: Holder,
  ): Promise<Held & { key: string }> {
    for (let tries = 0;; tries++) {
      const name = tries === 0 && wish !== undefined && this.#take(wish)
        ? wish
        : this.#pickName(tries);
      const identity = await this.#registerAs(name);
      if (identity === undefined) continue;
      const { hold = 0 } = identity;
      this.#holders.set(identity.id, { holder, hold });
      return { ...identity, hold };
    }
  }

  async #registerAs(name: string) {
    try {
      const identity = await this.log.register(name, this.world.now());
      if (identity === undefined) this.#names.delete(foldName(name));
      return identity;
    } catch (error) {
      this.#names.delete(foldName(name));
      throw error;
    }
  }

  /** Takes a holder's identity out of use. Its name stays reserved for it. */
  release(identity: Held, holder: Holder): void {
    if (!this.#isHolder(identity, holder)) return;
    this.#holders.delete(identity.id);
    this.#names.delete(foldName(identity.name));
    this.#shared?.letGo(identity.id, identity.hold);
  }

  #isHolder({ id }: Identity, holder: Holder): boolean {
    return this.#holders.get(id)?.holder === holder;
  }

  /** Gives an identity another name. Throws a `NameError` if it cannot be. */
  async rename(
    identity: Held,
    name: string,
    holder: Holder,
  ): Promise<void> {
    const problem = nameProblem(name);
    if (problem !== undefined) throw new NameError("name_invalid", problem);
    const before = foldName(identity.name);
    const isSame = foldName(name) === before;
    const taken = new NameError("name_taken", `"${name}" is taken.`);
    if (!isSame && !this.#take(name)) throw taken;
    let isDone = false;
    try {
      isDone = await this.log.rename(identity, name, identity.hold);
    } finally {
      if (!isDone && !isSame) this.#names.delete(foldName(name));
    }
    if (!isDone) throw taken;
    // Whoever left meanwhile holds neither name any more.
    const isHere = this.#isHolder(identity, holder);
    if (!isSame) this.#names.delete(isHere ? before : foldName(name));
    identity.name = name;
  }

  /** Holds a name if nobody has it; false if somebody does. */
  #take(name: string): boolean {
    this.#endRests();
    const folded = foldName(name);
    if (this.#names.has(folded) || this.#resting.has(folded)) return false;
    this.#names.add(folded);
    return true;
  }

  /** Holds a name that nobody here has; `tries` were reserved before it. */
  #pickName(tries: number): string {
    this.#endRests();
    const isTaken = (name: string) =>
      tries >= RESERVED_TRIES || this.#names.has(name) ||
      this.#resting.has(name);
    const name = makeName(isTaken, this.world.random) ??
      makeNumberedName(this.#number++, this.world.random);
    this.#names.add(name);
    return name;
  }

  async #isFree(name: string): Promise<boolean> {
    try {
      return this.#shared === undefined
        ? !await this.log.isReserved(name)
        : await this.#shared.claim(name);
    } catch (error) {
      this.#names.delete(foldName(name));
      // It may have been claimed all the same.
      this.#shared?.unclaim(name, 0);
      throw error;
    }
  }

  #endRests(): void {
    for (const [name, freeAtMs] of this.#resting) {
      if (freeAtMs > this.world.now()) break;
      this.#resting.delete(name);
    }
  }
}
