// The tests' own tools for what happens to Redis: the process that is killed,
// paused and emptied, and the network before it that is cut or stalls. They are
// tried on a value that is stored and asked for, without Partyline.
import { assertEquals, assertMatch } from "@std/assert";
import { startCutProxy } from "../support/cut_proxy.ts";
import { soon } from "../support/harness.ts";
import {
  type Redis,
  redisBinaries,
  redisTest,
  startRedis,
} from "../support/redis.ts";

const CERTIFICATES =
  new URL("../support/certificates/", import.meta.url).pathname;

/** Enough for an answer that is not held up. */
const PATIENCE_MS = 250;

/** What is wrong, or nothing. */
const complaintOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(() => "", String);

/** Fails if it is settled while one waits for it. */
const assertHeldUp = async (promise: Promise<unknown>) =>
  assertMatch(
    await complaintOf(soon(promise, "it", PATIENCE_MS)),
    /waited .* in vain for it/,
  );

const store = (redis: Redis) => redis.command("SET", "word", "grüß dich");
const ask = (redis: Redis) => redis.command("GET", "word");

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

/** The answer on this connection, or that it was ended. */
async function ping(connection: Deno.Conn): Promise<string> {
  const chunk = new Uint8Array(100);
  try {
    await connection.write(new TextEncoder().encode("PING\r\n"));
    const n = await soon(connection.read(chunk), "an answer");
    if (n !== null) return new TextDecoder().decode(chunk.subarray(0, n));
  } catch (error) {
    if (!/reset|broken pipe/i.test(String(error))) throw error;
  }
  return "ended";
}

redisTest(
  "what was stored outlives a kill and a stop, in every kind of Redis",
  async () => {
    for (const binary of redisBinaries()) {
      await using redis = await startRedis({ binary });
      assertEquals(await store(redis), "OK");
      await redis.kill();
      assertMatch(await complaintOf(ask(redis)), /ConnectionRefused/);
      await redis.start();
      assertEquals(await ask(redis), "grüß dich");
      await redis.stop();
      await redis.start();
      assertEquals(await ask(redis), "grüß dich");
    }
  },
);

redisTest(
  "a Redis that is started empty, or that is not durable, has lost it",
  async () => {
    await using redis = await startRedis();
    await store(redis);
    await redis.stop();
    await redis.startEmpty();
    assertEquals(await ask(redis), "");
    await using forgetful = await startRedis({ durable: false });
    await store(forgetful);
    await forgetful.kill();
    await forgetful.start();
    assertEquals(await ask(forgetful), "");
  },
);

redisTest("a Redis that is started with a copy has that state", async () => {
  await using redis = await startRedis();
  await store(redis);
  const copy = redis.copy();
  await redis.command("SET", "word", "later");
  await redis.kill();
  await redis.startWith(copy);
  assertEquals(await ask(redis), "grüß dich");
});

redisTest(
  "a paused Redis answers when it is resumed, and can be ended",
  async () => {
    await using redis = await startRedis();
    redis.pause();
    const reply = redis.command("PING");
    await assertHeldUp(reply);
    redis.resume();
    assertEquals(await reply, "PONG");
    redis.pause();
    await redis.stop();
    await redis.start();
    redis.pause();
  },
);

redisTest("Redis speaks over TLS, with a password", async () => {
  const password = "s3cret/?";
  await using redis = await startRedis({
    tls: { cert: `${CERTIFICATES}first.pem`, key: `${CERTIFICATES}first.key` },
    password,
  });
  assertEquals(redis.url, `rediss://:s3cret%2F%3F@127.0.0.1:${redis.port}`);
  await store(redis);
  await redis.command("RPUSH", "list", "a", "b");
  assertEquals(await redis.command("LRANGE", "list", "0", "-1"), "a\nb");
  assertEquals(await ask(redis), "grüß dich");
  assertEquals(await redis.command("LLEN", "list"), "2");
  assertMatch(await complaintOf(redis.command("NONSENSE")), /ERR unknown/);
});

redisTest(
  "a Redis that does not start says why, and leaves nothing",
  async () => {
    await using redis = await startRedis();
    for (
      const [options, complaint] of [
        [{ port: redis.port }, /Address already in use/],
        [{ args: ["--nonsense"] }, /Bad directive/],
        [{ binary: "no-such-server" }, /no-such-server is not installed/],
      ] as const
    ) {
      assertMatch(await complaintOf(startRedis(options)), complaint);
    }
  },
);

redisTest(
  "a network that is cut ends what there is, until it is mended",
  async () => {
    await using redis = await startRedis();
    await using proxy = startCutProxy(redis.port);
    using before = await connect(proxy.port);
    assertEquals(await ping(before), "+PONG\r\n");
    proxy.cut();
    assertEquals(await ping(before), "ended");
    using meanwhile = await connect(proxy.port);
    assertEquals(await ping(meanwhile), "ended");
    proxy.resume();
    using after = await connect(proxy.port);
    assertEquals(await ping(after), "+PONG\r\n");
  },
);

redisTest("a network that stalls holds all up and loses nothing", async () => {
  await using redis = await startRedis();
  await using proxy = startCutProxy(redis.port);
  using old = await connect(proxy.port);
  using leaving = await connect(proxy.port);
  assertEquals(await ping(old), "+PONG\r\n");
  assertEquals(await ping(leaving), "+PONG\r\n");
  proxy.stall();
  using young = await connect(proxy.port);
  const replies = Promise.all([ping(old), ping(young)]);
  leaving.close();
  await assertHeldUp(replies);
  const clients = async () =>
    (await redis.command("CLIENT", "LIST")).match(/^id=/gm)?.length;
  // These two and the one that asks.
  assertEquals(await clients(), 3);
  proxy.resume();
  assertEquals(await replies, ["+PONG\r\n", "+PONG\r\n"]);
  proxy.stall();
  const lost = ping(old);
  await assertHeldUp(lost);
  proxy.cut();
  assertEquals(await lost, "ended");
  assertMatch(await redis.command("INFO", "clients"), /connected_clients:1\r/);
});
