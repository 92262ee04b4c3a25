// Owns the `Log` contract on one SQLite file. Never knows a room's members.
// A turn is one row: its events, a line each, under the `seq` of the last.
// Invariant: one call is one transaction. A killed process loses nothing that
// was appended; a power cut may take the last moments, never part of a turn.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { encodeMessage } from "./protocol.ts";
import {
  cut,
  type Draft,
  eventsOf,
  foldName,
  FORGET_AFTER_MS,
  hashSecret,
  type Head,
  type Identity,
  type InUse,
  type Log,
  LogError,
  matches,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  newEpoch,
  newKey,
  type ReadLimit,
  Recent,
  splitKey,
  type Stored,
  type TurnRow,
} from "./log.ts";

const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE log (
    epoch TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    is_closed INTEGER NOT NULL
  );
  CREATE TABLE room (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    floor INTEGER NOT NULL
  );
  CREATE TABLE turn (
    room INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (room, last_seq)
  ) WITHOUT ROWID;
  CREATE TABLE identity (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    recent TEXT NOT NULL,
    used_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE journal (id INTEGER PRIMARY KEY, ids TEXT NOT NULL);
  CREATE INDEX identity_used_at ON identity (used_at);
`;

/**
 * The ids that a turn brought go to the journal, in one row. After so many
 * turns they begin to move to their identities, some with each turn.
 */
const JOURNAL_TURNS = 256;
const MOVED_PER_TURN = 16;

/** One message's place in the memory of ids. */
type Remembered = [identity: string, room: number, id: string, seq: number];

interface RoomRow {
  id: number;
  epoch: string;
  seq: number;
  /** The newest `seq` that was deleted. */
  floor: number;
}

export class SqliteLog implements Log {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Of those about whom the journal knows more than their row. */
  readonly #recent = new Map<string, Recent>();
  #journalTurns = 0;
  /** Whose ids are to be moved, and the journal's rows that can go after it. */
  #moving: string[] = [];
  #movingUpTo: number | bigint = 0;
  #isRecentStale = true;
  /** That of every room without a row. */
  #epoch: string;

  /**
   * Opens or makes the file and keeps the newest `keep` messages of each room.
   * `bootedAtMs` is when this machine was started.
   * Throws a `LogError` if the file cannot be used or another server uses it.
   */
  constructor(
    private readonly path: string,
    private readonly keep: number,
    bootedAtMs: number,
  ) {
    try {
      this.#db = new DatabaseSync(path);
    } catch (error) {
      throw this.#explain(error);
    }
    try {
      // Exclusive, so that a second server on the file is noticed; NORMAL, so
      // that a turn waits for the system's memory and not for the disk.
      this.#db.exec(`
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
      `);
      this.#epoch = this.#transaction(() => {
        this.#migrate();
        return this.#begin(bootedAtMs);
      });
    } catch (error) {
      this.#db.close();
      throw error instanceof LogError ? error : this.#explain(error);
    }
  }

  /** Brings the file to this program's schema. */
  #migrate(): void {
    const version = this.#get("PRAGMA user_version")?.user_version;
    if (version === 0) this.#create();
    else if (version !== SCHEMA_VERSION) {
      throw new LogError(
        `${this.path} was written by a newer Partyline (its version is ` +
          `${version}, this program knows ${SCHEMA_VERSION}).`,
      );
    }
  }

  /**
   * Marks the file as open and returns its epoch: another one for all rooms if
   * the machine went down under the last server, for then the newest messages
   * may be missing, and their `seq` would be given to others.
   */
  #begin(bootedAtMs: number): string {
    const last = this.#get("SELECT epoch, opened_at, is_closed FROM log");
    const wasCut = last?.is_closed === 0 && Number(last.opened_at) < bootedAtMs;
    const epoch = wasCut ? newEpoch() : last?.epoch as string;
    if (wasCut) this.#run("UPDATE room SET epoch = ?", epoch);
    this.#run(
      "UPDATE log SET epoch = ?, opened_at = ?, is_closed = 0",
      epoch,
      Date.now(),
    );
    return epoch;
  }

  #create(): void {
    const tables = this.#get("SELECT count(*) AS count FROM sqlite_schema");
    if (tables?.count !== 0) {
      throw new LogError(`${this.path} is a database of another program.`);
    }
    this.#db.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`);
    this.#run("INSERT INTO log VALUES (?, 0, 1)", newEpoch());
  }

  head(room: string): Promise<Head> {
    return this.#attempt(() => {
      const { epoch, seq } = this.#room(room);
      return { epoch, seq };
    });
  }

  append(roomName: string, drafts: readonly Draft[], nowMs: number) {
    return this.#attempt(() =>
      this.#transaction(() => this.#append(roomName, drafts, nowMs))
    );
  }

  #append(roomName: string, drafts: readonly Draft[], nowMs: number) {
    if (this.#isRecentStale) this.#readJournal();
    const room = this.#makeRoom(roomName);
    const remembered: Remembered[] = [];
    const fresh: string[] = [];
    const stored = drafts.map((draft): Stored => {
      const { identity = "", id = "" } = draft;
      const next = room.seq + fresh.length + 1;
      const recent = id === "" ? undefined : this.#recentOf(identity);
      const seq = recent?.remember(room.id, id, next) ?? next;
      if (seq !== next) {
        // One that this very call stores is not in the file yet.
        const event = fresh[seq - room.seq - 1] ?? this.#event(room, seq) ??
          encodeMessage(seq, draft.text);
        return { seq, event, isRepeat: true };
      }
      if (recent) remembered.push([identity, room.id, id, seq]);
      const event = encodeMessage(seq, draft.text);
      fresh.push(event);
      return { seq, event, isRepeat: false };
    });
    if (fresh.length > 0) this.#write(room, fresh, remembered, nowMs);
    return { epoch: room.epoch, stored };
  }

  #write(
    room: RoomRow,
    events: string[],
    remembered: Remembered[],
    nowMs: number,
  ): void {
    const seq = room.seq + events.length;
    this.#run(
      "INSERT INTO turn VALUES (?, ?, ?, ?)",
      room.id,
      seq,
      nowMs,
      events.join("\n"),
    );
    if (remembered.length > 0) this.#journal(remembered, nowMs);
    this.#prune(room, seq);
  }

  #journal(remembered: Remembered[], nowMs: number): void {
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
    if (this.#moving.length > 0) this.#moveSome(nowMs);
  }

  #moveSome(nowMs: number): void {
    for (const identity of this.#moving.splice(-MOVED_PER_TURN)) {
      this.#run(
        "UPDATE identity SET recent = ?, used_at = ? WHERE id = ?",
        JSON.stringify(this.#recentOf(identity)?.entries ?? []),
        nowMs,
        identity,
      );
      this.#recent.delete(identity);
    }
    if (this.#moving.length > 0) return;
    this.#run("DELETE FROM journal WHERE id <= ?", this.#movingUpTo);
  }

  /** Brings `#recent` to what the file says. */
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

  /** Now and then, for it costs more than a turn. */
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

  identify(key: string, nowMs: number) {
    return this.#attempt(() => {
      const { id, secret } = splitKey(key);
      const row = this.#get("SELECT hash, name FROM identity WHERE id = ?", id);
      if (!row || !matches(secret, row.hash as Uint8Array)) return undefined;
      this.#touch(id, nowMs);
      return { id, name: row.name as string };
    });
  }

  register(name: string, nowMs: number) {
    return this.#attempt(() => {
      if (this.#holder(name) !== undefined) return undefined;
      const { id, secret, key } = newKey();
      this.#run(
        "INSERT INTO identity VALUES (?, ?, ?, ?, '[]', ?)",
        id,
        hashSecret(secret),
        name,
        foldName(name),
        nowMs,
      );
      return { id, name, key };
    });
  }

  rename({ id }: Identity, name: string) {
    return this.#attempt(() => {
      if ((this.#holder(name) ?? id) !== id) return false;
      const { changes } = this.#run(
        "UPDATE identity SET name = ?, folded = ? WHERE id = ?",
        name,
        foldName(name),
        id,
      );
      return changes === 1;
    });
  }

  isReserved(name: string) {
    return this.#attempt(() => this.#holder(name) !== undefined);
  }

  forget(nowMs: number, inUse: InUse) {
    return this.#attempt(() =>
      this.#transaction(() => {
        for (const id of inUse.identities) this.#touch(id, nowMs);
        const oldestMs = nowMs - FORGET_AFTER_MS;
        // Such a room begins again at 1, which must not pass for its old life.
        if (this.#forgetRooms(oldestMs, inUse.rooms)) {
          this.#epoch = newEpoch();
          this.#run("UPDATE log SET epoch = ?", this.#epoch);
        }
        this.#run(
          "DELETE FROM identity WHERE used_at <= ? OR id IN (SELECT id FROM " +
            "identity ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
          oldestMs,
          MAX_IDENTITIES,
        );
        this.#isRecentStale = true;
      })
    );
  }

  /** Only a note: who cannot be noted, on a full disk, may come all the same. */
  #touch(identity: string, nowMs: number): void {
    try {
      this.#run(
        "UPDATE identity SET used_at = ? WHERE id = ?",
        nowMs,
        identity,
      );
    } catch {
      // The disk has no room for it.
    }
  }

  #forgetRooms(oldestMs: number, inUse: ReadonlySet<string>): boolean {
    const rooms = this.#prepare(
      "SELECT room.id, room.name, turn.at FROM room LEFT JOIN turn ON " +
        "turn.room = room.id AND turn.last_seq = (SELECT max(last_seq) FROM " +
        "turn WHERE room = room.id) ORDER BY turn.last_seq DESC",
    ).all() as { id: number; name: string; at: number | null }[];
    const forgotten = rooms.filter(({ name, at }, i) =>
      !inUse.has(name) && (i >= MAX_ROOMS_KEPT || (at ?? 0) <= oldestMs)
    );
    for (const { id } of forgotten) {
      this.#run("DELETE FROM turn WHERE room = ?", id);
      this.#run("DELETE FROM room WHERE id = ?", id);
    }
    return forgotten.length > 0;
  }

  close(): void {
    try {
      this.#run("UPDATE log SET is_closed = 1");
    } catch {
      // On a full disk the next start will take it for a cut, which is safe.
    }
    this.#db.close();
  }

  /** A room in which nothing was said yet has no row. */
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
      "INSERT INTO room (name, epoch, floor) VALUES (?, ?, 0) RETURNING id",
      name,
      room.epoch,
    );
    return { ...room, id: made?.id as number };
  }

  /** The `seq` before the oldest message that may still be read. */
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
    const row = this.#get(
      "SELECT last_seq, events FROM turn WHERE room = ? AND last_seq >= ? " +
        "ORDER BY last_seq LIMIT 1",
      room.id,
      seq,
    ) as TurnRow | undefined;
    return row && eventsOf(row, seq - 1, seq + 1)[0];
  }

  #recentOf(identity: string): Recent | undefined {
    const known = this.#recent.get(identity);
    if (known) return known;
    const row = this.#get("SELECT recent FROM identity WHERE id = ?", identity);
    if (!row) return undefined;
    const recent = new Recent(JSON.parse(row.recent as string));
    this.#recent.set(identity, recent);
    return recent;
  }

  // deno-lint-ignore require-await -- a throw becomes a rejection
  async #attempt<T>(body: () => T): Promise<T> {
    try {
      return body();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #transaction<T>(body: () => T): T {
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = body();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      // What was remembered in memory will not be in the file.
      this.#isRecentStale = true;
      if (this.#db.isTransaction) this.#run("ROLLBACK");
      throw error;
    }
  }

  #explain(error: unknown): LogError {
    const { message } = error as Error;
    const because = Object.entries(reasons)
      .find(([part]) => message.includes(part))?.[1];
    return new LogError(`${this.path} ${because ?? `failed: ${message}`}.`);
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

/** SQLite's words, and what they mean to an operator. */
const reasons: Record<string, string> = {
  "is locked": "is in use by another server: give each its own --data",
  "not a database": "is not a database: move it away or choose another --data",
  "disk is full": "cannot grow: the disk is full",
  "disk I/O error": "cannot be read or written: the disk fails, is " +
    "full or is read-only",
  "readonly": "may not be written: it or its folder is read-only",
  "unable to open": "cannot be opened: is there such a folder, and may this " +
    "program write to it?",
  "malformed": "is damaged: move it away or choose another --data",
};
