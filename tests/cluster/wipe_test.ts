// Redis cannot change a message in its place. A deleted one reads as deleted at once,
// and its text leaves the memory of Redis a slice at a time, so that deleting costs
// little, whatever else is said, deleted and forgotten meanwhile, by servers of
// whatever version.
import { assert, assertEquals } from "@std/assert";
import { FORGET_AFTER_MS } from "../../chat/store/store.ts";
import type { RedisStore } from "../../chat/store/redis/store.ts";
import { range } from "../support/harness.ts";
import { type Redis, redisTest, startRedis } from "../support/redis.ts";
import { ALL, draft, fill, inUse } from "../support/store_contract.ts";
import { openStore, untilIn } from "./nodes.ts";

/** Takes four slices to copy. */
const MANY = 1_500;

const mine = (n: number) => draft(`text ${n}.`, undefined, undefined, "me");

async function erase(store: RedisStore, target: number) {
  const { epoch } = await store.head("a");
  const text = `{"type":"delete","target":${target}}`;
  const deletion = { target, author: "me", epoch, text };
  assertEquals(await store.delete("a", deletion), "deleted");
}

const textsOf = (events: string[] | undefined) =>
  events?.map((event) => JSON.parse(event).message);

/** A room with many messages, in a Redis that writes its memory as it is. */
async function startRoom(body: (store: RedisStore, redis: Redis) => unknown) {
  await using redis = await startRedis({ durable: false });
  const store = await openStore(redis.url, { keep: 10_000 });
  try {
    // Each is a turn of its own; they are on their way together, in their order.
    const turns = range(1, MANY).map((n) => [mine(n)]);
    await Promise.all(turns.map((turn) => store.append("a", turn, 0)));
    await redis.command("CONFIG", "SET", "rdbcompression", "no");
    await body(store, redis);
  } finally {
    await store.close();
  }
}

/** Whether the memory of Redis has the text of that message. */
async function has(redis: Redis, n: number) {
  const dump = await redis.command("DUMP", "partyline:log:a");
  return String(dump).includes(`"text ${n}."`);
}

async function keysOf(redis: Redis, kind: string) {
  const keys = await redis.command("KEYS", `partyline:${kind}:*`);
  return keys.split("\n").filter((key) => key !== "");
}

const begun = (redis: Redis) =>
  untilIn(async () => (await keysOf(redis, "copy")).length > 0, "a copy");
const done = (redis: Redis) =>
  untilIn(
    async () => await redis.command("EXISTS", "partyline:wipes") === "0",
    "all to be wiped",
  );

redisTest(
  "to delete many messages of a long history copies it once or twice, not each time",
  () =>
    startRoom(async (store, redis) => {
      const before = await copies(redis);
      const targets = range(1, 100);
      for (const target of targets) await erase(store, target);
      const read = textsOf(await store.after("a", 0, ALL));
      assertEquals(read?.slice(98, 102), ["", "", "text 101.", "text 102."]);
      const page = await store.before("a", 101, { count: 2, chars: 9_999 });
      assertEquals(textsOf(page.events), ["", ""]);
      await done(redis);
      for (const target of targets) assert(!await has(redis, target));
      const count = await copies(redis) - before;
      assert(count <= 3 * MANY, `${count} messages were copied.`);
      assertEquals(textsOf(await store.after("a", 0, ALL)), read);
    }),
);

/** How many entries were added to streams. */
async function copies(redis: Redis) {
  const stats = await redis.command("INFO", "commandstats");
  return Number(/cmdstat_xadd:calls=(\d+)/.exec(stats)?.[1]);
}

redisTest(
  "what is deleted and said while the history is copied is not lost, and not kept",
  () =>
    startRoom(async (store, redis) => {
      await erase(store, 700);
      await begun(redis);
      assert(await has(redis, 700));
      await erase(store, 3);
      await erase(store, MANY);
      await store.append("a", [mine(MANY + 1)], 0);
      await done(redis);
      const deleted = [3, 700, MANY];
      for (const n of deleted) assert(!await has(redis, n), `${n}`);
      assertEquals(
        textsOf(await store.after("a", 0, ALL)),
        range(1, MANY + 1).map((n) => deleted.includes(n) ? "" : `text ${n}.`),
      );
      for (const kind of ["blank", "copy", "late"]) {
        assertEquals(await keysOf(redis, kind), []);
      }
    }),
);

/** As an older version deletes: the stream itself is made anew. */
const DELETE_AS_BEFORE = `
  local log, gone = 'partyline:log:a', 'partyline:gone:a'
  local entries = redis.call('XRANGE', log, '-', '+')
  redis.call('DEL', log)
  for _, entry in ipairs(entries) do
    entry[2][2] = string.gsub(entry[2][2], 'text 5%.', '')
    redis.call('XADD', log, entry[1], unpack(entry[2]))
  end
  redis.call('RPUSH', gone, '1500 {"type":"delete","target":5}')
`;

for (const isFollowed of [false, true]) {
  redisTest(
    "what an older version deletes meanwhile does not come back" +
      (isFollowed ? ", also if a newer one deletes something after it" : ""),
    () =>
      startRoom(async (store, redis) => {
        await erase(store, 700);
        await begun(redis);
        await redis.command("EVAL", DELETE_AS_BEFORE, "0");
        if (isFollowed) await erase(store, 701);
        await done(redis);
        assert(!await has(redis, 5));
        assert(!await has(redis, 700));
        const read = textsOf(await store.after("a", 0, ALL));
        assertEquals([read?.length, read?.[4]], [MANY, ""]);
      }),
  );
}

redisTest(
  "a room that is forgotten before it is wiped leaves nothing to its next life",
  () =>
    startRoom(async (store, redis) => {
      await erase(store, 1);
      await begun(redis);
      const days = `${FORGET_AFTER_MS}`;
      await redis.command("HINCRBY", "partyline:life", "lived", days);
      await store.forget(inUse());
      assertEquals((await store.head("a")).seq, 0);
      for (const kind of ["blank", "copy", "late"]) {
        assertEquals(await keysOf(redis, kind), []);
      }
      await fill(store, "a", 2);
      await done(redis);
      assertEquals(textsOf(await store.after("a", 0, ALL)), ["1", "2"]);
    }),
);

redisTest(
  "a room that an older version forgot before it is wiped leaves nothing, too",
  () =>
    startRoom(async (store, redis) => {
      await erase(store, 1);
      await begun(redis);
      const keys = ["log:a", "room:a", "gone:a"].map((key) =>
        `partyline:${key}`
      );
      await redis.command("DEL", ...keys);
      await fill(store, "a", 2);
      assertEquals(textsOf(await store.after("a", 0, ALL)), ["1", "2"]);
      await done(redis);
      for (const kind of ["blank", "copy", "late"]) {
        assertEquals(await keysOf(redis, kind), []);
      }
      assertEquals(textsOf(await store.after("a", 0, ALL)), ["1", "2"]);
    }),
);
