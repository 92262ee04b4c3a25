// What room.ts promises: one order for all, turns, and nothing seen that is not
// stored. Members are plain objects here; sockets come in other tests.
import { setImmediate } from "node:timers";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Archive, LocalStore } from "../../chat/store/local.ts";
import { Logger } from "../../chat/ops/logger.ts";
import { MemoryArchive } from "../../chat/store/memory.ts";
import type { ErrorCode } from "../../chat/protocol/events.ts";
import { type Member, PRESENCE_PAUSE_MS, Room } from "../../chat/room/room.ts";
import { Board } from "../../chat/room/board.ts";
import { SharedRate } from "../../chat/room/rates.ts";
import { turnOf } from "../../chat/store/roster.ts";
import { MAX_QUEUED, type Turn } from "../../chat/room/turn.ts";
import { newContext, until } from "../support/harness.ts";

class Listener implements Member {
  readonly heard: string[] = [];
  readonly frames: string[] = [];
  readonly refusals: [ErrorCode, string | undefined][] = [];
  readonly acknowledged: string[] = [];
  restarts = 0;

  constructor(readonly name: string, private readonly then = () => {}) {}

  readonly session = {
    send: (frame: string) => {
      this.frames.push(frame);
      this.then();
    },
  };

  framesOf(turn: Turn) {
    for (const { text } of turn.plain) {
      this.heard.push(JSON.parse(text).message);
    }
    return turn.frames;
  }
  acknowledge(event: string) {
    this.acknowledged.push(event);
  }
  refuse(code: ErrorCode, _message: string, id?: string) {
    this.refusals.push([code, id]);
  }
  restart() {
    this.restarts++;
  }
}

/** A room whose presence pause is ended with it, so that no timer is left. */
function roomOf(
  members: Listener[],
  {
    archive = new MemoryArchive(100_000, () => 0) as Archive,
    maxTurnChars = 256 * 1024,
    logger = new Logger("text", () => {}, Date.now),
  } = {},
) {
  const context = newContext({ now: () => 0, logger });
  const room = new Room(
    "lobby",
    new LocalStore(archive, context),
    maxTurnChars,
    new SharedRate(0),
    new Board(new SharedRate(0)),
    context,
    () => {},
  );
  room.open();
  for (const member of members) {
    room.guests.add(member);
    room.members.add(member);
    room.roster.add(member.name);
  }
  return Object.assign(room, {
    [Symbol.dispose]() {
      for (const member of room.guests) room.leave(member);
    },
  });
}

const hears = (member: Listener, count: number) =>
  until(() => member.heard.length >= count, `${count} events`);

Deno.test("messages of one moment share a turn, in order", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  for (const text of ["1", "2", "3"]) room.say(a, { message: text });
  assertEquals(b.heard, []);
  await hears(b, 3);
  assertEquals([a.heard, b.heard], [["1", "2", "3"], ["1", "2", "3"]]);
  assertEquals(b.frames.length, 1);
});

Deno.test("1,000 members see one turn's messages in the same order", async () => {
  const members = Array.from(
    { length: 1_000 },
    (_, i) => new Listener(`m${i}`),
  );
  using room = roomOf(members);
  members.forEach((member, i) => room.say(member, { message: `${i}` }));
  await hears(members[999] as Listener, 1_000);
  const order = members.map((_, i) => `${i}`).join();
  for (const { heard } of members) assertEquals(heard.join(), order);
});

Deno.test("joining, leaving and sending during a broadcast are safe", async () => {
  const [late, b] = [new Listener("late"), new Listener("b")];
  const a: Listener = new Listener("a", () => {
    if (a.frames.length > 1) return;
    room.leave(b);
    room.guests.add(late);
    room.members.add(late);
    room.say(a, { message: "again" });
  });
  using room = roomOf([a, b]);
  room.say(a, { message: "once" });
  await hears(a, 3);
  assertEquals(a.heard, ["once", "Client disconnected", "again"]);
  assertEquals(b.heard, []);
  assertEquals(late.heard, ["once", "Client disconnected", "again"]);
});

Deno.test("a leave comes after what the leaver said, and only once", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  room.say(a, { message: "bye" });
  room.leave(a);
  room.leave(a);
  await hears(b, 2);
  assertEquals(b.heard, ["bye", "Client disconnected"]);
  assertEquals(a.heard, []);
});

Deno.test("a turn carries what fits, the next turn the rest", async () => {
  const a = new Listener("a");
  using room = roomOf([a], { maxTurnChars: 1_000 });
  for (let i = 0; i < 10; i++) room.say(a, { message: "x".repeat(300) });
  await hears(a, 10);
  assert(a.frames.length >= 4);
});

Deno.test("a page of the history is at most as large as a turn, whatever is asked for", async () => {
  const a = new Listener("a");
  using room = roomOf([a], { maxTurnChars: 1_000 });
  for (let i = 0; i < 10; i++) room.say(a, { message: "x".repeat(300) });
  await hears(a, 10);
  const { events, more } = await room.before(11, 10, 100_000);
  assert(events.join("").length <= 1_000);
  assert(events.length > 0 && more);
});

Deno.test("a message longer than a turn still goes out", async () => {
  const a = new Listener("a");
  using room = roomOf([a], { maxTurnChars: 10 });
  room.say(a, { message: "x".repeat(100) });
  await hears(a, 1);
});

Deno.test("a queue that is full refuses the message, not the leave", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  for (let i = 0; i < MAX_QUEUED; i++) assert(room.say(a, { message: "" }));
  assertEquals(room.say(a, { message: "one too many" }), false);
  room.leave(a);
  await hears(b, MAX_QUEUED + 1);
  assertEquals(b.heard.at(-1), "Client disconnected");
});

Deno.test("a storm of 1,000 joins is a few frames, and messages do not wait for it", async () => {
  const watcher = new Listener("watcher");
  using room = roomOf([watcher]);
  const joined = () =>
    watcher.frames.flatMap((frame) => JSON.parse(frame))
      .filter(({ type }) => type === "join");
  for (let i = 0; i < 1_000; i++) {
    const member = new Listener(`m${i}`);
    room.guests.add(member);
    room.join(member);
    if (i === 500) {
      room.say(watcher, { message: "in the middle" });
      await hears(watcher, 1);
      assert((joined().at(-1)?.count ?? 0) < 1_001);
    }
  }
  await until(() => joined().at(-1)?.count === 1_001, "all joins");
  assert(watcher.frames.length <= 4, `${watcher.frames.length} frames`);
  assert(PRESENCE_PAUSE_MS <= 1_000);
});

Deno.test("typing is told once a turn, and no flood of it keeps messages out", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  for (let i = 0; i < MAX_QUEUED + 10; i++) room.typing(a);
  assert(room.say(b, { message: "heard" }));
  await hears(a, 1);
  const types = a.frames.flatMap((frame) => JSON.parse(frame))
    .map(({ type }) => type);
  assertEquals(types, ["typing", "message"]);
});

Deno.test("whoever goes on typing after a turn is told of again", async () => {
  const a = new Listener("a");
  using room = roomOf([a]);
  for (const [i, message] of ["1", "2"].entries()) {
    room.typing(a);
    room.say(a, { message });
    await hears(a, i + 1);
  }
  const types = a.frames.flatMap((frame) => JSON.parse(frame))
    .map(({ type }) => type);
  assertEquals(types, ["typing", "message", "typing", "message"]);
});

Deno.test("a member that throws harms no other member, and the fault is logged", async () => {
  const a = new Listener("a");
  const b = new Listener("b", () => {
    throw new Error("broken (on purpose)");
  });
  const lines: string[] = [];
  const logger = new Logger("text", (line) => lines.push(line), Date.now);
  using room = roomOf([b, a], { logger });
  room.say(a, { message: "1" });
  room.say(b, { message: "2" });
  await hears(a, 2);
  assertEquals(a.heard, ["1", "2"]);
  assertEquals([a.refusals, b.refusals], [[], []]);
  assertMatch(lines.join("\n"), /broken \(on purpose\)/);
});

/** An archive whose appends wait until they are let go, and may fail. */
class SlowArchive extends MemoryArchive {
  readonly waiting: { go: () => void; fail: () => void; count: number }[] = [];

  override async append(...args: Parameters<MemoryArchive["append"]>) {
    await new Promise<void>((resolve, reject) => {
      this.waiting.push({
        go: resolve,
        fail: () => reject(new Error("disk full (on purpose)")),
        count: args[1].length,
      });
    });
    return await super.append(...args);
  }
}

Deno.test("one append is under way at a time, and the next turn grows meanwhile", async () => {
  const a = new Listener("a");
  const archive = new SlowArchive(100, () => 0);
  using room = roomOf([a], { archive });
  room.say(a, { message: "1" });
  await until(() => archive.waiting.length === 1, "the first append");
  for (const text of ["2", "3", "4"]) room.say(a, { message: text });
  await new Promise((resolve) => setImmediate(resolve));
  assertEquals(archive.waiting.length, 1);
  assertEquals(a.heard, []);
  archive.waiting[0]?.go();
  await until(() => archive.waiting.length === 2, "the second append");
  assertEquals(archive.waiting[1]?.count, 3);
  archive.waiting[1]?.go();
  await hears(a, 4);
  assertEquals(a.heard, ["1", "2", "3", "4"]);
});

Deno.test("a turn that is not stored is told to its authors and seen by nobody", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const archive = new SlowArchive(100, () => 0);
  using room = roomOf([a, b], { archive });
  const { error } = console;
  console.error = () => {};
  room.say(a, { message: "lost", id: "id-1" }, "identity");
  await until(() => archive.waiting.length === 1, "the append");
  archive.waiting[0]?.fail();
  await until(() => a.refusals.length === 1, "the refusal");
  console.error = error;
  assertEquals(a.refusals, [["log_unavailable", "id-1"]]);
  room.say(b, { message: "kept" });
  await until(() => archive.waiting.length === 2, "the next append");
  archive.waiting[1]?.go();
  await hears(a, 1);
  assertEquals([a.heard, b.heard], [["kept"], ["kept"]]);
  assertEquals(room.head.seq, 1);
});

Deno.test("a message sent again goes back to its sender alone", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const archive = new MemoryArchive(100, () => 0);
  const identity = await archive.register("a");
  using room = roomOf([a, b], { archive });
  room.say(a, { message: "hi", id: "id-1" }, identity?.id);
  await hears(b, 1);
  room.say(a, { message: "hi", id: "id-1" }, identity?.id);
  room.say(a, { message: "end" });
  await hears(b, 2);
  assertEquals(b.heard, ["hi", "end"]);
  assertEquals(a.acknowledged.map((event) => JSON.parse(event).seq), [1]);
});

Deno.test("members are told when the history began anew", async () => {
  const a = new Listener("a");
  const archives = [
    new MemoryArchive(10, () => 0),
    new MemoryArchive(10, () => 0),
  ] as const;
  let current = archives[0];
  const archive: Archive = new Proxy(archives[0], {
    get: (_, name) => current[name as keyof MemoryArchive].bind(current),
  });
  using room = roomOf([a], { archive });
  room.say(a, { message: "1" });
  await hears(a, 1);
  current = archives[1];
  room.say(a, { message: "2" });
  await hears(a, 2);
  assertEquals(a.restarts, 1);
  assertEquals(room.head, await archives[1].head("lobby"));
});

Deno.test("a rename onto a name that was told already leaves no ghost", () => {
  const member = { name: "b", generation: 0 };
  const at = "then";
  const rename = { kind: "rename", at, before: "a", member } as const;
  const late = { name: "c", generation: 0 };
  const join = { kind: "join", at, member: late } as const;
  const turn = turnOf([rename, join], [], new Set(["a", "b"]));
  assertEquals(turn.map(({ came, left }) => [left, came]), [
    ["a", "b"],
    [undefined, "c"],
  ]);
  assertEquals(turn[1]?.join?.count, 2);
});

Deno.test("who is renamed before the join was told is in the room once", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a]);
  room.guests.add(b);
  room.join(b);
  const renamed = Object.assign(b, { name: "bea" });
  room.rename(renamed, "b");
  room.publish([{ text: '{"type":"join"}', seq: 0, came: "b" }]);
  assertEquals([...room.names()].sort(), ["a", "b"]);
  assertEquals(room.count, 2);
  await until(() => room.roster.has("bea"), "the rename");
  assertEquals([...room.names()].sort(), ["a", "bea"]);
});
