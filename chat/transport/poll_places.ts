// The places of clients that poll, apart from those of WebSockets and streams: a
// client that polls has no connection of its own, so nothing tells that it went. A
// place belongs to the TCP connection of its newest request, and each has only a
// few. Behind a trusted proxy it belongs to the client's address until the client
// came back with its key; from then on to that key, which has one place at most.
// As long as a client has not come back, and when it went in the middle of a
// request, its place is unconfirmed: it ends soon, and at once when another needs it.
import { HttpError, retryAfter } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";

/**
 * How long a client is still in the room that does not ask again, and has not come
 * back yet since the welcome, or went in the middle of a request.
 */
export const FIRST_LEASE_MS = 5_000;

/** Places that one TCP connection may have; a browser may use one for all tabs. */
export const MAX_POLLS_OF_CONNECTION = 12;

/** Places of clients that have just come, from one address behind a proxy. */
export const MAX_POLLS_OF_ADDRESS = 256;

export interface PollPlace {
  /** Whether nothing shows yet, or any more, that its client is still there. */
  readonly isUnconfirmed: boolean;
  /**
   * Its client came back, with a request of this owner; undefined if unknown.
   * Throws an `HttpError` if that owner has too many places.
   */
  goOn(owner: Owner | undefined): void;
  /** Its client went in the middle of a request. */
  abandon(): void;
  /** Gives it back; idempotent. */
  leave(): void;
}

export class PollPlaces {
  readonly #counts = new Map<string, number>();
  /** Places that are unconfirmed, the oldest first: ends each. */
  readonly #unconfirmed = new Map<
    PollPlace,
    { owner: Owner | undefined; end: () => void }
  >();
  #size = 0;

  constructor(private readonly maxPolls: number) {}

  get size(): number {
    return this.#size;
  }

  /**
   * Takes a place; throws an `HttpError` if there is none. When all are taken, the
   * oldest that is unconfirmed is ended by its `end`.
   */
  take(owner: Owner, end: () => void): PollPlace {
    // Behind a proxy the many others of one address must not be kept out.
    if (owner.isShared && !this.#hasSpaceFor(owner)) this.#endOldest(owner);
    if (!this.#hasSpaceFor(owner)) throw tooMany();
    if (this.#size >= this.maxPolls) this.#endOldest();
    if (this.#size >= this.maxPolls) {
      throw new HttpError(
        503,
        "Too many clients are polling: use a WebSocket, or try again later.",
        retryAfter(FIRST_LEASE_MS),
      );
    }
    return this.#newPlace(owner, end);
  }

  #newPlace(first: Owner, end: () => void): PollPlace {
    let owner: Owner | undefined = first;
    let isHere = true;
    const unconfirmed = this.#unconfirmed;
    const place: PollPlace = {
      get isUnconfirmed(): boolean {
        return unconfirmed.has(place);
      },
      goOn: (next: Owner | undefined) => {
        if (!isHere) return;
        if (next !== undefined && next.name !== owner?.name) {
          if (!next.isShared && !this.#hasSpaceFor(next)) throw tooMany();
          this.#count(owner, -1);
          owner = next;
          this.#count(owner, 1);
        }
        // From now on it belongs to its key.
        if (owner?.isShared) {
          this.#count(owner, -1);
          owner = undefined;
        }
        unconfirmed.delete(place);
      },
      abandon: () => {
        if (isHere) unconfirmed.set(place, { owner, end });
      },
      leave: () => {
        if (!isHere) return;
        isHere = false;
        unconfirmed.delete(place);
        this.#count(owner, -1);
        this.#size--;
      },
    };
    unconfirmed.set(place, { owner, end });
    this.#count(owner, 1);
    this.#size++;
    return place;
  }

  #hasSpaceFor({ name, isShared }: Owner): boolean {
    const max = isShared ? MAX_POLLS_OF_ADDRESS : MAX_POLLS_OF_CONNECTION;
    return (this.#counts.get(name) ?? 0) < max;
  }

  #endOldest(of?: Owner): void {
    for (const { owner, end } of this.#unconfirmed.values()) {
      if (of === undefined || owner?.name === of.name) return end();
    }
  }

  #count(owner: Owner | undefined, change: number): void {
    if (owner === undefined) return;
    const count = (this.#counts.get(owner.name) ?? 0) + change;
    if (count > 0) this.#counts.set(owner.name, count);
    else this.#counts.delete(owner.name);
  }
}

function tooMany(): HttpError {
  return new HttpError(
    429,
    "Too many clients began to poll on this connection: continue with " +
      "those, or try again later.",
    retryAfter(FIRST_LEASE_MS),
  );
}
