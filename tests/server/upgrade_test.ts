// What an older version stored and said still holds: its data file opens, its
// client recovers. What a newer version stored is refused and left as it is.
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import { FORGET_AFTER_MS } from "../../chat/store/store.ts";
import {
  playAlone,
  playReturn,
  type Recording,
} from "../support/fixtures/session.ts";
import v1 from "../support/fixtures/v1.json" with { type: "json" };
import { newContext, startServer } from "../support/harness.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** A copy of the data file of version 1, in a folder of its own. */
async function withCopy(body: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/test.db`;
    await Deno.copyFile(`${ROOT}tests/support/fixtures/v1.db`, path);
    await body(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a client of version 1 finds all that it knows on a new server", async () => {
  await using server = await startServer();
  await playAlone(server, v1 as Recording);
});

Deno.test("a client of version 1 recovers from its data file what it missed", () =>
  withCopy(async (data) => {
    await using server = await startServer({ data, rate: 0 });
    await playReturn(server, v1 as Recording);
  }));

Deno.test("a data file of version 1 forgets nothing at its first start, and counts disuse from there", () =>
  withCopy(async (path) => {
    const old = new DatabaseSync(path);
    // Times of a clock that was wrong, in either direction.
    old.exec(`
      UPDATE identity SET used_at = 1 WHERE name = 'Ada Lovelace';
      UPDATE identity SET used_at = used_at + ${2 * FORGET_AFTER_MS}
        WHERE name = 'Grace Hopper';
    `);
    old.close();
    let elapsedMs = 0;
    const archive = new SqliteArchive(path, 100, {
      now: () => Date.now() + 2 * FORGET_AFTER_MS,
      monotonic: () => elapsedMs,
      uptime: Deno.osUptime,
    });
    const inUse = { rooms: new Set<string>(), identities: new Set<string>() };
    const names = ["Ada Lovelace", "Grace Hopper", "Lonely"];
    const kept = () =>
      Promise.all(names.map((name) => archive.isReserved(name)));
    await archive.forget(inUse);
    elapsedMs = FORGET_AFTER_MS - 1;
    await archive.forget(inUse);
    assertEquals(await kept(), [true, true, true]);
    assert((await archive.head("lobby")).seq > 0);
    elapsedMs = FORGET_AFTER_MS;
    await archive.forget(inUse);
    assertEquals(await kept(), [false, false, false]);
    assertEquals((await archive.head("lobby")).seq, 0);
    archive.close();
  }));

Deno.test("a name in a data file of version 2 counts as used for long", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/test.db`;
    const machine = { ...newContext(), uptime: Deno.osUptime };
    const made = new SqliteArchive(path, 100, machine);
    const ada = await made.register("Ada");
    made.close();
    const old = new DatabaseSync(path);
    old.exec(`
      ALTER TABLE identity DROP COLUMN made_at;
      PRAGMA user_version = 2;
    `);
    old.close();
    const archive = new SqliteArchive(path, 100, machine);
    assertEquals((await archive.identify(ada?.key ?? ""))?.name, "Ada");
    archive.close();
    const db = new DatabaseSync(path);
    const span = db.prepare("SELECT used_at - made_at AS ms FROM identity");
    assert(Number(span.get()?.ms) >= FORGET_AFTER_MS);
    db.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("names that look alike, in an older data file, stay; nobody gets a third", () =>
  withCopy(async (path) => {
    const old = new DatabaseSync(path);
    old.exec(`
      UPDATE identity SET name = 'coco', folded = 'coco' WHERE name = 'Lonely';
      UPDATE identity SET name = 'сосо', folded = 'сосо'
        WHERE name = 'Grace Hopper';
    `);
    old.close();
    const machine = { ...newContext(), uptime: Deno.osUptime };
    const archive = new SqliteArchive(path, 100, machine);
    assertEquals(await archive.isReserved("Ada LoveIace"), true);
    assertEquals(await archive.register("СOСO"), undefined);
    const bob = await archive.register("bob");
    assert(bob !== undefined);
    assertEquals(await archive.rename(bob, "cОcО"), false);
    archive.close();
    const db = new DatabaseSync(path);
    const names = db.prepare("SELECT name FROM identity ORDER BY name").all();
    assertEquals(
      names.map(({ name }) => name),
      ["Ada Lovelace", "bob", "coco", "cosmic-cod", "сосо"],
    );
    db.close();
  }));

Deno.test("a data file of version 1 that was not closed begins a new epoch", () =>
  withCopy(async (path) => {
    const machine = { ...newContext(), uptime: Deno.osUptime };
    const old = new DatabaseSync(path);
    old.exec("UPDATE log SET is_closed = 0");
    const epoch = old.prepare("SELECT epoch FROM log").get()?.epoch;
    old.close();
    const archive = new SqliteArchive(path, 100, machine);
    assert((await archive.head("lobby")).epoch !== epoch);
    archive.close();
  }));

Deno.test("a data file of a newer version is refused in a sentence and stays as it is", () =>
  withCopy(async (path) => {
    new SqliteArchive(path, 100, { ...newContext(), uptime: Deno.osUptime })
      .close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 7;");
    db.close();
    const before = await Deno.readFile(path);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "main.ts", "--data", path, "--port", "0"],
      cwd: ROOT,
    }).output();
    assertEquals([code, stdout.length], [1, 0]);
    assertMatch(
      new TextDecoder().decode(stderr).replace(path, "FILE"),
      /^partyline: FILE was written by a newer Partyline \(its format is 7, this one reads up to 3\): start that version, or choose another --data\.\n$/,
    );
    assertEquals(await Deno.readFile(path), before);
    const names = [...Deno.readDirSync(path.slice(0, -"/test.db".length))];
    assertEquals(names.map(({ name }) => name).sort(), [
      "test.db",
      "test.db-run",
    ]);
  }));
