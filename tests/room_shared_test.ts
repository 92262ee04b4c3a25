// What room_shared.ts promises: what its log tells is what the members get,
// once and in order, whatever was missed or came at an awkward moment. The log
// is one that the tests tell what to answer, and when.
import { assert, assertEquals } from "@std/assert";
import type { ReadLimit, Stored } from "../chat/log.ts";
import type {
  Entry,
  Follower,
  Heard,
  Presence,
  SharedLog,
  Snapshot,
} from "../chat/log_shared.ts";
import { encode, encodeMessage, MAX_HISTORY } from "../chat/protocol.ts";
import { MAX_QUEUED, type Member, type Turn } from "../chat/room.ts";
import { MAX_HEARD, SharedRoom } from "../chat/room_shared.ts";
import { newWorld, until, type WireEvent } from "./harness.ts";

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** A call that waits for its answer. */
interface Asked<T> {
  values: unknown[];
  answer(value: T): void;
  fail(): void;
}

/** Answers when it is told to; what a room does not ask of it is missing. */
class StubLog {
  follower: Follower | undefined;
  readonly syncs: Asked<Snapshot>[] = [];
  readonly reads: Asked<string[] | undefined>[] = [];
  readonly commits: (readonly Entry[])[] = [];

  follow(_room: string, follower: Follower) {
    this.follower = follower;
    return Promise.resolve();
  }
  unfollow() {
    this.follower = undefined;
  }
  sync(_room: string, members: readonly Presence[]) {
    return this.#ask(this.syncs, members.map(({ name }) => name));
  }
  after(_room: string, seq: number, limit: ReadLimit) {
    return this.#ask(this.reads, seq, limit);
  }
  commit(_room: string, entries: readonly Entry[]) {
    this.commits.push(entries);
    return Promise.resolve({ epoch: "e", stored: [] as Stored[] });
  }

  #ask<T>(calls: Asked<T>[], ...values: unknown[]): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    calls.push({
      values,
      answer: resolve,
      fail: () => reject(new Error("the log is away")),
    });
    return promise;
  }

  /** The next call of that kind. */
  async next<T>(calls: Asked<T>[]): Promise<Asked<T>> {
    await until(() => calls.length > 0, "a question");
    return calls.shift() as Asked<T>;
  }

  tell(turn: Partial<Heard>) {
    this.follower?.heard({ epoch: "e", clock: 0, events: [], ...turn });
  }
}

class Listener implements Member {
  readonly hold = 1;
  readonly heard: WireEvent[] = [];
  readonly ends: string[] = [];
  constructor(public name: string) {}
  deliver(turn: Turn) {
    this.heard.push(...turn.events.map((event) => JSON.parse(event)));
  }
  acknowledge() {}
  refuse() {}
  restart() {
    this.ends.push("restart");
  }
  lag() {
    this.ends.push("lag");
  }
  get seqs() {
    return this.heard.filter(({ seq }) => seq).map(({ seq }) => seq);
  }
}

const message = (seq: number) =>
  encodeMessage(seq, `"at":"","sender":"Bob","message":"${seq}"}`);
const messages = (first: number, last: number) =>
  range(first, last).map(message);
const join = (sender: string, count: number) =>
  encode({ type: "join", at: "", sender, count });
const leave = (sender: string, count: number) => {
  const message = "Client disconnected";
  return encode({ type: "leave", at: "", sender, message, count });
};
const rename = (sender: string, name: string) =>
  encode({ type: "rename", at: "", sender, name });

const EMPTY: Snapshot = { epoch: "e", seq: 0, clock: 0, names: [] };

/** A room that is about to be opened; its timers end with it. */
function roomOn(log: StubLog) {
  const room = new SharedRoom(
    "lobby",
    log as unknown as SharedLog,
    256 * 1024,
    newWorld({ now: () => 0 }),
    () => {},
  );
  return Object.assign(room, {
    enter(name: string) {
      const member = new Listener(name);
      room.guests.add(member);
      room.join(member);
      return member;
    },
    [Symbol.dispose]() {
      for (const member of room.guests) room.leave(member);
      room.close();
    },
  });
}

async function openRoom(log: StubLog, snapshot: Partial<Snapshot> = {}) {
  const room = roomOn(log);
  const opened = room.open();
  (await log.next(log.syncs)).answer({ ...EMPTY, ...snapshot });
  await opened;
  return room;
}

Deno.test("what is heard before the snapshot comes is told after it, and nothing twice", async () => {
  const log = new StubLog();
  using room = roomOn(log);
  const opened = room.open();
  const sync = await log.next(log.syncs);
  log.tell({ clock: 4, events: [join("Old", 1), message(7)] });
  log.tell({ clock: 5, events: [leave("Old", 0), message(8)] });
  log.tell({ clock: 6, events: [join("New", 2), message(9)] });
  sync.answer({ epoch: "e", seq: 8, clock: 5, names: ["Bob"] });
  await opened;
  const ann = room.enter("Ann");
  await until(() => ann.heard.length === 2, "what is new");
  assertEquals(ann.heard.map(({ type }) => type), ["join", "message"]);
  assertEquals(ann.seqs, [9]);
  assertEquals([...room.names()].sort(), ["Ann", "Bob", "New"]);
  assertEquals(room.count, 3);
});

Deno.test("messages that were not heard are read, page by page, before the next", async () => {
  const log = new StubLog();
  using room = await openRoom(log, { seq: 10 });
  const ann = room.enter("Ann");
  log.tell({ clock: 1, events: [join("Bob", 2), message(500)] });
  log.tell({ clock: 2, events: [message(501), leave("Bob", 1)] });
  for (const from of [10, 210, 410]) {
    const read = await log.next(log.reads);
    assertEquals(read.values[0], from);
    assertEquals((read.values[1] as ReadLimit).count, MAX_HISTORY);
    assertEquals(ann.seqs, range(11, from));
    // There may be more by now than what was heard of.
    read.answer(messages(from + 1, Math.min(from + MAX_HISTORY, 502)));
  }
  await until(() => room.head.seq === 502, "all of it");
  await until(() => room.count === 1, "the leave");
  log.tell({ clock: 3, events: [message(502)] });
  log.tell({ clock: 4, events: [message(503)] });
  await until(() => room.head.seq === 503, "the next");
  assertEquals(ann.seqs, range(11, 503));
  const others = ann.heard.filter(({ seq }) => !seq);
  assertEquals(others.map(({ type }) => type), ["join", "leave"]);
});

Deno.test("a room that is told more than it can note asks the log instead", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  log.tell({ clock: 1, events: [message(2)] });
  const read = await log.next(log.reads);
  const last = MAX_HEARD + 50;
  for (const seq of range(3, last)) {
    log.tell({ clock: seq, events: [join(`guest ${seq}`, seq), message(seq)] });
  }
  read.answer([message(1)]);
  const sync = await log.next(log.syncs);
  assertEquals(sync.values, [["Ann"]]);
  const names = range(3, last).map((n) => `guest ${n}`);
  sync.answer({ epoch: "e", seq: last, clock: last, names });
  for (let from = room.head.seq; from < last; from += MAX_HISTORY) {
    const read = await log.next(log.reads);
    assertEquals(read.values[0], from);
    read.answer(messages(from + 1, Math.min(from + MAX_HISTORY, last)));
  }
  await until(() => room.count === last - 1, "who is there");
  assertEquals(ann.seqs, range(1, last));
  const joined = ann.heard.filter(({ type }) => type === "join");
  assertEquals(joined.map(({ sender }) => sender).sort(), names.toSorted());
  log.tell({ clock: last + 1, events: [message(last + 1)] });
  await until(() => ann.seqs.at(-1) === last + 1, "the next");
  assertEquals(ann.ends, []);
});

Deno.test("what cannot be read any more is told to those who would miss it", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  log.tell({ clock: 1, events: [message(50)] });
  (await log.next(log.reads)).answer(undefined);
  await until(() => room.head.seq === 50, "the message");
  assertEquals([ann.ends, ann.seqs], [["lag"], [50]]);
});

Deno.test("a read that fails is made up for with the next that is heard", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  log.tell({ clock: 1, events: [join("Bob", 2), message(3)] });
  (await log.next(log.reads)).fail();
  await new Promise((resolve) => setTimeout(resolve));
  log.tell({ clock: 2, events: [message(4)] });
  const names = ["Ann", "Bob"];
  (await log.next(log.syncs)).answer({ epoch: "e", seq: 4, clock: 2, names });
  (await log.next(log.reads)).answer(messages(1, 4));
  await until(() => room.count === 2, "Bob");
  assertEquals(ann.seqs, [1, 2, 3, 4]);
});

Deno.test("whoever comes or goes while the log is asked is there, or gone, afterwards", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  const bob = room.enter("Bob");
  log.tell({ clock: 1, events: [join("Ann", 1), join("Bob", 2)] });
  room.resync();
  const sync = await log.next(log.syncs);
  assertEquals(sync.values, [["Ann", "Bob"]]);
  const carl = room.enter("Carl");
  room.leave(bob);
  const names = ["Ann", "Bob", "Dora"];
  sync.answer({ epoch: "e", seq: 0, clock: 2, names });
  await until(() => [...room.names()].includes("Dora"), "Dora");
  log.tell({ clock: 2, events: [join("Dora", 3)] });
  log.tell({ clock: 3, events: [join("Carl", 4), leave("Bob", 3)] });
  await until(() => room.count === 3, "the leave");
  assertEquals([...room.names()].sort(), ["Ann", "Carl", "Dora"]);
  const heard = (member: Listener) =>
    member.heard.map(({ type, sender }) => `${type} ${sender}`);
  assertEquals(heard(carl), ["join Dora", "join Carl", "leave Bob"]);
  const before = ["join Ann", "join Bob"];
  assertEquals(heard(ann), [...before, ...heard(carl)]);
});

Deno.test("a room that was left tells the log nothing more of who is there", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  room.resync();
  const sync = await log.next(log.syncs);
  room.resync();
  room.leave(ann);
  room.close();
  sync.answer(EMPTY);
  await until(() => log.commits.length > 0, "the leave");
  await room.open();
  assertEquals([log.syncs.length, log.follower], [0, undefined]);
});

Deno.test("more comings and goings than can wait are told to the log as who is there", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  const guests = range(1, MAX_QUEUED).map((n) => room.enter(`guest ${n}`));
  for (const guest of guests.slice(1)) room.leave(guest);
  let names: string[] = [];
  while (names.length !== 2) {
    const { values, answer } = await log.next(log.syncs);
    names = values[0] as string[];
    answer({ ...EMPTY, clock: 1, names });
  }
  assertEquals(names, ["Ann", "guest 1"]);
  await until(() => room.count === 2, "those who are there");
  assertEquals(ann.ends, []);
  // What was left out is not told later.
  const told = log.commits.flat().length;
  assert(told < MAX_QUEUED, `${told}`);
});

Deno.test("whoever was renamed in a turn that was lost hears of it all the same", async () => {
  const log = new StubLog();
  using room = await openRoom(log);
  const ann = room.enter("Ann");
  log.tell({ clock: 1, events: [join("Ann", 1)] });
  const renameTo = (name: string) => {
    const before = ann.name;
    ann.name = name;
    room.rename(ann, before);
  };
  renameTo("Anna");
  renameTo("Annika");
  // Of two turns only the first is heard.
  log.tell({ clock: 2, events: [rename("Ann", "Anna")] });
  await until(() => ann.heard.length === 2, "the first name");
  log.follower?.resync();
  const { answer } = await log.next(log.syncs);
  answer({ ...EMPTY, clock: 4, names: ["Annika"] });
  const named = () => ann.heard.map(({ type, name }) => `${type} ${name}`);
  await until(() => named().includes("rename Annika"), "the new name");
  assertEquals(named().slice(1), ["rename Anna", "rename Annika"]);
  // And it is not told once more.
  log.follower?.resync();
  (await log.next(log.syncs)).answer({ ...EMPTY, clock: 5, names: ["Annika"] });
  log.tell({ clock: 6, events: [join("Bob", 2)] });
  await until(() => room.count === 2, "Bob");
  assertEquals(named().slice(3), ["join undefined"]);
});

Deno.test("a room that nobody waits for any more is not opened", async () => {
  const log = new StubLog();
  using room = roomOn(log);
  room.close();
  await room.open();
  assertEquals([log.syncs.length, log.follower], [0, undefined]);
});

Deno.test("another epoch begins after what came before its first message", async () => {
  const log = new StubLog();
  using room = await openRoom(log, { seq: 10, names: ["Bob"] });
  const ann = room.enter("Ann");
  log.tell({ epoch: "f", clock: 20, events: [message(1)] });
  const sync = await log.next(log.syncs);
  assertEquals([ann.ends, ann.seqs], [["restart"], [1]]);
  sync.answer({ epoch: "f", seq: 1, clock: 20, names: ["Ann"] });
  await until(() => room.count === 1, "who is left");
  assertEquals(room.head, { epoch: "f", seq: 1 });
});
