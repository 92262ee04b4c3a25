// What the stores share beneath the contract: turns as rows, pages of events cut
// to a limit, and the ids that each identity used last.
import { mendEncoded, type MessageEvent } from "../protocol/events.ts";
import { type Deleted, type ReadLimit, REMEMBERED_IDS } from "./store.ts";

/** A turn as it is stored: its events, a line each. */
export interface TurnRow {
  last_seq: number;
  events: string;
}

/** The events of a turn whose `seq` is above `after` and below `below`. */
export function eventsOf(row: TurnRow, after: number, below: number): string[] {
  const events = mendEncoded(row.events).split("\n");
  const first = row.last_seq - events.length + 1;
  return events.slice(
    Math.max(0, after + 1 - first),
    Math.max(0, below - first),
  );
}

/** What becomes of an encoded message that the `author` wants to be deleted. */
export function judge(event: string | undefined, author: string): Deleted {
  if (event === undefined) return "missing";
  const message = JSON.parse(event) as MessageEvent;
  // What has no author is nobody's.
  if (author === "" || message.author !== author) return "foreign";
  return message.deleted ? "repeated" : "deleted";
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

  /** Whether nothing was ever said with an id. */
  get isEmpty(): boolean {
    return this.#seqs.size === 0;
  }

  get entries(): [string, number][] {
    return [...this.#seqs];
  }
}
