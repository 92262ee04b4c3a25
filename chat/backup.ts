// `partyline backup COPY`: a copy of the data file as it is at one moment,
// while a server uses it. The command asks the server to lend the file, by a
// port of loopback that stands in the run file with a password, copies the file
// itself, and hangs up. The server stores on meanwhile, and has the file for
// itself again when the connection ends, however it ends.
import { Buffer } from "node:buffer";
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Logger } from "./ops/logger.ts";
import { reasonOf } from "./ops/system_error.ts";
import { isRedis } from "./options.ts";
import { RunFile } from "./store/run_file.ts";
import type { SqliteArchive } from "./store/sqlite.ts";
import { copyDataFile } from "./store/data_file.ts";

const LOOPBACK = "127.0.0.1";
const LENT = "lent\n";

/** How long the other side may take to send its line. */
const ASK_TIMEOUT_MS = 5_000;

/** Endings that the names of the data file and its companions have. */
const BESIDE = ["", "-wal", "-shm", "-run"];

/** How long a file is lent at most; to copy 200 MB takes a second. */
const LOAN_MS = 10 * 60 * 1000;

/** Connections at a time; further ones are closed at once. */
const MAX_BORROWERS = 8;

/** How often to ask for the file back while somebody still reads it. */
const RECLAIM_EVERY_MS = 200;

/** The server's end. */
export class Lender {
  /** Where the server can be asked, for the run file. */
  readonly address: { port: number; secret: string };
  readonly #listener: Deno.TcpListener;
  readonly #borrowers = new Set<Deno.TcpConn>();
  /** Connections that have not sent the password yet, the oldest first. */
  readonly #strangers = new Set<Deno.TcpConn>();
  #archive: SqliteArchive | undefined;
  #loans = 0;
  #isLent = false;
  #reclaimTimer: ReturnType<typeof setTimeout> | undefined;

  /** Listens. Throws Deno's error if the port cannot be had. */
  constructor(private readonly logger: Logger) {
    this.#listener = Deno.listen({ hostname: LOOPBACK, port: 0 });
    const { port } = this.#listener.addr;
    this.address = { port, secret: randomBytes(32).toString("base64url") };
  }

  /** Lends the file of `archive` from now on. */
  async start(archive: SqliteArchive): Promise<void> {
    this.#archive = archive;
    while (this.#archive !== undefined) {
      try {
        const borrower = await this.#listener.accept();
        if (this.#borrowers.size >= MAX_BORROWERS) this.#endOldestStranger();
        if (this.#borrowers.size >= MAX_BORROWERS) borrower.close();
        else this.#meet(borrower);
      } catch {
        if (this.#archive === undefined) return;
        // No descriptor is free.
        await new Promise((resolve) => setTimeout(resolve, RECLAIM_EVERY_MS));
      }
    }
  }

  close(): void {
    this.#archive = undefined;
    clearTimeout(this.#reclaimTimer);
    this.#listener.close();
    for (const borrower of this.#borrowers) hangUp(borrower);
  }

  /** A connection that sends no password must not keep the operator out. */
  #endOldestStranger(): void {
    const [oldest] = this.#strangers;
    if (oldest === undefined) return;
    hangUp(oldest);
    this.#forget(oldest);
  }

  #forget(borrower: Deno.TcpConn): void {
    this.#borrowers.delete(borrower);
    this.#strangers.delete(borrower);
  }

  async #meet(borrower: Deno.TcpConn): Promise<void> {
    this.#borrowers.add(borrower);
    this.#strangers.add(borrower);
    const { secret } = this.address;
    try {
      const said = await readWithin(borrower, ASK_TIMEOUT_MS, secret.length);
      this.#strangers.delete(borrower);
      if (isSame(said, secret)) await this.#lendTo(borrower);
    } catch {
      // The borrower hung up before it was answered.
    } finally {
      hangUp(borrower);
      this.#forget(borrower);
    }
  }

  async #lendTo(borrower: Deno.TcpConn): Promise<void> {
    this.#loans++;
    try {
      await borrower.write(new TextEncoder().encode(this.#lend()));
      await readWithin(borrower, LOAN_MS, 1);
    } finally {
      this.#loans--;
      this.#reclaim();
    }
  }

  /** Lends the file. Returns the line for the borrower. */
  #lend(): string {
    clearTimeout(this.#reclaimTimer);
    try {
      if (!this.#isLent) this.#archive?.lend();
      this.#isLent = true;
      return LENT;
    } catch (error) {
      const { message } = error as Error;
      this.logger.log("warn", "backup", `The backup failed: ${message}`);
      return `${message}\n`;
    }
  }

  #reclaim(): void {
    if (this.#loans > 0 || !this.#isLent) return;
    try {
      this.#archive?.reclaim();
      this.#isLent = false;
    } catch {
      // A borrower that hung up may still have the file open for a moment.
      clearTimeout(this.#reclaimTimer);
      const again = () => this.#reclaim();
      this.#reclaimTimer = setTimeout(again, RECLAIM_EVERY_MS);
    }
  }
}

/** No copy could be made; the message is a sentence that says why. */
export class BackupError extends Error {
  override name = "BackupError";
}

/**
 * The command's end: copies the data file to `copy`, which must not be there.
 * Throws a `BackupError` or a `StoreError`.
 */
export async function backup(data: string, copy: string): Promise<void> {
  if (isRedis(data)) {
    throw new BackupError(
      "The history is in Redis: copy it with Redis' own `redis-cli --rdb FILE`.",
    );
  }
  if (data === ":memory:") {
    throw new BackupError(
      "The server keeps nothing with --data :memory:, so there is nothing to " +
        "copy.",
    );
  }
  if (!isThere(data)) {
    throw new BackupError(`${data} does not exist: name the file with --data.`);
  }
  if (BESIDE.some((end) => isSameFile(`${data}${end}`, copy))) {
    throw new BackupError(
      `${copy} is the data file, or belongs to it: choose another name for the ` +
        "copy.",
    );
  }
  const draft = `${copy}.part`;
  // Only a file that was made here may be removed.
  claim(copy);
  try {
    claim(draft);
  } catch (error) {
    remove(copy);
    throw error;
  }
  try {
    await copyBorrowed(data, draft, copy);
  } finally {
    remove(draft);
  }
}

async function copyBorrowed(
  data: string,
  draft: string,
  copy: string,
): Promise<void> {
  try {
    const server = await borrow(data);
    try {
      await copyDataFile(data, draft);
    } finally {
      if (server !== undefined) hangUp(server);
    }
    Deno.renameSync(draft, copy);
  } catch (error) {
    remove(copy);
    throw error;
  }
}

/**
 * Asks the server that uses the file to lend it, until the connection ends.
 * Undefined if no server uses it.
 */
async function borrow(data: string): Promise<Deno.TcpConn | undefined> {
  const server = new RunFile(data).read()?.server;
  if (server === undefined) return undefined;
  const { port, secret } = server;
  const connection = await Deno.connect({ hostname: LOOPBACK, port })
    .catch(() => undefined);
  if (connection === undefined) return undefined;
  let said = "";
  try {
    await connection.write(new TextEncoder().encode(secret));
    said = await readWithin(connection, ASK_TIMEOUT_MS, 1_000, "\n");
  } catch {
    // Another program has the port by now.
  }
  if (said === LENT) return connection;
  hangUp(connection);
  // After a kill another program may have the port. Its answer must not control
  // the terminal.
  const sentence = said.trimEnd().replace(/\p{C}/gu, "\ufffd");
  if (said.endsWith("\n")) throw new BackupError(sentence);
  return undefined;
}

/**
 * Reads until `maxChars` characters, until `mark`, or until the other side
 * ends. After `waitMs` the connection is closed.
 */
async function readWithin(
  connection: Deno.TcpConn,
  waitMs: number,
  maxChars: number,
  mark = "",
): Promise<string> {
  const timer = setTimeout(() => hangUp(connection), waitMs);
  const chunk = new Uint8Array(1_024);
  let text = "";
  try {
    while (text.length < maxChars && !(mark && text.endsWith(mark))) {
      const count = await connection.read(chunk);
      if (count === null) break;
      text += new TextDecoder().decode(chunk.subarray(0, count));
    }
  } finally {
    clearTimeout(timer);
  }
  return text;
}

function isSame(said: string, secret: string): boolean {
  const [a, b] = [Buffer.from(said), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function hangUp(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // The connection is closed already.
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function isSameFile(a: string, b: string): boolean {
  try {
    return Deno.realPathSync(a) === Deno.realPathSync(b);
  } catch {
    return false;
  }
}

/** Makes an empty file that only its owner may read. Throws if there is one. */
function claim(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    const why = error instanceof Deno.errors.AlreadyExists
      ? "already exists: choose another name, or move it away"
      : error instanceof Deno.errors.NotFound
      ? "cannot be written: there is no such folder"
      : `cannot be written: ${reasonOf(error)}`;
    throw new BackupError(`${path} ${why}.`);
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // The file has been renamed by now, or was never made.
  }
}
