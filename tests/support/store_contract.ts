// The tests of the contract in store.ts, which every store must pass, with
// their drafts and subscribers. They use only what `Store` promises.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type Draft,
  type Entry,
  FORGET_AFTER_MS,
  MAX_DELETIONS,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  MOMENT_MS,
  type Published,
  REMEMBERED_IDS,
  type Snapshot,
  type Store,
  type Subscriber,
} from "../../chat/store/store.ts";
import { encode, encodeDraft } from "../../chat/protocol/events.ts";
import { range, until } from "./harness.ts";

export const ALL = { count: 1_000_000, chars: Infinity };

export function draft(
  message: string,
  identity?: string,
  id?: string,
  author?: string,
): Draft {
  const text = encodeDraft({
    at: "then",
    sender: "a",
    ...(author !== undefined && { author }),
    message,
  });
  return {
    kind: "message",
    text,
    ...(identity !== undefined && { identity }),
    ...(id !== undefined && { id }),
  };
}

const messages = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).message);
export const seqs = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).seq);

/** Appends a turn of messages. */
export function say(
  store: Store,
  room: string,
  drafts: readonly Draft[],
  nowMs: number,
) {
  return store.append(room, drafts, nowMs);
}

/** Appends turns of these sizes; the text of each message is its own seq. */
export async function fill(store: Store, room: string, ...sizes: number[]) {
  for (const size of sizes) {
    const { seq } = await store.head(room);
    const drafts = range(seq + 1, seq + size).map((n) => draft(`${n}`));
    await say(store, room, drafts, 0);
  }
}

/** Calls `call` for each item, many at once: round trips cost little. */
async function inBatches<T, R>(
  items: readonly T[],
  call: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += 500) {
    results.push(...await Promise.all(items.slice(i, i + 500).map(call)));
  }
  return results;
}

/** A new identity whose holder has gone again. */
async function registerAbsent(store: Store, name: string) {
  const identity = await store.register(name);
  assert(identity !== undefined, name);
  store.release(identity.id, identity.generation);
  return identity;
}

export const inUse = (identity = "", ...rooms: string[]) => ({
  identities: new Set([identity]),
  rooms: new Set(rooms),
});

/**
 * Registers the contract's tests, each on an empty store of its own that keeps
 * `keep` messages of a room. `register` makes a test from a body.
 */
export function testStore<S extends Store>(
  kind: string,
  open: (keep: number) => S | Promise<S>,
  {
    age,
    register = Deno.test,
    close = (store) => store.close(),
  }: {
    /** Lets this much time pass by the store's own clock. */
    age: (store: S, ms: number) => void | Promise<unknown>;
    register?: (name: string, body: () => Promise<void>) => void;
    close?: (store: S) => void | Promise<void>;
  },
): void {
  const test = (
    name: string,
    body: (
      store: Store,
      pass: (ms: number) => void | Promise<unknown>,
    ) => Promise<void>,
    keep = 1_000,
  ) => {
    register(`${kind}: ${name}`, async () => {
      const store = await open(keep);
      try {
        await body(store, (ms) => age(store, ms));
      } finally {
        await close(store);
      }
    });
  };

  test("a room begins at 0 and counts up by one, over all appends", async (store) => {
    assertEquals((await store.head("a")).seq, 0);
    const stored = await say(store, "a", [draft("x"), draft("y")], 0);
    assertEquals(stored.map(({ seq }) => seq), [1, 2]);
    assertEquals(JSON.parse(stored[1]?.text ?? ""), {
      type: "message",
      seq: 2,
      at: "then",
      sender: "a",
      message: "y",
    });
    const next = await say(store, "a", [draft("z")], 0);
    assertEquals(next[0]?.seq, 3);
    assertEquals((await store.head("a")).seq, 3);
  });

  test("rooms do not share messages", async (store) => {
    await fill(store, "a", 3);
    await fill(store, "b", 1);
    assertEquals((await store.head("a")).seq, 3);
    assertEquals(messages(await store.after("b", 0, ALL)), ["1"]);
  });

  test("a room has its epoch before the first message, and keeps it", async (store) => {
    const { epoch } = await store.head("a");
    assertMatch(epoch, /./);
    await say(store, "a", [draft("x")], 0);
    assertEquals((await store.head("a")).epoch, epoch);
  });

  test("after returns all messages after any seq", async (store) => {
    await fill(store, "a", 1, 4, 2);
    for (let seq = 0; seq <= 7; seq++) {
      assertEquals(seqs(await store.after("a", seq, ALL)), range(seq + 1, 7));
    }
  });

  test("after returns undefined for a seq that the room never reached", async (store) => {
    assertEquals(await store.after("a", 0, ALL), []);
    assertEquals(await store.after("a", 1, ALL), undefined);
    await fill(store, "a", 2);
    assertEquals(await store.after("a", 3, ALL), undefined);
  });

  test("after returns pages, limited by count and by characters", async (store) => {
    await fill(store, "a", 3, 3, 3);
    const page = (count: number, chars: number) =>
      store.after("a", 1, { count, chars }).then(seqs);
    assertEquals(await page(4, Infinity), [2, 3, 4, 5]);
    assertEquals(await page(100, 1), [2]);
    const [event = ""] = await store.after("a", 1, ALL) ?? [];
    assertEquals(await page(100, event.length * 3), [2, 3, 4]);
  });

  test("before returns the newest messages below a seq, and says if there are more", async (store) => {
    await fill(store, "a", 1, 4, 2);
    const page = async (seq: number, count: number) => {
      const { events, more } = await store.before("a", seq, { ...ALL, count });
      return [seqs(events), more];
    };
    assertEquals(await page(8, 3), [[5, 6, 7], true]);
    assertEquals(await page(1_000, 3), [[5, 6, 7], true]);
    assertEquals(await page(5, 3), [[2, 3, 4], true]);
    assertEquals(await page(5, 4), [[1, 2, 3, 4], false]);
    assertEquals(await page(4, 1), [[3], true]);
    assertEquals(await page(1, 5), [[], false]);
    assertEquals(await page(0, 5), [[], false]);
    const { events } = await store.before("a", 7, { count: 100, chars: 1 });
    assertEquals(seqs(events), [6]);
    assertEquals(await store.before("b", 9, ALL), { events: [], more: false });
  });

  test("exactly the newest keep messages can be read", async (store) => {
    await fill(store, "a", 3, 4, 5, 6, 7, 8, 9);
    const { seq } = await store.head("a");
    assertEquals(seq, 42);
    assertEquals(seqs(await store.after("a", 32, ALL)), range(33, 42));
    assertEquals(await store.after("a", 31, ALL), undefined);
    assertEquals(
      seqs((await store.before("a", 99, ALL)).events),
      range(33, 42),
    );
    assertEquals(
      await store.before("a", 34, ALL).then(({ events, more }) => [
        seqs(events),
        more,
      ]),
      [[33], false],
    );
    assertEquals(await store.before("a", 20, ALL), { events: [], more: false });
  }, 10);

  test("a message sent again with the same id is not stored again", async (store) => {
    const me = (await store.register("me"))?.id;
    const first = await say(store, "a", [draft("x", me, "1")], 0);
    const again = await say(store, "a", [
      draft("other", me, "1"),
      draft("y", me, "2"),
    ], 0);
    assertEquals(first[0]?.isRepeat, false);
    assertEquals(
      again[0],
      { ...first[0], isRepeat: true } as never,
    );
    assertEquals(again[1]?.seq, 2);
    assertEquals(messages(await store.after("a", 0, ALL)), ["x", "y"]);
  });

  test("two messages with one id in one append are stored once", async (store) => {
    const me = (await store.register("me"))?.id;
    const stored = await say(store, "a", [
      draft("x", me, "1"),
      draft("x", me, "1"),
      draft("y", me, "2"),
    ], 0);
    assertEquals(stored.map(({ seq }) => seq), [1, 1, 2]);
    assertEquals(stored.map(({ isRepeat }) => isRepeat), [false, true, false]);
    assertEquals(stored[0]?.text, stored[1]?.text);
  });

  test("the same id of another identity, in another room or without an identity is another id", async (store) => {
    const [me, you] = [
      await store.register("me"),
      await store.register("you"),
    ];
    await say(store, "a", [draft("x", me?.id, "1")], 0);
    await say(
      store,
      "a",
      [draft("y", you?.id, "1"), draft("z"), draft("z")],
      0,
    );
    await say(store, "b", [draft("x", me?.id, "1")], 0);
    assertEquals(messages(await store.after("a", 0, ALL)), [
      "x",
      "y",
      "z",
      "z",
    ]);
    assertEquals(messages(await store.after("b", 0, ALL)), ["x"]);
  });

  test("the newest ids are remembered, older ones are not", async (store) => {
    const me = (await store.register("me"))?.id;
    const ids = range(0, REMEMBERED_IDS);
    await say(store, "a", ids.map((id) => draft(`${id}`, me, `${id}`)), 0);
    const stored = await say(store, "a", [
      draft("1", me, "1"),
      draft("0", me, "0"),
    ], 0);
    assertEquals(stored.map(({ isRepeat }) => isRepeat), [true, false]);
  });

  test(
    "a repeat of a message that is no longer kept is recognised",
    async (store) => {
      const me = (await store.register("me"))?.id;
      await say(store, "a", [draft("x", me, "1")], 0);
      await fill(store, "a", 10, 10, 10);
      const stored = await say(store, "a", [draft("x", me, "1")], 0);
      assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [1, true]);
      assertEquals(JSON.parse(stored[0]?.text ?? "").message, "x");
    },
    5,
  );

  test(
    "rooms and identities that nobody used for 30 days are forgotten, and the room has a new epoch",
    async (store, pass) => {
      const old = await store.register("old");
      await say(store, "old", [draft("x")], 0);
      await pass(FORGET_AFTER_MS / 2);
      const fresh = await store.register("fresh");
      await say(store, "fresh", [draft("x")], 0);
      const [head, kept] = [await store.head("old"), await store.head("fresh")];
      await pass(FORGET_AFTER_MS / 2);
      await store.forget(inUse());
      assertEquals(await store.identify(old?.key ?? ""), undefined);
      assertEquals(await store.claim("old"), true);
      assertEquals((await store.identify(fresh?.key ?? ""))?.name, "fresh");
      const after = await store.head("old");
      assertEquals(after.seq, 0);
      assert(after.epoch !== head.epoch);
      assertEquals(await store.head("fresh"), kept);
    },
  );

  test("nobody gets a name that looks like somebody's", async (store) => {
    const ada = await registerAbsent(store, "coco");
    const bob = await store.register("bob");
    assert(bob !== undefined);
    for (const name of ["сосо", "СОСО", "COCO"]) {
      assertEquals(await store.register(name), undefined, name);
      assertEquals(await store.rename(bob, name), false, name);
    }
    assertEquals(await store.claim("сосо"), false);
    assertEquals(await store.rename(bob, "coca"), true);
    assertEquals((await store.identify(ada.key))?.name, "coco");
    // What was given up is free, and looks like nobody's.
    assert(await store.register("ЬоЬ") !== undefined);
  });

  test("somebody may take a name that looks like the own one", async (store) => {
    const ada = await store.register("coco");
    assert(ada !== undefined);
    assertEquals(await store.rename(ada, "сосо"), true);
    assertEquals(await store.rename({ ...ada, name: "сосо" }, "COCO"), true);
    assertEquals(await store.register("coco"), undefined);
  });

  test(
    "a look is free again when its name is forgotten",
    async (store, pass) => {
      await registerAbsent(store, "coco");
      await store.forget(inUse());
      await pass(FORGET_AFTER_MS + 1);
      await store.forget(inUse());
      assert(await store.register("сосо") !== undefined);
    },
  );

  test(
    "a present identity is not forgotten, and can still be renamed",
    async (store, pass) => {
      const [here, gone] = [
        await store.register("here"),
        await store.register("gone"),
      ];
      await pass(FORGET_AFTER_MS);
      await store.forget(inUse(here?.id));
      assertEquals((await store.identify(here?.key ?? ""))?.name, "here");
      assert(here !== undefined && gone !== undefined);
      assertEquals(await store.rename(here, "still here"), true);
      assertEquals(await store.rename(gone, "back"), false);
      assertEquals(await store.claim("back"), true);
    },
  );

  test(
    "of too many rooms those that were used for the shortest time are forgotten, but none in use",
    async (store, pass) => {
      const once = (room: string) => say(store, room, [draft("x")], 1);
      await once("class");
      await pass(2 * MOMENT_MS);
      await once("class");
      await fill(store, "large", 100);
      await pass(1);
      await fill(store, "later", 1);
      const flood = range(4, MAX_ROOMS_KEPT).map((i) => `r${i}`);
      await inBatches(flood, once);
      await pass(MOMENT_MS);
      await inBatches(flood, once);
      await once("open");
      const seqOf = async (room: string) => (await store.head(room)).seq;
      await store.forget(inUse("", "open"));
      // There is one too many: that which was used for a moment, and longest ago.
      assertEquals(await seqOf("large"), 0);
      assertEquals(await seqOf("later"), 1);
      await inBatches(["new 1", "new 2", "new 3"], once);
      await store.forget(inUse("", "open", "new 1", "new 2", "new 3"));
      const heads = await inBatches(flood, (room) => store.head(room));
      assertEquals(heads.filter(({ seq }) => seq === 0).length, 2);
      const kept = ["class", "open", "new 1", "new 2", "new 3"];
      assertEquals(await inBatches(kept, seqOf), [2, 1, 1, 1, 1]);
    },
  );

  test(
    "a room in use in which nothing was said keeps its epoch when others are forgotten",
    async (store, pass) => {
      await say(store, "old", [draft("x")], 0);
      await pass(FORGET_AFTER_MS);
      const room = new Listener();
      await store.subscribe("quiet", room);
      const { epoch } = room.head;
      await store.forget(inUse("", "quiet"));
      assertEquals((await store.head("old")).seq, 0);
      assert((await store.head("old")).epoch !== epoch);
      await say(store, "quiet", [draft("hi")], 0);
      await until(() => room.head.seq === 1, "what was said");
      assertEquals([room.head.epoch, room.restarts], [epoch, 0]);
      store.unsubscribe("quiet", room);
    },
  );

  test(
    "a room that was in use, and in which nothing was said, is forgotten",
    async (store, pass) => {
      await say(store, "old", [draft("x")], 0);
      await pass(FORGET_AFTER_MS);
      await store.forget(inUse("", "quiet"));
      const { epoch } = await store.head("quiet");
      await pass(FORGET_AFTER_MS);
      await store.forget(inUse());
      assert((await store.head("quiet")).epoch !== epoch);
    },
  );

  test(
    "if there are too many identities, the longest absent are forgotten",
    async (store, pass) => {
      const here = await store.register("here");
      await pass(1);
      const first = await registerAbsent(store, "first");
      await pass(1);
      const second = await registerAbsent(store, "second");
      await pass(1);
      await inBatches(
        range(3, MAX_IDENTITIES),
        (i) => registerAbsent(store, `p${i}`),
      );
      await store.forget(inUse(here?.id));
      assertEquals((await store.identify(here?.key ?? ""))?.name, "here");
      assertEquals(await store.claim("first"), true);
      assertEquals((await store.identify(second.key))?.name, "second");
      assertEquals(await store.identify(first.key), undefined);
    },
  );

  test(
    "names that were used longer outlast any number of others, and so do names under which something was said",
    async (store, pass) => {
      const regular = await registerAbsent(store, "regular");
      await pass(MOMENT_MS);
      await store.identify(regular.key);
      await pass(1);
      const owner = await registerAbsent(store, "owner");
      await say(store, "a", [draft("hi", owner.id, "1")], 0);
      await pass(1);
      const here = await store.register("here");
      const silent = await registerAbsent(store, "silent");
      await pass(1);
      const others = await inBatches(
        range(3, MAX_IDENTITIES),
        (i) => registerAbsent(store, `p${i}`),
      );
      await store.forget(inUse(here?.id));
      assertEquals(await store.claim("owner"), false);
      assertEquals((await store.identify(here?.key ?? ""))?.name, "here");
      assertEquals(await store.identify(silent.key), undefined);
      // Among identities that have said something, the longest absent ones go.
      const drafts = others.map((other) => draft("hi", other.id, "1"));
      for (let at = 0; at < drafts.length; at += 1_000) {
        await say(store, "a", drafts.slice(at, at + 1_000), 0);
      }
      const newcomer = await store.register("newcomer");
      const present = [here?.id ?? "", newcomer?.id ?? ""];
      await store.forget({ ...inUse(), identities: new Set(present) });
      assertEquals(await store.identify(owner.key), undefined);
      assertEquals(await store.claim("newcomer"), false);
      assertEquals(await store.claim("regular"), false);
    },
  );

  test(
    "a room that began again does not know the ids of its old life",
    async (store, pass) => {
      const me = await store.register("me");
      await say(store, "a", [draft("old", me?.id, "1")], 0);
      await pass(FORGET_AFTER_MS);
      await store.forget(inUse(me?.id));
      const stored = await say(store, "a", [draft("new", me?.id, "1")], 1);
      assertEquals([stored[0]?.seq, stored[0]?.isRepeat], [1, false]);
      assertEquals(messages(await store.after("a", 0, ALL)), ["new"]);
    },
  );

  test("a turn is published after it is stored: messages, joins and leaves", async (store) => {
    const room = new Listener();
    await store.subscribe("a", room);
    await store.append("a", [join("Ann", 0), message("hi"), join("Bob", 0)], 0);
    await store.append("a", [leave("Ann", 0), message("alone")], 0);
    await until(() => room.head.seq === 2, "both turns");
    assertEquals(room.told, [
      "join Ann 1",
      "message 1 hi",
      "join Bob 2",
      "leave Ann 1",
      "message 2 alone",
    ]);
    assertEquals([...room.roster], ["Bob"]);
    assertEquals(messages(await store.after("a", 0, ALL)), ["hi", "alone"]);
    store.unsubscribe("a", room);
  });

  test("a join or leave that changes nothing is not published", async (store) => {
    const room = new Listener();
    await store.subscribe("a", room);
    await store.append(
      "a",
      [leave("Ann", 0), join("Ann", 0), join("Ann", 0)],
      0,
    );
    await store.append("a", [rename("Bob", "Bert", 0), message("end")], 0);
    await until(() => room.head.seq === 1, "the message");
    assertEquals(room.told, ["join Ann 1", "message 1 end"]);
    store.unsubscribe("a", room);
  });

  test("a rename moves a name, and ephemeral events are published but not kept", async (store) => {
    const room = new Listener();
    await store.subscribe("a", room);
    const text = '{"type":"typing"}';
    const typing = { kind: "ephemeral", text } as const;
    await store.append("a", [join("Ann", 0), rename("Ann", "Anna", 0)], 0);
    await store.append("a", [typing, message("end")], 0);
    await until(() => room.head.seq === 1, "the message");
    assertEquals(room.told, [
      "join Ann 1",
      "rename Ann Anna",
      "typing",
      "message 1 end",
    ]);
    assertEquals([...room.roster], ["Anna"]);
    assertEquals((await store.head("a")).seq, 1);
    store.unsubscribe("a", room);
  });

  test("a repeat is not published again", async (store) => {
    const me = (await store.register("me"))?.id;
    const room = new Listener();
    await store.subscribe("a", room);
    await say(store, "a", [draft("x", me, "1")], 0);
    await say(store, "a", [draft("x", me, "1"), draft("y", me, "2")], 0);
    await until(() => room.head.seq === 2, "the last");
    assertEquals(room.told, ["message 1 x", "message 2 y"]);
    store.unsubscribe("a", room);
  });

  test("a resync publishes the changes that the room's own list of names makes", async (store) => {
    const room = new Listener();
    await store.subscribe("a", room);
    await store.append("a", [join("Ann", 0), join("Bob", 0)], 0);
    await until(() => room.roster.size === 2, "both");
    room.here = ["Bob", "Carl"];
    store.resync("a");
    await until(() => room.roster.has("Carl"), "Carl");
    await until(() => !room.roster.has("Ann"), "the end of Ann");
    assertEquals([...room.roster].sort(), ["Bob", "Carl"]);
    store.unsubscribe("a", room);
  });

  /** Deletes as `author`; the event names the message. */
  const erase = async (store: Store, room: string, target: number) => {
    const { epoch } = await store.head(room);
    const text = encode({ type: "delete", at: "", sender: "a", target });
    return await store.delete(room, { target, author: "me", epoch, text });
  };

  test("a message that is deleted keeps its seq and loses its text, in turns of any size", async (store) => {
    const room = new Listener();
    await store.subscribe("a", room);
    const mine = (text: string) => draft(text, undefined, undefined, "me");
    await say(store, "a", [mine("one")], 0);
    await say(store, "a", [draft("two"), mine("three"), mine("four")], 0);
    await say(store, "a", [mine("five")], 0);
    for (const target of [3, 1, 5]) {
      assertEquals(await erase(store, "a", target), "deleted");
    }
    const events = await store.after("a", 0, ALL) ?? [];
    assertEquals(messages(events), ["", "two", "", "four", ""]);
    assertEquals(seqs(events), range(1, 5));
    assertEquals(JSON.parse(events[2] ?? ""), {
      ...{ type: "message", seq: 3, at: "then", sender: "a", author: "me" },
      ...{ message: "", deleted: true },
    });
    assertEquals((await store.before("a", 9, ALL)).events, events);
    await say(store, "a", [mine("six")], 0);
    assertEquals(messages(await store.after("a", 4, ALL)), ["", "six"]);
    await until(() => room.head.seq === 6, "the last");
    assertEquals(room.told.slice(5), [
      ...["delete a", "delete a", "delete a", "message 6 six"],
    ]);
    assertEquals(room.targets, [3, 1, 5]);
    store.unsubscribe("a", room);
  });

  test(
    "only the author can delete a message, once, and only while it is kept",
    async (store) => {
      const mine = (text: string) => draft(text, undefined, undefined, "me");
      const theirs = draft("x", undefined, undefined, "you");
      await say(store, "a", [mine("1"), theirs, draft("3"), mine("4")], 0);
      assertEquals(await erase(store, "a", 2), "foreign");
      assertEquals(await erase(store, "a", 3), "foreign");
      assertEquals(await erase(store, "a", 4), "deleted");
      assertEquals(await erase(store, "a", 4), "repeated");
      assertEquals(await erase(store, "a", 5), "missing");
      assertEquals(await erase(store, "nowhere", 1), "missing");
      await fill(store, "a", 20);
      assertEquals(await erase(store, "a", 1), "missing");
      const { epoch } = await store.head("a");
      const { events } = await store.deletions("a", 0, MAX_DELETIONS, epoch);
      assertEquals(events.length, 1);
      const deletion = { target: 24, author: "", epoch: "other", text: "" };
      assertEquals(await store.delete("a", deletion), "missing");
    },
    10,
  );

  test("a deleted message that is sent again is recognised, without its text", async (store) => {
    const me = (await store.register("me"))?.id;
    await say(store, "a", [draft("x", me, "1", "me")], 0);
    await erase(store, "a", 1);
    const [again] = await say(store, "a", [draft("x", me, "1", "me")], 0);
    assertEquals([again?.seq, again?.isRepeat], [1, true]);
    assertEquals(JSON.parse(again?.text ?? "").message, "");
  });

  test(
    "the deletions since a seq was the newest are told, the last 1,000 of them",
    async (store) => {
      const mine = (n: number) => draft(`${n}`, undefined, undefined, "me");
      const count = MAX_DELETIONS + 2;
      await say(store, "a", range(1, count).map(mine), 0);
      const { epoch } = await store.head("a");
      assertEquals(await erase(store, "a", 1), "deleted");
      await say(store, "a", [draft("later")], 0);
      assertEquals(await erase(store, "a", 2), "deleted");
      const told = async (seq: number) =>
        (await store.deletions("a", seq, MAX_DELETIONS, epoch)).events
          .map((text) => JSON.parse(text).target);
      const isComplete = async (seq: number) =>
        (await store.deletions("a", seq, 1, epoch)).isComplete;
      assertEquals(await told(count), [1, 2]);
      assertEquals(await told(count + 1), [2]);
      assertEquals(await told(count + 2), []);
      const other = await store.deletions("a", 0, MAX_DELETIONS, "other");
      assertEquals(other, { events: [], isComplete: false });
      for (const target of range(3, count - 2)) await erase(store, "a", target);
      assertEquals([await isComplete(0), await isComplete(count + 1)], [
        ...[false, true],
      ]);
      for (const target of [count - 1, count]) await erase(store, "a", target);
      assertEquals(await told(0), range(3, count));
      assertEquals([await isComplete(0), await isComplete(count + 1)], [
        ...[false, false],
      ]);
      await say(store, "a", [draft("newest")], 0);
      assertEquals(await isComplete(count + 2), true);
    },
    2_000,
  );

  test("the rooms with people in them are counted", async (store) => {
    const [a, b, empty] = [new Listener(), new Listener(), new Listener()];
    await store.subscribe("a", a);
    await store.subscribe("b", b);
    await store.subscribe("empty", empty);
    await store.append("a", [join("Ann", 0), join("Bob", 0)], 0);
    await store.append("b", [join("Carl", 0), message("bye")], 0);
    await store.append("empty", [message("nobody")], 0);
    await until(() => a.roster.size + b.roster.size === 3, "all three");
    assertEquals(
      [...await store.rooms()].sort(),
      [["a", 2], ["b", 1]],
    );
    await store.append("b", [leave("Carl", 0)], 0);
    await until(() => b.roster.size === 0, "the end of Carl");
    assertEquals([...await store.rooms()], [["a", 2]]);
    store.unsubscribe("a", a);
    store.unsubscribe("b", b);
    store.unsubscribe("empty", empty);
  });

  test("a room that unsubscribed hears nothing more", async (store) => {
    const [room, other] = [new Listener(), new Listener()];
    await store.subscribe("a", room);
    store.unsubscribe("a", room);
    await store.subscribe("a", other);
    await say(store, "a", [draft("x")], 0);
    await until(() => other.head.seq === 1, "the message");
    assertEquals(room.told, []);
    store.unsubscribe("a", other);
  });

  test("if several people claim one name at the same moment, one of them gets it", async (store) => {
    const wishes = await Promise.all([
      store.register("Ann"),
      store.register("ANN"),
      store.claim("ann"),
      store.register("Bob"),
    ]);
    assertEquals(wishes.map(Boolean), [true, false, false, true]);
    const [ann, , , bob] = wishes;
    assert(ann && typeof ann === "object" && bob && typeof bob === "object");
    assertEquals(
      await Promise.all([ann, bob].map(({ key }) => store.identify(key))),
      [{ id: ann.id, name: "Ann" }, { id: bob.id, name: "Bob" }],
    );
    assert(ann.generation > 0 && bob.generation > 0);
  });

  test("a name has one holder at most: it is claimed, registered or resting", async (store) => {
    assertEquals(await store.claim("Ann"), true);
    assertEquals(await store.register("ANN"), undefined);
    const bob = await store.register("Bob");
    assert(bob !== undefined);
    assertEquals(await store.claim("bob"), false);
    assertEquals(await store.rename(bob, "ann"), false);
    store.unclaim("Ann", 60_000);
    // Giving back may take a moment; the rest lasts longer.
    assertEquals(await store.register("Ann"), undefined);
    assertEquals(await store.claim("Ann"), false);
    assertEquals(await store.rename(bob, "Bert"), true);
  });

  test("the newest holder of an identity gets its present name, and alone may rename it", async (store) => {
    const bob = await store.register("Bob");
    assert(bob !== undefined);
    assertEquals(await store.rename(bob, "Bert"), true);
    const next = await store.acquire(bob);
    assertEquals(next?.name, "Bert");
    assertEquals(await store.rename(bob, "Bob"), false);
    assertEquals(await store.rename({ ...bob, ...next }, "Bob"), true);
  });
}

/** A room that records what it is told. */
export class Listener implements Subscriber {
  readonly head = { epoch: "", seq: 0 };
  readonly roster = new Set<string>();
  readonly renamed = new Map<string, string>();
  readonly maxTurnChars = 256 * 1024;
  readonly told: string[] = [];
  /** The messages whose deletion it was told. */
  readonly targets: number[] = [];
  turns = 0;
  restarts = 0;
  /** The people in the room on this server. */
  here: string[] = [];

  localMembers() {
    return this.here.map((name) => ({ name, generation: 1 }));
  }
  begin({ epoch, seq, names }: Snapshot) {
    Object.assign(this.head, { epoch, seq });
    for (const name of names) this.roster.add(name);
  }
  publish(turn: readonly Published[]) {
    this.turns++;
    for (const { text, seq, came, left, join, target } of turn) {
      if (target !== undefined) this.targets.push(target);
      if (left !== undefined) this.roster.delete(left);
      if (came !== undefined) this.roster.add(came);
      if (seq > 0) this.head.seq = seq;
      const event = JSON.parse(text);
      const { type, sender, name, count, message } = event;
      assertEquals(join, type === "join" ? event : undefined);
      this.told.push(
        type === "message"
          ? `message ${seq} ${message}`
          : [type, sender, name ?? count].filter((part) => part !== undefined)
            .join(" "),
      );
    }
  }
  restart(head: { epoch: string; seq: number }) {
    this.restarts++;
    Object.assign(this.head, head);
  }
  skip(seq: number) {
    this.head.seq = seq;
  }
  drawn() {
    this.told.push("drawn");
    return true;
  }
}

export const message = (text: string): Entry => draft(text);

export const join = (name: string, generation: number): Entry => ({
  kind: "join",
  at: "then",
  member: { name, generation },
});

export const leave = (name: string, generation: number): Entry => ({
  kind: "leave",
  at: "then",
  member: { name, generation },
});

export const rename = (
  before: string,
  name: string,
  generation: number,
): Entry => ({
  kind: "rename",
  at: "then",
  before,
  member: { name, generation },
});
