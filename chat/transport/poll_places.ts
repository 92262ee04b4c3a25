// The places of clients that poll, apart from those of WebSockets and streams: a
// client that polls has no connection of its own, so nothing tells that it went. A
// place belongs to the TCP connection of its newest request, behind a trusted proxy
// to the client's address, and each has only so many. As long as a client has not
// come back, and when it went in the middle of a request, its place is unconfirmed:
// it ends soon, and at once when another needs it. A confirmed place keeps a room
// open, of which the clients of one network hold only a part.
import { HttpError, retryAfter } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";

/** How long a client that does not poll stays in the room. */
export const POLL_TIMEOUT_MS = 15_000;

/**
 * How long a client stays in the room that has made no second request since its
 * welcome, or that broke off a request.
 */
export const FIRST_POLL_TIMEOUT_MS = 5_000;

/** Places of one TCP connection; a browser may use one for all its tabs. */
export const MAX_POLLS_OF_CONNECTION = 12;

/** Places that one address behind a trusted proxy may have: a class may share it. */
export const MAX_POLLS_OF_ADDRESS = 512;

/** The part of all rooms that clients of one network may hold by polling. */
export const NETWORK_ROOMS_SHARE = 1 / 4;

export interface PollPlace {
  /** Whether the client may be gone: see the header of this file. */
  readonly isUnconfirmed: boolean;
  /**
   * Its client came back, with a request of this owner; undefined if unknown.
   * Throws an `HttpError` if that owner has too many places, or its network rooms.
   */
  goOn(owner: Owner | undefined): void;
  /** The client broke off a request. */
  abandon(): void;
  /** Gives the place back; idempotent. */
  leave(): void;
}

export class PollPlaces {
  /** By the name of the owner. */
  readonly #counts = new Counts();
  readonly #rooms: HeldRooms;
  /** Unconfirmed places, the oldest first, and the function that ends each. */
  readonly #unconfirmed = new Map<
    PollPlace,
    { owner: Owner; end: () => void }
  >();
  #size = 0;

  constructor(
    private readonly limits: { maxPolls: number; maxRooms: number },
  ) {
    this.#rooms = new HeldRooms(limits.maxRooms * NETWORK_ROOMS_SHARE);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Takes a place; throws an `HttpError` if there is none. If all are taken,
   * the oldest unconfirmed one is ended by its `end`.
   */
  take(owner: Owner, roomName: string, end: () => void): PollPlace {
    // Many others at the same address of a proxy must not be kept out.
    if (owner.isShared && !this.#hasSpaceFor(owner)) this.#endOldest(owner);
    if (!this.#hasSpaceFor(owner)) throw tooMany(owner);
    if (this.#size >= this.limits.maxPolls) this.#endOldest();
    if (this.#size >= this.limits.maxPolls) {
      throw new HttpError(
        503,
        "Too many clients are polling: use a WebSocket, or try again later.",
        retryAfter(FIRST_POLL_TIMEOUT_MS),
      );
    }
    return this.#newPlace(owner, roomName, end);
  }

  #newPlace(first: Owner, roomName: string, end: () => void): PollPlace {
    let owner = first;
    let isHere = true;
    const rooms = this.#rooms;
    const unconfirmed = this.#unconfirmed;
    const place: PollPlace = {
      get isUnconfirmed(): boolean {
        return unconfirmed.has(place);
      },
      goOn: (next = owner) => {
        if (!isHere) return;
        const isMoved = next.name !== owner.name;
        if (isMoved && !this.#hasSpaceFor(next)) throw tooMany(next);
        const isNew = unconfirmed.has(place) || next.network !== owner.network;
        if (isNew) {
          rooms.hold(next.network, roomName);
          place.abandon();
        }
        this.#counts.add(owner.name, -1);
        this.#counts.add(next.name, 1);
        owner = next;
        unconfirmed.delete(place);
      },
      abandon: () => {
        if (!isHere || unconfirmed.has(place)) return;
        rooms.release(owner.network, roomName);
        unconfirmed.set(place, { owner, end });
      },
      leave: () => {
        if (!isHere) return;
        place.abandon();
        isHere = false;
        unconfirmed.delete(place);
        this.#counts.add(owner.name, -1);
        this.#size--;
      },
    };
    unconfirmed.set(place, { owner, end });
    this.#counts.add(owner.name, 1);
    this.#size++;
    return place;
  }

  #hasSpaceFor({ name, isShared }: Owner): boolean {
    const max = isShared ? MAX_POLLS_OF_ADDRESS : MAX_POLLS_OF_CONNECTION;
    return this.#counts.of(name) < max;
  }

  #endOldest(of?: Owner): void {
    for (const { owner, end } of this.#unconfirmed.values()) {
      if (of === undefined || owner.name === of.name) return end();
    }
  }
}

/** The rooms in which clients of each network poll. */
class HeldRooms {
  /** By the network. */
  readonly #rooms = new Counts();
  /** By the network and the room. */
  readonly #polls = new Counts();

  constructor(private readonly max: number) {}

  /** One more polls in this room; throws an `HttpError` if it is a room too many. */
  hold(network: string, roomName: string): void {
    const id = `${network} ${roomName}`;
    if (this.#polls.of(id) === 0) {
      if (this.#rooms.of(network) >= this.max) throw tooManyRooms();
      this.#rooms.add(network, 1);
    }
    this.#polls.add(id, 1);
  }

  release(network: string, roomName: string): void {
    const id = `${network} ${roomName}`;
    this.#polls.add(id, -1);
    if (this.#polls.of(id) === 0) this.#rooms.add(network, -1);
  }
}

/** How many there are under each name; those of which there are none take nothing. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, change: number): void {
    const count = this.of(name) + change;
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
  }
}

function tooMany({ isShared }: Owner): HttpError {
  const where = isShared ? "from your address" : "on this connection";
  return new HttpError(
    429,
    `Too many clients poll ${where}: continue with those, or try again later.`,
    retryAfter(FIRST_POLL_TIMEOUT_MS),
  );
}

function tooManyRooms(): HttpError {
  return new HttpError(
    429,
    "Clients of your network poll in too many rooms: join one of those, or use " +
      "a WebSocket.",
    retryAfter(FIRST_POLL_TIMEOUT_MS),
  );
}
