// Several servers on one Redis have one history: each message once, in one
// order for all, wherever somebody is and whatever a server did not hear.
import { assert, assertEquals } from "@std/assert";
import { DEFAULT_HISTORY } from "../../chat/protocol/requests.ts";
import { scriptsFor } from "../../chat/store/redis/scripts.ts";
import {
  Client,
  pause,
  range,
  until,
  type WireEvent,
} from "../support/harness.ts";
import { post } from "../support/http_clients.ts";
import { redisTest } from "../support/redis.ts";
import { newSeed } from "../support/seed.ts";
import { Dice } from "../stress/dice.ts";
import { startCluster, startNode, Watcher } from "./nodes.ts";

const seqs = (messages: WireEvent[]) => messages.map(({ seq }) => seq);

/** Waits for the `seq`, and fails if the messages up to it are not in a row. */
async function heardUpTo(watcher: Watcher, first: number, last: number) {
  await until(
    () => (watcher.messages.at(-1)?.seq ?? 0) >= last,
    `the message ${last}`,
  );
  assertEquals(seqs(watcher.messages), range(first, last));
}

redisTest(
  "who comes back on another server has its name and misses nothing",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Client.join(nodes.two.ws, { name: "Bob" });
    await using ann = await Client.join(nodes.one.ws, { name: "Ann" });
    const { epoch, key } = ann.welcome;
    ann.request({ type: "message", message: "first", id: "1" });
    const { seq } = await ann.nextOf("message");
    ann.socket.close();
    await ann.closed;
    bob.request({ type: "message", message: "second", id: "1" });
    await bob.messagesUpTo("second");
    await using back = await Client.join(nodes.two.ws, {
      key,
      since: { epoch, seq },
    });
    assertEquals(back.welcome.sender, "Ann");
    assertEquals(back.welcome.recovered, true);
    assertEquals(back.welcome.epoch, epoch);
    assertEquals((await back.nextOf("message")).message, "second");
  },
);

redisTest(
  "history is the same on a server where nobody was in the room",
  async () => {
    await using nodes = await startCluster();
    await using three = await startNode(nodes.redis, { rate: 0 });
    const attic = "?room=attic";
    await using ann = await Watcher.join(three.ws + attic);
    for (const n of range(1, 120)) ann.say(`${n}`);
    await heardUpTo(ann, 1, 120);
    const newest = range(121 - DEFAULT_HISTORY, 120);
    for (const { ws } of [nodes.one, nodes.two]) {
      await using bob = await Client.join(ws + attic);
      assertEquals(bob.welcome.seq, 120);
      const told = [];
      for (const _ of newest) told.push(await bob.nextOf("message"));
      assertEquals(seqs(told), newest);
      let pages: WireEvent[] = told;
      for (let more = true; more;) {
        const before = pages[0].seq;
        bob.request({ type: "history", before, count: 33 });
        const page = await bob.nextOf("history");
        pages = [...page.messages, ...pages];
        more = page.more;
      }
      assertEquals(pages, ann.messages);
    }
    // What is said meanwhile is heard by who was away from an empty server.
    await using carl = await Client.join(nodes.one.ws + attic, { history: 0 });
    const { key, epoch, seq } = carl.welcome;
    await carl[Symbol.asyncDispose]();
    await until(() => !nodes.one.hub.rooms.has("attic"), "an empty room");
    ann.say("meanwhile");
    await using back = await Client.join(nodes.one.ws + attic, {
      key,
      since: { epoch, seq },
    });
    assertEquals(back.welcome.recovered, true);
    const [missed, ...others] = await back.messagesUpTo("meanwhile");
    assertEquals([missed.seq, others], [121, []]);
  },
);

redisTest(
  "several servers and many who speak at once: all hear the same, without a gap",
  async () => {
    const seed = newSeed();
    await using nodes = await startCluster();
    await using stack = new AsyncDisposableStack();
    const more = () => startNode(nodes.redis, { rate: 0 });
    const servers = [
      stack.use(await more()),
      stack.use(await more()),
      stack.use(await more()),
    ];
    const watchers = await Promise.all(
      range(0, 8).map((n) => Watcher.join(servers[n % 3]?.ws ?? "")),
    );
    for (const watcher of watchers) stack.use(watcher);
    const plain = stack.use(await Client.open(servers[0]?.ws ?? ""));
    await Promise.all(watchers.map(async (watcher, n) => {
      const dice = new Dice(seed, n);
      for (const i of range(1, 100)) {
        watcher.say(`${n}: ${i}`);
        if (dice.chance(0.2)) await pause(dice.below(5));
      }
    }));
    for (const i of range(1, 100)) plain.send(`plain: ${i}`);
    for (const watcher of watchers) await heardUpTo(watcher, 1, 1_000);
    const [first, ...others] = watchers.map(({ messages }) => messages);
    for (const other of others) assertEquals(other, first);
    // Nobody overtakes himself.
    for (const n of [...range(0, 8), "plain"]) {
      const own = first?.map(({ message }) => message)
        .filter((text) => text.startsWith(`${n}: `));
      assertEquals(own, range(1, 100).map((i) => `${n}: ${i}`));
    }
  },
);

redisTest(
  "a message sent again on another server is not stored again",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.one.ws);
    await using ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
    ann.say("once", "my-1");
    await until(() => ann.messages.length > 0, "the echo");
    const since = { epoch: ann.welcome.epoch, seq: 1 };
    await using back = await Watcher.join(nodes.two.ws, {
      key: ann.key,
      since,
    });
    back.say("once", "my-1");
    await until(() => back.messages.length > 0, "the same event");
    assertEquals(back.messages, ann.messages);
    // Whoever has not seen it gets it once, in its place.
    await using again = await Watcher.join(nodes.one.ws, {
      key: ann.key,
      since: { ...since, seq: 0 },
    });
    again.say("once", "my-1");
    again.say("twice", "my-2");
    await until(() => again.texts.includes("twice"), "the next");
    const [first] = ann.messages;
    assertEquals(again.messages.filter(({ seq }) => seq > 1).length, 1);
    for (const { seq, message } of again.messages) {
      if (seq === 1) assertEquals(message, first?.message);
    }
    await heardUpTo(bob, 1, 2);
  },
);

redisTest(
  "the same message posted to several servers at one moment is stored once",
  async () => {
    await using nodes = await startCluster();
    await using three = await startNode(nodes.redis, { rate: 0 });
    await using ann = await Watcher.join(three.ws, { name: "Ann" });
    await using bob = await Watcher.join(nodes.one.ws, { name: "Bob" });
    const headers = {
      "content-type": "application/json",
      "partyline-key": ann.key,
    };
    for (const n of range(1, 20)) {
      const body = JSON.stringify({
        type: "message",
        message: `said ${n}`,
        id: `${n}`,
      });
      const answers = await Promise.all(
        [nodes.one, nodes.two, three, nodes.one].map(({ http }) =>
          post(`${http}/messages`, body, headers)
        ),
      );
      for (const { status, body } of answers) {
        assertEquals([status, body.event.seq], [200, n]);
        assertEquals(body, answers[0]?.body);
      }
    }
    await heardUpTo(bob, 1, 20);
  },
);

redisTest(
  "servers whose connections to Redis are cut again and again lose and repeat nothing",
  async () => {
    await using nodes = await startCluster();
    await using three = await startNode(nodes.redis, { rate: 0 });
    await using ann = await Watcher.join(three.ws, { name: "Ann" });
    await using bob = await Watcher.join(nodes.one.ws, { name: "Bob" });
    await using carl = await Watcher.join(nodes.two.ws, { name: "Carl" });
    for (const n of range(1, 10)) {
      for (const i of range(1, 20)) ann.say(`${n} ${i}`);
      await nodes.redis.command("CLIENT", "KILL", "TYPE", "pubsub");
      for (const i of range(21, 30)) ann.say(`${n} ${i}`);
      await until(() => ann.messages.length >= 30 * n, "what it said");
    }
    const said = range(1, 10).flatMap((n) =>
      range(1, 30).map((i) => `${n} ${i}`)
    );
    for (const watcher of [ann, bob, carl]) {
      await heardUpTo(watcher, 1, said.length);
      assertEquals(watcher.texts, said);
      assertEquals(watcher.errors, []);
      assertEquals(watcher.names, ["Ann", "Bob", "Carl"]);
      assertEquals(watcher.count, 3);
    }
  },
);

redisTest(
  "a server that did not hear of messages reads them before the next one",
  async () => {
    await using nodes = await startCluster({}, { rate: 0 });
    await using three = await startNode(nodes.redis, { rate: 0 });
    await using ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    await using plain = await Client.open(nodes.two.ws);
    const first = await plain.say("first");
    assertEquals(first.seq, 1);
    // A turn that Redis stores and does not tell.
    const silent = scriptsFor("0").turn
      .replace("call('PUBLISH',", "tostring('PUBLISH',");
    assert(silent !== scriptsFor("0").turn);
    const lose = async (n: number) => {
      const text = `"at":"","sender":"Ann","message":"lost ${n}"}`;
      await nodes.redis.command(
        ...["EVAL", silent, "0", "lobby", "nobody"],
        ...["10000", "fresh", `token ${n}`, `${Date.now() + 10_000}`],
        ...["0", "", "0", "m", text, "", "", "test 1"],
      );
    };
    // More than one page of history.
    for (const n of range(2, 251)) await lose(n);
    ann.say("found");
    for (const watcher of [ann, bob]) await heardUpTo(watcher, 1, 252);
    for (const n of range(2, 251)) {
      assertEquals((await plain.nextOf("message")).message, `lost ${n}`);
    }
    assertEquals((await plain.nextOf("message")).message, "found");
    // Nor does who comes now miss what only Redis knows.
    await lose(253);
    await using back = await Watcher.join(three.ws, {
      since: { epoch: ann.welcome.epoch, seq: 250 },
    });
    await heardUpTo(back, 251, 253);
    // And who comes to a server that is behind goes on from where it was.
    await using ahead = await Watcher.join(nodes.two.ws, {
      since: { epoch: ann.welcome.epoch, seq: 253 },
    });
    assertEquals(ahead.welcome.recovered, true);
    assertEquals(ahead.welcome.seq, 253);
    ahead.say("after all");
    await heardUpTo(ahead, 254, 254);
    for (const watcher of [ann, bob]) await heardUpTo(watcher, 1, 254);
    await heardUpTo(back, 251, 254);
  },
);

redisTest(
  "servers that keep more or less of a room agree on what can be had",
  async () => {
    await using nodes = await startCluster();
    const keeping = (keep: number) => startNode(nodes.redis, { keep, rate: 0 });
    await using little = await keeping(10);
    await using much = await keeping(100);
    await using ann = await Watcher.join(little.ws);
    await using bob = await Watcher.join(much.ws);
    // One turn each, for only whole turns are dropped.
    for (const n of range(1, 40)) {
      const speaker = n > 20 && n % 2 ? ann : bob;
      speaker.say(`${n}`);
      await heardUpTo(speaker, 1, n);
    }
    for (const watcher of [ann, bob]) await heardUpTo(watcher, 1, 40);
    const { epoch } = ann.welcome;
    for (const { ws } of [little, much]) {
      await using newcomer = await Client.join(ws);
      const page = [];
      while (page.at(-1)?.seq !== 40) {
        page.push(await newcomer.nextOf("message"));
      }
      const first = page[0].seq;
      assert(first > 1 && first <= 31, `${first}`);
      assertEquals(seqs(page), range(first, 40));
      newcomer.request({ type: "history", before: first });
      const { messages, more } = await newcomer.nextOf("history");
      assertEquals([messages, more], [[], false]);
      await using back = await Watcher.join(ws, { since: { epoch, seq: 35 } });
      assertEquals(back.welcome.recovered, true);
      await heardUpTo(back, 36, 40);
      await using late = await Watcher.join(ws, { since: { epoch, seq: 5 } });
      assertEquals(late.welcome.recovered, false);
      await heardUpTo(late, first, 40);
    }
  },
);
