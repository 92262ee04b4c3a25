// Several servers on one Redis are one server to everybody: names, rooms and
// who is there; and nobody notices which one somebody is on.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Hello } from "../../chat/protocol/requests.ts";
import { MAX_LISTED_MEMBERS } from "../../chat/protocol/events.ts";
import {
  Client,
  pause,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { redisTest, startRedis } from "../support/redis.ts";
import { newSeed } from "../support/seed.ts";
import { Dice } from "../stress/dice.ts";
import { startCluster, startNode, Watcher } from "./nodes.ts";

redisTest(
  "plain clients on two servers hear each other, in one order",
  async () => {
    await using nodes = await startCluster();
    await using ann = await Client.open(nodes.one.ws);
    await using bob = await Client.open(nodes.two.ws);
    await ann.say("1");
    await bob.say("2");
    assertEquals((await ann.nextOf("message")).message, "2");
    const { sender } = await ann.say("3");
    assertEquals((await bob.nextOf("message")).sender, sender);
    ann.socket.close();
    assertEquals((await bob.nextOf("leave")).sender, sender);
  },
);

redisTest("an assigned name is nobody else's on any server", async () => {
  await using redis = await startRedis();
  // Servers that throw the same dice think of the same names.
  const dice = () => {
    const dice = new Dice(1, 1);
    return { random: () => dice.next() };
  };
  await using one = await startNode(redis, {}, dice());
  await using two = await startNode(redis, {}, dice());
  await using stack = new AsyncDisposableStack();
  const names = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const { ws } = i % 2 ? one : two;
      if (i % 3 > 0) return stack.use(await Watcher.join(ws)).name;
      const plain = stack.use(await Client.open(ws));
      return (await plain.say(`${i}`)).sender;
    }),
  );
  assertEquals(new Set(names).size, 60);
});

redisTest(
  "a name taken on one server is refused on another, also in other letters and in some that look alike",
  async () => {
    await using nodes = await startCluster();
    await using ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
    assertEquals(ann.name, "Ann");
    await using coco = await Watcher.join(nodes.two.ws, { name: "coco" });
    assertEquals(coco.name, "coco");
    for (const name of ["Ann", "aNN", "Ａｎｎ", "сосо"]) {
      const node = name === "сосо" ? nodes.one : nodes.two;
      await using other = await Watcher.join(node.ws, { name });
      assert(other.name !== name);
      await until(() => other.errors.length > 0, "the reason");
      other.request({ type: "rename", name });
      await until(() => other.errors.length > 1, "the refusal");
      assertEquals(other.errors, ["name_taken", "name_taken"]);
    }
    // It is Ann's while she is away, too, and free when she is called else.
    await ann[Symbol.asyncDispose]();
    await using bob = await Watcher.join(nodes.two.ws, { name: "ann" });
    await until(() => bob.errors.length > 0, "the reason");
    await using back = await Watcher.join(nodes.one.ws, { key: ann.key });
    back.request({ type: "rename", name: "Anna" });
    await until(() => bob.roster.has("Anna"), "the rename");
    bob.request({ type: "rename", name: "ann" });
    await until(() => back.roster.has("ann"), "the free name");
  },
);

redisTest(
  "two who want one name at the same moment on two servers: one has it",
  async () => {
    await using nodes = await startCluster();
    await using ann = await Watcher.join(nodes.one.ws);
    await using bob = await Watcher.join(nodes.two.ws);
    for (let n = 0; n < 20; n++) {
      const name = `wish ${n}`;
      const refused = ann.errors.length + bob.errors.length;
      for (const guest of [ann, bob]) guest.request({ type: "rename", name });
      await until(
        () =>
          ann.errors.length + bob.errors.length > refused &&
          [ann, bob].every(({ roster }) => roster.has(name)),
        "one rename and one refusal",
      );
      assertEquals([ann.name, bob.name].filter((it) => it === name), [name]);
    }
    const wishes = Array.from({ length: 20 }, async (_, n) => {
      const name = `new ${n}`;
      await using stack = new AsyncDisposableStack();
      const guests = await Promise.all(
        [nodes.one, nodes.two].map(({ ws }) => Watcher.join(ws, { name })),
      );
      for (const guest of guests) stack.use(guest);
      assertEquals(guests.filter((it) => it.name === name).length, 1);
    });
    await Promise.all(wishes);
  },
);

redisTest(
  "the name of a plain client cannot be had on any server, nor for a minute after it left",
  async () => {
    let ahead = 0;
    await using nodes = await startCluster();
    const clock = { monotonic: () => performance.now() + ahead };
    await using one = await startNode(nodes.redis, {}, clock);
    await using ann = await Watcher.join(one.ws);
    await using bob = await Watcher.join(nodes.two.ws);
    const isRefused = async (name: string) => {
      for (const guest of [ann, bob]) {
        const { length } = guest.errors;
        guest.request({ type: "rename", name });
        await until(() => guest.errors.length > length, "a refusal");
        assertEquals(guest.errors.at(-1), "name_taken");
      }
      await using other = await Watcher.join(nodes.one.ws, { name });
      assert(other.name !== name);
    };
    const plain = await Client.open(one.ws);
    const { sender } = await plain.say("hi");
    await isRefused(sender);
    await isRefused(sender.toUpperCase());
    await plain[Symbol.asyncDispose]();
    await until(() => !bob.roster.has(sender), "the leave");
    await isRefused(sender);
    // The minute passes: Redis has a clock of its own.
    const claim = await nodes.redis.command("HGET", "partyline:claims", sender);
    const [, until_] = /^~(\d+) /.exec(claim) ?? [];
    const restMs = Number(until_) - Date.now();
    assert(restMs > 50_000 && restMs <= 60_000, claim);
    const past = claim.replace(/^~\d+/, `~${Date.now() - 1}`);
    await nodes.redis.command("HSET", "partyline:claims", sender, past);
    bob.request({ type: "rename", name: sender });
    await until(() => ann.roster.has(sender), "a name that has rested");
    ahead = 61_000;
    bob.request({ type: "rename", name: "Bob" });
    await until(() => ann.roster.has("Bob"), "another name");
    ann.request({ type: "rename", name: sender });
    await until(() => bob.roster.has(sender), "the name given back");
  },
);

redisTest(
  "who comes, goes, types and is renamed is heard of on the other server",
  async () => {
    await using nodes = await startCluster();
    await using ann = await Client.join(nodes.one.ws, { name: "Ann" });
    const bob = await Client.join(nodes.two.ws, { name: "Bob" });
    const come = await ann.nextOf("join");
    assertEquals([come.sender, come.count], ["Ann", 1]);
    const next = await ann.next();
    assertEquals([next.type, next.sender, next.count], ["join", "Bob", 2]);
    bob.request({ type: "typing" });
    assertEquals((await ann.nextOf("typing")).sender, "Bob");
    bob.request({ type: "rename", name: "Rob" });
    const { sender, name } = await ann.nextOf("rename");
    assertEquals([sender, name], ["Bob", "Rob"]);
    await using plain = await Client.open(nodes.two.ws);
    const { sender: third } = await plain.say("here");
    const joined = await ann.nextOf("join");
    assertEquals([joined.sender, joined.count], [third, 3]);
    await bob[Symbol.asyncDispose]();
    const left = await ann.nextOf("leave");
    assertEquals([left.sender, left.count], ["Rob", 2]);
    assertEquals((await plain.nextOf("leave")).sender, "Rob");
  },
);

redisTest(
  "a welcome names and counts who is on all servers, up to a bound",
  async () => {
    await using nodes = await startCluster();
    const servers = [nodes.one, nodes.two];
    await using stack = new AsyncDisposableStack();
    const join = (n: number) =>
      Watcher.join((n % 2 ? nodes.one : nodes.two).ws, { name: `guest ${n}` });
    const guests: Watcher[] = [];
    for (let n = 0; n < 20; n++) guests.push(stack.use(await join(n)));
    await assertRosters(servers, guests);
    const more = await Promise.all(
      Array.from({ length: MAX_LISTED_MEMBERS }, (_, n) => join(20 + n)),
    );
    for (const guest of more) guests.push(stack.use(guest));
    // Of those who were listed at once, each has heard of all.
    await until(
      () => guests.every(({ count }) => count === guests.length),
      "the count of all",
    );
    await using last = await Watcher.join(nodes.one.ws);
    const { members, count, sender } = last.welcome;
    assertEquals(count, guests.length + 1);
    assertEquals(members.length, MAX_LISTED_MEMBERS);
    assert(members.includes(sender));
  },
);

redisTest("a takeover and a rename leave the roster right", async () => {
  await using nodes = await startCluster();
  const servers = [nodes.one, nodes.two];
  await using stack = new AsyncDisposableStack();
  const join = async (server: TestServer, hello = {}, room = "lobby") =>
    stack.use(await Watcher.join(`${server.ws}?room=${room}`, hello));
  const ann = await join(nodes.one, { name: "Ann" });
  const bob = await join(nodes.two, { name: "Bob" });
  const ann2 = await join(nodes.two, { key: ann.key });
  assertEquals((await ann.closed).code, 4002);
  await assertRosters(servers, [ann2, bob]);
  ann2.request({ type: "rename", name: "Anna" });
  await until(() => bob.roster.has("Anna"), "the rename");
  await assertRosters(servers, [ann2, bob]);
  const ann3 = await join(nodes.one, { key: ann.key });
  assertEquals(ann3.name, "Anna");
  await assertRosters(servers, [ann3, bob]);
  // Into another room, and from there back.
  const carl = await join(nodes.two, { name: "Carl" }, "attic");
  const ann4 = await join(nodes.two, { key: ann.key }, "attic");
  assertEquals((await ann3.closed).code, 4002);
  await assertRosters(servers, [bob]);
  await assertRosters(servers, [ann4, carl], "attic");
  const ann5 = await join(nodes.one, { key: ann.key });
  assertEquals((await ann4.closed).code, 4002);
  await assertRosters(servers, [ann5, bob]);
  await assertRosters(servers, [carl], "attic");
});

redisTest(
  "whoever is renamed and at once comes on the other server is there under the new name",
  async () => {
    const dice = new Dice(newSeed(), 0);
    await using nodes = await startCluster({}, { rate: 0 });
    const servers = [nodes.one, nodes.two];
    await using bob = await Watcher.join(nodes.one.ws, { name: "Bob" });
    await using ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
    let last = ann;
    for (let n = 0; n < 30; n++) {
      const next = servers[dice.below(2)] ?? nodes.one;
      last.request({ type: "rename", name: `Ann ${n}` });
      await pause(dice.below(4));
      const back = await Watcher.join(next.ws, { key: ann.key });
      await soon(last.closed, "the end of the one before");
      last = back;
      const both = `${[last.name, "Bob"].toSorted()}`;
      await until(
        () => `${bob.names}` === both && `${last.names}` === both,
        `the roster after rename ${n}: ${both}`,
      );
    }
    await assertRosters(servers, [last, bob]);
    await last[Symbol.asyncDispose]();
  },
);

redisTest(
  "whoever comes back alone on a server and is renamed at once hears that as a rename",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    let hello: Partial<Hello> = { name: "Ann" };
    // For more than one beat of the server.
    for (let n = 0; n < 8; n++) {
      await until(() => nodes.one.hub.rooms.size === 0, "an empty server");
      await using ann = await Watcher.join(nodes.one.ws, hello);
      hello = { key: ann.key };
      ann.request({ type: "rename", name: `Ann ${n}` });
      await until(() => ann.name === `Ann ${n}`, "its new name");
      await until(() => bob.roster.has(`Ann ${n}`), "the new name");
    }
  },
);

redisTest(
  "fifty clients come, are renamed and go on two servers, and all know who is there",
  async () => {
    const seed = newSeed();
    await using nodes = await startCluster();
    const servers = [nodes.one, nodes.two];
    await using stack = new AsyncDisposableStack();
    const lives = Array.from({ length: 50 }, async (_, n) => {
      const dice = new Dice(seed, n);
      const join = (hello: Partial<Hello>) =>
        Watcher.join((servers[dice.below(2)] ?? nodes.one).ws, hello);
      let guest: Watcher | undefined;
      let hello: Partial<Hello> = { name: `guest ${n}` };
      for (let turn = 0; turn < 8; turn++) {
        switch (dice.choose({ come: 4, go: 2, rename: 3, wait: 2 })) {
          case "come": {
            const before: Watcher | undefined = guest;
            guest = stack.use(await join(hello));
            hello = { key: guest.key };
            if (before) assertEquals((await before.closed).code, 4002);
            break;
          }
          case "go":
            await guest?.[Symbol.asyncDispose]();
            guest = undefined;
            break;
          case "rename":
            // Few names, so that some are taken.
            guest?.request({
              type: "rename",
              name: `name ${dice.below(40)}`,
            });
            break;
          case "wait":
            await pause(dice.below(60));
        }
      }
      // Renames are done one after the other, so this is the last.
      const name = `${n} at last`;
      guest?.request({ type: "rename", name });
      await until(() => guest?.name === name || !guest, "the last rename");
      return guest;
    });
    const guests = (await Promise.all(lives)).filter((it) => it !== undefined);
    assert(guests.length > 10);
    await assertRosters(servers, guests);
  },
);

redisTest(
  "a key used on another server ends the first connection",
  async () => {
    await using nodes = await startCluster();
    await using first = await Client.join(nodes.one.ws, { name: "Ann" });
    await using second = await Client.join(nodes.two.ws, {
      key: first.welcome.key,
    });
    assertEquals((await first.closed).code, 4002);
    second.request({ type: "message", message: "still here", id: "1" });
    const [event] = await second.messagesUpTo("still here");
    assertEquals(event.sender, "Ann");
    await using bob = await Client.join(nodes.one.ws, { name: "Bob" });
    assertEquals(bob.welcome.members.toSorted(), ["Ann", "Bob"]);
  },
);

redisTest(
  "of two who come with one key on two servers at the same moment exactly one stays",
  async () => {
    const dice = new Dice(newSeed(), 0);
    await using nodes = await startCluster({}, { rate: 0 });
    await using three = await startNode(nodes.redis, { rate: 0 });
    const servers = [nodes.one, nodes.two, three];
    await using bob = await Watcher.join(nodes.one.ws, { name: "Bob" });
    const ann = await Watcher.join(nodes.two.ws, { name: "Ann" });
    const { key } = ann;
    let last = ann;
    for (let round = 0; round < 40; round++) {
      const count = dice.between(2, 4);
      const coming = Array.from({ length: count }, async () => {
        const { ws } = dice.pick(servers) ?? nodes.one;
        await pause(dice.below(3));
        // Who is passed before the welcome is closed without one.
        return await Watcher.join(ws, { key }).catch((error) => {
          assertMatch(`${error}`, /closed with 4002/);
        });
      });
      const came = (await Promise.all(coming)).filter((it) => it !== undefined);
      assertEquals((await soon(last.closed, "the end of it")).code, 4002);
      await until(
        () => came.filter(({ isHere }) => isHere).length <= 1,
        "the end of all but one",
      );
      const [winner, ...others] = came.filter(({ isHere }) => isHere);
      assert(winner !== undefined && others.length === 0);
      const gone = came.filter((it) => it !== winner);
      for (const { closed } of gone) assertEquals((await closed).code, 4002);
      const text = `round ${round}`;
      winner.say(text);
      await until(() => bob.texts.includes(text), "its message");
      assertEquals(bob.messages.at(-1)?.sender, "Ann");
      last = winner;
      await until(
        () => `${bob.names}|${last.names}` === "Ann,Bob|Ann,Bob",
        "the roster",
      );
    }
    await assertRosters(servers, [bob, last]);
    await last[Symbol.asyncDispose]();
  },
);

redisTest("two databases of one Redis share nothing", async () => {
  await using redis = await startRedis();
  await using one = await startServer({ data: redis.url });
  await using other = await startServer({ data: `${redis.url}/1` });
  await using ann = await Client.join(one.ws, { name: "Ann" });
  await using bob = await Client.join(other.ws, { name: "Ann" });
  assertEquals([ann.welcome.count, bob.welcome.count], [1, 1]);
  for (const [client, text] of [[ann, "here"], [bob, "there"]] as const) {
    client.request({ type: "message", message: text, id: "1" });
    assertEquals((await client.nextOf("message")).message, text);
  }
});

/** All in the room know each other, and so does a newcomer on each server. */
async function assertRosters(
  servers: TestServer[],
  guests: Watcher[],
  room = "lobby",
) {
  const areTold = async (more: Watcher[]) => {
    const all = [...guests, ...more];
    const names = () => all.map(({ name }) => name).toSorted();
    const wrong = () =>
      all.flatMap(({ name, roster }) => {
        const missing = names().filter((it) => !roster.has(it));
        const extra = [...roster].filter((it) => !names().includes(it));
        const isRight = missing.length + extra.length === 0;
        return isRight ? [] : [{ name, missing, extra }];
      });
    await until(() => wrong().length === 0, "who is there")
      .catch(() => assertEquals(wrong(), []));
    const { length } = all;
    await until(() => all.every(({ count }) => count === length), "the count")
      .catch(() => assertEquals(all.map(({ count }) => count), [length]));
    return names();
  };
  for (const { ws } of servers) {
    await areTold([]);
    // What this one has heard, its server knows: so the next is told all.
    await using first = await Watcher.join(`${ws}?room=${room}`);
    await areTold([first]);
    await using second = await Watcher.join(`${ws}?room=${room}`);
    const { members, count } = second.welcome;
    assertEquals(members.toSorted(), await areTold([first, second]));
    assertEquals(count, members.length);
  }
  await areTold([]);
}

/** Chance decides how two things meet. */
