// A server whose lease runs out, because it was cut off from Redis or was
// killed: for the others its members have left, once; whoever was cut off comes
// back with all of them, whoever was on a server that died comes to another.
import { assert, assertEquals } from "@std/assert";
import { scriptsFor } from "../../chat/store/redis/scripts.ts";
import { Client, soon, startServer, until } from "../support/harness.ts";
import { type Redis, redisTest, startRedis } from "../support/redis.ts";
import { startTcpProxy } from "../support/tcp_proxy.ts";
import {
  drop,
  type Guest,
  hear,
  join,
  rosterOf,
  startCluster,
  startNode,
  startProgram,
  textsOf,
} from "./nodes.ts";

/** Waits until the guest has heard that these left, and says how often each. */
async function hearLeaving(guest: Guest, ...names: string[]) {
  const left = () =>
    guest.heard.filter(({ type }) => type === "leave")
      .map(({ sender }) => sender);
  while (!names.every((name) => left().includes(name))) await guest.next();
  assertEquals(left().sort(), names.sort());
}

/** What Redis keeps of who has a name without an identity. */
const claimOf = (redis: Redis, name: string) =>
  redis.command("HGET", "partyline:claims", name);

redisTest(
  "a server that was cut off for longer than its lease comes back with all",
  async () => {
    await using cluster = await startCluster();
    const { redis, one, two } = cluster;
    await using ann = await join(one, { name: "Ann" });
    await using pia = await drop(one, "I am Pia");
    await using bob = await join(two, { name: "Bob" });
    await hear(ann, "I am Pia");
    const claim = await claimOf(redis, pia.name);
    one.network.cut();
    await hearLeaving(bob, "Ann", pia.name);
    // Its name is nobody's, and rests.
    assert((await claimOf(redis, pia.name)).startsWith("~"));
    bob.say("meanwhile");
    await hear(bob, "meanwhile");
    one.network.resume();
    await hear(ann, "meanwhile");
    await hear(pia, "meanwhile");
    while (!rosterOf(bob).includes(pia.name)) await bob.next();
    assertEquals(rosterOf(bob), ["Ann", "Bob", pia.name].sort());
    pia.say("still here");
    await hear(bob, "still here");
    const { sender } = bob.heard.at(-1);
    assertEquals(sender, pia.name);
    assertEquals(await claimOf(redis, pia.name), claim);
    ann.say("me too");
    for (const guest of [ann, pia, bob]) await hear(guest, "me too");
    assertEquals(textsOf(ann), textsOf(bob));
    assertEquals(textsOf(pia), textsOf(bob));
    await hearLeaving(ann);
  },
);

redisTest(
  "who lost a name while its server was cut off comes back under another",
  async () => {
    await using redis = await startRedis();
    // Both servers would give the same name first.
    const random = () => 0;
    await using one = await startNode(redis, {}, { random });
    await using two = await startNode(redis, {}, { random });
    await using bob = await join(two, { name: "Bob" });
    await using pia = await drop(one, "I am Pia");
    one.network.cut();
    await hearLeaving(bob, pia.name);
    await redis.command("HSET", "partyline:claims", pia.name, "~1 nobody");
    await using pol = await drop(two, "I am Pol");
    assertEquals(pol.name, pia.name);
    one.network.resume();
    const { code, reason } = await soon(pia.closed, "the end");
    assertEquals([code, reason], [1013, "the name was lost"]);
    await using back = await drop(one, "I am back");
    assert(back.name !== pia.name);
    await hear(bob, "I am back");
    assertEquals(rosterOf(bob), ["Bob", pol.name, back.name].sort());
    pol.say("still here");
    await hear(back, "still here");
  },
);

redisTest(
  "who was on a server that was killed left once, and comes to another",
  async () => {
    await using redis = await startRedis();
    await using program = await startProgram(redis);
    await using two = await startServer({ data: redis.url, lease: 2 });
    await using three = await startServer({ data: redis.url, lease: 2 });
    await using bob = await join(two, { name: "Bob" });
    await using cat = await join(three, { name: "Cat" });
    const ann = await join(program, { name: "Ann" });
    const eve = await join(program, { name: "Eve" });
    const pia = await drop(program, "I am Pia");
    await hear(ann, "I am Pia");
    const { key, epoch } = ann.welcome;
    const { seq } = ann.heard.at(-1);

    await program.kill();
    bob.say("meanwhile");
    // Ann is back before the lease is over, Eve after it.
    await using back = await join(two, { key, since: { epoch, seq } });
    assertEquals([back.welcome.sender, back.welcome.recovered], ["Ann", true]);
    await hear(back, "meanwhile");
    await hearLeaving(bob, "Eve", pia.name);
    await hearLeaving(cat, "Eve", pia.name);
    await using eveBack = await join(three, {
      key: eve.welcome.key,
      since: { epoch: eve.welcome.epoch, seq: eve.welcome.seq },
    });
    assertEquals(eveBack.welcome.sender, "Eve");
    assertEquals(eveBack.welcome.recovered, true);
    await hear(eveBack, "I am Pia", "meanwhile");
    assertEquals(eveBack.welcome.members.sort(), ["Ann", "Bob", "Cat", "Eve"]);

    assert((await claimOf(redis, pia.name)).startsWith("~"));
    eveBack.say("after");
    for (const guest of [bob, cat, back, eveBack]) {
      await hear(guest, "after");
      assertEquals(rosterOf(guest), ["Ann", "Bob", "Cat", "Eve"]);
    }
    // Nobody was told twice, and Ann was never away.
    await hearLeaving(bob, "Eve", pia.name);
    await hearLeaving(cat, "Eve", pia.name);
    const annsArrivals = bob.heard.filter(({ type, sender }) =>
      type === "join" && sender === "Ann"
    );
    assertEquals(annsArrivals.length, 1);
    for (const guest of [ann, eve, pia]) await guest[Symbol.asyncDispose]();
  },
);

redisTest(
  "a server that comes back while it is being taken for dead has all again",
  async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis);
    await using stack = new AsyncDisposableStack();
    // More rooms than are cleared in one step.
    const rooms = Array.from({ length: 60 }, (_, i) => `room-${i}`);
    for (const room of rooms) {
      stack.use(await join({ ws: `${one.ws}?room=${room}` }));
    }
    const here = (room: string) =>
      redis.command("HVALS", `partyline:here:${room}`);
    const before = await Promise.all(rooms.map(here));
    const [, node = ""] = before[0]?.split(" ") ?? [];
    // The first step of another server, which then has no time for the second.
    const leave = ['{"type":"leave","sender":"', '","count":'];
    const args = [node, ...leave, "0", "", "1", "link 1"];
    const isDone = await redis.command(
      "EVAL",
      scriptsFor("0").reap,
      "0",
      ...args,
    );
    assertEquals(isDone, "0");
    for (const [i, room] of rooms.entries()) {
      const isBack = async () => {
        while (await here(room) !== before[i]);
      };
      await soon(isBack(), `who is in ${room}`);
    }
  },
);

redisTest(
  "a name that was given back while Redis was away is nobody's afterwards",
  async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis, { lease: 60 });
    await using pia = await drop(one, "I am Pia");
    await using pol = await drop(one, "I am Pol");
    const claim = await claimOf(redis, pol.name);
    one.network.cut();
    pia.socket.close();
    await until(() => one.hub.census.names === 1, "the end of Pia");
    one.network.resume();
    const isFree = async () => {
      while (!(await claimOf(redis, pia.name)).startsWith("~"));
    };
    await soon(isFree(), "a name that rests");
    assertEquals(await claimOf(redis, pol.name), claim);
    pol.say("still here");
    await hear(pol, "still here");
  },
);

redisTest(
  "a name that nobody heard of being given is nobody's afterwards",
  async () => {
    await using redis = await startRedis();
    let isClaimed = false;
    let isCutting = true;
    await using network = startTcpProxy(redis.port, () => (bytes, from) => {
      const text = new TextDecoder().decode(bytes);
      if (from === "client") isClaimed ||= text.includes("able-alpaca");
      else if (isClaimed && isCutting) {
        isCutting = false;
        return "end";
      }
      return "pass";
    });
    const data = `redis://127.0.0.1:${network.port}`;
    // So that it is known which name is given first.
    await using one = await startServer({ data }, { random: () => 0 });
    await using pia = await Client.open(one.ws);
    assertEquals((await soon(pia.closed, "the end")).code, 1013);
    const isFree = async () => {
      while (await claimOf(redis, "able-alpaca") !== "");
    };
    assertEquals(isCutting, false);
    await soon(isFree(), "a name that is free");
  },
);
