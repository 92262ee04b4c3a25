// All rooms of this server. A room exists while someone is in it or about to
// be, or while something waits in it to be stored.
import type { Context } from "../ops/context.ts";
import { MAX_LISTED_ROOMS, type RoomsEvent } from "../protocol/events.ts";
import type { InUse, Store } from "../store/store.ts";
import { Board, newBoardsRate } from "./board.ts";
import { Identities, type IdentityLimits } from "./identities.ts";
import { Retained, SharedRate } from "./rates.ts";
import { type Guest, Room } from "./room.ts";

/**
 * How long all requests for the list of rooms share one answer: the more rooms
 * there are, the longer it takes to count them on all servers.
 */
export const ROOM_LIST_MS = 1_000;

export interface HubLimits extends IdentityLimits {
  maxRooms: number;
  /** Whether clients may ask which rooms there are. */
  listRooms: boolean;
  /** Bytes that may wait for one client. */
  sendLimit: number;
}

type RoomList = Pick<RoomsEvent, "rooms" | "more">;

export class Hub {
  readonly rooms = new Map<string, Room>();
  readonly identities: Identities;
  /** Rooms in which no guest is confirmed to be present. */
  readonly #unconfirmed = new Set<Room>();
  #roomList: { answer: Promise<RoomList>; untilMs: number } | undefined;
  /** Rates of closed rooms, which may open again. */
  readonly #rates = new Retained<SharedRate>();
  readonly #boardsRate = newBoardsRate();

  constructor(
    private readonly limits: HubLimits,
    private readonly store: Store,
    private readonly context: Context,
  ) {
    this.identities = new Identities(limits, store, context);
  }

  /** Rooms and identities that the store must not forget. */
  get inUse(): InUse {
    return {
      rooms: new Set(this.rooms.keys()),
      identities: this.identities.inUse,
    };
  }

  /** How many rooms there are, members in them, and names of people here. */
  get census(): { rooms: number; members: number; names: number } {
    let members = 0;
    for (const room of this.rooms.values()) members += room.members.size;
    const { nameCount: names } = this.identities;
    return { rooms: this.rooms.size, members, names };
  }

  /** Whether clients may ask for `listRooms`. */
  get listsRooms(): boolean {
    return this.limits.listRooms;
  }

  /** The rooms with people in them, on all servers, up to a second old. */
  listRooms(): Promise<RoomList> {
    const nowMs = this.context.monotonic();
    if (this.#roomList !== undefined && nowMs < this.#roomList.untilMs) {
      return this.#roomList.answer;
    }
    const list = { answer: this.#countRooms(), untilMs: nowMs + ROOM_LIST_MS };
    this.#roomList = list;
    list.answer.catch(() => list.untilMs = -Infinity);
    return list.answer;
  }

  async #countRooms(): Promise<RoomList> {
    const counts = [...await this.store.rooms()]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
    const rooms = counts.slice(0, MAX_LISTED_ROOMS);
    return { rooms, more: rooms.length < counts.length };
  }

  /**
   * Whether `roomName` exists or there is space for one more room. A room whose
   * guests may all be gone leaves its space to others; there are at most as
   * many of those as polls.
   */
  hasSpaceFor(roomName: string): boolean {
    const room = this.rooms.get(roomName);
    if (room !== undefined && !this.#unconfirmed.has(room)) return true;
    return this.rooms.size - this.#unconfirmed.size < this.limits.maxRooms;
  }

  /** A guest of this room came back, or went in the middle of a request. */
  review(roomName: string): void {
    const room = this.rooms.get(roomName);
    if (room === undefined) return;
    const isConfirmed = room.guests.values()
      .some(({ isUnconfirmed }) => !isUnconfirmed);
    if (isConfirmed) this.#unconfirmed.delete(room);
    else this.#unconfirmed.add(room);
  }

  /**
   * Lets a guest into a room, which is made if it is missing; undefined if
   * there are too many.
   */
  enter(roomName: string, guest: Guest): Room | undefined {
    if (!this.hasSpaceFor(roomName)) return undefined;
    let room = this.rooms.get(roomName);
    if (room === undefined) {
      room = new Room(
        roomName,
        this.store,
        this.limits.sendLimit / 4,
        this.#rates.take(roomName) ?? new SharedRate(this.limits.roomRate),
        new Board(this.#boardsRate),
        this.context,
        (room) => this.#forget(room),
      );
      this.rooms.set(roomName, room);
      this.#unconfirmed.add(room);
    }
    if (!guest.isUnconfirmed) this.#unconfirmed.delete(room);
    room.guests.add(guest);
    return room;
  }

  leave(room: Room, guest: Guest): void {
    room.leave(guest);
    this.#forget(room);
  }

  #forget(room: Room): void {
    if (!room.isIdle || this.rooms.get(room.name) !== room) return;
    this.rooms.delete(room.name);
    this.#unconfirmed.delete(room);
    this.#rates.keep(room.name, room.rate, this.context.monotonic());
    room.close();
  }
}
