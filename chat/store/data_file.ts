// The data file as a file: who may open it, how it is copied, and what SQLite's
// messages about it mean to an operator.
import { backup, DatabaseSync } from "node:sqlite";
import { newEpoch } from "./keys.ts";
import { StoreError } from "./store.ts";

/**
 * Copies a data file, as it is at one moment, that no server uses or that a
 * server lends. `copy` may exist if it is empty. A server that opens the copy
 * begins a new epoch, even if a run file was left behind.
 */
export async function copyDataFile(path: string, copy: string): Promise<void> {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    let version = 0;
    try {
      // The transaction reads this state to the end, whatever is stored
      // meanwhile.
      db.exec("BEGIN; SELECT epoch FROM log");
      version = Number(db.prepare("PRAGMA user_version").get()?.user_version);
      await backup(db, copy, { rate: ALL_PAGES });
    } finally {
      db.close();
    }
    const made = new DatabaseSync(copy);
    try {
      made.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
      // Version 1 has no mark: a copy that is not closed gets a new epoch.
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

/** All in one step: then nothing that is stored meanwhile restarts the copy. */
const ALL_PAGES = 2 ** 31 - 1;

/** False for a name that SQLite does not take for a path. */
export function isOnDisk(path: string): boolean {
  return path !== ":memory:" && !path.startsWith("file:");
}

/**
 * Makes the file if there is none, so that only the operator can ever open it.
 * SQLite would make it as the umask allows; SQLite gives the companions `-wal`
 * and `-shm` the file's own mode.
 */
export function makePrivately(path: string): void {
  if (!isOnDisk(path)) return;
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch {
    // The file exists already, or SQLite will say why it cannot be made.
  }
}

/**
 * Whether every user of this machine may read or write the file, because
 * somebody or an older version made it with such a mode. False on Windows,
 * which has no modes.
 */
export function isOpenToAll(path: string): boolean {
  if (Deno.build.os === "windows") return false;
  try {
    return ((Deno.statSync(path).mode ?? 0) & 0o007) !== 0;
  } catch {
    // SQLite knows the file by another name, `file:…`.
    return false;
  }
}

/** The error in a sentence that names the file. */
export function explain(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { message } = error as Error;
  const because = Object.entries(reasons)
    .find(([part]) => message.includes(part))?.[1];
  return new StoreError(`${path} ${because ?? `failed: ${message}`}.`);
}

const NO_FILE_NAME = "cannot be the name of a file: choose another --data";

/** SQLite's messages, and what they mean to an operator. */
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
