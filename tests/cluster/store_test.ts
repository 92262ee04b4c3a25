// RedisStore against a real Redis: the contract of the other stores first, then
// what only several servers have.
import { assert, assertEquals } from "@std/assert";
import { FORGET_AFTER_MS } from "../../chat/store/store.ts";
import type { RedisStore } from "../../chat/store/redis/store.ts";
import { encodeDraft } from "../../chat/protocol/events.ts";
import { pause, soon, until } from "../support/harness.ts";
import {
  inUse,
  join,
  Listener,
  message,
  rename,
  testStore,
} from "../support/store_contract.ts";
import {
  type Redis,
  redisBinaries,
  redisTest,
  startRedis,
} from "../support/redis.ts";
import { type Fate, startTcpProxy } from "../support/tcp_proxy.ts";
import { openStore } from "./nodes.ts";

const redises = new WeakMap<RedisStore, Redis>();

async function open(binary: string | undefined, keep: number) {
  const redis = await startRedis(binary === undefined ? {} : { binary });
  const store = await openStore(redis.url, { keep });
  redises.set(store, redis);
  return store;
}

for (const binary of redisBinaries()) {
  testStore(`RedisStore on ${binary}`, (keep) => open(binary, keep), {
    register: redisTest,
    age: (store, ms) =>
      redises.get(store)
        ?.command("HINCRBY", "partyline:life", "lived", `${ms}`),
    close: async (store) => {
      await store.close();
      await redises.get(store)?.[Symbol.asyncDispose]();
    },
  });
}

/** Two servers' stores on one Redis. */
async function openTwo(leaseMs = 15_000) {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const open = async () =>
    stack.adopt(
      await openStore(redis.url, { leaseMs }),
      (store) => store.close(),
    );
  const stores = [await open(), await open()] as const;
  return { redis, stores, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Who is told to be there by now. */
async function listen(store: RedisStore, room: string) {
  const listener = new Listener();
  await store.subscribe(room, listener);
  return (wanted: string) =>
    until(() => `${[...listener.roster].sort()}` === wanted, wanted);
}

const fails = (call: Promise<unknown>) => call.then(() => false, () => true);

/** To the data, a clock of Redis that is set is one that they are behind. */
const SET_CLOCK = `
  for _, set in ipairs({ 'ids', 'rooms', 'nodes' }) do
    for _, it in ipairs(redis.call('ZRANGE', 'partyline:'..set, 0, -1)) do
      redis.call('ZINCRBY', 'partyline:'..set, -ARGV[1], it)
    end
  end
  for _, field in ipairs({ 'lived', 'seen', 'counted' }) do
    redis.call('HINCRBY', 'partyline:life', field, -ARGV[1])
  end
  local claims = redis.call('HGETALL', 'partyline:claims')
  for i = 1, #claims, 2 do
    local untilMs, rest = string.match(claims[i + 1], '^~(%d+)(.*)$')
    if untilMs then
      local is = string.format('~%d', untilMs - ARGV[1])..rest
      redis.call('HSET', 'partyline:claims', claims[i], is)
    end
  end
`;

redisTest(
  "a clock of Redis that is set makes nothing forgotten, and nobody dead",
  async () => {
    await using both = await openTwo(2_000);
    const { redis, stores: [one, two] } = both;
    const isHere = await listen(two, "lobby");
    const ann = await one.register("Ann");
    assert(ann !== undefined);
    await one.append("lobby", [join("Ann", 1), message("hi")], 0);
    assertEquals(await one.claim("Plain"), true);
    one.unclaim("Plain", 60_000);
    await isHere("Ann");
    const life = async (field: string) =>
      Number(await redis.command("HGET", "partyline:life", field));
    for (const days of [31, -31]) {
      const setMs = days * 24 * 60 * 60 * 1_000;
      await redis.command("EVAL", SET_CLOCK, "0", `${setMs}`);
      const lived = await life("lived");
      await one.forget(inUse());
      // Until all of them have beaten, each a third of a lease after the last.
      while (await life("lived") < lived + 2_000) {
        assert(Math.abs(await life("lived") - lived) < 60_000);
        await pause(50);
      }
      await two.forget(inUse());
      assertEquals(await redis.command("ZCARD", "partyline:nodes"), "2");
      assertEquals((await two.identify(ann.key))?.name, "Ann");
      assertEquals((await two.head("lobby")).seq, 1);
      assertEquals(await two.claim("Plain"), false);
    }
    await isHere("Ann");
  },
);

redisTest(
  "what an older version stored and told with half of a surrogate pair is read as text",
  async () => {
    await using both = await openTwo();
    const [old, store] = both.stores;
    const ann = await old.register("Ann");
    assert(ann !== undefined);
    const text = encodeDraft({ at: "", sender: "Ann", message: "\ud83d" });
    const entry = {
      kind: "message",
      text,
      identity: ann.id,
      id: "1",
    } as const;
    const room = new Listener();
    await store.subscribe("lobby", room);
    await old.append("lobby", [entry], 0);
    const limit = { count: 10, chars: 1_000 };
    const [repeat] = await store.append("lobby", [entry], 0);
    const said = [
      await store.after("lobby", 0, limit),
      (await store.before("lobby", 2, limit)).events,
      [repeat?.text],
    ].map((events) => JSON.parse(events?.[0] ?? "").message);
    assertEquals(repeat?.isRepeat, true);
    assertEquals(said, ["\ufffd", "\ufffd", "\ufffd"]);
    await until(() => room.head.seq === 1, "the turn");
    assertEquals(room.told, ["message 1 \ufffd"]);
  },
);

redisTest(
  "a rename that is told late finds whoever came with the key since then",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.stores;
    const told = await listen(two, "lobby");
    await one.append("lobby", [join("Bob", 1), join("Ann", 1)], 0);
    await two.append("lobby", [join("Anna", 2)], 0);
    await one.append("lobby", [rename("Ann", "Anna", 1)], 0);
    await told("Anna,Bob");
    // The same, and this time it is the older one that has the name.
    await two.append("lobby", [join("Ann", 3)], 0);
    await told("Ann,Anna,Bob");
    await two.append("lobby", [rename("Ann", "Anna", 3)], 0);
    await told("Anna,Bob");
  },
);

redisTest(
  "only who holds an identity can rename it, and who comes with its key gets the newest name",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.stores;
    const ann = await one.register("Ann");
    assert(ann !== undefined);
    const { key, generation } = ann;
    assertEquals(await one.rename(ann, "Anna"), true);
    assertEquals((await two.identify(key))?.name, "Anna");
    assertEquals(await one.rename(ann, "Annika"), true);
    const held = await two.acquire(ann);
    assert(held !== undefined);
    assertEquals(held.name, "Annika");
    assert(held.generation > generation);
    assertEquals(await one.rename(ann, "Late"), false);
    assertEquals(await two.rename({ ...ann, ...held }, "Anne"), true);
    assertEquals(await two.acquire({ id: "nobody", name: "" }), undefined);
  },
);

redisTest(
  "a name given up by somebody present is nobody else's until that was told",
  async () => {
    await using both = await openTwo();
    const [one, two] = both.stores;
    const ann = await one.register("Ann");
    const bob = await two.register("Bob");
    assert(ann !== undefined && bob !== undefined);
    await one.append("lobby", [join("Ann", ann.generation)], 0);
    assertEquals(await one.rename(ann, "Anna"), true);
    assertEquals(await two.rename(bob, "ann"), false);
    assertEquals(await two.register("Ann"), undefined);
    assertEquals(await two.claim("Ann"), false);
    // Its own is free to it, whatever it was called meanwhile.
    assertEquals(await one.rename(ann, "Ann"), true);
    assertEquals(await one.rename(ann, "ANN"), true);
    assertEquals(await one.rename(ann, "Anna"), true);
    await one.append("lobby", [rename("Ann", "Anna", ann.generation)], 0);
    assertEquals(await two.rename(bob, "ann"), true);
  },
);

redisTest(
  "a room in which nothing was said goes on when another server forgets others",
  async () => {
    await using both = await openTwo();
    const { redis, stores: [one, two] } = both;
    const room = new Listener();
    await two.subscribe("quiet", room);
    await two.append("quiet", [join("Ann", 1)], 0);
    const { epoch } = room.head;
    await one.append("old", [message("x")], 0);
    const days = `${FORGET_AFTER_MS}`;
    await redis.command("ZINCRBY", "partyline:rooms", `-${days}`, "old");
    await redis.command("HINCRBY", "partyline:life", "counted", `-${days}`);
    await one.forget(inUse());
    assertEquals((await one.head("old")).seq, 0);
    await two.append("quiet", [message("hi")], 0);
    await until(() => room.head.seq === 1, "what was said");
    assertEquals([room.head.epoch, room.restarts], [epoch, 0]);
  },
);

redisTest(
  "rooms that are tried while Redis is away are not remembered until it is back",
  async () => {
    await using both = await openTwo();
    const { redis, stores: [one, two] } = both;
    const [here, there] = [new Listener(), new Listener()];
    await two.subscribe("lobby", there);
    await one.subscribe("lobby", here);
    await one.append("lobby", [join("Ann", 1)], 0);
    await until(() => there.roster.size === 1, "Ann");
    await redis.kill();
    while (await one.claim("Bob").catch(() => false));
    for (let i = 0; i < 1_000; i++) {
      const room = `room ${i}`;
      assert(await fails(one.subscribe(room, here)));
      one.unsubscribe(room, here);
    }
    one.unsubscribe("lobby", here);
    await redis.start();
    // The one room in which somebody was is put right, and it is the last.
    await until(() => there.roster.size === 0, "an empty lobby");
    const stats = await redis.command("INFO", "commandstats");
    const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
    assert(calls < 1_000, `Redis was asked ${calls} times.`);
  },
);

redisTest(
  "of a life that is lost nothing can be read, and no beginning is told",
  async () => {
    await using both = await openTwo();
    const [store] = both.stores;
    await store.append("lobby", [message("1")], 0);
    const limit = { count: 10, chars: 1_000 };
    assertEquals(await store.after("lobby", 0, limit, "lost.0"), undefined);
    assertEquals(await store.before("lobby", 2, limit, "lost.0"), {
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
    const lobby = new Listener();
    const one = await openStore(redis.url);
    let trouble: Error | undefined;
    const two = await openStore(`redis://127.0.0.1:${network.port}`, {
      noteStatus: (it) => trouble = it,
    });
    try {
      await two.subscribe("lobby", lobby);
      await two.subscribe("other", new Listener());
      await one.append("lobby", [message("1")], 0);
      const { epoch } = lobby.head;
      await until(() => lobby.head.seq === 1, "what was said");
      await redis.kill();
      await redis.start();
      await soon(isHeld.promise, "the second connection");
      assert(trouble !== undefined);
      for (const text of ["2", "3"]) {
        await one.append("lobby", [message(text)], 0);
      }
      await until(() => lobby.head.seq === 3, "what was said");
      isBusy.resolve();
      await until(() => trouble === undefined, "its being ready");
      assertEquals(await two.head("lobby"), { epoch, seq: 3 });
    } finally {
      isBusy.resolve();
      await Promise.all([one.close(), two.close()]);
    }
  },
);
