// Owns the tests of the contract of log.ts, which every log must pass, and the
// drafts they are made of. Knows of no log in particular.
// Invariant: nothing here needs more of a log than `Log` promises.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type Draft,
  FORGET_AFTER_MS,
  type Log,
  MAX_IDENTITIES,
  MAX_ROOMS_KEPT,
  REMEMBERED_IDS,
} from "../chat/log.ts";
import { encodeDraft } from "../chat/protocol.ts";

export const ALL = { count: 1_000_000, chars: Infinity };

export function draft(message: string, identity?: string, id?: string): Draft {
  const text = encodeDraft({ at: "then", sender: "a", message });
  return {
    text,
    ...(identity !== undefined && { identity }),
    ...(id !== undefined && { id }),
  };
}

const messages = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).message);
export const seqs = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).seq);
export const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Appends turns of those sizes; the messages are their own seq. */
export async function fill(log: Log, room: string, ...sizes: number[]) {
  for (const size of sizes) {
    const { seq } = await log.head(room);
    const drafts = numbers(seq + 1, seq + size).map((n) => draft(`${n}`));
    await log.append(room, drafts, 0);
  }
}

/** Calls for each item, so many at once that round trips cost little. */
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

const inUse = (identity = "", ...rooms: string[]) => ({
  identities: new Set([identity]),
  rooms: new Set(rooms),
});

/**
 * Registers the contract's tests, each on an empty log of its own that keeps
 * that many messages of a room. `register` is what makes a test of a body.
 */
export function testLog<L extends Log>(
  kind: string,
  open: (keep: number) => L | Promise<L>,
  {
    register = Deno.test,
    close = (log) => log.close(),
  }: {
    register?: (name: string, body: () => Promise<void>) => void;
    close?: (log: L) => void | Promise<void>;
  } = {},
): void {
  const test = (
    name: string,
    body: (log: Log) => Promise<void>,
    keep = 1_000,
  ) => {
    register(`${kind}: ${name}`, async () => {
      const log = await open(keep);
      try {
        await body(log);
      } finally {
        await close(log);
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
    assert(here !== undefined && gone !== undefined);
    assertEquals(await log.rename(here, "still here"), true);
    assertEquals(await log.rename(gone, "back"), false);
    assertEquals(await log.isReserved("back"), false);
  });

  test("of too many rooms the smallest are forgotten, but none in use", async (log) => {
    await fill(log, "class", 5);
    await fill(log, "open", 1);
    const rooms = numbers(1, MAX_ROOMS_KEPT).map((i) => `r${i}`);
    await inBatches(
      rooms,
      (room) => log.append(room, [draft("x"), draft("y")], 1),
    );
    await log.forget(1, inUse("", "open"));
    assertEquals((await log.head("class")).seq, 5);
    assertEquals((await log.head("open")).seq, 1);
    const heads = await inBatches(rooms, (room) => log.head(room));
    assertEquals(heads.filter(({ seq }) => seq === 0).length, 1);
  });

  test("of too many identities those away longest are forgotten", async (log) => {
    const [here, first, second] = [
      await log.register("here", 0),
      await log.register("first", 1),
      await log.register("second", 2),
    ];
    await inBatches(
      numbers(3, MAX_IDENTITIES),
      (i) => log.register(`p${i}`, 3),
    );
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
