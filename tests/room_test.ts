// What room.ts promises: one order for all, turns, and nothing seen that is not
// stored. Members are plain objects here; sockets come in other tests.
import { setImmediate } from "node:timers";
import { assert, assertEquals } from "@std/assert";
import { type Log, MemoryLog } from "../chat/log.ts";
import type { ErrorCode } from "../chat/protocol.ts";
import {
  MAX_QUEUED,
  type Member,
  PRESENCE_PAUSE_MS,
  Room,
  type Turn,
} from "../chat/room.ts";
import { newWorld, until } from "./harness.ts";

class Listener implements Member {
  readonly heard: string[] = [];
  readonly frames: string[] = [];
  readonly refusals: [ErrorCode, string | undefined][] = [];
  readonly acknowledged: string[] = [];
  restarts = 0;

  constructor(readonly name: string, private readonly then = () => {}) {}

  deliver(turn: Turn) {
    this.frames.push(turn.frame);
    for (const event of turn.plain) this.heard.push(JSON.parse(event).message);
    this.then();
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
  { log = new MemoryLog(100_000) as Log, maxTurnChars = 256 * 1024 } = {},
) {
  const room = new Room(
    "lobby",
    log,
    maxTurnChars,
    newWorld({ now: () => 0 }),
    () => {},
  );
  for (const member of members) {
    room.guests.add(member);
    room.members.add(member);
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
  for (const text of ["1", "2", "3"]) room.say(a, text);
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
  members.forEach((member, i) => room.say(member, `${i}`));
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
    room.say(a, "again");
  });
  using room = roomOf([a, b]);
  room.say(a, "once");
  await hears(a, 3);
  assertEquals(a.heard, ["once", "Client disconnected", "again"]);
  assertEquals(b.heard, []);
  assertEquals(late.heard, ["once", "Client disconnected", "again"]);
});

Deno.test("a leave comes after what the leaver said, and only once", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  room.say(a, "bye");
  room.leave(a);
  room.leave(a);
  await hears(b, 2);
  assertEquals(b.heard, ["bye", "Client disconnected"]);
  assertEquals(a.heard, []);
});

Deno.test("a turn carries what fits, the next turn the rest", async () => {
  const a = new Listener("a");
  using room = roomOf([a], { maxTurnChars: 1_000 });
  for (let i = 0; i < 10; i++) room.say(a, "x".repeat(300));
  await hears(a, 10);
  assert(a.frames.length >= 4);
});

Deno.test("a message longer than a turn still goes out", async () => {
  const a = new Listener("a");
  using room = roomOf([a], { maxTurnChars: 10 });
  room.say(a, "x".repeat(100));
  await hears(a, 1);
});

Deno.test("a queue that is full refuses the message, not the leave", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  for (let i = 0; i < MAX_QUEUED; i++) assert(room.say(a, ""));
  assertEquals(room.say(a, "one too many"), false);
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
      room.say(watcher, "in the middle");
      await hears(watcher, 1);
      assert(joined().length < 1_000);
    }
  }
  await until(() => joined().length === 1_000, "all joins");
  assert(watcher.frames.length <= 4, `${watcher.frames.length} frames`);
  assertEquals(joined().map(({ sender }) => sender).at(-1), "m999");
  assert(PRESENCE_PAUSE_MS <= 1_000);
});

Deno.test("typing is told once a turn, and no flood of it keeps messages out", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  using room = roomOf([a, b]);
  for (let i = 0; i < MAX_QUEUED + 10; i++) room.typing(a);
  assert(room.say(b, "heard"));
  await hears(a, 1);
  const types = a.frames.flatMap((frame) => JSON.parse(frame))
    .map(({ type }) => type);
  assertEquals(types, ["typing", "message"]);
});

Deno.test("a member that throws does not stop the room", async () => {
  const a = new Listener("a");
  let isBroken = true;
  const b = new Listener("b", () => {
    if (isBroken) throw new Error("broken (on purpose)");
  });
  using room = roomOf([b, a]);
  const fault = Promise.withResolvers<PromiseRejectionEvent>();
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    fault.resolve(event);
  };
  addEventListener("unhandledrejection", listen);
  room.say(a, "1");
  await fault.promise;
  removeEventListener("unhandledrejection", listen);
  isBroken = false;
  room.say(a, "2");
  await hears(a, 1);
  assertEquals(a.heard, ["2"]);
});

/** A log whose appends wait until they are let go, and may fail. */
class SlowLog extends MemoryLog {
  readonly waiting: { go: () => void; fail: () => void; count: number }[] = [];

  override async append(...args: Parameters<MemoryLog["append"]>) {
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
  const log = new SlowLog(100);
  using room = roomOf([a], { log });
  room.say(a, "1");
  await until(() => log.waiting.length === 1, "the first append");
  for (const text of ["2", "3", "4"]) room.say(a, text);
  await new Promise((resolve) => setImmediate(resolve));
  assertEquals(log.waiting.length, 1);
  assertEquals(a.heard, []);
  log.waiting[0]?.go();
  await until(() => log.waiting.length === 2, "the second append");
  assertEquals(log.waiting[1]?.count, 3);
  log.waiting[1]?.go();
  await hears(a, 4);
  assertEquals(a.heard, ["1", "2", "3", "4"]);
});

Deno.test("a turn that is not stored is told to its authors and seen by nobody", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const log = new SlowLog(100);
  using room = roomOf([a, b], { log });
  const { error } = console;
  console.error = () => {};
  room.say(a, "lost", "identity", "id-1");
  await until(() => log.waiting.length === 1, "the append");
  log.waiting[0]?.fail();
  await until(() => a.refusals.length === 1, "the refusal");
  console.error = error;
  assertEquals(a.refusals, [["log_unavailable", "id-1"]]);
  room.say(b, "kept");
  await until(() => log.waiting.length === 2, "the next append");
  log.waiting[1]?.go();
  await hears(a, 1);
  assertEquals([a.heard, b.heard], [["kept"], ["kept"]]);
  assertEquals(room.head.seq, 1);
});

Deno.test("a message sent again goes back to its sender alone", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const log = new MemoryLog(100);
  const identity = await log.register("a", 0);
  using room = roomOf([a, b], { log });
  room.say(a, "hi", identity?.id, "id-1");
  room.say(a, "hi", identity?.id, "id-1");
  room.say(a, "end");
  await hears(b, 2);
  assertEquals(b.heard, ["hi", "end"]);
  assertEquals(a.acknowledged.map((event) => JSON.parse(event).seq), [1]);
});

Deno.test("members are told when the log began anew", async () => {
  const a = new Listener("a");
  const logs = [new MemoryLog(10), new MemoryLog(10)] as const;
  let current = logs[0];
  const log: Log = new Proxy(logs[0], {
    get: (_, name) => current[name as keyof MemoryLog].bind(current),
  });
  using room = roomOf([a], { log });
  room.say(a, "1");
  await hears(a, 1);
  current = logs[1];
  room.say(a, "2");
  await hears(a, 2);
  assertEquals(a.restarts, 1);
  assertEquals(room.head, await logs[1].head("lobby"));
});
