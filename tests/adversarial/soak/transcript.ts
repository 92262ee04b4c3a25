// What the good clients were shown, all of them together: what stands at each
// `seq`, and every way in which that was wrong. A message is counted once, at
// one place, however many clients saw it.

/** A message of a good client: its author's number and its own. */
export interface Mark {
  author: number;
  n: number;
}

/** What a client is shown. */
export interface Shown {
  seq: number;
  sender: string;
  message: string;
}

export function textOf({ author, n }: Mark): string {
  return `good ${author}:${n}`;
}

/** Undefined for what a bad client said. */
export function readMark(text: string): Mark | undefined {
  const [, author, n] = /^good (\d+):(\d+)$/.exec(text) ?? [];
  return n === undefined ? undefined : { author: Number(author), n: Number(n) };
}

export class Transcript {
  /** Messages that somebody was not shown, or that are nowhere. */
  lost = 0;
  /** Messages that somebody was shown again, or that stand at two places. */
  repeated = 0;
  /** Messages that stand before an earlier one of their author. */
  reordered = 0;
  /** Messages of good clients that stand somewhere. */
  stored = 0;
  /** What was wrong, in words; only the first of many. */
  readonly faults: string[] = [];
  /** By `seq`: who said what, in short. */
  readonly #entries: string[] = [];
  /** The newest message of each author. */
  readonly #newest = new Map<number, number>();
  /** Of each author, the messages before that one that stand nowhere yet. */
  readonly #missing = new Map<number, Set<number>>();
  readonly #refused = new Set<string>();

  /**
   * Takes what client `reader`, shown all up to `last`, is shown next. Returns
   * up to where it is shown now. An answer to what it sent again may come out
   * of line.
   */
  see(reader: number, last: number, shown: Shown, isAnswer = false): number {
    const { seq } = shown;
    this.#enter(shown);
    if (seq > last + 1) {
      this.lost += seq - last - 1;
      this.fault(`client ${reader} was shown ${seq} after ${last}`);
    }
    if (seq <= last && !isAnswer) {
      this.repeated++;
      this.fault(`client ${reader} was shown ${seq} again, after ${last}`);
    }
    return Math.max(seq, last);
  }

  #enter({ seq, sender, message }: Shown): void {
    const entry = `${sender}: ${message.slice(0, 32)}`;
    const known = this.#entries[seq];
    if (known !== undefined) {
      if (known !== entry) {
        this.reordered++;
        this.fault(`at ${seq} stood "${known}", then "${entry}"`);
      }
      return;
    }
    this.#entries[seq] = entry;
    const mark = readMark(message);
    if (mark === undefined) return;
    this.stored++;
    this.#place(seq, mark);
  }

  /** Messages of one author stand in the order in which they were said. */
  #place(seq: number, { author, n }: Mark): void {
    const missing = this.#missing.get(author) ?? new Set();
    this.#missing.set(author, missing);
    const newest = this.#newest.get(author) ?? 0;
    for (let i = newest + 1; i < n; i++) missing.add(i);
    this.#newest.set(author, Math.max(newest, n));
    if (n > newest) return;
    if (!missing.delete(n)) {
      this.repeated++;
      this.fault(`${author}:${n} stands at ${seq} and before`);
    } else if (!this.#refused.has(`${author}:${n}`)) {
      this.reordered++;
      this.fault(`${author}:${n} stands at ${seq}, after ${newest}`);
    }
  }

  /** A message that was refused may come later than those after it. */
  excuse({ author, n }: Mark): void {
    this.#refused.add(`${author}:${n}`);
  }

  fault(what: string): void {
    if (this.faults.length < 10) this.faults.push(what);
  }
}
