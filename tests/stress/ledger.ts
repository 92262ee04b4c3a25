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
  /** What the server calls its author; a plain client has no such name. */
  authorId: string | undefined;
  /** The `seq` of the message that it answers. */
  replyTo: number | undefined;
  /** Its text is gone. */
  isDeleted: boolean;
}

export class Ledger {
  readonly #rooms = new Map<string, RoomRecord>();
  readonly #authors = new Map<string, number>();

  room(name: string): RoomRecord {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new RoomRecord(name, this.#authors);
      this.#rooms.set(name, room);
    }
    return room;
  }

  /** A client is told what its messages have as their author from now on. */
  noteAuthor(authorId: string, number: number): void {
    const known = this.#authors.get(authorId);
    if (known !== undefined && known !== number) {
      throw new Error(`client ${number} has the author of ${known}`);
    }
    this.#authors.set(authorId, number);
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
  /** What each answer answers, in the life in which it was written. */
  readonly #answered = new Map<string, { life: Life; seq: number }>();

  constructor(
    readonly name: string,
    private readonly authors: ReadonlyMap<string, number>,
  ) {}

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

  /** A message is to answer the one with that `seq`. */
  answer(mark: Mark, life: Life, seq: number): void {
    this.#answered.set(nameOf(mark), { life, seq });
  }

  /** The `seq` of what a message answers; in another life it answers nothing. */
  answeredBy(mark: Mark, life: Life | undefined): number | undefined {
    const answered = this.#answered.get(nameOf(mark));
    return answered?.life === life ? answered?.seq : undefined;
  }

  /** Takes what a client was shown. Throws if it was ever shown otherwise. */
  see(event: MessageEvent, life: Life): Entry {
    this.shown++;
    const entry = this.#read(event);
    const answered = this.answeredBy(entry, life);
    if (entry.replyTo !== answered) {
      throw new Error(
        `${this.name}: an answer to ${answered}: ${describe(entry)}`,
      );
    }
    return life.see(entry);
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

  #read(event: MessageEvent): Entry {
    const { seq, sender, id, at, author: authorId, replyTo } = event;
    const isDeleted = event.deleted === true;
    const mark = this.#markOf(event);
    const known = this.authors.get(authorId ?? "");
    const isRight = mark.author === known || authorId === undefined;
    const text = isDeleted ? "" : this.textOf(mark);
    if (isRight && event.message === text) {
      return { ...mark, seq, sender, id, at, authorId, replyTo, isDeleted };
    }
    throw new Error(
      `${this.name}: a message nobody wrote: ${JSON.stringify(event)}`,
    );
  }

  /** A deleted message tells only by its author and id whose it is. */
  #markOf({ message, author: authorId, id, deleted }: MessageEvent): Mark {
    if (deleted) {
      const author = this.authors.get(authorId ?? "") ?? NaN;
      return { author, n: Number(id) };
    }
    const [, author, n] = /^(\d+):(\d+):/.exec(message) ?? [];
    return { author: Number(author), n: Number(n) };
  }
}

/** What is known of one life of a room's history. */
export class Life {
  /** By `seq`; one that nobody was shown is missing. */
  readonly entries: (Entry | undefined)[] = [];
  readonly #places = new Map<string, number>();
  /** Messages that their authors asked to delete, by `seq`. */
  readonly wanted = new Set<number>();
  /** Messages of which somebody was told that they are deleted, by `seq`. */
  readonly deleted = new Set<number>();

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
    if (entry.isDeleted) this.delete(seq);
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

  /** Somebody is told that a message is deleted. Throws if its author never asked. */
  delete(seq: number): void {
    if (!this.wanted.has(seq)) {
      throw new Error(`${this.room}: seq ${seq} was deleted unasked`);
    }
    this.deleted.add(seq);
  }

  /** The deleted messages, as they stand at the beginning of their text. */
  get deletedMarks(): string[] {
    return [...this.deleted].map((seq) => nameOf(this.entries[seq]!));
  }

  /** The `seq` of a message, if anybody was shown it. */
  place(mark: Mark): number | undefined {
    return this.#places.get(nameOf(mark));
  }
}

const nameOf = ({ author, n }: Mark) => `${author}:${n}`;

function describe(entry: Entry): string {
  const { author, n, sender, authorId, id, at, replyTo } = entry;
  return `${author}:${n} from ${sender} (${authorId}), id ${id ?? "none"}, ` +
    `to ${replyTo ?? "none"}, ${at}`;
}
