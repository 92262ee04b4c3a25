// The contract of log.ts, held by the logs that need no other program; then what
// only SQLite has: files, restarts, full disks.
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { LogError, MemoryLog, REMEMBERED_IDS } from "../chat/log.ts";
import { SqliteLog } from "../chat/log_sqlite.ts";
import { ALL, draft, fill, numbers, seqs, testLog } from "./log_contract.ts";

testLog("MemoryLog", (keep) => new MemoryLog(keep));
testLog("SqliteLog", (keep) => new SqliteLog(":memory:", keep, 0));

/** A file in a folder of its own, which is removed at the end. */
async function withFile(body: (path: string) => Promise<void> | void) {
  const folder = await Deno.makeTempDir();
  try {
    await body(`${folder}/test.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("SqliteLog: all is there again after a restart", () =>
  withFile(async (path) => {
    const before = new SqliteLog(path, 100, 0);
    await fill(before, "a", 2, 3);
    const me = await before.register("Ada", 0);
    await before.append("a", [draft("mine", me?.id, "1")], 0);
    const head = await before.head("a");
    before.close();
    const log = new SqliteLog(path, 100, 0);
    assertEquals(await log.head("a"), head);
    assertEquals(seqs(await log.after("a", 0, ALL)), numbers(1, 6));
    assertEquals((await log.identify(me?.key ?? "", 1))?.name, "Ada");
    const { stored } = await log.append("a", [draft("mine", me?.id, "1")], 0);
    assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [6, true]);
    log.close();
  }));

Deno.test("SqliteLog: ids are remembered over many turns and restarts", () =>
  withFile(async (path) => {
    let log = new SqliteLog(path, 10_000, 0);
    const me = (await log.register("me", 0))?.id;
    const you = (await log.register("you", 0))?.id;
    await log.append("a", [draft("early", you, "early")], 0);
    for (const n of numbers(1, 600)) {
      await log.append("a", [draft(`${n}`, me, `${n}`)], 0);
      if (n % 150 > 0) continue;
      log.close();
      log = new SqliteLog(path, 10_000, 0);
    }
    const repeats = numbers(600 - REMEMBERED_IDS + 1, 600)
      .map((n) => draft(`${n}`, me, `${n}`));
    const { stored } = await log.append("a", [
      draft("early", you, "early"),
      ...repeats,
    ], 0);
    assertEquals(stored.filter(({ isRepeat }) => !isRepeat), []);
    assertEquals((await log.head("a")).seq, 601);
    log.close();
  }));

Deno.test("SqliteLog: after the machine went down under it there is a new epoch", () =>
  withFile(async (path) => {
    let log = new SqliteLog(path, 100, 0);
    await fill(log, "a", 2);
    const { epoch } = await log.head("a");
    log.close();
    log = new SqliteLog(path, 100, Date.now() + 1_000);
    assertEquals((await log.head("a")).epoch, epoch, "it was closed well");
    log.close();
    const db = new DatabaseSync(path);
    db.exec("UPDATE log SET is_closed = 0");
    db.close();
    log = new SqliteLog(path, 100, Date.now() - 60_000);
    assertEquals(
      (await log.head("a")).epoch,
      epoch,
      "only the server was killed",
    );
    log.close();
    const again = new DatabaseSync(path);
    again.exec("UPDATE log SET is_closed = 0");
    again.close();
    log = new SqliteLog(path, 100, Date.now() + 1_000);
    const head = await log.head("a");
    assertEquals(head.seq, 2);
    assert(head.epoch !== epoch);
    assertEquals((await log.head("b")).epoch, head.epoch);
    log.close();
  }));

Deno.test("SqliteLog: ids of many people move out of the journal a few at a time", () =>
  withFile(async (path) => {
    let log = new SqliteLog(path, 10_000, 0);
    const people: string[] = [];
    for (const n of numbers(1, 100)) {
      people.push((await log.register(`p${n}`, 0))?.id ?? "");
    }
    for (const turn of numbers(1, 300)) {
      const drafts = people.map((id) => draft("x", id, `${turn}`));
      await log.append("a", drafts, 0);
    }
    log.close();
    log = new SqliteLog(path, 10_000, 0);
    for (const turn of [300, 299, 280, 256, 255, 240]) {
      const drafts = people.map((id) => draft("x", id, `${turn}`));
      const { stored } = await log.append("a", drafts, 0);
      assert(stored.every(({ isRepeat }) => isRepeat), `turn ${turn}`);
    }
    log.close();
  }));

Deno.test("SqliteLog: the key is not in the file", () =>
  withFile(async (path) => {
    const log = new SqliteLog(path, 100, 0);
    const { key = "" } = await log.register("Ada", 0) ?? {};
    log.close();
    const [, secret = ""] = key.split(".");
    assert(secret.length >= 22, "at least 128 bits");
    for (const suffix of ["", "-wal"]) {
      const bytes = await Deno.readFile(path + suffix).catch(() =>
        new Uint8Array()
      );
      assert(!new TextDecoder("latin1").decode(bytes).includes(secret));
    }
  }));

Deno.test("SqliteLog: a second server on the file is refused", () =>
  withFile((path) => {
    const log = new SqliteLog(path, 100, 0);
    assertThrows(() => new SqliteLog(path, 100, 0), LogError, "another server");
    log.close();
    new SqliteLog(path, 100, 0).close();
  }));

Deno.test("SqliteLog: what is no database is refused and left as it is", () =>
  withFile(async (path) => {
    const text = "dear diary, ".repeat(1_000);
    await Deno.writeTextFile(path, text);
    assertThrows(() => new SqliteLog(path, 100, 0), LogError, "not a database");
    assertEquals(await Deno.readTextFile(path), text);
  }));

Deno.test("SqliteLog: another program's or a newer version's file is refused", () =>
  withFile((path) => {
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE bookmarks (url)");
    db.close();
    assertThrows(
      () => new SqliteLog(path, 100, 0),
      LogError,
      "another program",
    );
    const newer = `${path}2`;
    new SqliteLog(newer, 100, 0).close();
    const later = new DatabaseSync(newer);
    later.exec("PRAGMA user_version = 99");
    later.close();
    assertThrows(
      () => new SqliteLog(newer, 100, 0),
      LogError,
      "newer Partyline",
    );
  }));

Deno.test("SqliteLog: a folder that is missing is named", () => {
  assertThrows(
    () => new SqliteLog("/nowhere/x.db", 100, 0),
    LogError,
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
    `SqliteLog: a full disk stores nothing by halves and heals with space${why}`,
  ignore: !canMount,
  fn: () =>
    onSmallDisk(async (folder, remount) => {
      const log = new SqliteLog(`${folder}/test.db`, 100_000, 0);
      const me = (await log.register("me", 0))?.id;
      const big = "x".repeat(20_000);
      let seq = 0;
      let error: unknown;
      while (error === undefined) {
        try {
          const id = `${seq}`;
          await log.append("a", [draft(big, me, id), draft(big)], 0);
          seq += 2;
        } catch (thrown) {
          error = thrown;
        }
      }
      assert(error instanceof LogError, `${error}`);
      assertMatch(error.message, /full/);
      assertEquals((await log.head("a")).seq, seq);
      await remount("size=8m");
      // What failed was not stored, so its id is not remembered either.
      const { stored } = await log.append("a", [draft(big, me, `${seq}`)], 0);
      assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [seq + 1, false]);
      log.close();
      const again = new SqliteLog(`${folder}/test.db`, 100_000, 0);
      assertEquals(seqs(await again.after("a", 0, ALL)), numbers(1, seq + 1));
      again.close();
    }),
});

Deno.test({
  name:
    `SqliteLog: a file on a read-only disk is refused with a sentence${why}`,
  ignore: !canMount,
  fn: () =>
    onSmallDisk(async (folder, remount) => {
      const path = `${folder}/test.db`;
      new SqliteLog(path, 100, 0).close();
      await remount("ro");
      const error = assertThrows(() => new SqliteLog(path, 100, 0), LogError);
      assertMatch(error.message, /read-only/);
    }),
});
