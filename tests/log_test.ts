// The contract of log.ts, held by every log; then what only SQLite has: files,
// restarts, full disks. Drafts are made as the room makes them.
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  type Draft,
  FORGET_AFTER_MS,
  type Log,
  LogError,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  MemoryLog,
  REMEMBERED_IDS,
} from "../chat/log.ts";
import { SqliteLog } from "../chat/log_sqlite.ts";
import { encodeDraft } from "../chat/protocol.ts";

const ALL = { count: 1_000_000, chars: Infinity };

function draft(message: string, identity?: string, id?: string): Draft {
  const text = encodeDraft({ at: "then", sender: "a", message });
  return {
    text,
    ...(identity !== undefined && { identity }),
    ...(id !== undefined && { id }),
  };
}

const messages = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).message);
const seqs = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).seq);
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Appends turns of those sizes; the messages are their own seq. */
async function fill(log: Log, room: string, ...sizes: number[]) {
  for (const size of sizes) {
    const { seq } = await log.head(room);
    const drafts = numbers(seq + 1, seq + size).map((n) => draft(`${n}`));
    await log.append(room, drafts, 0);
  }
}

const inUse = (identity = "", ...rooms: string[]) => ({
  identities: new Set([identity]),
  rooms: new Set(rooms),
});

const logs: Record<string, (keep: number) => Log> = {
  MemoryLog: (keep) => new MemoryLog(keep),
  SqliteLog: (keep) => new SqliteLog(":memory:", keep, 0),
};

for (const [kind, open] of Object.entries(logs)) {
  const test = (
    name: string,
    body: (log: Log) => Promise<void>,
    keep = 1_000,
  ) => {
    Deno.test(`${kind}: ${name}`, async () => {
      const log = open(keep);
      try {
        await body(log);
      } finally {
        log.close();
      }
    });
  };

  test("a room begins at 0 and counts up by one, over all appends", async (log) => {
    assertEquals((await log.head("a")).seq, 0);
    const { stored } = await log.append("a", [draft("x"), draft("y")], 0);
    assertEquals(stored.map(({ seq }) => seq), [1, 2]);
    assertEquals(JSON.parse(stored[1]?.event ?? ""), {
      type: "message",
      seq: 2,
      at: "then",
      sender: "a",
      message: "y",
    });
    const next = await log.append("a", [draft("z")], 0);
    assertEquals(next.stored[0]?.seq, 3);
    assertEquals((await log.head("a")).seq, 3);
  });

  test("rooms are apart", async (log) => {
    await fill(log, "a", 3);
    await fill(log, "b", 1);
    assertEquals((await log.head("a")).seq, 3);
    assertEquals(messages(await log.after("b", 0, ALL)), ["1"]);
  });

  test("the epoch is told before the first message and stays", async (log) => {
    const { epoch } = await log.head("a");
    assertMatch(epoch, /./);
    assertEquals((await log.append("a", [draft("x")], 0)).epoch, epoch);
    assertEquals((await log.head("a")).epoch, epoch);
  });

  test("after gives all that follows, from wherever", async (log) => {
    await fill(log, "a", 1, 4, 2);
    for (let seq = 0; seq <= 7; seq++) {
      assertEquals(seqs(await log.after("a", seq, ALL)), numbers(seq + 1, 7));
    }
  });

  test("after says no to a seq that was never reached", async (log) => {
    assertEquals(await log.after("a", 0, ALL), []);
    assertEquals(await log.after("a", 1, ALL), undefined);
    await fill(log, "a", 2);
    assertEquals(await log.after("a", 3, ALL), undefined);
  });

  test("after gives pages, by count and by characters", async (log) => {
    await fill(log, "a", 3, 3, 3);
    const page = (count: number, chars: number) =>
      log.after("a", 1, { count, chars }).then(seqs);
    assertEquals(await page(4, Infinity), [2, 3, 4, 5]);
    assertEquals(await page(100, 1), [2]);
    const [event = ""] = await log.after("a", 1, ALL) ?? [];
    assertEquals(await page(100, event.length * 3), [2, 3, 4]);
  });

  test("before gives the newest below a seq, and says if there are more", async (log) => {
    await fill(log, "a", 1, 4, 2);
    const page = async (seq: number, count: number) => {
      const { events, more } = await log.before("a", seq, { ...ALL, count });
      return [seqs(events), more];
    };
    assertEquals(await page(8, 3), [[5, 6, 7], true]);
    assertEquals(await page(1_000, 3), [[5, 6, 7], true]);
    assertEquals(await page(5, 3), [[2, 3, 4], true]);
    assertEquals(await page(5, 4), [[1, 2, 3, 4], false]);
    assertEquals(await page(4, 1), [[3], true]);
    assertEquals(await page(1, 5), [[], false]);
    assertEquals(await page(0, 5), [[], false]);
    const { events } = await log.before("a", 7, { count: 100, chars: 1 });
    assertEquals(seqs(events), [6]);
    assertEquals(await log.before("b", 9, ALL), { events: [], more: false });
  });

  test("no more than keep can be read, and at least that", async (log) => {
    await fill(log, "a", 3, 4, 5, 6, 7, 8, 9);
    const { seq } = await log.head("a");
    assertEquals(seq, 42);
    assertEquals(seqs(await log.after("a", 32, ALL)), numbers(33, 42));
    assertEquals(await log.after("a", 31, ALL), undefined);
    assertEquals(
      seqs((await log.before("a", 99, ALL)).events),
      numbers(33, 42),
    );
    assertEquals(
      await log.before("a", 34, ALL).then(({ events, more }) => [
        seqs(events),
        more,
      ]),
      [[33], false],
    );
    assertEquals(await log.before("a", 20, ALL), { events: [], more: false });
  }, 10);

  test("an id sent again is not stored again", async (log) => {
    const me = (await log.register("me", 0))?.id;
    const first = await log.append("a", [draft("x", me, "1")], 0);
    const again = await log.append("a", [
      draft("other", me, "1"),
      draft("y", me, "2"),
    ], 0);
    assertEquals(first.stored[0]?.isRepeat, false);
    assertEquals(
      again.stored[0],
      { ...first.stored[0], isRepeat: true } as never,
    );
    assertEquals(again.stored[1]?.seq, 2);
    assertEquals(messages(await log.after("a", 0, ALL)), ["x", "y"]);
  });

  test("an id twice in one append is stored once", async (log) => {
    const me = (await log.register("me", 0))?.id;
    const { stored } = await log.append(
      "a",
      [draft("x", me, "1"), draft("x", me, "1"), draft("y", me, "2")],
      0,
    );
    assertEquals(stored.map(({ seq }) => seq), [1, 1, 2]);
    assertEquals(stored.map(({ isRepeat }) => isRepeat), [false, true, false]);
    assertEquals(stored[0]?.event, stored[1]?.event);
  });

  test("ids of others, of other rooms and of nobody are other ids", async (log) => {
    const [me, you] = [
      await log.register("me", 0),
      await log.register("you", 0),
    ];
    await log.append("a", [draft("x", me?.id, "1")], 0);
    await log.append(
      "a",
      [draft("y", you?.id, "1"), draft("z"), draft("z")],
      0,
    );
    await log.append("b", [draft("x", me?.id, "1")], 0);
    assertEquals(messages(await log.after("a", 0, ALL)), ["x", "y", "z", "z"]);
    assertEquals(messages(await log.after("b", 0, ALL)), ["x"]);
  });

  test("the newest ids are remembered, older ones are not", async (log) => {
    const me = (await log.register("me", 0))?.id;
    const ids = numbers(0, REMEMBERED_IDS);
    await log.append("a", ids.map((id) => draft(`${id}`, me, `${id}`)), 0);
    const { stored } = await log.append(
      "a",
      [draft("1", me, "1"), draft("0", me, "0")],
      0,
    );
    assertEquals(stored.map(({ isRepeat }) => isRepeat), [true, false]);
  });

  test(
    "a repeat of a message that was deleted is known all the same",
    async (log) => {
      const me = (await log.register("me", 0))?.id;
      await log.append("a", [draft("x", me, "1")], 0);
      await fill(log, "a", 10, 10, 10);
      const { stored } = await log.append("a", [draft("x", me, "1")], 0);
      assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [1, true]);
      assertEquals(JSON.parse(stored[0]?.event ?? "").message, "x");
    },
    5,
  );

  test("what is unused for 30 days is forgotten, and the room has a new epoch", async (log) => {
    const [old, fresh] = [
      await log.register("old", 0),
      await log.register("fresh", 1),
    ];
    await log.append("old", [draft("x")], 0);
    await log.append("fresh", [draft("x")], 1);
    const [head, kept] = [await log.head("old"), await log.head("fresh")];
    await log.forget(FORGET_AFTER_MS, inUse());
    assertEquals(await log.identify(old?.key ?? "", 2), undefined);
    assertEquals(await log.isReserved("old"), false);
    assertEquals((await log.identify(fresh?.key ?? "", 2))?.name, "fresh");
    const after = await log.head("old");
    assertEquals(after.seq, 0);
    assert(after.epoch !== head.epoch);
    assertEquals(await log.head("fresh"), kept);
  });

  test("who is present is not forgotten, and can still be renamed", async (log) => {
    const [here, gone] = [
      await log.register("here", 0),
      await log.register("gone", 0),
    ];
    await log.forget(FORGET_AFTER_MS, inUse(here?.id));
    assertEquals((await log.identify(here?.key ?? "", 1))?.name, "here");
    assertEquals(await log.rename(here?.id ?? "", "still here"), true);
    assertEquals(await log.rename(gone?.id ?? "", "back"), false);
    assertEquals(await log.isReserved("back"), false);
  });

  test("of too many rooms the smallest are forgotten, but none in use", async (log) => {
    await fill(log, "class", 5);
    await fill(log, "open", 1);
    for (let i = 0; i < MAX_ROOMS_KEPT; i++) {
      await log.append(`r${i}`, [draft("x"), draft("y")], 1);
    }
    await log.forget(1, inUse("", "open"));
    assertEquals((await log.head("class")).seq, 5);
    assertEquals((await log.head("open")).seq, 1);
    const heads = await Promise.all(
      numbers(0, MAX_ROOMS_KEPT - 1).map((i) => log.head(`r${i}`)),
    );
    assertEquals(heads.filter(({ seq }) => seq === 0).length, 1);
  });

  test("of too many identities those away longest are forgotten", async (log) => {
    const [here, first, second] = [
      await log.register("here", 0),
      await log.register("first", 1),
      await log.register("second", 2),
    ];
    for (let i = 3; i <= MAX_IDENTITIES; i++) await log.register(`p${i}`, 3);
    await log.forget(3, inUse(here?.id));
    assertEquals((await log.identify(here?.key ?? "", 3))?.name, "here");
    assertEquals(await log.isReserved("first"), false);
    assertEquals((await log.identify(second?.key ?? "", 3))?.name, "second");
    assertEquals(await log.identify(first?.key ?? "", 3), undefined);
  });

  test("a room that began again does not know the ids of its old life", async (log) => {
    const me = await log.register("me", 0);
    await log.append("a", [draft("old", me?.id, "1")], 0);
    await log.forget(FORGET_AFTER_MS, inUse(me?.id));
    const { stored } = await log.append("a", [draft("new", me?.id, "1")], 1);
    assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [1, false]);
    assertEquals(messages(await log.after("a", 0, ALL)), ["new"]);
  });
}

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
