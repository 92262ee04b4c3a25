// The data file as a file: who may open it, how it is copied, and what SQLite's
// words about it mean to an operator.
import { backup, DatabaseSync } from "node:sqlite";
import { newEpoch } from "./keys.ts";
import { StoreError } from "./store.ts";

/**
 * Copies a data file that no server uses, or one that lends it, as it is at one
 * moment. `copy` may be there if it is empty. Whoever opens the copy begins a new
 * epoch, also where a run file was left behind.
 */
export async function copyDataFile(path: string, copy: string): Promise<void> {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    let version = 0;
    try {
      // What is read now holds until the end, whatever is stored meanwhile.
      db.exec("BEGIN; SELECT epoch FROM log");
      version = Number(db.prepare("PRAGMA user_version").get()?.user_version);
      await backup(db, copy, { rate: ALL_PAGES });
    } finally {
      db.close();
    }
    const made = new DatabaseSync(copy);
    try {
      made.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
      // Version 1 has no mark; where it was not closed, that is enough.
      made.exec(
        version === 1
          ? "UPDATE log SET is_closed = 0"
          : `UPDATE log SET mark = '${newEpoch()}'`,
      );
    } finally {
      made.close();
    }
  } catch (error) {
    throw explain(path, error);
  }
}

/** In one step, which nothing that is stored meanwhile can make begin anew. */
const ALL_PAGES = 2 ** 31 - 1;

/** False for a name that SQLite takes for something else than a path. */
export function isOnDisk(path: string): boolean {
  return path !== ":memory:" && !path.startsWith("file:");
}

/**
 * Makes the file if there is none, so that nobody but the operator ever can
 * open it. SQLite would make it as the umask allows, and makes the files beside
 * it, `-wal` and `-shm`, with the mode that it has.
 */
export function makePrivately(path: string): void {
  if (!isOnDisk(path)) return;
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch {
    // It is there already, or SQLite will say why it cannot be.
  }
}

/**
 * Whether every user of this machine may read or write a file that somebody
 * made with that mode, or an older version did. On Windows there are no modes.
 */
export function isOpenToAll(path: string): boolean {
  if (Deno.build.os === "windows") return false;
  try {
    return ((Deno.statSync(path).mode ?? 0) & 0o007) !== 0;
  } catch {
    // SQLite knows it by another name, `file:…`.
    return false;
  }
}

/** What went wrong, in a sentence that names the file. */
export function explain(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const because = Object.entries(reasons)
    .find(([part]) => message.includes(part))?.[1];
  return new StoreError(`${path} ${because ?? `failed: ${message}`}.`);
}

const NO_FILE_NAME = "cannot be the name of a file: choose another --data";

/** SQLite's words, and what they mean to an operator. */
const reasons: Record<string, string> = {
  "is locked": "is in use by another server or program: stop that, or choose " +
    "another --data",
  "not a database": "is not a database: move it away or choose another --data",
  "disk is full":
    "cannot grow: the disk is full. Make space there, or choose " +
    "another --data",
  "disk I/O error": "cannot be read or written: the disk fails, is " +
    "full or is read-only. Fix that, or choose another --data",
  "readonly": "may not be written: it or its folder is read-only. Let this " +
    "program write to both, or choose another --data",
  "unable to open":
    "cannot be opened: check that its folder exists, that this " +
    "program may write to it, and that it is a file. Or choose another --data",
  "Requires ": "may not be opened by this program: choose another --data",
  "no such table": "is not a data file of Partyline: choose another --data",
  "malformed": "is damaged: move it away or choose another --data",
  "invalid uri": NO_FILE_NAME,
  "no such vfs": NO_FILE_NAME,
  "null bytes": NO_FILE_NAME,
};
