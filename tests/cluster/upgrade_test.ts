// What an older version stored on Redis still holds: its client recovers on a
// server of today. What a newer version stored is refused and left as it is.
import { assertEquals } from "@std/assert";
import { playReturn, type Recording } from "../support/fixtures/session.ts";
import session from "../support/fixtures/v1.redis-session.json" with {
  type: "json",
};
import commands from "../support/fixtures/v1.redis.json" with { type: "json" };
import { startServer } from "../support/harness.ts";
import { redisTest, startRedis } from "../support/redis.ts";
import { openStore } from "./nodes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

redisTest(
  "a client of version 1 recovers from Redis what it missed",
  async () => {
    await using redis = await startRedis();
    for (const command of commands) await redis.command(...command);
    await using server = await startServer({ data: redis.url, rate: 0 });
    await playReturn(server, session as Recording);
    assertEquals(await redis.command("HGET", "partyline:life", "format"), "2");
  },
);

redisTest(
  "of what version 1 stored on Redis nothing is forgotten at once, whatever its times are",
  async () => {
    await using redis = await startRedis();
    for (const command of commands) await redis.command(...command);
    for (const set of ["ids", "rooms"]) {
      const all = await redis.command("ZRANGE", `partyline:${set}`, "0", "-1");
      for (const name of all.split("\n")) {
        await redis.command("ZADD", `partyline:${set}`, "1", name);
      }
    }
    const store = await openStore(redis.url);
    try {
      const { seq } = await store.head("lobby");
      const inUse = { rooms: new Set<string>(), identities: new Set<string>() };
      await store.forget(inUse);
      assertEquals((await store.head("lobby")).seq, seq);
      const { key } = JSON.parse((session as Recording).hello);
      assertEquals((await store.identify(key))?.name, "Ada Lovelace");
    } finally {
      await store.close();
    }
  },
);

redisTest(
  "nobody gets a name that looks like one that version 1 stored on Redis",
  async () => {
    await using redis = await startRedis();
    for (const command of commands) await redis.command(...command);
    const store = await openStore(redis.url);
    try {
      assertEquals(await store.register("Ada LoveIace"), undefined);
      const { key } = JSON.parse((session as Recording).hello);
      assertEquals((await store.identify(key))?.name, "Ada Lovelace");
    } finally {
      await store.close();
    }
  },
);

redisTest(
  "a look that an older server left behind on Redis keeps nobody from a name",
  async () => {
    await using redis = await startRedis();
    const store = await openStore(redis.url);
    try {
      const ada = await store.register("coco");
      const id = `${ada?.id}`;
      // Version 1 knows of no looks: it renames, and the look stays.
      await redis.command("HDEL", "partyline:folded", "coco");
      await redis.command("HSET", "partyline:folded", "ada", id);
      await redis.command("HSET", `partyline:id:${id}`, "name", "Ada");
      await redis.command("HSET", `partyline:id:${id}`, "folded", "ada");
      assertEquals((await store.acquire({ id, name: "Ada" }))?.name, "Ada");
      assertEquals(await store.register("Adа"), undefined);
      const other = await store.register("сосо");
      assertEquals(other?.name, "сосо");
      // It forgets one, too.
      await redis.command("DEL", `partyline:id:${other?.id}`);
      await redis.command("HDEL", "partyline:folded", "сосо");
      assertEquals((await store.register("coco"))?.name, "coco");
    } finally {
      await store.close();
    }
  },
);

redisTest(
  "data of a newer version on Redis are refused in a sentence and stay as they are",
  async () => {
    await using redis = await startRedis();
    for (const command of commands) await redis.command(...command);
    await redis.command("HSET", "partyline:life", "format", "7");
    const dump = async () => {
      const keys = (await redis.command("KEYS", "*")).split("\n").sort();
      const life = await redis.command("HGETALL", "partyline:life");
      return [keys, life];
    };
    const before = await dump();
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "main.ts", "--data", redis.url, "--port", "0"],
      cwd: ROOT,
    }).output();
    assertEquals([code, stdout.length], [1, 0]);
    assertEquals(
      new TextDecoder().decode(stderr),
      `partyline: Redis at 127.0.0.1:${redis.port}: its data was written by a ` +
        "newer Partyline (its format is 7, this one reads up to 2): start that " +
        "version, or choose another Redis or number of a database.\n",
    );
    assertEquals(await dump(), before);
  },
);
