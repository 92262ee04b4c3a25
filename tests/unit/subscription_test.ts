// What a room on Redis promises: what is heard there is what the members get, once
// and in order, whatever was missed or came at an awkward moment. Redis is one
// that the tests tell what to answer, and when.
import { assert, assertEquals } from "@std/assert";
import type {
  Deletions,
  Entry,
  Presence,
  ReadLimit,
  Store,
  Stored,
  Subscriber,
} from "../../chat/store/store.ts";
import {
  MAX_WAITING,
  type Position,
  Subscription,
} from "../../chat/store/redis/subscription.ts";
import { encode, encodeMessage } from "../../chat/protocol/events.ts";
import { MAX_HISTORY } from "../../chat/protocol/requests.ts";
import { type Member, Room } from "../../chat/room/room.ts";
import { Board } from "../../chat/room/board.ts";
import { SharedRate } from "../../chat/room/rates.ts";
import { MAX_QUEUED, type Turn } from "../../chat/room/turn.ts";
import {
  newContext,
  range,
  until,
  type WireEvent,
} from "../support/harness.ts";

/** A call that waits for its answer. */
interface Asked<T> {
  values: unknown[];
  answer(value: T): void;
  fail(): void;
}

/** Answers when it is told to; what a room does not ask of it is missing. */
class StubStore {
  subscription: Subscription | undefined;
  readonly syncs: Asked<Position>[] = [];
  readonly reads: Asked<string[] | undefined>[] = [];
  readonly appends: (readonly Entry[])[] = [];
  /** What was deleted, of which nothing was heard. */
  deleted: Deletions = { events: [], isComplete: true };

  subscribe(_room: string, subscriber: Subscriber) {
    this.subscription = new Subscription(subscriber, "here", {
      sync: (members: readonly Presence[]) =>
        this.#ask(this.syncs, members.map(({ name }) => name)),
      read: (seq: number, limit: ReadLimit) =>
        this.#ask(this.reads, seq, limit),
      deletions: () => Promise.resolve(this.deleted),
      noteStatus: () => {},
      noteClock: () => {},
    });
    return this.subscription.open();
  }
  unsubscribe() {
    this.subscription?.close();
    this.subscription = undefined;
  }
  resync() {
    this.subscription?.resync();
  }
  append(_room: string, entries: readonly Entry[]) {
    this.appends.push(entries);
    return Promise.resolve([] as Stored[]);
  }

  #ask<T>(calls: Asked<T>[], ...values: unknown[]): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    calls.push({
      values,
      answer: resolve,
      fail: () => reject(new Error("Redis is away")),
    });
    return promise;
  }

  /** The next call of that kind. */
  async next<T>(calls: Asked<T>[]): Promise<Asked<T>> {
    await until(() => calls.length > 0, "a question");
    return calls.shift() as Asked<T>;
  }

  /** Publishes a turn as the script does. */
  tell({ epoch = "e", clock = 0, events }: {
    epoch?: string;
    clock?: number;
    events: string[];
  }) {
    this.subscription?.hear(`${epoch} ${clock}\n${events.join("\n")}`);
  }
}

class Listener implements Member {
  readonly generation = 1;
  readonly heard: WireEvent[] = [];
  readonly ends: string[] = [];
  constructor(public name: string) {}
  readonly session = {
    send: (_frame: string, events: readonly string[]) => {
      this.heard.push(...events.map((event) => JSON.parse(event)));
    },
  };
  framesOf(turn: Turn) {
    return turn.frames;
  }
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

const EMPTY: Position = { epoch: "e", seq: 0, clock: 0, names: [] };

/** A room that is about to be opened; its timers end with it. */
function roomOn(store: StubStore) {
  const room = new Room(
    "lobby",
    store as unknown as Store,
    256 * 1024,
    new SharedRate(0),
    new Board(new SharedRate(0)),
    newContext({ now: () => 0 }),
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

async function openRoom(store: StubStore, snapshot: Partial<Position> = {}) {
  const room = roomOn(store);
  const opened = room.open();
  (await store.next(store.syncs)).answer({ ...EMPTY, ...snapshot });
  await opened;
  return room;
}

Deno.test("what is heard before the snapshot comes is told after it, and nothing twice", async () => {
  const store = new StubStore();
  using room = roomOn(store);
  const opened = room.open();
  const sync = await store.next(store.syncs);
  store.tell({ clock: 4, events: [join("Old", 1), message(7)] });
  store.tell({ clock: 5, events: [leave("Old", 0), message(8)] });
  store.tell({ clock: 6, events: [join("New", 2), message(9)] });
  sync.answer({ epoch: "e", seq: 8, clock: 5, names: ["Bob"] });
  await opened;
  const ann = room.enter("Ann");
  await until(() => ann.heard.length === 2, "what is new");
  assertEquals(ann.heard.map(({ type }) => type), ["join", "message"]);
  assertEquals(ann.seqs, [9]);
  assertEquals([...room.names()].sort(), ["Ann", "Bob", "New"]);
  assertEquals(room.count, 3);
});

Deno.test("turns that follow each other are told in the step in which they are heard", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  for (const seq of [1, 2, 3]) {
    store.tell({ clock: seq, events: [message(seq)] });
  }
  assertEquals(ann.seqs, [1, 2, 3]);
});

Deno.test("what is no turn harms nobody, and the store is asked where the room stands", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: ['{"type":"join"'] });
  store.tell({ clock: 2, events: [message(1)] });
  const names = ["Ann"];
  (await store.next(store.syncs)).answer({ ...EMPTY, seq: 1, clock: 2, names });
  (await store.next(store.reads)).answer(messages(1, 1));
  await until(() => room.head.seq === 1, "the message");
  assertEquals(ann.seqs, [1]);
});

Deno.test("deletions that were not heard are told, and if some are not kept any more, all come again", async () => {
  const store = new StubStore();
  using room = await openRoom(store, { seq: 10 });
  const ann = room.enter("Ann");
  const deletion = (target: number) =>
    encode({ type: "delete", at: "", sender: "Bob", target });
  const resync = async (...targets: number[]) => {
    const events = targets.map(deletion);
    store.deleted = { events, isComplete: false };
    store.resync();
    const position = { ...EMPTY, seq: 10, names: ["Ann"] };
    (await store.next(store.syncs)).answer(position);
  };
  store.tell({ clock: 1, events: [deletion(1)] });
  const told = () => ann.heard.map(({ target }) => target).filter(Boolean);
  await resync(1, 2, 3);
  await until(() => told().length === 3, "what was not heard");
  assertEquals([told(), ann.ends], [[1, 2, 3], []]);
  await resync(5, 6);
  await until(() => ann.ends.length > 0, "the end");
  assertEquals([told(), ann.ends], [[1, 2, 3, 5, 6], ["lag"]]);
});

Deno.test("messages that were not heard are read, page by page, before the next", async () => {
  const store = new StubStore();
  using room = await openRoom(store, { seq: 10 });
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: [join("Bob", 2), message(500)] });
  store.tell({ clock: 2, events: [message(501), leave("Bob", 1)] });
  for (const from of [10, 210, 410]) {
    const read = await store.next(store.reads);
    assertEquals(read.values[0], from);
    assertEquals((read.values[1] as ReadLimit).count, MAX_HISTORY);
    assertEquals(ann.seqs, range(11, from));
    // There may be more by now than what was heard of.
    read.answer(messages(from + 1, Math.min(from + MAX_HISTORY, 502)));
  }
  await until(() => room.head.seq === 502, "all of it");
  await until(() => room.count === 1, "the leave");
  store.tell({ clock: 3, events: [message(502)] });
  store.tell({ clock: 4, events: [message(503)] });
  await until(() => room.head.seq === 503, "the next");
  assertEquals(ann.seqs, range(11, 503));
  const others = ann.heard.filter(({ seq }) => !seq);
  assertEquals(others.map(({ type }) => type), ["join", "leave"]);
});

Deno.test("a room that is told more than it can note asks the store instead", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: [message(2)] });
  const read = await store.next(store.reads);
  const last = MAX_WAITING + 50;
  for (const seq of range(3, last)) {
    store.tell({
      clock: seq,
      events: [join(`guest ${seq}`, seq), message(seq)],
    });
  }
  read.answer([message(1)]);
  const sync = await store.next(store.syncs);
  assertEquals(sync.values, [["Ann"]]);
  const names = range(3, last).map((n) => `guest ${n}`);
  sync.answer({ epoch: "e", seq: last, clock: last, names });
  for (let from = room.head.seq; from < last; from += MAX_HISTORY) {
    const read = await store.next(store.reads);
    assertEquals(read.values[0], from);
    read.answer(messages(from + 1, Math.min(from + MAX_HISTORY, last)));
  }
  await until(() => room.count === last - 1, "who is there");
  assertEquals(ann.seqs, range(1, last));
  assertEquals([...room.names()].sort(), ["Ann", ...names].sort());
  store.tell({ clock: last + 1, events: [message(last + 1)] });
  await until(() => ann.seqs.at(-1) === last + 1, "the next");
  assertEquals(ann.ends, []);
});

Deno.test("what cannot be read any more is told to those who would miss it", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: [message(50)] });
  (await store.next(store.reads)).answer(undefined);
  await until(() => room.head.seq === 50, "the message");
  assertEquals([ann.ends, ann.seqs], [["lag"], [50]]);
});

Deno.test("a read that fails is made up for with the next that is heard", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: [join("Bob", 2), message(3)] });
  (await store.next(store.reads)).fail();
  await new Promise((resolve) => setTimeout(resolve));
  store.tell({ clock: 2, events: [message(4)] });
  const names = ["Ann", "Bob"];
  (await store.next(store.syncs)).answer({
    epoch: "e",
    seq: 4,
    clock: 2,
    names,
  });
  (await store.next(store.reads)).answer(messages(1, 4));
  await until(() => room.count === 2, "Bob");
  assertEquals(ann.seqs, [1, 2, 3, 4]);
});

Deno.test("whoever comes or goes while the store is asked is there, or gone, afterwards", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  const bob = room.enter("Bob");
  store.tell({ clock: 1, events: [join("Ann", 1), join("Bob", 2)] });
  store.resync();
  const sync = await store.next(store.syncs);
  assertEquals(sync.values, [["Ann", "Bob"]]);
  const carl = room.enter("Carl");
  room.leave(bob);
  const names = ["Ann", "Bob", "Dora"];
  sync.answer({ epoch: "e", seq: 0, clock: 2, names });
  await until(() => [...room.names()].includes("Dora"), "Dora");
  store.tell({ clock: 2, events: [join("Dora", 3)] });
  store.tell({ clock: 3, events: [join("Carl", 4), leave("Bob", 3)] });
  await until(() => room.count === 3, "the leave");
  assertEquals([...room.names()].sort(), ["Ann", "Carl", "Dora"]);
  const heard = (member: Listener) =>
    member.heard.map(({ type, sender }) => `${type} ${sender}`);
  assertEquals(heard(carl), ["join Dora", "join Carl", "leave Bob"]);
  const before = ["join Ann", "join Bob"];
  assertEquals(heard(ann), [...before, ...heard(carl)]);
});

Deno.test("a room that was left tells the store nothing more of who is there", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.resync();
  const sync = await store.next(store.syncs);
  store.resync();
  room.leave(ann);
  room.close();
  sync.answer(EMPTY);
  await until(() => store.appends.length > 0, "the leave");
  await room.open();
  assertEquals([store.syncs.length, store.subscription], [0, undefined]);
});

Deno.test("more comings and goings than can wait are told to the store as who is there", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  const guests = range(1, MAX_QUEUED).map((n) => room.enter(`guest ${n}`));
  for (const guest of guests.slice(1)) room.leave(guest);
  let names: string[] = [];
  while (names.length !== 2) {
    const { values, answer } = await store.next(store.syncs);
    names = values[0] as string[];
    answer({ ...EMPTY, clock: 1, names });
  }
  assertEquals(names, ["Ann", "guest 1"]);
  await until(() => room.count === 2, "those who are there");
  assertEquals(ann.ends, []);
  // What was left out is not told later.
  const told = store.appends.flat().length;
  assert(told < MAX_QUEUED, `${told}`);
});

Deno.test("whoever was renamed in a turn that was lost hears of it all the same", async () => {
  const store = new StubStore();
  using room = await openRoom(store);
  const ann = room.enter("Ann");
  store.tell({ clock: 1, events: [join("Ann", 1)] });
  const renameTo = (name: string) => {
    const before = ann.name;
    ann.name = name;
    room.rename(ann, before);
  };
  renameTo("Anna");
  renameTo("Annika");
  // Of two turns only the first is heard.
  store.tell({ clock: 2, events: [rename("Ann", "Anna")] });
  await until(() => ann.heard.length === 2, "the first name");
  store.resync();
  const { answer } = await store.next(store.syncs);
  answer({ ...EMPTY, clock: 4, names: ["Annika"] });
  const named = () => ann.heard.map(({ type, name }) => `${type} ${name}`);
  await until(() => named().includes("rename Annika"), "the new name");
  assertEquals(named().slice(1), ["rename Anna", "rename Annika"]);
  // And it is not told once more.
  store.resync();
  (await store.next(store.syncs)).answer({
    ...EMPTY,
    clock: 5,
    names: ["Annika"],
  });
  store.tell({ clock: 6, events: [join("Bob", 2)] });
  await until(() => room.count === 2, "Bob");
  assertEquals(named().slice(3), ["join undefined"]);
});

Deno.test("a room that nobody waits for any more is not opened", async () => {
  const store = new StubStore();
  using room = roomOn(store);
  room.close();
  await room.open();
  assertEquals([store.syncs.length, store.subscription], [0, undefined]);
});

Deno.test("another epoch begins after what came before its first message", async () => {
  const store = new StubStore();
  using room = await openRoom(store, { seq: 10, names: ["Bob"] });
  const ann = room.enter("Ann");
  store.tell({ epoch: "f", clock: 20, events: [message(1)] });
  const sync = await store.next(store.syncs);
  assertEquals([ann.ends, ann.seqs], [["restart"], [1]]);
  sync.answer({ epoch: "f", seq: 1, clock: 20, names: ["Ann"] });
  await until(() => room.count === 1, "who is left");
  assertEquals(room.head, { epoch: "f", seq: 1 });
});
