// What all clients together know to be true: the lives of each room's history,
// and what stands at each `seq`. Whatever a client is shown is compared with
// what was shown before, so an entry has one content, and a message has one
// place in a life.
import type { MessageEvent } from "../../chat/protocol/events.ts";
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

/** A message that somebody was shown who is told no epoch. */
interface Sighting {
  entry: Entry;
  /** When that connection was made. */
  atMs: number;
}

export class RoomRecord {
  /** Each life of its history; the newest is the last. */
  readonly lives: Life[] = [];
  /** How many messages clients were shown, each showing counted. */
  shown = 0;
  /** Shown before anybody else was shown them. */
  readonly #sightings: Sighting[] = [];
  readonly #excused = new Set<string>();

  constructor(readonly name: string) {}

  /** The life with that epoch; a new one if it was not heard of before. */
  life(epoch: string): Life {
    const known = this.lives.find((life) => life.epoch === epoch);
    if (known !== undefined) return known;
    const life = new Life(epoch, this.lives.length, this.name);
    this.lives.push(life);
    return life;
  }

  /** The words of an author's message: told by its numbers alone. */
  textOf({ author, n }: Mark): string {
    const max = MAX_PADDINGS[this.name] ?? 0;
    const paddings = scramble(author * 65_537 + n) % (max + 1);
    return `${author}:${n}:${PADDING.repeat(paddings)}`;
  }

  /** Takes what a client was shown. Throws if it was ever shown otherwise. */
  see(event: MessageEvent, life: Life): Entry {
    this.shown++;
    return life.see(this.#read(event));
  }

  /** The same, for a client that is told no epoch. */
  glimpse(event: MessageEvent, atMs: number): Entry {
    this.shown++;
    const entry = this.#read(event);
    if (!this.#isKnown(entry)) this.#sightings.push({ entry, atMs });
    return entry;
  }

  /** One that is in no life, unless it may have been lost with all. */
  findLost(mayBeLost: (atMs: number) => boolean): Entry | undefined {
    return this.#sightings.find(({ entry, atMs }) =>
      !mayBeLost(atMs) && !this.#isKnown(entry)
    )?.entry;
  }

  /** In which lives a message is. */
  livesOf(mark: Mark): Life[] {
    return this.lives.filter((life) => life.place(mark) !== undefined);
  }

  /** It need not stand before what its author sent after it. */
  excuse(mark: Mark): void {
    this.#excused.add(nameOf(mark));
  }

  isExcused(mark: Mark): boolean {
    return this.#excused.has(nameOf(mark));
  }

  #isKnown(entry: Entry): boolean {
    return this.lives.some(({ entries }) => {
      const known = entries[entry.seq];
      return known !== undefined && describe(known) === describe(entry);
    });
  }

  #read({ seq, sender, id, at, message }: MessageEvent): Entry {
    const [, author, n] = /^(\d+):(\d+):/.exec(message) ?? [];
    const mark = { author: Number(author), n: Number(n) };
    if (author !== undefined && message === this.textOf(mark)) {
      return { ...mark, seq, sender, id, at };
    }
    throw new Error(`${this.name}: a message nobody wrote: ${message}`);
  }
}

/** What is known of one life of a room's history. */
export class Life {
  /** By `seq`; one that nobody was shown is missing. */
  readonly entries: (Entry | undefined)[] = [];
  readonly #places = new Map<string, number>();

  constructor(
    readonly epoch: string,
    /** How many were known before it. */
    readonly number: number,
    private readonly room: string,
  ) {}

  toJSON(): string {
    return this.epoch;
  }

  see(entry: Entry): Entry {
    const { seq } = entry;
    const known = this.entries[seq];
    if (known !== undefined) {
      if (describe(known) === describe(entry)) return known;
      throw new Error(
        `${this.room}: seq ${seq} was ${describe(known)} and is ` +
          describe(entry),
      );
    }
    if (!Number.isSafeInteger(seq) || seq < 1) {
      throw new Error(`${this.room}: a message with seq ${seq}`);
    }
    const place = this.place(entry);
    if (place !== undefined) {
      throw new Error(
        `${this.room}: stored twice, at seq ${place} and ${seq}: ` +
          describe(entry),
      );
    }
    this.entries[seq] = entry;
    this.#places.set(nameOf(entry), seq);
    return entry;
  }

  /** The `seq` of a message, if anybody was shown it. */
  place(mark: Mark): number | undefined {
    return this.#places.get(nameOf(mark));
  }
}

const nameOf = ({ author, n }: Mark) => `${author}:${n}`;

function describe({ author, n, sender, id, at }: Entry): string {
  return `${author}:${n} from ${sender}, id ${id ?? "none"}, ${at}`;
}
