// `partyline backup COPY`: the copy is whole, the server goes on meanwhile and has
// its file for itself again after it, and the copy begins a new epoch.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { backup, Lender } from "../../chat/backup.ts";
import { copyDataFile } from "../../chat/store/data_file.ts";
import { LocalStore } from "../../chat/store/local.ts";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import { StoreError } from "../../chat/store/store.ts";
import { ALL, draft, fill, say, seqs } from "../support/store_contract.ts";
import {
  Client,
  newContext,
  range,
  soon,
  START_DEADLINE_MS,
  startServer,
  until,
} from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const machine = { ...newContext(), uptime: Deno.osUptime };

async function withFolder(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A store on a file that is lent to those who ask. */
function openLent(path: string) {
  const lender = new Lender(newContext().logger);
  const archive = new SqliteArchive(path, 100_000, machine, lender.address);
  const started = lender.start(archive);
  const store = new LocalStore(archive, machine);
  return Object.assign(store, {
    lender,
    async [Symbol.asyncDispose]() {
      lender.close();
      await started;
      store.close();
    },
  });
}

function open(path: string) {
  return new LocalStore(new SqliteArchive(path, 100_000, machine), machine);
}

/** Whether no other program can open the file. */
function isTaken(path: string): boolean {
  try {
    open(path).close();
    return false;
  } catch (error) {
    assert(error instanceof StoreError, `${error}`);
    return true;
  }
}

const namesIn = (folder: string) =>
  [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("a copy holds all that was stored when it was made, and begins a new epoch", () =>
  withFolder(async (folder) => {
    const [data, copy] = [`${folder}/chat.db`, `${folder}/copy.db`];
    await using store = openLent(data);
    const me = await store.register("Ada");
    await fill(store, "a", 3, 4);
    const head = await store.head("a");
    await backup(data, copy);
    await fill(store, "a", 1);
    assertEquals(await store.head("a"), { ...head, seq: 8 });
    const copied = open(copy);
    assertEquals(seqs(await copied.after("a", 0, ALL)), range(1, 7));
    assertEquals((await copied.identify(me?.key ?? ""))?.name, "Ada");
    assert((await copied.head("a")).epoch !== head.epoch);
    copied.close();
  }));

Deno.test("a copy that is put back begins a new epoch each time, also beside the run file", () =>
  withFolder(async (folder) => {
    const [data, copy] = [`${folder}/chat.db`, `${folder}/copy.db`];
    const epochs = new Set<string>();
    {
      await using store = openLent(data);
      await fill(store, "a", 2);
      epochs.add((await store.head("a")).epoch);
      await backup(data, copy);
    }
    for (const _ of range(1, 2)) {
      Deno.copyFileSync(copy, data);
      const store = open(data);
      epochs.add((await store.head("a")).epoch);
      await fill(store, "a", 1);
      store.close();
    }
    assertEquals(epochs.size, 3);
  }));

Deno.test("while the file is copied it is written, and nobody else can write it, during and after", () =>
  withFolder(async (folder) => {
    const [data, copy] = [`${folder}/chat.db`, `${folder}/copy.db`];
    await using store = openLent(data);
    await fill(store, "a", 100);
    // One that has begun to copy, and does not go on.
    const borrower = await Deno.connect({
      hostname: "127.0.0.1",
      port: store.lender.address.port,
    });
    await borrower.write(
      new TextEncoder().encode(store.lender.address.secret),
    );
    await soon(borrower.read(new Uint8Array(9)), "the loan");
    assert(isTaken(data));
    const copied = backup(data, copy);
    for (const _ of range(1, 50)) {
      await say(store, "a", [draft("meanwhile")], 0);
    }
    await copied;
    assert(isTaken(data));
    borrower.close();
    await until(() => namesIn(folder).join() === NAMES, "the end of the loan");
    assert(isTaken(data));
    await fill(store, "a", 1);
    assertEquals((await store.head("a")).seq, 151);
  }));

/** Without an index that several programs share there is one program. */
const NAMES = "chat.db,chat.db-run,chat.db-wal,copy.db";

Deno.test("who does not know the password of the run file is lent nothing", () =>
  withFolder(async (folder) => {
    const data = `${folder}/chat.db`;
    await using store = openLent(data);
    await fill(store, "a", 1);
    const { port, secret } = store.lender.address;
    for (const wrong of ["", "x".repeat(secret.length), `${secret}x`]) {
      const guest = await Deno.connect({ hostname: "127.0.0.1", port });
      await guest.write(new TextEncoder().encode(wrong));
      await guest.closeWrite();
      // The end, or a reset.
      const read = guest.read(new Uint8Array(9)).catch(() => null);
      assertEquals(await soon(read, "the end"), null);
      guest.close();
    }
    if (Deno.build.os !== "windows") {
      assertEquals((Deno.statSync(`${data}-run`).mode ?? 0) & 0o777, 0o600);
    }
    // Not more of them at a time than so many; the oldest go, and not the owner.
    const guests = await Promise.all(
      range(1, 20).map(() => Deno.connect({ hostname: "127.0.0.1", port })),
    );
    const ends = guests.map((guest) =>
      guest.read(new Uint8Array(9)).catch(() => null)
    );
    await soon(Promise.all(ends.slice(0, 12)), "the end of those too many");
    await backup(data, `${folder}/copy`);
    for (const guest of guests) guest.close();
    await Promise.all(ends.map((end) => end.catch(() => {})));
  }));

Deno.test("a file that no server uses is copied too, also after the server was killed", () =>
  withFolder(async (folder) => {
    const data = `${folder}/chat.db`;
    {
      await using store = openLent(data);
      await fill(store, "a", 2);
      for (const suffix of ["", "-wal", "-run"]) {
        Deno.copyFileSync(data + suffix, `${folder}/killed.db${suffix}`);
      }
    }
    for (const name of ["chat.db", "killed.db"]) {
      const copy = `${folder}/copy of ${name}`;
      await backup(`${folder}/${name}`, copy);
      const copied = open(copy);
      assertEquals(seqs(await copied.after("a", 0, ALL)), [1, 2]);
      copied.close();
    }
  }));

Deno.test("a file of version 1 is copied too, and the copy begins a new epoch", () =>
  withFolder(async (folder) => {
    const [data, copy] = [`${folder}/v1.db`, `${folder}/copy.db`];
    await Deno.copyFile(`${ROOT}tests/support/fixtures/v1.db`, data);
    await copyDataFile(data, copy);
    const [was, is] = [open(data), open(copy)];
    const [before, after] = [await was.head("lobby"), await is.head("lobby")];
    assertEquals(after.seq, before.seq);
    assert(after.epoch !== before.epoch);
    was.close();
    is.close();
  }));

/** The program with the permissions of `deno task start`. */
function command(...args: string[]): Deno.Command {
  const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
  return new Deno.Command(Deno.execPath(), {
    args: [...start, ...args],
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  });
}

async function run(...args: string[]) {
  const { code, stdout, stderr } = await command(...args).output();
  const [out = "", err = ""] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  return { code, stdout: out, stderr: err };
}

Deno.test("a server with TLS, a base path and another host lends its file too", () =>
  withFolder(async (folder) => {
    const [data, copy] = [`${folder}/chat.db`, `${folder}/copy.db`];
    const certificates = "tests/support/certificates";
    const child = command(
      ...["--data", data, "--port", "0", "--base", "/chat/"],
      ...["--host", Deno.build.os === "linux" ? "127.0.0.2" : "127.0.0.1"],
      ...["--cert", `${certificates}/first.pem`],
      ...["--key", `${certificates}/first.key`],
    ).spawn();
    const stdout = new TextReader(child.stdout);
    await stdout.until(/moderator.*\n/, START_DEADLINE_MS);
    const made = await run("backup", copy, "--data", data);
    assertEquals(made, {
      code: 0,
      stdout: `${data} was copied to ${copy}.\n`,
      stderr: "",
    });
    if (Deno.build.os !== "windows") {
      assertEquals((Deno.statSync(copy).mode ?? 0) & 0o777, 0o600);
    }
    child.kill("SIGTERM");
    assertEquals((await soon(child.status, "the end")).code, 0);
    await stdout.cancel();
    await child.stderr.cancel();
    assertEquals(
      JSON.parse(await Deno.readTextFile(`${data}-run`)).server,
      undefined,
    );
    await using server = await startServer({ data: copy });
    await using client = await Client.open(server.ws);
    assertEquals((await client.say("hello")).seq, 1);
  }));

Deno.test("a file that was there before stays, whichever of the two names it has", () =>
  withFolder(async (folder) => {
    const data = `${folder}/a.db`;
    await using store = openLent(data);
    await say(store, "a", [draft("x")], 0);
    for (const name of ["copy", "copy.part"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "precious");
      const error = await backup(data, `${folder}/copy`).catch((e) => e);
      assertStringIncludes(`${error}`, `${name} already exists`);
      assertEquals(await Deno.readTextFile(`${folder}/${name}`), "precious");
      await Deno.remove(`${folder}/${name}`);
    }
    await backup(data, `${folder}/copy`);
  }));

Deno.test("why there can be no copy is told in a sentence, and nothing is left behind", () =>
  withFolder(async (folder) => {
    const [data, there] = [`${folder}/chat.db`, `${folder}/there`];
    await Deno.writeTextFile(there, "dear diary, ".repeat(1_000));
    const held = open(data);
    const names = namesIn(folder);
    for (
      const [args, code, complaint] of [
        [[], 2, /needs a name for the copy/],
        [["--data", data], 2, /needs a name for the copy/],
        [["c", "--dat", data], 2, /unknown option --dat/],
        [[there, "--data", data], 1, /there already exists/],
        [[data, "--data", data], 1, /choose another name for the copy\.$/m],
        [[`${data}-run`, "--data", data], 1, /another name for the copy\.$/m],
        [["no/c", "--data", data], 1, /no\/c cannot be written/],
        [["c", "--data", data, "--port", "3"], 2, /leave out --port\.$/m],
        [["c", "--data", `${folder}/no`], 1, /\/no does not exist:/],
        [["c", "--data", there], 1, /there is not a database/],
        [["c", "--data", data], 1, /is in use by another server/],
        [["c", "--data", ":memory:"], 1, /nothing to copy/],
        [["c", "--data", "redis://h"], 1, /redis-cli --rdb/],
      ] as [string[], number, RegExp][]
    ) {
      const [copy = "", ...rest] = args;
      const place = copy === "c" ? `${folder}/c` : copy;
      const failed = await run("backup", ...(copy ? [place, ...rest] : []));
      assertMatch(failed.stderr, complaint);
      assertEquals(failed.stderr.trim().split("\n").length, 1);
      assertEquals([failed.code, failed.stdout], [code, ""]);
    }
    assertEquals(namesIn(folder), names);
    held.close();
    assertStringIncludes((await run("backup", "--help")).stdout, "backup COPY");
  }));
