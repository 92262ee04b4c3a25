// Owns `Room` (a Set of members and its turns) and `Lobby` (all rooms, all
// names). Never knows a member's transport, never writes to a socket.
// Invariant: the order of a room is decided in its queue, once; every member
// is given the same events in that order.
import { encode, type MessageEvent } from "./protocol.ts";
import { isNumbered, makeName } from "./names.ts";

/** Someone in a room, however connected. */
export interface Member {
  readonly name: string;
  /**
   * Takes one turn's events, encoded, in order. Must not throw and must not
   * wait: a member that cannot keep up leaves the room.
   */
  deliver(events: readonly string[]): void;
}

/** Names stay unused for this long after their holder has gone. */
export const NAME_REST_MS = 60_000;

/** Messages that may wait for a turn in one room; one more is refused. */
export const MAX_QUEUED = 10_000;

export class Room {
  readonly members = new Set<Member>();
  #queue: string[] = [];
  #seq = 0;
  #isTurnDue = false;

  constructor(
    private readonly maxTurnChars: number,
    private readonly now: () => number,
  ) {}

  join(member: Member): void {
    this.members.add(member);
  }

  /** Removes a member at once and tells those who remain. Idempotent. */
  leave(member: Member): void {
    if (!this.members.delete(member)) return;
    this.#enqueue(encode({
      type: "leave",
      at: new Date(this.now()).toISOString(),
      sender: member.name,
      message: "Client disconnected",
    }));
  }

  /** Queues a message for the next turn; false if too many wait already. */
  say(member: Member, message: string): boolean {
    if (this.#queue.length >= MAX_QUEUED) return false;
    const event: MessageEvent = {
      type: "message",
      seq: ++this.#seq,
      at: new Date(this.now()).toISOString(),
      sender: member.name,
      message,
    };
    this.#enqueue(encode(event));
    return true;
  }

  #enqueue(event: string): void {
    this.#queue.push(event);
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    // setImmediate runs after the frames that have already arrived are read,
    // so they share this turn; a timer would wait a millisecond.
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isTurnDue = false;
    const events = this.#takeTurn();
    for (const member of this.members) member.deliver(events);
  }

  /**
   * Takes as many events as one turn may carry. A turn is far smaller than the
   * send limit, or it would itself look like a slow client to `deliver`.
   */
  #takeTurn(): string[] {
    let chars = 0;
    let count = 0;
    for (const event of this.#queue) {
      chars += event.length;
      if (count > 0 && chars > this.maxTurnChars) break;
      count++;
    }
    const events = this.#queue.splice(0, count);
    if (this.#queue.length > 0) {
      this.#isTurnDue = true;
      setImmediate(() => this.#turn());
    }
    return events;
  }
}

export interface LobbyLimits {
  maxRooms: number;
  /** Characters of events that one turn may carry. */
  maxTurnChars: number;
}

/** All rooms and all names of one server. */
export class Lobby {
  readonly rooms = new Map<string, Room>();
  readonly #names = new Set<string>();
  /** Names that are free again at the time given, soonest first. */
  readonly #resting = new Map<string, number>();
  #numbered = 0;

  constructor(
    private readonly limits: LobbyLimits,
    private readonly now: () => number,
    private readonly random: () => number,
  ) {}

  /** Whether `roomName` exists or there is space for one more room. */
  hasSpaceFor(roomName: string): boolean {
    return this.rooms.has(roomName) || this.rooms.size < this.limits.maxRooms;
  }

  /** The room of that name, made if need be; undefined if there are too many. */
  room(roomName: string): Room | undefined {
    if (!this.hasSpaceFor(roomName)) return undefined;
    let room = this.rooms.get(roomName);
    if (room === undefined) {
      room = new Room(this.limits.maxTurnChars, this.now);
      this.rooms.set(roomName, room);
    }
    return room;
  }

  /** Takes a member out of its room, and forgets the room if it is empty. */
  leave(roomName: string, member: Member): void {
    const room = this.rooms.get(roomName);
    room?.leave(member);
    if (room?.members.size === 0) this.rooms.delete(roomName);
  }

  /** A name that nobody has, nor had within the last `NAME_REST_MS`. */
  claimName(): string {
    this.#endRests();
    const name = makeName(
      (name) => this.#names.has(name) || this.#resting.has(name),
      this.random,
      () => ++this.#numbered,
    );
    this.#names.add(name);
    return name;
  }

  releaseName(name: string): void {
    this.#names.delete(name);
    // Numbered names never come again; so at most every pair of words rests.
    if (!isNumbered(name)) this.#resting.set(name, this.now() + NAME_REST_MS);
  }

  #endRests(): void {
    for (const [name, freeAtMs] of this.#resting) {
      if (freeAtMs > this.now()) break;
      this.#resting.delete(name);
    }
  }
}
