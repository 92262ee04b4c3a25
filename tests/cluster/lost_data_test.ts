// Redis comes back with all of its data, with some of it, or with none. What it
// lost is told to those who count on it, once; and whatever it lost, nobody is
// shown two messages in one place of one history.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Generation, Identity } from "../../chat/store/store.ts";
import { startCutProxy } from "../support/cut_proxy.ts";
import { soon } from "../support/harness.ts";
import { type Redis, redisTest, startRedis } from "../support/redis.ts";
import {
  away,
  drop,
  type Four,
  gather,
  type Guest,
  hear,
  join,
  type Member,
  type Node,
  openStore,
  ready,
  rosterOf,
  startCluster,
  textsOf,
} from "./nodes.ts";

type Held = Identity & { generation: Generation };

/** Waits for the end that those have whose history was lost. */
async function assertLost(guest: Guest): Promise<void> {
  const { code, reason } = await soon(guest.closed, "the end");
  assertEquals([code, reason], [1013, "the room's history was lost"]);
}

/** Where a member stands after all that it took. */
function placeOf({ welcome: { epoch, seq }, heard }: Member) {
  return { epoch, seq: heard.findLast(({ seq }) => seq > 0)?.seq ?? seq };
}

/** Comes back as a client does that was let go. */
const comeBack = (node: Node, guest: Member) =>
  join(node, {
    key: guest.welcome.key,
    name: guest.welcome.sender,
    since: placeOf(guest),
  });

/** All are on the air, under their names, in one history. */
async function assertTogether(redis: Redis, { ann, pia, bob, pol }: Four) {
  for (const guest of [ann, pia, bob, pol]) {
    const text = `after ${Math.random()}`;
    guest.say(text);
    for (const other of [ann, pia, bob, pol]) {
      await hear(other, text);
    }
  }
  const names = ["Ann", "Bob", pia.name, pol.name].sort();
  for (const guest of [ann, bob]) {
    while (rosterOf(guest).length < 4) await guest.next();
    assertEquals(rosterOf(guest), names);
    assertEquals(guest.welcome.epoch, ann.welcome.epoch);
  }
  const claims = (await redis.command("HGETALL", "partyline:claims"))
    .split("\n");
  for (const { name } of [pia, pol]) {
    assert(/^[^~]/.test(claims[claims.indexOf(name) + 1] ?? "~"), name);
  }
}

redisTest(
  "a Redis that comes back with its data has lost nothing",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const { ann, pia, bob, pol } = await gather(cluster, stack);
    ann.socket.close();
    await soon(ann.closed, "the end");
    await redis.kill();
    await away(one);
    await away(two);
    await redis.start();
    await ready(one);
    await ready(two);
    bob.say("meanwhile");
    const back = stack.use(await comeBack(two, ann));
    assertEquals(back.welcome.epoch, ann.welcome.epoch);
    assertEquals(back.welcome.recovered, true);
    await hear(back, "meanwhile");
    await assertTogether(redis, { ann: back, pia, bob, pol });
  },
);

interface Loss {
  what: string;
  lose(redis: Redis, copy: string): Promise<void>;
}

const losses: Loss[] = [
  {
    what: "a Redis that comes back empty",
    async lose(redis) {
      await redis.kill();
      await redis.startEmpty();
    },
  },
  {
    what: "a Redis that comes back with an older state",
    async lose(redis, copy) {
      await redis.kill();
      await redis.startWith(copy);
    },
  },
  {
    what: "a Redis that is emptied",
    async lose(redis) {
      await redis.command("FLUSHALL");
    },
  },
];

for (const { what, lose } of losses) {
  redisTest(`${what} begins a new history, once`, async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    const { ann, pia, bob, pol } = four;
    const copy = redis.copy();
    bob.say("to be lost");
    await hear(ann, "to be lost");

    two.network.cut();
    await away(two);
    await lose(redis, copy);
    await assertLost(ann);
    await ready(one);
    four.ann = stack.use(await comeBack(one, ann));
    assertEquals(four.ann.welcome.sender, "Ann");
    assertEquals(four.ann.welcome.recovered, false);
    assert(four.ann.welcome.epoch !== ann.welcome.epoch);
    pia.say("on one");
    await hear(four.ann, "on one");

    two.network.resume();
    await assertLost(bob);
    four.bob = stack.use(await comeBack(two, bob));
    assertEquals(four.bob.welcome.recovered, false);
    await assertTogether(redis, four);
    assert(!textsOf(four.ann).includes("to be lost"));
    assert(!textsOf(four.bob).includes("to be lost"));
    assertEquals([pia, pol].map(({ socket }) => socket.readyState), [1, 1]);
  });
}

redisTest(
  "a Redis that is emptied while nobody speaks is noticed",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    const { ann, bob } = four;
    await redis.command("FLUSHALL");
    await assertLost(ann);
    await assertLost(bob);
    four.ann = stack.use(await comeBack(one, ann));
    four.bob = stack.use(await comeBack(two, bob));
    await assertTogether(redis, four);
  },
);

redisTest(
  "who came since then is told that history was lost, and of nobody else",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    const copy = redis.copy();
    // Redis forgets that Ann came once more, and that there was an Eve.
    const ann = stack.use(await comeBack(one, four.ann));
    assertEquals((await soon(four.ann.closed, "the end")).code, 4002);
    const eve = stack.use(await join(two, { name: "Eve" }));
    await redis.kill();
    await redis.startWith(copy);
    await assertLost(ann);
    await assertLost(eve);
    await assertLost(four.bob);
    four.ann = stack.use(await comeBack(two, ann));
    assertEquals(four.ann.welcome.sender, "Ann");
    four.bob = stack.use(await comeBack(two, four.bob));
    await using back = await comeBack(one, eve);
    assertEquals(back.welcome.sender, "Eve");
    while (rosterOf(back).length < 5) await back.next();
  },
);

redisTest(
  "who comes back at once to another server is in the room, and stays",
  async () => {
    await using cluster = await startCluster();
    const { redis, one, two } = cluster;
    await using ann = await join(one, { name: "Ann" });
    await using first = await join(one, { name: "Bea" });
    await using bea = await comeBack(one, first);
    await using pia = await drop(one, "I am Pia");
    await redis.command("FLUSHALL");
    // It is told at once, and what comes after it with some delay.
    ann.request({ type: "typing" });
    await assertLost(ann);
    await assertLost(bea);
    await using back = await comeBack(two, bea);
    // That Bea was let go is told with this at the latest.
    pia.say("on one");
    await hear(back, "on one");
    await using cat = await join(one, { name: "Cat" });
    assertEquals(cat.welcome.members.sort(), ["Bea", "Cat", pia.name].sort());
  },
);

/** Every message that somebody was shown, by its place. */
function noteAll(guests: Member[], seen = new Map<string, string>()) {
  for (const { welcome, heard } of guests) {
    for (const { type, seq, message } of heard) {
      if (type !== "message") continue;
      const place = `${welcome.epoch} ${seq}`;
      assertEquals(seen.get(place) ?? message, message, place);
      seen.set(place, message);
    }
  }
}

for (const isFirst of [true, false]) {
  const order = isFirst ? "first" : "last";
  redisTest(
    `a loss that one server knows of is told by it, also if it comes ${order}`,
    async () => {
      await using cluster = await startCluster();
      await using stack = new AsyncDisposableStack();
      const { redis, one, two } = cluster;
      const four = await gather(cluster, stack);
      const { ann, pia, bob } = four;
      const copy = redis.copy();
      two.network.cut();
      await away(two);
      pia.say("to be lost");
      await hear(ann, "to be lost");
      one.network.cut();
      await away(one);
      await redis.kill();
      await redis.startWith(copy);

      if (isFirst) {
        one.network.resume();
        await assertLost(ann);
        four.ann = stack.use(await comeBack(one, ann));
        two.network.resume();
        await assertLost(bob);
        four.bob = stack.use(await comeBack(two, bob));
      } else {
        two.network.resume();
        await ready(two);
        // In the place of what was lost, as far as two can know.
        bob.say("instead");
        await hear(bob, "instead");
        one.network.resume();
        await assertLost(ann);
        await assertLost(bob);
        four.ann = stack.use(await comeBack(one, ann));
        four.bob = stack.use(await comeBack(two, bob));
        await hear(four.ann, "instead");
      }
      assertEquals(four.ann.welcome.recovered, false);
      assertEquals(four.bob.welcome.recovered, false);
      await assertTogether(redis, four);
      noteAll([ann, four.ann]);
      noteAll([bob, four.bob]);
      noteAll([four.ann, four.bob]);
      assert(!textsOf(four.ann).includes("to be lost"));
    },
  );
}

/** A replica that has all that its master has. */
async function startReplica(redis: Redis, port = redis.port): Promise<Redis> {
  const args = ["--replicaof", "127.0.0.1", `${port}`];
  const replica = await startRedis({ args });
  const isInSync = async () => {
    const link = /master_link_status:up/;
    while (!link.test(await replica.command("INFO", "replication")));
  };
  await soon(isInSync(), "a replica that is in sync");
  assertEquals(await redis.command("WAIT", "1", "0"), "1");
  return replica;
}

/** From here on it is the master, and where the master was. */
async function promote(replica: Redis, port: number): Promise<void> {
  await replica.command("REPLICAOF", "NO", "ONE");
  await replica.command("CONFIG", "SET", "port", `${port}`);
}

redisTest(
  "a replica that has all takes over, and nothing is lost",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    await using replica = await startReplica(redis);
    await redis.kill();
    await away(one);
    await away(two);
    await promote(replica, redis.port);
    await ready(one);
    await ready(two);
    await assertTogether(redis, four);
    const back = stack.use(await comeBack(two, four.ann));
    assertEquals(back.welcome.recovered, true);
  },
);

redisTest(
  "a replica that lacks something takes over, and that is told",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    const { ann, bob, pia } = four;
    await using network = startCutProxy(redis.port);
    await using replica = await startReplica(redis, network.port);
    network.cut();
    pia.say("to be lost");
    await hear(ann, "to be lost");
    await hear(bob, "to be lost");
    await redis.kill();
    await promote(replica, redis.port);
    await assertLost(ann);
    await assertLost(bob);
    four.ann = stack.use(await comeBack(one, ann));
    four.bob = stack.use(await comeBack(two, bob));
    assertEquals(four.ann.welcome.recovered, false);
    await assertTogether(redis, four);
    assert(!textsOf(four.ann).includes("to be lost"));
  },
);

redisTest(
  "a Redis that is made a replica is noticed, and that it is none any more",
  async () => {
    await using cluster = await startCluster();
    await using stack = new AsyncDisposableStack();
    const { redis, one, two } = cluster;
    const four = await gather(cluster, stack);
    await redis.command("REPLICAOF", "127.0.0.1", "1");
    await away(one);
    await away(two);
    assertMatch(one.lines.join(), /Redis at 127.0.0.1:\d+: it is a replica/);
    four.pia.say("now");
    assertEquals((await four.pia.nextOf("error")).code, "log_unavailable");
    await redis.command("REPLICAOF", "NO", "ONE");
    await ready(one);
    await ready(two);
    await assertTogether(redis, four);
    assert(!textsOf(four.ann).includes("now"));
  },
);

redisTest(
  "nobody is superseded by a generation that Redis has forgotten",
  async () => {
    await using redis = await startRedis();
    const store = await openStore(redis.url);
    try {
      const ann = await store.register("Ann") as Held;
      const key = `partyline:id:${ann.id}`;
      const { generation: later } = await store.acquire(ann) as Pick<
        Held,
        "generation"
      >;
      assert(later > ann.generation && ann.generation > 0);
      await redis.command(
        "HSET",
        key,
        "hold",
        `${ann.generation}`,
        "node",
        "another",
      );
      assertEquals(await store.superseded(new Map([[ann.id, later]])), []);
      assertEquals(await redis.command("HGET", key, "hold"), `${later}`);
      assertEquals(await store.peerOf(ann.id), undefined);
      assertEquals(
        await store.superseded(new Map([[ann.id, ann.generation]])),
        [
          ann.id,
        ],
      );
    } finally {
      await store.close();
    }
  },
);
