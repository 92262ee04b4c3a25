// The small file beside a data file, called like it with `-run` at the end. It
// holds what must not travel in a copy of the data file: the mark by which the
// newest data file is known, what was stored last, how long the machine was up when
// the mark was made, and where the server that uses the file can be asked. Only its
// owner may read it.
import { reasonOf } from "../ops/system_error.ts";
import { StoreError } from "./store.ts";

/** Two clocks of the machine at one moment. */
export interface Reading {
  /** Milliseconds since 1970; somebody may set this one. */
  atMs: number;
  /** Seconds since the machine was started. */
  uptimeS: number;
}

/**
 * What was stored last: a message or a deletion, by the number of its room in the
 * data file. Changes are stored one after the other, so a data file that has this
 * one has all of them.
 */
export type Change = readonly [room: number, seq: number, deletion: number];

/** Nothing since the mark was made. */
export const NO_CHANGE: Change = [0, 0, 0];

/** The file begins so, and has places of this width for the change's numbers. */
const HEAD = '{"newest":[';
const DIGITS = 16;

export interface RunNote {
  /**
   * The mark that is in the data file: one of these, because a new one is written
   * here before it is written there.
   */
  marks: string[];
  reading?: Reading | undefined;
  /** The server that uses the data file: a port of loopback, and a password. */
  server?: { port: number; secret: string } | undefined;
}

/**
 * How far the clocks may drift apart between two readings. An uptime is in whole
 * seconds; what sets a clock moves it by more.
 */
const DRIFT_S = 2;

/**
 * Whether the machine was not started anew between two readings. The uptime
 * counts on and the clock has gone as far; if the clock was set, nobody can tell.
 */
export function hasStayedUp(
  before: Reading | undefined,
  after: Reading | undefined,
): boolean {
  if (before === undefined || after === undefined) return false;
  const upS = after.uptimeS - before.uptimeS;
  const clockS = (after.atMs - before.atMs) / 1000;
  return upS >= 0 && Math.abs(clockS - upS) <= DRIFT_S;
}

export class RunFile {
  readonly path: string;
  /** Is in the file, and goes into each one that replaces it. */
  newest = NO_CHANGE;
  /** To note the newest change in. */
  #file: Deno.FsFile | undefined;

  constructor(dataFile: string) {
    this.path = `${dataFile}-run`;
  }

  /** What it says; undefined if there is none, or none that can be read. */
  read(): RunNote | undefined {
    try {
      const { newest = NO_CHANGE, marks, reading, server } = JSON.parse(
        Deno.readTextFileSync(this.path),
      );
      if (!Array.isArray(marks) || newest.length !== 3) return undefined;
      this.newest = newest;
      return { marks, reading, server };
    } catch {
      return undefined;
    }
  }

  /**
   * Overwrites the newest change where it stands. It is done for each turn, so it
   * does not wait for the disk: after a power cut there is a new epoch anyway.
   */
  note(change: Change): void {
    this.newest = change;
    try {
      this.#file ??= Deno.openSync(this.path, { write: true });
      overwrite(this.#file, change);
    } catch {
      // The file is gone, say, and without it the next start begins a new epoch.
    }
  }

  /** Lets go of the file, which stays. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Replaces it, on the disk too. Throws a `StoreError` if that cannot be. */
  write(note: RunNote): void {
    const draft = `${this.path}.new`;
    try {
      using file = Deno.openSync(draft, DRAFT);
      writeWhole(file, this.newest, note);
      file.syncDataSync();
    } catch (error) {
      throw this.#explain(error);
    }
    this.#install(draft);
  }

  /**
   * Replaces it while other work goes on, unless `isWanted` says at the end that
   * it is not to be. Returns whether it was.
   */
  async writeLater(note: RunNote, isWanted: () => boolean): Promise<boolean> {
    const draft = `${this.path}.next`;
    using file = await Deno.open(draft, DRAFT);
    writeWhole(file, this.newest, note);
    await file.syncData();
    const isDone = isWanted();
    // More may have been stored meanwhile.
    overwrite(file, this.newest);
    if (isDone) this.#install(draft);
    else Deno.removeSync(draft);
    return isDone;
  }

  #install(draft: string): void {
    this.close();
    try {
      Deno.renameSync(draft, this.path);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): StoreError {
    const reason = reasonOf(error);
    return new StoreError(`${this.path} cannot be written: ${reason}.`);
  }
}

const DRAFT = { write: true, create: true, truncate: true, mode: 0o600 };

const encoder = new TextEncoder();

/** A few hundred bytes, which a file takes at once. */
function writeWhole(file: Deno.FsFile, newest: Change, note: RunNote): void {
  const rest = JSON.stringify(note).slice(1);
  file.writeSync(encoder.encode(`${HEAD}${numbers(newest)}],${rest}\n`));
}

function overwrite(file: Deno.FsFile, newest: Change): void {
  file.seekSync(HEAD.length, Deno.SeekMode.Start);
  file.writeSync(encoder.encode(numbers(newest)));
}

/** Always of the same length. */
function numbers(newest: Change): string {
  return newest.map((number) => `${number}`.padStart(DIGITS)).join();
}
