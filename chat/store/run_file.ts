// The small file beside a data file, with the same name and `-run` at the end.
// It holds what must not travel in a copy of the data file: the mark that tells
// the newest data file from its copies, the last change that was stored, how
// long the machine had been up when the mark was made, and where to ask the
// server that uses the file. Only its owner may read it.
import { reasonOf } from "../ops/system_error.ts";
import { StoreError } from "./store.ts";

/** Two clocks of the machine at the same moment. */
export interface Reading {
  /** Milliseconds since 1970, by a clock that somebody may set. */
  atMs: number;
  /** Seconds since the machine was started. */
  uptimeS: number;
}

/**
 * The last change that was stored: a message or a deletion, with its room's
 * number in the data file. Changes are stored one after the other, so a data
 * file with this change has all of them.
 */
export type Change = readonly [room: number, seq: number, deletion: number];

/** No change since the mark was made. */
export const NO_CHANGE: Change = [0, 0, 0];

/** The beginning of the file; each number of the change has this width. */
const HEAD = '{"newest":[';
const DIGITS = 16;

export interface RunNote {
  /**
   * One of these is the mark in the data file: a new mark is written here
   * before it is written there.
   */
  marks: string[];
  reading?: Reading | undefined;
  /** The server that uses the data file: a loopback port and a password. */
  server?: { port: number; secret: string } | undefined;
}

/**
 * How far the clocks may drift apart between two readings. Uptimes are in whole
 * seconds; a person or a program that sets a clock moves it further.
 */
const DRIFT_S = 2;

/**
 * Whether the machine was not restarted between two readings: the uptime went
 * on, and the clock has gone as far. False also if the clock was set, because
 * then nobody can tell.
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
  /** The newest change in the file, also for each file that replaces it. */
  newest = NO_CHANGE;
  /** The open file, to note the newest change in. */
  #file: Deno.FsFile | undefined;

  constructor(dataFile: string) {
    this.path = `${dataFile}-run`;
  }

  /** The note in the file; undefined if there is none that can be read. */
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
   * Overwrites the newest change where it stands. This is done for each turn,
   * so it does not wait for the disk: after a power cut there is a new epoch
   * anyway.
   */
  note(change: Change): void {
    this.newest = change;
    try {
      this.#file ??= Deno.openSync(this.path, { write: true });
      overwrite(this.#file, change);
    } catch {
      // The file may be gone; then the next start begins a new epoch.
    }
  }

  /** Closes the file, which stays on the disk. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Replaces the file, on disk too. Throws a `StoreError` if that fails. */
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
   * Replaces the file while other work goes on, unless `isWanted` says at the
   * end that it is no longer wanted. Returns whether the file was replaced.
   */
  async writeLater(note: RunNote, isWanted: () => boolean): Promise<boolean> {
    const draft = `${this.path}.next`;
    using file = await Deno.open(draft, DRAFT);
    writeWhole(file, this.newest, note);
    await file.syncData();
    const isDone = isWanted();
    // More changes may have been stored meanwhile.
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

/** Writes a few hundred bytes, which a file takes at once. */
function writeWhole(file: Deno.FsFile, newest: Change, note: RunNote): void {
  const rest = JSON.stringify(note).slice(1);
  file.writeSync(encoder.encode(`${HEAD}${numbers(newest)}],${rest}\n`));
}

function overwrite(file: Deno.FsFile, newest: Change): void {
  file.seekSync(HEAD.length, Deno.SeekMode.Start);
  file.writeSync(encoder.encode(numbers(newest)));
}

/** The change's numbers, always of the same length. */
function numbers(newest: Change): string {
  return newest.map((number) => `${number}`.padStart(DIGITS)).join();
}
