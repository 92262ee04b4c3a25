// The contract of store.ts, held by the stores that need no other program; then
// what only a SQLite file has: restarts, full disks, other programs' files.
import { DatabaseSync } from "node:sqlite";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { basename, dirname, join } from "node:path";
import {
  MAX_ROOMS_KEPT,
  REMEMBERED_IDS,
  StoreError,
} from "../../chat/store/store.ts";
import { LocalStore } from "../../chat/store/local.ts";
import { MemoryArchive } from "../../chat/store/memory.ts";
import { isOpenToAll } from "../../chat/store/data_file.ts";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import { range, until } from "../support/harness.ts";
import {
  ALL,
  draft,
  fill,
  inUse,
  say,
  seqs,
  testStore,
} from "../support/store_contract.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

/** A machine whose clocks a test sets. */
class TestMachine {
  clockMs = Date.parse("2026-03-10T08:00:00Z");
  uptimeS = 1_000;
  elapsedMs = 0;
  now = () => this.clockMs;
  monotonic = () => this.elapsedMs;
  uptime = (): number | undefined => this.uptimeS;

  /** Time goes by, in whole seconds. */
  pass(seconds: number) {
    this.clockMs += seconds * 1_000;
    this.uptimeS += seconds;
    this.elapsedMs += seconds * 1_000;
  }
  /** It goes down and up again, and the server starts after so long. */
  restart(clockMs: number, uptimeS: number) {
    this.clockMs = clockMs;
    this.uptimeS = uptimeS;
    this.elapsedMs = 7;
  }
}

const openFile = (path: string, keep: number, machine = new TestMachine()) =>
  new LocalStore(new SqliteArchive(path, keep, machine), machine);

let machine = new TestMachine();
const age = (_store: unknown, ms: number) => void (machine.elapsedMs += ms);
testStore("memory", (keep) => {
  machine = new TestMachine();
  const archive = new MemoryArchive(keep, machine.monotonic);
  return new LocalStore(archive, machine);
}, { age });
testStore("SQLite", (keep) => {
  machine = new TestMachine();
  return openFile(":memory:", keep, machine);
}, { age });

/** A file in a folder of its own, which is removed at the end. */
async function withFile(body: (path: string) => Promise<void> | void) {
  const folder = await Deno.makeTempDir();
  try {
    await body(`${folder}/test.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("SQLite: all is there again after a restart", () =>
  withFile(async (path) => {
    const before = openFile(path, 100);
    await fill(before, "a", 2, 3);
    const me = await before.register("Ada");
    await say(before, "a", [draft("mine", me?.id, "1")], 0);
    const head = await before.head("a");
    before.close();
    const store = openFile(path, 100);
    assertEquals(await store.head("a"), head);
    assertEquals(seqs(await store.after("a", 0, ALL)), range(1, 6));
    assertEquals((await store.identify(me?.key ?? ""))?.name, "Ada");
    const stored = await say(store, "a", [draft("mine", me?.id, "1")], 0);
    assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [6, true]);
    store.close();
  }));

Deno.test("SQLite: ids are remembered over many turns and restarts", () =>
  withFile(async (path) => {
    let store = openFile(path, 10_000);
    const me = (await store.register("me"))?.id;
    const you = (await store.register("you"))?.id;
    await say(store, "a", [draft("early", you, "early")], 0);
    for (const n of range(1, 600)) {
      await say(store, "a", [draft(`${n}`, me, `${n}`)], 0);
      if (n % 150 > 0) continue;
      store.close();
      store = openFile(path, 10_000);
    }
    const repeats = range(600 - REMEMBERED_IDS + 1, 600)
      .map((n) => draft(`${n}`, me, `${n}`));
    const stored = await say(store, "a", [
      draft("early", you, "early"),
      ...repeats,
    ], 0);
    assertEquals(stored.filter(({ isRepeat }) => !isRepeat), []);
    assertEquals((await store.head("a")).seq, 601);
    store.close();
  }));

/** The files as a server leaves them that is killed now: a copy elsewhere. */
function killed(path: string): string {
  const copy = Deno.makeTempDirSync({ dir: dirname(path) });
  for (const suffix of ["", "-wal", "-run"]) {
    Deno.copyFileSync(path + suffix, `${copy}/test.db${suffix}`);
  }
  return `${copy}/test.db`;
}

/** The marks by which the run file knows the newest data file. */
function marksIn(path: string): string {
  return JSON.parse(Deno.readTextFileSync(`${path}-run`)).marks.join(" ");
}

Deno.test("SQLite: a server that is killed keeps whom it has told their key, and nobody else", () =>
  withFile(async (path) => {
    const names = range(1, 100).map((n) => `person ${n}`);
    const store = openFile(path, 100);
    const registered = names.map((name) => store.register(name));
    const before = openFile(killed(path), 100);
    const people = await Promise.all(registered);
    const after = openFile(killed(path), 100);
    for (const person of people) {
      const { key = "", name } = person ?? {};
      assertEquals(await before.identify(key), undefined);
      assertEquals((await after.identify(key))?.name, name ?? "a name");
    }
    for (const opened of [store, before, after]) opened.close();
  }));

Deno.test("SQLite: after only the server was killed the epoch stays", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const store = openFile(path, 100, machine);
    await fill(store, "a", 2);
    const head = await store.head("a");
    const left = killed(path);
    store.close();
    machine.pass(3_600);
    const again = openFile(left, 100, machine);
    assertEquals(await again.head("a"), head);
    again.close();
  }));

for (
  const [how, clockMs, uptimeS] of [
    ["and the clock goes on", 3_600_000, 20],
    ["and the clock was set back", -86_400_000, 20],
    ["the clock was set back and it was up for long", -86_400_000, 9_999],
    ["the clock was set ahead and it was up for long", 86_400_000, 9_999],
    ["and the clock stands as it did when it began", 0, 999],
    ["and nobody can tell its uptime", 0, undefined],
  ] as const
) {
  Deno.test(`SQLite: after the machine went down under it there is a new epoch: ${how}`, () =>
    withFile(async (path) => {
      const machine = new TestMachine();
      const store = openFile(path, 100, machine);
      await fill(store, "a", 2);
      const { epoch } = await store.head("a");
      const left = killed(path);
      store.close();
      machine.restart(machine.clockMs + clockMs, uptimeS ?? 0);
      if (uptimeS === undefined) machine.uptime = () => undefined;
      const again = openFile(left, 100, machine);
      const head = await again.head("a");
      assertEquals(head.seq, 2);
      assert(head.epoch !== epoch);
      assertEquals((await again.head("b")).epoch, head.epoch);
      again.close();
    }));
}

Deno.test("SQLite: a file that was closed well keeps its epoch, whatever the clocks say", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const before = openFile(path, 100, machine);
    await fill(before, "a", 2);
    const head = await before.head("a");
    before.close();
    machine.restart(0, 20);
    const store = openFile(path, 100, machine);
    assertEquals(await store.head("a"), head);
    store.close();
  }));

Deno.test("SQLite: a clock that starts where it did before is seen through by the time since then", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const { clockMs, uptimeS } = machine;
    const store = openFile(path, 100, machine);
    const { epoch } = await store.head("a");
    machine.pass(60);
    const marks = marksIn(path);
    await fill(store, "a", 2);
    await until(() => marksIn(path) !== marks, "a new reading of the clocks");
    const left = killed(path);
    store.close();
    // It has no clock of its own, and comes up a second later than then.
    machine.restart(clockMs + 1_000, uptimeS + 1);
    const again = openFile(left, 100, machine);
    assert((await again.head("a")).epoch !== epoch);
    again.close();
  }));

Deno.test("SQLite: an older copy of the file that is put back begins a new epoch", () =>
  withFile(async (path) => {
    let store = openFile(path, 100);
    await fill(store, "a", 2);
    const { epoch } = await store.head("a");
    store.close();
    const copy = `${path}.copy`;
    Deno.copyFileSync(path, copy);
    store = openFile(path, 100);
    await fill(store, "a", 1);
    assertEquals((await store.head("a")).epoch, epoch);
    store.close();
    Deno.copyFileSync(copy, path);
    store = openFile(path, 100);
    const head = await store.head("a");
    assertEquals(head.seq, 2);
    assert(head.epoch !== epoch);
    store.close();
    // That is its epoch from now on.
    store = openFile(path, 100);
    assertEquals(await store.head("a"), head);
    store.close();
  }));

Deno.test("SQLite: a copy that was made while the server ran begins a new epoch, in either place", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const store = openFile(path, 100, machine);
    await fill(store, "a", 2);
    const { epoch } = await store.head("a");
    const copy = killed(path);
    await fill(store, "a", 1);
    store.close();
    for (const suffix of ["", "-wal"]) {
      Deno.copyFileSync(copy + suffix, path + suffix);
    }
    Deno.removeSync(`${copy}-run`);
    for (const place of [path, copy]) {
      const again = openFile(place, 100, machine);
      const head = await again.head("a");
      assertEquals(head.seq, 2);
      assert(head.epoch !== epoch, place);
      again.close();
    }
  }));

Deno.test("SQLite: the run file is whole after each write, and of no use to a copy of an earlier time", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const store = openFile(path, 100, machine);
    await fill(store, "a", 1);
    const { epoch } = await store.head("a");
    const early = killed(path);
    for (const turn of range(1, 2)) {
      machine.pass(10);
      const before = marksIn(path);
      await fill(store, "a", 1);
      await until(() => marksIn(path) !== before, `mark ${turn}`);
      assertEquals(marksIn(path).split(" ").length, 2);
    }
    const late = killed(path);
    store.close();
    // The server was killed, and the earlier file put beside the late run file.
    Deno.copyFileSync(`${late}-run`, `${early}-run`);
    for (const [left, isSame] of [[late, true], [early, false]] as const) {
      const again = openFile(left, 100, machine);
      assertEquals((await again.head("a")).epoch === epoch, isSame, left);
      again.close();
    }
  }));

/** What may be stored after a copy was made, while the mark stays the same. */
const changes = {
  "a message": (store: LocalStore) => fill(store, "a", 1),
  "a room": (store: LocalStore) => fill(store, "b", 1),
  "a deletion": async (store: LocalStore) => {
    const { epoch } = await store.head("a");
    const deletion = { target: 3, author: "me", epoch, text: "{}" };
    assertEquals(await store.delete("a", deletion), "deleted");
  },
};

for (const [what, change] of Object.entries(changes)) {
  Deno.test(`SQLite: a copy to which nothing but ${what} is missing begins a new epoch`, () =>
    withFile(async (path) => {
      const machine = new TestMachine();
      const store = openFile(path, 100, machine);
      await fill(store, "a", 2);
      await say(store, "a", [draft("mine", undefined, undefined, "me")], 2);
      const { epoch } = await store.head("a");
      const early = killed(path);
      await change(store);
      const late = killed(path);
      assertEquals(marksIn(early), marksIn(late));
      store.close();
      Deno.copyFileSync(`${late}-run`, `${early}-run`);
      for (const [left, isSame] of [[late, true], [early, false]] as const) {
        const again = openFile(left, 100, machine);
        assertEquals((await again.head("a")).epoch === epoch, isSame, left);
        again.close();
      }
    }));
}

Deno.test("SQLite: a run file that is replaced while messages are stored knows the newest of them", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const store = openFile(path, 100, machine);
    await fill(store, "a", 1);
    const marks = marksIn(path);
    machine.pass(10);
    // The first of them begins to replace it, the last comes before that is done.
    await fill(store, "a", 1);
    await fill(store, "a", 1);
    const early = killed(path);
    await fill(store, "a", 1);
    await until(() => marksIn(path) !== marks, "the next run file");
    const { newest } = JSON.parse(Deno.readTextFileSync(`${path}-run`));
    assertEquals(newest, [1, 4, 0]);
    Deno.copyFileSync(`${path}-run`, `${early}-run`);
    const { epoch } = await store.head("a");
    store.close();
    const again = openFile(early, 100, machine);
    const head = await again.head("a");
    assertEquals(head.seq, 3);
    assert(head.epoch !== epoch);
    again.close();
  }));

Deno.test("SQLite: a run file of an older version, which knows no newest message, still counts", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    const store = openFile(path, 100, machine);
    await fill(store, "a", 2);
    const head = await store.head("a");
    const left = killed(path);
    store.close();
    const note = JSON.parse(Deno.readTextFileSync(`${left}-run`));
    delete note.newest;
    Deno.writeTextFileSync(`${left}-run`, JSON.stringify(note));
    const again = openFile(left, 100, machine);
    assertEquals(await again.head("a"), head);
    again.close();
  }));

Deno.test("SQLite: a clock that is 31 days ahead at a start makes it forget nothing", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    let store = openFile(path, 100, machine);
    const me = await store.register("Ada");
    await fill(store, "a", 2);
    const head = await store.head("a");
    store.close();
    machine.restart(machine.clockMs + 31 * DAY_MS, 20);
    store = openFile(path, 100, machine);
    await store.forget(inUse());
    assertEquals(await store.head("a"), head);
    assertEquals((await store.identify(me?.key ?? ""))?.name, "Ada");
    store.close();
  }));

Deno.test("SQLite: disuse adds up over the times in which a server ran", () =>
  withFile(async (path) => {
    const machine = new TestMachine();
    let store = openFile(path, 100, machine);
    await fill(store, "a", 2);
    for (const day of range(1, 30)) {
      assertEquals((await store.head("a")).seq, 2, `day ${day}`);
      machine.pass(DAY_MS / 1_000);
      await store.forget(inUse());
      store.close();
      machine.restart(machine.clockMs, 20);
      store = openFile(path, 100, machine);
    }
    assertEquals((await store.head("a")).seq, 0);
    store.close();
  }));

Deno.test("SQLite: a room of a file that did not note when it was made counts as used for long", () =>
  withFile(async (path) => {
    const old = openFile(path, 100);
    await fill(old, "class", 1);
    old.close();
    const db = new DatabaseSync(path);
    db.exec("ALTER TABLE room DROP COLUMN made_at");
    db.close();
    const store = openFile(path, 100);
    for (const n of range(1, MAX_ROOMS_KEPT)) await fill(store, `r${n}`, 1);
    await store.forget(inUse());
    assertEquals((await store.head("class")).seq, 1);
    assertEquals((await store.head("r1")).seq, 0);
    store.close();
  }));

Deno.test("SQLite: ids of many people move out of the journal a few at a time", () =>
  withFile(async (path) => {
    let store = openFile(path, 10_000);
    const people: string[] = [];
    for (const n of range(1, 100)) {
      people.push((await store.register(`p${n}`))?.id ?? "");
    }
    for (const turn of range(1, 300)) {
      const drafts = people.map((id) => draft("x", id, `${turn}`));
      await say(store, "a", drafts, 0);
    }
    store.close();
    store = openFile(path, 10_000);
    for (const turn of [300, 299, 280, 256, 255, 240]) {
      const drafts = people.map((id) => draft("x", id, `${turn}`));
      const stored = await say(store, "a", drafts, 0);
      assert(stored.every(({ isRepeat }) => isRepeat), `turn ${turn}`);
    }
    store.close();
  }));

Deno.test("SQLite: the key is not in the file", () =>
  withFile(async (path) => {
    const store = openFile(path, 100);
    const { key = "" } = await store.register("Ada") ?? {};
    store.close();
    const [, secret = ""] = key.split(".");
    assert(secret.length >= 22, "at least 128 bits");
    for (const suffix of ["", "-wal"]) {
      const bytes = await Deno.readFile(path + suffix).catch(() =>
        new Uint8Array()
      );
      assert(!new TextDecoder("latin1").decode(bytes).includes(secret));
    }
  }));

Deno.test({
  name:
    "SQLite: the file and those beside it are for their owner alone, whatever the umask",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const before = Deno.umask(0);
    try {
      await withFile(async (path) => {
        const folder = dirname(path);
        const name = basename(path);
        const modes = () =>
          [...Deno.readDirSync(folder)].map(({ name }) =>
            `${name} ${mode(join(folder, name))}`
          ).toSorted();
        const modesOf = (bits: string, ...suffixes: string[]) =>
          suffixes.map((suffix) => `${name}${suffix} ${bits}`);
        for (const _ of ["new", "again"]) {
          const store = openFile(path, 100);
          await say(store, "a", [draft("x", "nobody", "1")], 0);
          assertEquals(modes(), modesOf("600", "", "-run", "-wal"));
          store.close();
          assertEquals(modes(), modesOf("600", "", "-run"));
        }
        assertEquals(isOpenToAll(path), false);
        // One that was there keeps the mode that somebody gave it.
        for (
          const [wider, isOpen] of [[0o640, false], [0o644, true]] as const
        ) {
          Deno.chmodSync(path, wider);
          const store = openFile(path, 100);
          await say(store, "a", [draft("x", "nobody", "2")], 0);
          const bits = wider.toString(8);
          assertEquals(modes(), [
            ...modesOf(bits, ""),
            ...modesOf("600", "-run"),
            ...modesOf(bits, "-wal"),
          ]);
          assertEquals(isOpenToAll(path), isOpen);
          store.close();
        }
      });
    } finally {
      Deno.umask(before);
    }
  },
});

function mode(path: string): string {
  return ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
}

Deno.test("SQLite: a second server on the file is refused", () =>
  withFile((path) => {
    const store = openFile(path, 100);
    assertThrows(() => openFile(path, 100), StoreError, "another server");
    store.close();
    openFile(path, 100).close();
  }));

Deno.test("SQLite: what is no database is refused and left as it is", () =>
  withFile(async (path) => {
    const text = "dear diary, ".repeat(1_000);
    await Deno.writeTextFile(path, text);
    assertThrows(() => openFile(path, 100), StoreError, "not a database");
    assertEquals(await Deno.readTextFile(path), text);
  }));

for (const version of [0, 1, -1]) {
  Deno.test(`SQLite: another program's file, with the format ${version}, is refused and left as it is`, () =>
    withFile((path) => {
      const db = new DatabaseSync(path);
      db.exec(`CREATE TABLE log (url); PRAGMA user_version = ${version}`);
      db.close();
      const before = Deno.readFileSync(path);
      assertThrows(
        () => openFile(path, 100),
        StoreError,
        `${path} is a database of another program: choose another --data.`,
      );
      assertEquals(Deno.readFileSync(path), before);
    }));
}

Deno.test("SQLite: a file that another program has open is refused until it ends", () =>
  withFile((path) => {
    openFile(path, 100).close();
    const other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    assertThrows(
      () => openFile(path, 100),
      StoreError,
      `${path} is in use by another server or program: stop that, or choose ` +
        "another --data.",
    );
    other.close();
    openFile(path, 100).close();
  }));

Deno.test("SQLite: a file that is cut short or has lost its epoch is told to be damaged", () =>
  withFile((path) => {
    openFile(path, 100).close();
    const whole = Deno.readFileSync(path);
    const complaint = `${path} is damaged: move it away or choose another ` +
      "--data.";
    for (const length of [50, 4_096, whole.length - 4_096]) {
      Deno.writeFileSync(path, whole.subarray(0, length));
      assertThrows(() => openFile(path, 100), StoreError, complaint);
    }
    Deno.writeFileSync(path, whole);
    const db = new DatabaseSync(path);
    db.exec("DELETE FROM log");
    db.close();
    assertThrows(() => openFile(path, 100), StoreError, complaint);
  }));

Deno.test("SQLite: a page that is damaged is told when it is read", () =>
  withFile(async (path) => {
    const before = openFile(path, 100);
    await fill(before, "a", 2);
    before.close();
    const bytes = Deno.readFileSync(path);
    // The first pages hold the schema and the epoch.
    bytes.fill(0xab, 2 * 4_096);
    Deno.writeFileSync(path, bytes);
    const store = openFile(path, 100);
    const error = await store.head("a").catch((thrown) => thrown);
    assert(error instanceof StoreError);
    assertStringIncludes(error.message, `${path} is damaged: move it away`);
    store.close();
  }));

Deno.test("SQLite: a name that no file can have is told", () => {
  for (const path of ["file://host/x.db", "a\0b.db"]) {
    assertThrows(
      () => openFile(path, 100),
      StoreError,
      `${path} cannot be the name of a file: choose another --data.`,
    );
  }
});

Deno.test("SQLite: a folder that is missing is named", () => {
  assertThrows(
    () => openFile("/nowhere/x.db", 100),
    StoreError,
    "/nowhere/x.db",
  );
});

/** Runs `body` in a small file system of its own; needs root on Linux. */
async function onSmallDisk(
  body: (
    folder: string,
    remount: (how: string) => Promise<void>,
  ) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const mount = async (...args: string[]) => {
    const { success } = await new Deno.Command("mount", { args }).output();
    assert(success, "mount");
  };
  await mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", folder);
  try {
    await body(folder, (how) => mount("-o", `remount,${how}`, folder));
  } finally {
    await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder);
  }
}

const canMount = Deno.build.os === "linux" && Deno.uid() === 0 &&
  await onSmallDisk(() => Promise.resolve()).then(() => true, () => false);
const why = canMount
  ? ""
  : " (skipped: only root on Linux can fill a disk here)";

Deno.test({
  name:
    `SQLite: a full disk stores nothing by halves and heals with space${why}`,
  ignore: !canMount,
  fn: () =>
    onSmallDisk(async (folder, remount) => {
      const store = openFile(`${folder}/test.db`, 100_000);
      const me = (await store.register("me"))?.id;
      const big = "x".repeat(20_000);
      let seq = 0;
      let error: unknown;
      while (error === undefined) {
        try {
          const id = `${seq}`;
          await say(store, "a", [draft(big, me, id), draft(big)], 0);
          seq += 2;
        } catch (thrown) {
          error = thrown;
        }
      }
      assert(error instanceof StoreError, `${error}`);
      assertMatch(error.message, /full\. .* choose another --data\.$/);
      assertEquals((await store.head("a")).seq, seq);
      // Of those who come together none is registered, or all are.
      const people = range(1, 5_000).map((n) => `person ${n}`);
      const register = () =>
        Promise.allSettled(people.map((name) => store.register(name)));
      const refused = await register();
      assert(refused.every(({ status }) => status === "rejected"));
      await remount("size=8m");
      assert((await register()).every((it) => "value" in it && it.value));
      // What failed was not stored, so its id is not remembered either.
      const stored = await say(store, "a", [draft(big, me, `${seq}`)], 0);
      assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [seq + 1, false]);
      store.close();
      const again = openFile(`${folder}/test.db`, 100_000);
      assertEquals(seqs(await again.after("a", 0, ALL)), range(1, seq + 1));
      again.close();
    }),
});

Deno.test({
  name: `SQLite: a file on a read-only disk is refused with a sentence${why}`,
  ignore: !canMount,
  fn: () =>
    onSmallDisk(async (folder, remount) => {
      const path = `${folder}/test.db`;
      openFile(path, 100).close();
      await remount("ro");
      const error = assertThrows(() => openFile(path, 100), StoreError);
      assertMatch(error.message, /read-only\. .* choose another --data\.$/);
    }),
});

for (
  const [when, act] of [
    ["the server looks for what to forget", "forget"],
    ["the server stops", "close"],
  ] as const
) {
  Deno.test(`no copy of a deleted text is left in the file when ${when}`, () =>
    withFile(async (path) => {
      // Rows of many lengths in several rooms, so that SQLite has to move some.
      const numbers = range(0, 999);
      const deleted = numbers.filter((i) => i % 2 === 0);
      const markOf = (i: number) => `mark ${i}.`;
      const store = openFile(path, 1_000);
      for (const i of numbers) {
        const text = markOf(i) + "y".repeat((i * 37) % 1_500);
        const said = draft(text, undefined, undefined, "me");
        await say(store, `room-${i % 5}`, [said], 0);
      }
      for (const i of deleted) {
        const room = `room-${i % 5}`;
        const { epoch } = await store.head(room);
        const target = Math.floor(i / 5) + 1;
        const deletion = { target, author: "me", epoch, text: "{}" };
        assertEquals(await store.delete(room, deletion), "deleted");
      }
      if (act === "forget") await store.forget(inUse());
      else await store.close();
      const bytes = new TextDecoder("latin1").decode(Deno.readFileSync(path));
      const left = numbers.filter((i) => bytes.includes(markOf(i)));
      assertEquals(left, numbers.filter((i) => i % 2 === 1));
      if (act === "forget") await store.close();
    }));
}

Deno.test("the text of a deleted message leaves the data file and its log", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "test.db");
  const secret = "a secret that nobody may read";
  const holds = () =>
    [...Deno.readDirSync(folder)].some(({ name }) => {
      const bytes = Deno.readFileSync(join(folder, name));
      return new TextDecoder("latin1").decode(bytes).includes(secret);
    });
  const store = openFile(path, 100);
  await fill(store, "a", 50);
  const drafts = ["x", secret.repeat(300), secret, "y"]
    .map((text) => draft(text, undefined, undefined, "me"));
  await say(store, "a", drafts, 0);
  assertEquals(holds(), true);
  const { epoch } = await store.head("a");
  for (const target of [52, 53]) {
    const deletion = { target, author: "me", epoch, text: "{}" };
    assertEquals(await store.delete("a", deletion), "deleted");
  }
  await until(() => !holds(), "a file without it");
  await store.close();
  assertEquals(holds(), false);
  const again = openFile(path, 100);
  const { events } = await again.before("a", 99, ALL);
  assertEquals(events.slice(-4).map((it) => JSON.parse(it).message), [
    ...["x", "", "", "y"],
  ]);
  const { events: told } = await again.deletions("a", 54, 9, epoch);
  assertEquals(told, ["{}", "{}"]);
  await again.close();
  await Deno.remove(folder, { recursive: true });
});
