// Owns all rooms, all names in use and who is here under which identity. Never
// touches a message or a socket.
// Invariant: a name has one holder at a time, present or (by key) absent; a
// room is here for as long as someone is in it, about to be, or was heard.
import { foldName, type Identity, type InUse, type Log } from "./log.ts";
import {
  isNumbered,
  makeName,
  makeNumberedName,
  nameProblem,
} from "./names.ts";
import { type Member, Room } from "./room.ts";
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

export class NameError extends Error {
  constructor(readonly code: ErrorCode, message: string) {
    super(message);
  }
}

export class Lobby {
  readonly rooms = new Map<string, Room>();
  /** Folded names of those who are here. */
  readonly #names = new Set<string>();
  /** Folded names that are free again at the time given, soonest first. */
  readonly #resting = new Map<string, number>();
  /** Who is here under an identity, by its id. */
  readonly #holders = new Map<string, Holder>();
  /** Counts up, so that no numbered name comes twice from this process. */
  #number: number;

  constructor(
    private readonly limits: LobbyLimits,
    private readonly log: Log,
    private readonly world: World,
  ) {
    this.#number = Math.floor(world.random() * 1e9);
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
      room = new Room(
        roomName,
        this.log,
        this.limits.maxTurnChars,
        this.world,
        (room) => this.#forget(room),
      );
      this.rooms.set(roomName, room);
    }
    room.guests.add(guest);
    return room;
  }

  leave(room: Room, guest: Member): void {
    room.leave(guest);
    this.#forget(room);
  }

  #forget(room: Room): void {
    if (room.isIdle && this.rooms.get(room.name) === room) {
      this.rooms.delete(room.name);
    }
  }

  /** A name for someone without an identity; give it back with `releaseName`. */
  async claimName(): Promise<string> {
    for (let tries = 0;; tries++) {
      const name = this.#pickName(tries);
      if (!await this.#isReserved(name)) return name;
      this.#names.delete(foldName(name));
    }
  }

  releaseName(name: string): void {
    const folded = foldName(name);
    this.#names.delete(folded);
    // Numbered names do not come again; so at most every pair of words rests.
    if (!isNumbered(name)) {
      this.#resting.set(folded, this.world.now() + NAME_REST_MS);
    }
  }

  /**
   * The identity whose key this is. Whoever is here under it gives way.
   * Undefined if there is none; then `register` makes one.
   */
  async reclaim(key: string, holder: Holder): Promise<Identity | undefined> {
    const identity = await this.log.identify(key, this.world.now());
    if (identity === undefined) return undefined;
    this.#holders.get(identity.id)?.giveWay();
    this.#holders.set(identity.id, holder);
    this.#names.add(foldName(identity.name));
    return identity;
  }

  /** Whether somebody has this key, here or not. */
  async isKnown(key: string): Promise<boolean> {
    return await this.log.identify(key, this.world.now()) !== undefined;
  }

  /** Who is here under the identity of this key. */
  async present(key: string, nowMs: number): Promise<Holder | undefined> {
    const identity = await this.log.identify(key, nowMs);
    return identity && this.#holders.get(identity.id);
  }

  /** A new identity, called `wish` if that can be, else by a name made here. */
  async register(
    wish: string | undefined,
    holder: Holder,
  ): Promise<Identity & { key: string }> {
    for (let tries = 0;; tries++) {
      const name = tries === 0 && wish !== undefined && this.#take(wish)
        ? wish
        : this.#pickName(tries);
      const identity = await this.#registerAs(name);
      if (identity === undefined) continue;
      this.#holders.set(identity.id, holder);
      return identity;
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
  release(identity: Identity, holder: Holder): void {
    if (this.#holders.get(identity.id) !== holder) return;
    this.#holders.delete(identity.id);
    this.#names.delete(foldName(identity.name));
  }

  /** Gives an identity another name. Throws a `NameError` if it cannot be. */
  async rename(
    identity: Identity,
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
      isDone = await this.log.rename(identity.id, name);
    } finally {
      if (!isDone && !isSame) this.#names.delete(foldName(name));
    }
    if (!isDone) throw taken;
    // Whoever left meanwhile holds neither name any more.
    const isHere = this.#holders.get(identity.id) === holder;
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

  async #isReserved(name: string): Promise<boolean> {
    try {
      return await this.log.isReserved(name);
    } catch (error) {
      this.#names.delete(foldName(name));
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
