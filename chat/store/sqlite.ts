// The archive in one SQLite file. A turn is one row: its events, one per line,
// under the `seq` of the last. One call is one transaction, so a killed process
// loses no stored turn; a power cut may lose the last moments, but never part
// of a turn. If messages may be missing, after a power cut or in an older copy
// of the file, all rooms begin a new epoch. All times in the file are from its
// own clock, which advances only while a server has the file open.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import type { Clocks } from "../ops/context.ts";
import { encodeDeleted, encodeMessage } from "../protocol/events.ts";
import { foldName } from "../protocol/names.ts";
import {
  type Change,
  hasStayedUp,
  NO_CHANGE,
  type Reading,
  RunFile,
  type RunNote,
} from "./run_file.ts";
import { deletionOutcome } from "./deletion.ts";
import { RecentIds } from "./recent_ids.ts";
import { cut, eventsOf, type TurnRow } from "./turn_rows.ts";
import {
  type Deletion,
  type Draft,
  FORGET_AFTER_MS,
  type Head,
  type Identity,
  type InUse,
  lowestOf,
  MAX_DELETIONS,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  MOMENT_MS,
  type ReadLimit,
  type Stored,
  StoreError,
} from "./store.ts";
import { explain, isOnDisk, makePrivately } from "./data_file.ts";
import { hashSecret, matches, newEpoch, newKey, splitKey } from "./keys.ts";
import type { Archive } from "./local.ts";
import { Looks } from "./looks.ts";

const SCHEMA_VERSION = 3;

const TURN = `(
    room INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (room, last_seq)
  ) WITHOUT ROWID`;

const SCHEMA = `
  CREATE TABLE log (
    epoch TEXT NOT NULL,
    is_closed INTEGER NOT NULL,
    mark TEXT NOT NULL,
    lived INTEGER NOT NULL,
    counted_from INTEGER NOT NULL
  );
  CREATE TABLE room (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    floor INTEGER NOT NULL
  );
  CREATE TABLE turn ${TURN};
  CREATE TABLE identity (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    recent TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    made_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE journal (id INTEGER PRIMARY KEY, ids TEXT NOT NULL);
  CREATE INDEX identity_used_at ON identity (used_at);
`;

/**
 * A table of its own, so that an older program can still use the file; that
 * program cannot tell which messages were deleted. `nth` counts up in each
 * room, `seq` is the newest message at the deletion.
 */
const DELETIONS = `
  CREATE TABLE IF NOT EXISTS deletion (
    room INTEGER NOT NULL,
    nth INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (room, nth)
  ) WITHOUT ROWID;
`;

/**
 * How long the text of a deleted message may stay in the write-ahead log. A
 * checkpoint waits for the disk, so one is made for all deletions of this time.
 */
const WIPE_AFTER_MS = 1_000;

/**
 * In a file of up to this size a running server makes the table of turns anew; each
 * MiB takes about 10 ms, in which nobody is served. A larger one waits for the end.
 */
const MAX_CLEARED_BYTES = 16 * 1024 * 1024;

const TURNS_ANEW = `
  CREATE TABLE turn_anew ${TURN};
  INSERT INTO turn_anew (room, last_seq, at, events)
    SELECT room, last_seq, at, events FROM turn ORDER BY room, last_seq;
  DROP TABLE turn;
  ALTER TABLE turn_anew RENAME TO turn;
`;

/**
 * Turns a file of version 1 into one of version 2. The times in it are from a
 * clock that may have been wrong: the file's own clock goes on from the newest
 * of them, so that they keep their order, and disuse is counted from here.
 */
const FROM_1_TO_2 = `
  ALTER TABLE log DROP COLUMN opened_at;
  ALTER TABLE log ADD COLUMN mark TEXT NOT NULL DEFAULT '';
  ALTER TABLE log ADD COLUMN lived INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE log ADD COLUMN counted_from INTEGER NOT NULL DEFAULT 0;
  UPDATE log SET lived = max(
    coalesce((SELECT max(used_at) FROM identity), 0),
    coalesce((SELECT max(turn.at) FROM room JOIN turn ON turn.room = room.id AND
      turn.last_seq = (SELECT max(last_seq) FROM turn WHERE room = room.id)), 0)
  );
  UPDATE log SET counted_from = lived;
`;

/** Nobody knows when the identities were made, so they count as long used. */
const FROM_2_TO_3 = `
  ALTER TABLE identity ADD COLUMN made_at INTEGER NOT NULL DEFAULT 0;
  UPDATE identity SET made_at = used_at - ${FORGET_AFTER_MS};
`;

/**
 * When a room was made, beside what there was, as for `DELETIONS`. Nobody knows it of
 * older rooms, so they count as used for long.
 */
const ROOM_MADE_AT = "ALTER TABLE room ADD COLUMN made_at INTEGER";

/** How old the mark and the reading in the run file may be. */
const MARK_EVERY_MS = 10_000;

/**
 * Pages of 4 KiB in the write-ahead log before a checkpoint, which waits for
 * the disk. With SQLite's default of 1,000 that wait is about 20 ms for every
 * 400 people who come for the first time.
 */
const WAL_PAGES = 4_000;

/**
 * The ids of a turn go to the journal, in one row. After this many turns they
 * begin to move to their identities, some with each turn.
 */
const JOURNAL_TURNS = 256;
const MOVED_PER_TURN = 16;

/** One message in the memory of ids. */
type Remembered = [identity: string, room: number, id: string, seq: number];

type Registered = Identity & { key: string } | undefined;

interface LogRow {
  epoch: string;
  is_closed: number;
  /** The newest mark, which is in the run file too. */
  mark: string;
  /** The file's own clock, as it was last written, in ms. */
  lived: number;
  /** Since when disuse is counted, by that clock, in ms. */
  counted_from: number;
}

interface RoomRow {
  id: number;
  epoch: string;
  seq: number;
  /** The newest `seq` that is no longer kept. */
  floor: number;
}

/** By the file's own clock. */
interface RoomUse {
  id: number;
  name: string;
  madeAtMs: number;
  /** Null, as the other one may be, if nothing was said in it. */
  usedAtMs: number;
}

/** The machine on which a data file is used. */
interface Machine extends Clocks {
  /** Seconds since the machine was started; undefined where nobody can know. */
  uptime: () => number | undefined;
}

export class SqliteArchive implements Archive {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** The ids of identities of which the journal knows more than their row. */
  readonly #recent = new Map<string, RecentIds>();
  #journalTurns = 0;
  /** Identities whose ids are to be moved, and the last journal row of them. */
  #moving: string[] = [];
  #movingUpTo: number | bigint = 0;
  #isRecentStale = true;
  /** New identities for the next transaction, and when others came back. */
  readonly #registering: {
    name: string;
    result: PromiseWithResolvers<Registered>;
  }[] = [];
  readonly #used = new Map<string, number>();
  /** The looks of all names in the file; read when the first is needed. */
  #looksOfAll: Looks | undefined;
  /** The epoch of every room without a row. */
  #epoch: string;
  /** Only beside a file on the disk. */
  readonly #runFile: RunFile | undefined;
  #mark = "";
  #markedAtMs: number;
  #isMarking = false;
  #isClosed = false;
  #wipeTimer: ReturnType<typeof setTimeout> | undefined;
  /** Whether deleted text may be left in unused parts of the file. */
  #hasRemains = false;
  /** The file's own clock minus this process' monotonic one. */
  #aheadMs = 0;
  /** Since when disuse is counted, by the file's own clock. */
  #countedFromMs = 0;

  /**
   * Opens or makes the file and keeps the newest `keep` messages of each room.
   * `server` is where this server can be asked to lend the file. Throws a
   * `StoreError` if the file cannot be used or another server uses it.
   */
  constructor(
    private readonly path: string,
    private readonly keep: number,
    private readonly machine: Machine,
    private readonly server?: RunNote["server"],
  ) {
    if (isOnDisk(path)) this.#runFile = new RunFile(path);
    this.#markedAtMs = machine.monotonic();
    makePrivately(path);
    try {
      this.#db = new DatabaseSync(path);
    } catch (error) {
      throw explain(path, error);
    }
    try {
      this.#epoch = this.#open();
    } catch (error) {
      this.#db.close();
      throw explain(path, error);
    }
  }

  /** Prepares the file, and returns the epoch that begins. */
  #open(): string {
    // Exclusive, so that a second server on the file is noticed. Below,
    // NORMAL: a turn waits for the system's memory and not for the disk.
    this.#db.exec("PRAGMA locking_mode = EXCLUSIVE");
    // Deleted content is overwritten with zeros.
    this.#db.exec("PRAGMA secure_delete = ON");
    // Before the first write: a file that is refused must stay as it is.
    this.#refuseNewer();
    this.#refuseForeign();
    // The open mark must reach the disk, or a power cut could be missed.
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    const epoch = this.#transaction(() => {
      this.#migrate();
      return this.#begin();
    });
    if (this.#runFile) {
      this.#runFile.newest = NO_CHANGE;
      this.#runFile.write(this.#note());
    }
    this.#db.exec(
      `PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = ${WAL_PAGES}`,
    );
    return epoch;
  }

  get #version(): number {
    return Number(this.#get("PRAGMA user_version")?.user_version);
  }

  #refuseNewer(): void {
    if (this.#version <= SCHEMA_VERSION) return;
    throw new StoreError(
      `${this.path} was written by a newer Partyline (its format is ` +
        `${this.#version}, this one reads up to ${SCHEMA_VERSION}): start that ` +
        "version, or choose another --data.",
    );
  }

  /** Other programs number their formats too, so the tables decide. */
  #refuseForeign(): void {
    const tables = this.#prepare("SELECT name FROM sqlite_schema").all()
      .map(({ name }) => name);
    const isOwn = this.#version === 0
      ? tables.length === 0
      : ["log", "room", "turn", "identity", "journal"]
        .every((name) => tables.includes(name));
    if (isOwn) return;
    throw new StoreError(
      `${this.path} is a database of another program: choose another --data.`,
    );
  }

  /** Brings the file to this program's schema. */
  #migrate(): void {
    if (this.#version === 0) this.#create();
    if (this.#version === 1) {
      this.#db.exec(`${FROM_1_TO_2} PRAGMA user_version = 2;`);
    }
    this.#db.exec(DELETIONS);
    const hasMadeAt = this.#prepare(
      "SELECT name FROM pragma_table_info('room')",
    )
      .all().some(({ name }) => name === "made_at");
    if (!hasMadeAt) this.#db.exec(ROOM_MADE_AT);
    if (this.#version === 2) {
      this.#db.exec(`${FROM_2_TO_3} PRAGMA user_version = 3;`);
    }
  }

  /**
   * Notes that the file is open, and returns its epoch: a new one for all rooms
   * if messages may be missing, because their `seq` would be given to others.
   * Messages may be missing if the machine went down under the last server, or
   * if the file is an older copy: then the run file has a newer mark or a later
   * change, or there is no run file.
   */
  #begin(): string {
    const log = this.#get("SELECT * FROM log") as LogRow | undefined;
    if (log === undefined) throw new Error("malformed: no row in log");
    this.#aheadMs = log.lived - this.machine.monotonic();
    this.#countedFromMs = log.counted_from;
    this.#mark = log.mark;
    const note = this.#runFile?.read();
    this.#hasRemains = log.is_closed === 0 &&
      this.#get("SELECT 1 FROM deletion LIMIT 1") !== undefined;
    const wasCut = log.is_closed === 0 &&
      !hasStayedUp(note?.reading, this.#reading());
    const isCopy = log.mark !== "" &&
      !(note?.marks.includes(log.mark) && this.#has(this.#runFile?.newest));
    const epoch = wasCut || isCopy ? newEpoch() : log.epoch;
    if (epoch !== log.epoch) this.#run("UPDATE room SET epoch = ?", epoch);
    const next = newEpoch();
    // The reading is still the old one, because this transaction may fail.
    const marks = [log.mark, next];
    this.#runFile?.write({ marks, reading: note?.reading });
    this.#run("UPDATE log SET epoch = ?, is_closed = 0", epoch);
    if (this.#runFile) this.#setMark(next);
    return epoch;
  }

  /** Whether the file has a change; false if its room was forgotten since. */
  #has([room, seq, deletion] = NO_CHANGE): boolean {
    if (room === 0) return true;
    const row = this.#get(
      "SELECT max(last_seq) AS seq FROM turn WHERE room = ?",
      room,
    );
    return Number(row?.seq) >= seq && this.#lastDeletion(room) >= deletion;
  }

  /** Notes the change in the run file before anybody hears of it. */
  #noteNewest(...change: Change): void {
    this.#runFile?.note(change);
  }

  #reading(): Reading | undefined {
    const uptimeS = this.machine.uptime();
    return uptimeS === undefined
      ? undefined
      : { atMs: this.machine.now(), uptimeS };
  }

  /** A note for the run file; the mark `next` goes into the data file later. */
  #note(...next: string[]): RunNote {
    const marks = [this.#mark, ...next];
    return { marks, reading: this.#reading(), server: this.server };
  }

  #setMark(mark: string): void {
    this.#run("UPDATE log SET mark = ?, lived = ?", mark, this.#nowMs());
    this.#mark = mark;
  }

  get #isMarkOld(): boolean {
    const nowMs = this.machine.monotonic();
    return !this.#isMarking && this.#markedAtMs + MARK_EVERY_MS <= nowMs;
  }

  /**
   * Writes a new mark and a new reading, now and then while messages are
   * stored. If that fails, the old ones stay and remain valid.
   */
  async #renewMark(runFile: RunFile): Promise<void> {
    this.#isMarking = true;
    this.#markedAtMs = this.machine.monotonic();
    try {
      const next = newEpoch();
      const isWanted = () => !this.#isClosed;
      if (await runFile.writeLater(this.#note(next), isWanted)) {
        this.#setMark(next);
      }
    } catch {
      // The disk may be full.
    } finally {
      this.#isMarking = false;
    }
  }

  /** The file's own clock. */
  #nowMs(): number {
    return Math.floor(this.machine.monotonic() + this.#aheadMs);
  }

  /**
   * Lets other programs read the file until `reclaim`. This takes a few
   * milliseconds, and storing goes on meanwhile.
   */
  lend(): void {
    this.#lock("NORMAL");
  }

  /** Keeps the file for this server alone again. Throws while it is read. */
  reclaim(): void {
    this.#lock("EXCLUSIVE");
  }

  /**
   * Leaves WAL and enters it again, because only then the new locking mode
   * counts. Then it reads the file; otherwise another reader would be the
   * first, and would leave its index behind.
   */
  #lock(mode: "NORMAL" | "EXCLUSIVE"): void {
    try {
      this.#db.exec(`
        PRAGMA journal_mode = DELETE;
        PRAGMA locking_mode = ${mode};
        PRAGMA journal_mode = WAL;
        SELECT epoch FROM log;
      `);
    } catch (error) {
      throw explain(this.path, error);
    }
  }

  #create(): void {
    this.#db.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`);
    this.#run("INSERT INTO log VALUES (?, 1, '', 0, 0)", newEpoch());
  }

  head(room: string): Promise<Head> {
    return this.#attempt(() => {
      const { epoch, seq } = this.#room(room);
      return { epoch, seq };
    });
  }

  // deno-lint-ignore require-await -- a throw becomes a rejection
  async append(roomName: string, drafts: readonly Draft[]) {
    try {
      // Without `#transaction`, because every message passes here.
      this.#run("BEGIN IMMEDIATE");
      if (this.#isRecentStale) this.#readJournal();
      const room = this.#makeRoom(roomName);
      const remembered: Remembered[] = [];
      const fresh: string[] = [];
      const stored: Stored[] = [];
      for (const { text, identity = "", id = "" } of drafts) {
        const next = room.seq + fresh.length + 1;
        const recent = id === "" ? undefined : this.#recentOf(identity);
        const seq = recent?.remember(room.id, id, next) ?? next;
        const isRepeat = seq !== next;
        // An event that this very call stores is not in the file yet.
        const known = isRepeat
          ? fresh[seq - room.seq - 1] ?? this.#event(room, seq)
          : undefined;
        const event = known ?? encodeMessage(seq, text);
        stored.push({ text: event, seq, isRepeat });
        if (isRepeat) continue;
        fresh.push(event);
        if (recent) remembered.push([identity, room.id, id, seq]);
      }
      const last = room.seq + fresh.length;
      if (fresh.length > 0) {
        const turn = [room.id, last, this.#nowMs(), fresh.join("\n")];
        this.#run("INSERT INTO turn VALUES (?, ?, ?, ?)", ...turn);
        this.#prune(room, last);
      }
      if (remembered.length > 0) this.#journal(remembered);
      this.#run("COMMIT");
      if (fresh.length > 0) this.#noteNewest(room.id, last, 0);
      if (this.#runFile && this.#isMarkOld) this.#renewMark(this.#runFile);
      return { epoch: room.epoch, stored };
    } catch (error) {
      this.#rollBack();
      throw explain(this.path, error);
    }
  }

  #journal(remembered: Remembered[]): void {
    const { lastInsertRowid } = this.#run(
      "INSERT INTO journal (ids) VALUES (?)",
      JSON.stringify(remembered),
    );
    this.#journalTurns++;
    if (this.#journalTurns >= JOURNAL_TURNS && this.#moving.length === 0) {
      this.#moving = [...this.#recent.keys()];
      this.#movingUpTo = lastInsertRowid;
      this.#journalTurns = 0;
    }
    if (this.#moving.length > 0) this.#moveSome();
  }

  #moveSome(): void {
    for (const identity of this.#moving.splice(-MOVED_PER_TURN)) {
      this.#run(
        "UPDATE identity SET recent = ? WHERE id = ?",
        JSON.stringify(this.#recentOf(identity)?.entries ?? []),
        identity,
      );
      this.#recent.delete(identity);
    }
    if (this.#moving.length > 0) return;
    this.#run("DELETE FROM journal WHERE id <= ?", this.#movingUpTo);
  }

  /** Fills `#recent` from the journal. */
  #readJournal(): void {
    const rows = this.#prepare("SELECT ids FROM journal ORDER BY id").all();
    this.#recent.clear();
    this.#moving = [];
    this.#journalTurns = rows.length;
    this.#isRecentStale = false;
    for (const { ids } of rows as { ids: string }[]) {
      for (const [identity, room, id, seq] of JSON.parse(ids) as Remembered[]) {
        this.#recentOf(identity)?.remember(room, id, seq);
      }
    }
  }

  /** Not with each turn, because this costs more than a turn. */
  #prune(room: RoomRow, seq: number): void {
    const cutAt = seq - this.keep;
    if (cutAt - room.floor <= this.keep / 10) return;
    // A turn that reaches over the cut stays until the next time.
    const last = this.#get(
      "SELECT max(last_seq) AS seq FROM turn WHERE room = ? AND last_seq <= ?",
      room.id,
      cutAt,
    )?.seq;
    if (typeof last !== "number") return;
    this.#run(
      "DELETE FROM turn WHERE room = ? AND last_seq <= ?",
      room.id,
      last,
    );
    this.#run("UPDATE room SET floor = ? WHERE id = ?", last, room.id);
  }

  after(roomName: string, seq: number, limit: ReadLimit, epoch?: string) {
    return this.#attempt(() => {
      const room = this.#room(roomName);
      if (epoch !== undefined && epoch !== room.epoch) return undefined;
      if (seq < this.#floor(room) || seq > room.seq) return undefined;
      const rows = this.#iterate(
        "SELECT last_seq, events FROM turn WHERE room = ? AND last_seq > ? " +
          "ORDER BY last_seq",
        room.id,
        seq,
      );
      const found: string[] = [];
      let chars = 0;
      for (const row of rows) {
        const events = eventsOf(row, seq, Infinity);
        found.push(...events);
        for (const event of events) chars += event.length;
        if (found.length >= limit.count || chars >= limit.chars) break;
      }
      return cut(found, limit, "start");
    });
  }

  before(roomName: string, seq: number, limit: ReadLimit, epoch?: string) {
    return this.#attempt(() => {
      const room = this.#room(roomName);
      if (epoch !== undefined && epoch !== room.epoch) {
        return { events: [], more: false };
      }
      const floor = this.#floor(room);
      // The turn that holds `seq` ends at or above it, so begin there.
      const rows = this.#iterate(
        "SELECT last_seq, events FROM turn WHERE room = ? AND last_seq <= " +
          "coalesce((SELECT min(last_seq) FROM turn WHERE room = ?1 " +
          "AND last_seq >= ?2), ?2) ORDER BY last_seq DESC",
        room.id,
        seq,
      );
      const pages: string[][] = [];
      let count = 0;
      let chars = 0;
      for (const row of rows) {
        const events = eventsOf(row, floor, seq);
        pages.push(events);
        count += events.length;
        for (const event of events) chars += event.length;
        if (count >= limit.count || chars >= limit.chars) break;
        if (row.last_seq <= floor) break;
      }
      const found = pages.reverse().flat();
      const events = cut(found, limit, "end");
      const newest = Math.min(seq - 1, room.seq);
      return { events, more: newest - events.length > floor };
    });
  }

  delete(roomName: string, deletion: Deletion) {
    return this.#attempt(() => {
      const outcome = this.#transaction(() => this.#delete(roomName, deletion));
      if (outcome !== "deleted") return outcome;
      const { id } = this.#room(roomName);
      this.#noteNewest(id, 0, this.#lastDeletion(id));
      this.#hasRemains = true;
      this.#wipeSoon();
      return outcome;
    });
  }

  #delete(roomName: string, { target, author, epoch, text }: Deletion) {
    const room = this.#room(roomName);
    const isKept = epoch === room.epoch && target > this.#floor(room);
    const row = isKept ? this.#turnOf(room, target) : undefined;
    const [event] = row ? eventsOf(row, target - 1, target + 1) : [];
    const outcome = deletionOutcome(event, author);
    if (row === undefined || event === undefined || outcome !== "deleted") {
      return outcome;
    }
    const events = row.events.split("\n");
    events[target - row.last_seq - 1 + events.length] = encodeDeleted(event);
    this.#run(
      "UPDATE turn SET events = ? WHERE room = ? AND last_seq = ?",
      ...[events.join("\n"), room.id, row.last_seq],
    );
    this.#noteDeletion(room, text);
    return outcome;
  }

  #noteDeletion({ id, seq }: RoomRow, text: string): void {
    const nth = this.#lastDeletion(id) + 1;
    this.#run("INSERT INTO deletion VALUES (?, ?, ?, ?)", id, nth, seq, text);
    const last = nth - MAX_DELETIONS;
    this.#run("DELETE FROM deletion WHERE room = ? AND nth <= ?", id, last);
  }

  /** The number of the newest deletion; 0 if there is none. */
  #lastDeletion(room: number): number {
    const row = this.#get(
      "SELECT max(nth) AS nth FROM deletion WHERE room = ?",
      room,
    );
    return Number(row?.nth);
  }

  /** Removes deleted text from the write-ahead log, too. */
  #wipeSoon(): void {
    this.#wipeTimer ??= setTimeout(() => {
      this.#wipeTimer = undefined;
      try {
        const row = this.#get("PRAGMA wal_checkpoint(TRUNCATE)");
        // While a backup reads the file, the checkpoint has to wait.
        if (row?.busy !== 0) this.#wipeSoon();
      } catch {
        // The disk may be full. Closing the file makes a checkpoint again.
      }
    }, WIPE_AFTER_MS);
  }

  deletions(roomName: string, seq: number, count: number, epoch: string) {
    return this.#attempt(() => {
      const room = this.#room(roomName);
      if (epoch !== room.epoch) return { events: [], isComplete: false };
      const all = this.#get(
        "SELECT count(*) AS count FROM deletion WHERE room = ? AND seq >= ?",
        ...[room.id, seq],
      );
      const rows = this.#prepare(
        "SELECT event FROM deletion WHERE room = ? AND seq >= ? ORDER BY nth " +
          "LIMIT ?",
      ).all(room.id, seq, count) as { event: string }[];
      const events = rows.map(({ event }) => event);
      return { events, isComplete: Number(all?.count) < MAX_DELETIONS };
    });
  }

  identify(key: string) {
    return this.#attempt(() => {
      const { id, secret } = splitKey(key);
      const row = this.#get("SELECT hash, name FROM identity WHERE id = ?", id);
      if (!row || !matches(secret, row.hash as Uint8Array)) return undefined;
      this.#used.set(id, this.#nowMs());
      this.#storeIdentitiesSoon();
      return { id, name: row.name as string };
    });
  }

  register(name: string): Promise<Registered> {
    const result = Promise.withResolvers<Registered>();
    this.#registering.push({ name, result });
    this.#storeIdentitiesSoon();
    return result.promise;
  }

  /** People who come together are stored together, like messages in a turn. */
  #storeIdentitiesSoon(): void {
    if (this.#registering.length + this.#used.size > 1) return;
    setImmediate(() => this.#storeIdentities());
  }

  #storeIdentities(): void {
    const waiting = this.#registering.splice(0);
    const used = [...this.#used];
    this.#used.clear();
    if (waiting.length + used.length === 0) return;
    const identities: Registered[] = [];
    try {
      this.#transaction(() => {
        for (const [id, nowMs] of used) this.#touch(id, nowMs);
        for (const { name } of waiting) identities.push(this.#register(name));
      });
      waiting.forEach(({ result }, i) => result.resolve(identities[i]));
    } catch (error) {
      for (const made of identities) if (made) this.#looks.delete(made.name);
      const why = explain(this.path, error);
      for (const { result } of waiting) result.reject(why);
    }
  }

  /** The looks of all names in the file. */
  get #looks(): Looks {
    if (this.#looksOfAll === undefined) {
      const looks = new Looks();
      const rows = this.#prepare("SELECT name FROM identity").iterate();
      for (const { name } of rows) looks.add(name as string);
      this.#looksOfAll = looks;
    }
    return this.#looksOfAll;
  }

  #register(name: string): Registered {
    if (this.#looks.has(name)) return undefined;
    const { id, secret, key } = newKey();
    const { changes } = this.#run(
      "INSERT INTO identity VALUES (?, ?, ?, ?, '[]', ?5, ?5) " +
        "ON CONFLICT (folded) DO NOTHING",
      id,
      hashSecret(secret),
      name,
      foldName(name),
      this.#nowMs(),
    );
    if (changes !== 1) return undefined;
    this.#looks.add(name);
    return { id, name, key };
  }

  rename({ id }: Identity, name: string) {
    return this.#attempt(() => {
      if ((this.#holder(name) ?? id) !== id) return false;
      const before = this.#nameOf(id);
      if (this.#looks.has(name, before)) return false;
      const { changes } = this.#run(
        "UPDATE identity SET name = ?, folded = ? WHERE id = ?",
        name,
        foldName(name),
        id,
      );
      if (changes !== 1) return false;
      if (before !== undefined) this.#looks.delete(before);
      this.#looks.add(name);
      return true;
    });
  }

  nameOf(identity: string) {
    return this.#attempt(() => this.#nameOf(identity));
  }

  #nameOf(identity: string): string | undefined {
    const row = this.#get("SELECT name FROM identity WHERE id = ?", identity);
    return row?.name as string | undefined;
  }

  isReserved(name: string) {
    return this.#attempt(() =>
      this.#holder(name) !== undefined || this.#looks.has(name)
    );
  }

  forget(inUse: InUse) {
    this.#storeIdentities();
    return this.#attempt(() => {
      const forgotten = this.#transaction(() => {
        const nowMs = this.#nowMs();
        this.#run("UPDATE log SET lived = ?", nowMs);
        for (const id of inUse.identities) this.#touch(id, nowMs);
        const countsMs = nowMs - FORGET_AFTER_MS;
        const oldestMs = countsMs < this.#countedFromMs ? -Infinity : countsMs;
        this.#forgetRooms(oldestMs, inUse.rooms);
        return [
          ...this.#forgetIdentities("used_at <= ?", oldestMs),
          ...this.#forgetLowest(inUse.identities),
        ];
      });
      for (const name of forgotten) this.#looksOfAll?.delete(name);
      if (this.#sizeBytes <= MAX_CLEARED_BYTES) this.#clearRemains();
    });
  }

  get #sizeBytes(): number {
    const { bytes } = this.#get(
      "SELECT page_count * page_size AS bytes " +
        "FROM pragma_page_count(), pragma_page_size()",
    ) as { bytes: number };
    return bytes;
  }

  /**
   * Makes the table of turns anew if text was deleted. `secure_delete` overwrites
   * what is deleted, but no older copies: SQLite leaves them in unused parts of
   * pages when it moves rows to others. It overwrites all pages of a table that is
   * dropped. VACUUM would do the same, but it attaches a database, which Deno
   * forbids a program that has not all permissions.
   */
  #clearRemains(): void {
    if (!this.#hasRemains) return;
    try {
      this.#transaction(() => this.#db.exec(TURNS_ANEW));
      this.#get("PRAGMA wal_checkpoint(TRUNCATE)");
      this.#hasRemains = false;
    } catch {
      // A backup reads the file, or the disk is full: the next time is due.
    }
  }

  /** Deletes surplus identities that stand lowest; see `standingOf`. */
  #forgetLowest(inUse: ReadonlySet<string>): string[] {
    const row = this.#get("SELECT count(*) AS count FROM identity");
    const surplus = Number(row?.count) - MAX_IDENTITIES;
    if (surplus <= 0) return [];
    if (this.#isRecentStale) this.#readJournal();
    // The journal knows more than the row about identities that sent lately.
    return this.#forgetIdentities(
      "id IN (SELECT id FROM identity " +
        "WHERE id NOT IN (SELECT value FROM json_each(?)) " +
        "ORDER BY CASE WHEN used_at - made_at >= ? THEN used_at - made_at ELSE " +
        "recent != '[]' OR id IN (SELECT value FROM json_each(?)) END, used_at " +
        "LIMIT ?)",
      JSON.stringify([...inUse]),
      MOMENT_MS,
      JSON.stringify([...this.#recent.keys()]),
      surplus,
    );
  }

  /** The names of those that are forgotten. */
  #forgetIdentities(where: string, ...values: Value[]): string[] {
    const rows = this.#prepare(
      `DELETE FROM identity WHERE ${where} RETURNING id, name`,
    ).all(...values) as { id: string; name: string }[];
    for (const { id } of rows) this.#recent.delete(id);
    return rows.map(({ name }) => name);
  }

  /** Marks an identity as used. A full disk, where that fails, is no error. */
  #touch(identity: string, nowMs: number): void {
    try {
      this.#run(
        "UPDATE identity SET used_at = ? WHERE id = ?",
        nowMs,
        identity,
      );
    } catch {
      // The disk is full.
    }
  }

  #forgetRooms(oldestMs: number, inUse: ReadonlySet<string>): void {
    const rooms = this.#prepare(
      "SELECT room.id, room.name, turn.at AS usedAtMs, " +
        "coalesce(room.made_at, turn.at - ?) AS madeAtMs FROM room LEFT JOIN turn " +
        "ON turn.room = room.id AND turn.last_seq = (SELECT max(last_seq) FROM " +
        "turn WHERE room = room.id)",
    ).all(FORGET_AFTER_MS) as unknown as RoomUse[];
    const away = rooms.filter(({ name }) => !inUse.has(name));
    // One in which nothing was said is there because it was in use.
    const isOld = ({ usedAtMs }: RoomUse) =>
      (usedAtMs ?? -Infinity) <= oldestMs;
    const old = away.filter((room) => isOld(room));
    const others = away.filter((room) => !isOld(room));
    const surplus = rooms.length - old.length - MAX_ROOMS_KEPT;
    const forgotten = [...old, ...lowestOf(others, surplus)];
    if (forgotten.length === 0) return;
    // A forgotten room begins again at 1, which must not pass for its old life.
    // Rooms in use without a message keep theirs.
    for (const name of inUse) this.#makeRoom(name);
    this.#epoch = newEpoch();
    this.#run("UPDATE log SET epoch = ?", this.#epoch);
    for (const { id } of forgotten) {
      this.#run("DELETE FROM turn WHERE room = ?", id);
      this.#run("DELETE FROM deletion WHERE room = ?", id);
      this.#run("DELETE FROM room WHERE id = ?", id);
    }
  }

  close(): void {
    this.#storeIdentities();
    this.#isClosed = true;
    clearTimeout(this.#wipeTimer);
    this.#clearRemains();
    try {
      const next = newEpoch();
      this.#runFile?.write(this.#note(next));
      if (this.#runFile) this.#setMark(next);
      this.#run("UPDATE log SET is_closed = 1");
    } catch {
      // On a full disk the next start takes this for a power cut, which is
      // safe.
    }
    this.#db.close();
    if (this.#runFile) this.#closeRunFile(this.#runFile);
  }

  /** Notes that no server uses the data file; only the last mark is valid. */
  #closeRunFile(runFile: RunFile): void {
    runFile.newest = NO_CHANGE;
    try {
      runFile.write({ marks: [this.#mark] });
    } catch {
      // The old note stays. It says more than necessary, but nothing wrong.
    }
    runFile.close();
  }

  /** The row of a room; a room without a message has none. */
  #room(name: string): RoomRow {
    const row = this.#get(
      "SELECT id, epoch, floor, coalesce((SELECT max(last_seq) FROM turn " +
        "WHERE room = id), 0) AS seq FROM room WHERE name = ?",
      name,
    ) as RoomRow | undefined;
    return row ?? { id: 0, epoch: this.#epoch, seq: 0, floor: 0 };
  }

  #makeRoom(name: string): RoomRow {
    const room = this.#room(name);
    if (room.id !== 0) return room;
    const made = this.#get(
      "INSERT INTO room (name, epoch, floor, made_at) VALUES (?, ?, 0, ?) " +
        "RETURNING id",
      name,
      room.epoch,
      this.#nowMs(),
    );
    return { ...room, id: made?.id as number };
  }

  /** The `seq` before the oldest message that can still be read. */
  #floor(room: RoomRow): number {
    return Math.max(room.floor, room.seq - this.keep);
  }

  #holder(name: string): string | undefined {
    const row = this.#get(
      "SELECT id FROM identity WHERE folded = ?",
      foldName(name),
    );
    return row?.id as string | undefined;
  }

  #event(room: RoomRow, seq: number): string | undefined {
    const row = this.#turnOf(room, seq);
    return row && eventsOf(row, seq - 1, seq + 1)[0];
  }

  /** The turn that holds the message with this `seq`, if that is kept. */
  #turnOf(room: RoomRow, seq: number): TurnRow | undefined {
    return this.#get(
      "SELECT last_seq, events FROM turn WHERE room = ? AND last_seq >= ? " +
        "ORDER BY last_seq LIMIT 1",
      room.id,
      seq,
    ) as TurnRow | undefined;
  }

  #recentOf(identity: string): RecentIds | undefined {
    const known = this.#recent.get(identity);
    if (known) return known;
    const row = this.#get("SELECT recent FROM identity WHERE id = ?", identity);
    if (!row) return undefined;
    const recent = new RecentIds(JSON.parse(row.recent as string));
    this.#recent.set(identity, recent);
    return recent;
  }

  // deno-lint-ignore require-await -- a throw becomes a rejection
  async #attempt<T>(body: () => T): Promise<T> {
    try {
      return body();
    } catch (error) {
      throw explain(this.path, error);
    }
  }

  #transaction<T>(body: () => T): T {
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    // Ids in memory may now be missing in the file.
    this.#isRecentStale = true;
    if (this.#db.isTransaction) this.#run("ROLLBACK");
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, ...values: Value[]) {
    return this.#prepare(sql).run(...values);
  }

  #get(sql: string, ...values: Value[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  #iterate(sql: string, ...values: Value[]): Iterable<TurnRow> {
    return this.#prepare(sql).iterate(...values) as Iterable<TurnRow>;
  }
}

type Value = string | number | bigint | Uint8Array;
type Row = Record<string, unknown>;
