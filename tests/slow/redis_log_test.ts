// RedisLog against a real Redis: the contract of the other logs first, then
// what only several servers have.
import { assert, assertEquals } from "@std/assert";
import { RedisLog } from "../../chat/log_redis.ts";
import type { Entry } from "../../chat/log_shared.ts";
import { soon, until } from "../harness.ts";
import { testLog } from "../log_contract.ts";
import { type Redis, redisBinaries, redisTest, startRedis } from "../redis.ts";
import { type Fate, startTcpProxy } from "../tcp_proxy.ts";

const redises = new WeakMap<RedisLog, Redis>();

async function open(binary: string | undefined, keep: number) {
  const redis = await startRedis(binary === undefined ? {} : { binary });
  const log = await RedisLog.open(
    { url: redis.url, ca: "", keep, leaseMs: 15_000 },
    { random: Math.random, told: () => {} },
  );
  redises.set(log, redis);
  return log;
}

for (const binary of redisBinaries()) {
  testLog(`RedisLog on ${binary}`, (keep) => open(binary, keep), {
    register: redisTest,
    close: async (log) => {
      await log.close();
      await redises.get(log)?.[Symbol.asyncDispose]();
    },
  });
}

/** Two servers' logs on one Redis, and what is told in a room. */
async function openTwo(leaseMs = 15_000) {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const open = async () => {
    const options = { url: redis.url, ca: "", keep: 100, leaseMs };
    const world = { random: Math.random, told: () => {} };
    const log = await RedisLog.open(options, world);
    stack.defer(() => log.close());
    return log;
  };
  const logs = [await open(), await open()] as const;
  return { redis, logs, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Who is told to be there by now, and how many. */
async function listen(log: RedisLog, room: string) {
  const heard = new Set<string>();
  let count = 0;
  await log.follow(room, {
    heard: ({ events }) => {
      for (const event of events.map((event) => JSON.parse(event))) {
        if (event.type !== "join") heard.delete(event.sender);
        if (event.type !== "leave") heard.add(event.name ?? event.sender);
        count = event.count ?? count;
      }
    },
    drawn: () => {},
    resync: () => {},
  });
  return (wanted: string) =>
    until(() => `${[...heard].sort()} ${count}` === wanted, wanted);
}

const join = (name: string, hold: number): Entry => ({
  kind: "join",
  member: { name, hold },
  text: `{"type":"join","sender":"${name}","count":`,
});

const rename = (before: string, name: string, hold: number): Entry => ({
  kind: "rename",
  before,
  member: { name, hold },
  text: `{"type":"rename","sender":"${before}","name":"${name}"}`,
});

const fails = (call: Promise<unknown>) => call.then(() => false, () => true);

redisTest(
  "a rename that is told late finds whoever came with the key since then",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.logs;
    const told = await listen(two, "lobby");
    await one.commit("lobby", [join("Bob", 1), join("Ann", 1)], 0);
    await two.commit("lobby", [join("Anna", 2)], 0);
    await one.commit("lobby", [rename("Ann", "Anna", 1)], 0);
    await told("Anna,Bob 2");
    // The same, and this time it is the older one that has the name.
    await two.commit("lobby", [join("Ann", 3)], 0);
    await told("Ann,Anna,Bob 3");
    await two.commit("lobby", [rename("Ann", "Anna", 3)], 0);
    await told("Anna,Bob 2");
    const { names } = await two.sync("lobby", [{ name: "Anna", hold: 3 }], 0);
    assertEquals(names.toSorted(), ["Anna", "Bob"]);
  },
);

redisTest(
  "only who holds an identity can rename it, and who comes with its key gets the newest name",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.logs;
    const ann = await one.register("Ann", 0);
    assert(ann !== undefined);
    const { id, key, hold } = ann;
    assertEquals(await one.rename(ann, "Anna", hold), true);
    assertEquals((await two.identify(key, 0))?.name, "Anna");
    assertEquals(await one.rename(ann, "Annika", hold), true);
    const held = await two.hold(id);
    assertEquals(held?.name, "Annika");
    assert((held?.hold ?? 0) > hold);
    assertEquals(await one.rename(ann, "Late", hold), false);
    assertEquals(await two.rename(ann, "Anne", held?.hold), true);
    assertEquals(await two.hold("nobody"), undefined);
  },
);

redisTest(
  "a name given up by somebody present is nobody else's until that was told",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.logs;
    const ann = await one.register("Ann", 0);
    const bob = await two.register("Bob", 0);
    assert(ann !== undefined && bob !== undefined);
    await one.commit("lobby", [join("Ann", ann.hold)], 0);
    assertEquals(await one.rename(ann, "Anna", ann.hold), true);
    assertEquals(await two.rename(bob, "ann", bob.hold), false);
    assertEquals(await two.register("Ann", 0), undefined);
    assertEquals(await two.claim("Ann"), false);
    // Its own is free to it, whatever it was called meanwhile.
    assertEquals(await one.rename(ann, "Ann", ann.hold), true);
    assertEquals(await one.rename(ann, "ANN", ann.hold), true);
    assertEquals(await one.rename(ann, "Anna", ann.hold), true);
    await one.commit("lobby", [rename("Ann", "Anna", ann.hold)], 0);
    assertEquals(await two.rename(bob, "ann", bob.hold), true);
  },
);

redisTest(
  "rooms that are tried while Redis is away are not remembered until it is back",
  async () => {
    await using both = await openTwo();
    const { redis, logs: [one, two] } = both;
    const follower = { heard() {}, drawn() {}, resync() {} };
    let count = NaN;
    const look = () => {
      two.sync("lobby", [], 0).then(
        ({ names }) => count = names.length,
        () => {},
      );
    };
    await two.follow("lobby", { ...follower, heard: look, resync: look });
    await one.follow("lobby", follower);
    await one.commit("lobby", [join("Ann", 1)], 0);
    await until(() => count === 1, "Ann");
    await redis.kill();
    while (await one.claim("Bob").catch(() => false));
    for (let i = 0; i < 1_000; i++) {
      const room = `room ${i}`;
      assert(await fails(one.follow(room, follower)));
      assert(await fails(one.sync(room, [], 0)));
      one.unfollow(room, follower);
    }
    one.unfollow("lobby", follower);
    await redis.start();
    // The one room in which somebody was is put right, and it is the last.
    await until(() => count === 0, "an empty lobby");
    const stats = await redis.command("INFO", "commandstats");
    const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
    assert(calls < 1_000, `Redis was asked ${calls} times.`);
  },
);

redisTest(
  "of a life that is lost nothing can be read, and no beginning is told",
  async () => {
    await using both = await openTwo();
    const [log] = both.logs;
    await log.append("lobby", [{ text: "1" }], 0);
    const limit = { count: 10, chars: 1_000 };
    assertEquals(await log.after("lobby", 0, limit, "lost.0"), undefined);
    assertEquals(await log.before("lobby", 2, limit, "lost.0"), {
      events: [],
      more: true,
    });
  },
);

redisTest(
  "what is heard of a Redis that came back is not taken for what it lost",
  async () => {
    await using redis = await startRedis();
    const isHeld = Promise.withResolvers<void>();
    const isBusy = Promise.withResolvers<void>();
    let connections = 0;
    // Its second connection is held up when it listens to one of two rooms.
    const hold = async (bytes: Uint8Array, from: string): Promise<Fate> => {
      const isOther = new TextDecoder().decode(bytes).includes("turn:other");
      if (from === "client" && connections > 1 && isOther) {
        isHeld.resolve();
        await isBusy.promise;
      }
      return "pass";
    };
    await using network = startTcpProxy(redis.port, () => {
      connections++;
      return hold;
    });
    const options = { ca: "", keep: 100, leaseMs: 15_000 };
    const world = { random: Math.random, told: () => {} };
    let heard = 0;
    const follower = { heard: () => heard++, drawn() {}, resync() {} };
    const one = await RedisLog.open({ ...options, url: redis.url }, world);
    let trouble: Error | undefined;
    const two = await RedisLog.open(
      { ...options, url: `redis://127.0.0.1:${network.port}` },
      { ...world, told: (it) => trouble = it },
    );
    try {
      await two.follow("lobby", follower);
      await two.follow("other", follower);
      const { epoch } = await one.append("lobby", [{ text: "1" }], 0);
      await until(() => heard === 1, "what was said");
      await redis.kill();
      await redis.start();
      await soon(isHeld.promise, "the second connection");
      assert(trouble !== undefined);
      for (const text of ["2", "3"]) {
        await one.append("lobby", [{ text }], 0);
      }
      await until(() => heard === 3, "what was said");
      isBusy.resolve();
      await until(() => trouble === undefined, "its being ready");
      assertEquals(await two.head("lobby"), { epoch, seq: 3 });
    } finally {
      isBusy.resolve();
      await Promise.all([one.close(), two.close()]);
    }
  },
);
