// Owns what all clients together know to be true: each room's epoch and what
// stands at each `seq`. Never asks the server. Invariant: whatever any client
// is shown is compared with what was shown before, so an entry has one content
// and a message one place.
import type { MessageEvent } from "../../chat/protocol.ts";
import { scramble } from "./dice.ts";

/**
 * The rooms, and how long their messages get, in paddings. One has large ones,
 * so that a client that stalls there has much to catch up on.
 */
const MAX_PADDINGS: Readonly<Record<string, number>> = {
  lobby: 4,
  hall: 250,
  den: 4,
};

export const ROOMS = Object.keys(MAX_PADDINGS);

/** What may go wrong on the way: quotes, line ends, two to four bytes. */
const PADDING = 'ab "\\\n<é\u2028水🦦>';

/** A message as its author wrote it. */
export interface Mark {
  author: number;
  n: number;
}

/** Where a message is, and how the log shows it. */
export interface Entry extends Mark {
  seq: number;
  sender: string;
  id: string | undefined;
  at: string;
}

export class Ledger {
  readonly #rooms = new Map<string, RoomRecord>();

  room(name: string): RoomRecord {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new RoomRecord(name);
      this.#rooms.set(name, room);
    }
    return room;
  }

  get rooms(): RoomRecord[] {
    return [...this.#rooms.values()];
  }
}

export class RoomRecord {
  epoch: string | undefined;
  /** By `seq`; one that nobody was shown is missing. */
  readonly entries: (Entry | undefined)[] = [];
  readonly #places = new Map<string, number>();
  /** How many messages clients were shown, each showing counted. */
  shown = 0;

  constructor(readonly name: string) {}

  /** The words of an author's message: told by its numbers alone. */
  textOf({ author, n }: Mark): string {
    const max = MAX_PADDINGS[this.name] ?? 0;
    const paddings = scramble(author * 65_537 + n) % (max + 1);
    return `${author}:${n}:${PADDING.repeat(paddings)}`;
  }

  /** Takes what a client was shown. Throws if it was ever shown otherwise. */
  see(event: MessageEvent): Entry {
    const { seq, sender, id, at, message } = event;
    const mark = this.#read(message);
    const entry: Entry = { ...mark, seq, sender, id, at };
    const known = this.entries[seq];
    this.shown++;
    if (known !== undefined) {
      if (key(known) === key(entry)) return known;
      throw new Error(
        `${this.name}: seq ${seq} was ${key(known)} and is ${key(entry)}`,
      );
    }
    if (!Number.isSafeInteger(seq) || seq < 1) {
      throw new Error(`${this.name}: a message with seq ${seq}`);
    }
    const place = this.place(mark);
    if (place !== undefined) {
      throw new Error(
        `${this.name}: stored twice, at seq ${place} and ${seq}: ${key(entry)}`,
      );
    }
    this.entries[seq] = entry;
    this.#places.set(`${mark.author}:${mark.n}`, seq);
    return entry;
  }

  /** The `seq` of a message, if anybody was shown it. */
  place({ author, n }: Mark): number | undefined {
    return this.#places.get(`${author}:${n}`);
  }

  #read(message: string): Mark {
    const [, author, n] = /^(\d+):(\d+):/.exec(message) ?? [];
    const mark = { author: Number(author), n: Number(n) };
    if (author !== undefined && message === this.textOf(mark)) return mark;
    throw new Error(`${this.name}: a message nobody wrote: ${message}`);
  }
}

function key({ author, n, sender, id, at }: Entry): string {
  return `${author}:${n} from ${sender}, id ${id ?? "none"}, ${at}`;
}
