// What several servers leave in Redis, and what they hold of it: nothing of a
// room in which nobody is but its history, nothing of a server that stopped.
import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import {
  Client,
  pause,
  range,
  soon,
  START_DEADLINE_MS,
  until,
} from "../support/harness.ts";
import { get, post } from "../support/http_clients.ts";
import { type Redis, redisTest, startRedis } from "../support/redis.ts";
import { newSeed } from "../support/seed.ts";
import { TextReader } from "../support/text_reader.ts";
import { Dice } from "../stress/dice.ts";
import { startCluster, startNode, Watcher } from "./nodes.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Rooms of which a server wants to hear. */
async function roomsFollowed(redis: Redis): Promise<string[]> {
  const channels = await redis.command("PUBSUB", "CHANNELS");
  return channels.split("\n").map((channel) => channel.split(":turn:"))
    .flatMap(([, room]) => room ?? []).sort();
}

/** Waits for it, asking again and again. */
async function untilFollowed(redis: Redis, ...rooms: string[]) {
  let followed: string[] = [];
  for (let tries = 0; tries < 200; tries++) {
    followed = await roomsFollowed(redis);
    if (`${followed}` === `${rooms}`) return;
    await pause(20);
  }
  assertEquals(followed, rooms);
}

const keysOf = async (redis: Redis) =>
  (await redis.command("KEYS", "*")).split("\n").filter((key) => key !== "")
    .sort();

redisTest(
  "a room in which nobody is any more is not listened to, and opens again",
  async () => {
    await using nodes = await startCluster();
    const attic = "?room=attic";
    await using bob = await Watcher.join(nodes.two.ws + attic, { name: "Bob" });
    for (const n of range(1, 5)) {
      const ann = await Watcher.join(nodes.one.ws + attic);
      await Watcher.join(nodes.one.ws).then((it) => it[Symbol.asyncDispose]());
      const channel = "partyline:0:turn:attic";
      await untilFollowed(nodes.redis, "attic");
      const numbers = await nodes.redis.command("PUBSUB", "NUMSUB", channel);
      assertEquals(numbers, `${channel}\n2`);
      ann.say(`${n}`);
      await until(() => bob.texts.length === n, "the message");
      await ann[Symbol.asyncDispose]();
      await until(() => bob.roster.size === 1, "the leave");
      await until(() => nodes.one.hub.rooms.size === 0, "an empty server");
    }
    await bob[Symbol.asyncDispose]();
    await untilFollowed(nodes.redis);
  },
);

redisTest(
  "rooms that are entered and left in a hurry leave nothing behind",
  async () => {
    const seed = newSeed();
    await using nodes = await startCluster();
    const servers = [nodes.one, nodes.two];
    await Promise.all(
      range(1, 40).map(async (n) => {
        const dice = new Dice(seed, n);
        for (const _ of range(1, 10)) {
          const { ws } = dice.pick(servers) ?? nodes.one;
          const room = `room-${dice.below(3)}`;
          const isPlain = dice.chance(0.3);
          const protocols = isPlain ? [] : ["partyline.v1"];
          const socket = new WebSocket(`${ws}?room=${room}`, { protocols });
          const closed = new Promise((resolve) => socket.onclose = resolve);
          socket.onopen = () => {
            if (!isPlain) socket.send('{"type":"hello"}');
            setTimeout(() => socket.close(), dice.below(6));
          };
          await soon(closed, "the end");
          await pause(dice.below(4));
        }
      }),
    );
    await until(
      () => servers.every(({ hub }) => hub.rooms.size === 0),
      "empty servers",
    );
    await untilFollowed(nodes.redis);
    await until(
      () => servers.every(({ hub }) => hub.census.names === 0),
      "all names given back",
    );
    await using bob = await Watcher.join(nodes.two.ws + "?room=room-0");
    assertEquals(bob.welcome.count, 1);
    const here = (await keysOf(nodes.redis))
      .filter((key) => /:here:/.test(key));
    assertEquals(here, ["partyline:here:room-0"]);
  },
);

redisTest(
  "a room that was left again before Redis answered is not listened to",
  async () => {
    await using nodes = await startCluster();
    const { one, redis } = nodes;
    await using bob = await Watcher.join(`${nodes.two.ws}?room=attic`);
    await untilFollowed(redis, "attic");
    for (const count of range(1, 4)) {
      await until(() => one.hub.rooms.size === 0, "an empty server");
      one.network.stall();
      for (const _ of range(1, count)) {
        await using _client = await Client.open(`${one.ws}?room=attic`);
        await until(() => one.hub.rooms.size === 1, "the room");
        _client.socket.close();
        await until(() => one.hub.rooms.size === 0, "its end");
      }
      one.network.resume();
      // What is answered now was asked for after all of that.
      await using ann = await Watcher.join(one.ws);
      await untilFollowed(redis, "attic", "lobby");
      const channel = "partyline:0:turn:attic";
      const numbers = await redis.command("PUBSUB", "NUMSUB", channel);
      assertEquals(numbers, `${channel}\n1`);
      assertEquals(ann.welcome.count, 1);
      await using carl = await Watcher.join(`${one.ws}?room=attic`);
      carl.say(`${count}`);
      await until(() => bob.texts.length === count, "a message");
      await until(() => carl.texts.includes(`${count}`), "its echo");
    }
  },
);

redisTest(
  "whoever left while Redis was asked does not take the room from those who came since",
  async () => {
    await using nodes = await startCluster();
    const { one, redis } = nodes;
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    for (const n of range(1, 3)) {
      one.network.stall();
      const protocols = ["partyline.v1"];
      await using early = await Client.open(one.ws, { protocols });
      early.request({ type: "hello", name: `Early ${n}` });
      await until(() => one.hub.census.names === 1, "the hello");
      early.socket.close();
      await until(() => one.hub.rooms.size === 0, "the end of the room");
      await using plain = await Client.open(one.ws);
      await until(() => one.hub.rooms.size === 1, "the next room");
      one.network.resume();
      const { sender } = await plain.say(`${n}`);
      await until(() => bob.texts.includes(`${n}`), "what was said");
      assertEquals(bob.names, ["Bob", sender].toSorted());
      bob.say(`heard ${n}`);
      while ((await plain.nextOf("message")).message !== `heard ${n}`);
      await plain[Symbol.asyncDispose]();
      await until(() => bob.roster.size === 1, "the leave");
      await until(() => one.hub.rooms.size === 0, "an empty server");
      assertEquals(one.hub.census.names, 0);
      await untilFollowed(redis, "lobby");
    }
  },
);

redisTest(
  "whoever was on a server that stops leaves at once, not after its lease",
  async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis, { lease: 3_600 });
    await using bob = await Watcher.join(one.ws, { name: "Bob" });
    let keys: string[] = [];
    let plain = "";
    {
      await using two = await startNode(redis, { lease: 3_600 });
      const guests = range(1, 20).map((n) =>
        Watcher.join(`${two.ws}?room=${n > 10 ? "lobby" : `room-${n}`}`)
      );
      const here = await Promise.all(guests);
      keys = here.map(({ key }) => key);
      const client = await Client.open(two.ws);
      plain = (await client.say("hi")).sender;
      await until(() => bob.roster.size === 12, "all of them");
    }
    await until(() => bob.roster.size === 1 && bob.count === 1, "their end");
    for (const n of range(1, 10)) {
      await using watcher = await Watcher.join(`${one.ws}?room=room-${n}`);
      assertEquals(watcher.welcome.count, 1);
    }
    // Their names and identities can be used here.
    const [key = ""] = keys;
    await using back = await Watcher.join(one.ws, { key });
    const answer = await post(`${one.http}/messages?key=${keys[1]}`, "me too");
    assertEquals(answer.status, 200);
    await until(() => bob.roster.has(back.name), "who came back");
    // But for a minute not the names that nobody has a key for.
    bob.request({ type: "rename", name: plain });
    await until(() => bob.errors.length === 1, "the refusal");
    assertEquals(bob.errors, ["name_taken"]);
    const nodes = await redis.command("ZCARD", "partyline:nodes");
    assertEquals(nodes, "1");
  },
);

redisTest(
  "in Redis is nothing but Partyline's, and at the end what is to be kept",
  async () => {
    await using redis = await startRedis();
    const key = await (async () => {
      await using one = await startNode(redis);
      await using two = await startNode(redis);
      await using ann = await Watcher.join(one.ws, { name: "Ann" });
      await using bob = await Watcher.join(`${two.ws}?room=attic`);
      await using plain = await Client.open(two.ws);
      await plain.say("plain");
      await until(() => ann.texts.length === 1, "the first message");
      bob.say("in the attic");
      await until(() => bob.texts.length === 1, "the second message");
      ann.request({ type: "rename", name: "Anna" });
      await until(() => ann.name === "Anna", "the rename");
      const asked = `${two.http}/messages?room=silence`;
      assertEquals((await get(asked)).status, 200);
      for (const key of await keysOf(redis)) assertMatch(key, /^partyline:/);
      return ann.key;
    })();
    const [id = ""] = key.split(".");
    const keys = await keysOf(redis);
    const kept = new Set(keys.map((key) => key.replace(/^partyline:/, "")));
    const mayStay = [
      ...[
        "claims",
        "folded",
        "ids",
        "standing",
        "life",
        "looks",
        "log:attic",
        "log:lobby",
      ],
      ...["room:attic", "room:lobby", "rooms", `id:${id}`],
    ];
    for (const key of mayStay) assert(kept.delete(key), key);
    for (const key of [...kept]) {
      if (/^id:/.test(key)) kept.delete(key);
      // For as long as something may still be on its way from there.
      if (!/^link:/.test(key)) continue;
      const ttl = await redis.command("PTTL", `partyline:${key}`);
      assert(Number(ttl) > 0, `${key}: ${ttl}`);
      kept.delete(key);
    }
    assertEquals([...kept], []);
    // Ann, Bob, and who asked for silence; of the plain one a name that rests.
    assertEquals(await redis.command("ZCARD", "partyline:ids"), "3");
    assertEquals(await redis.command("HLEN", "partyline:folded"), "3");
    assertEquals(await redis.command("HLEN", "partyline:claims"), "1");
    assertEquals(await redis.command("HGET", `partyline:id:${id}`, "node"), "");
  },
);

Deno.test("without a Redis nothing of its client is loaded", async () => {
  // Where the client would be is nothing.
  const imports = {
    ...config.imports,
    "@redis/client": "file:///is/not/there.js",
  };
  const map = JSON.stringify({ imports });
  const start = (data: string) => {
    const [, , ...flags] = config.tasks.start.replaceAll("'", "").split(" ");
    const importMap = `data:application/json,${encodeURIComponent(map)}`;
    const args = ["run", `--import-map=${importMap}`, "--no-check", ...flags];
    return new Deno.Command(Deno.execPath(), {
      args: [...args, "--port", "0", "--data", data],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  };
  const child = start(":memory:");
  const stdout = new TextReader(child.stdout);
  const banner = await stdout.until(/Ctrl-C/, START_DEADLINE_MS);
  const port = /localhost:(\d+)/.exec(banner)?.[1];
  await using client = await Client.open(`ws://127.0.0.1:${port}/ws`);
  await client.say("it works");
  child.kill("SIGTERM");
  const [status] = await Promise.all([
    child.status,
    child.stderr.cancel(),
    stdout.cancel(),
  ]);
  assertEquals(status.code, 0);

  const output = await start("redis://127.0.0.1:1").output();
  assertEquals(output.code, 1);
  const { stderr } = output;
  assertMatch(new TextDecoder().decode(stderr), /is\/not\/there\.js/);
});
