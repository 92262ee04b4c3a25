// Rates on several servers: a person has one, wherever it comes in, and a room
// has one on each server that counts what is said on the others.
import { assert, assertEquals } from "@std/assert";
import { Client, range, until, type WireEvent } from "../support/harness.ts";
import { redisTest } from "../support/redis.ts";
import { startCluster } from "./nodes.ts";

/** Says as many, and waits until each is answered; how many were stored. */
async function say(
  client: Client,
  count: number,
  message = "hi",
): Promise<number> {
  const ids = new Set(range(1, count).map(() => crypto.randomUUID()));
  for (const id of ids) client.request({ type: "message", message, id });
  let stored = 0;
  while (ids.size > 0) {
    const event: WireEvent = await client.next();
    if (ids.delete(event.id) && event.type === "message") stored++;
  }
  return stored;
}

for (const isClosed of [true, false]) {
  const how = isClosed ? "closes before it goes on" : "leaves its line open";
  redisTest(
    `a key that alternates between two servers and ${how} keeps to its rate`,
    async () => {
      await using nodes = await startCluster({}, { rate: 2, burst: 20 });
      await using _watcher = await Client.join(nodes.one.ws);
      await using stack = new AsyncDisposableStack();
      const beganMs = performance.now();
      let stored = 0;
      let key: string | undefined;
      for (const i of range(1, 20)) {
        const { ws } = i % 2 === 0 ? nodes.one : nodes.two;
        const hello = key === undefined ? {} : { key };
        const client = stack.use(await Client.join(ws, hello));
        key = client.welcome.key;
        stored += await say(client, 5);
        if (isClosed) await client[Symbol.asyncDispose]();
      }
      const seconds = (performance.now() - beganMs) / 1000;
      assert(stored >= 10, `${stored}`);
      assert(stored <= 10 + 2 * seconds + 1, `${stored} in ${seconds} s`);
    },
  );
}

redisTest(
  "a person who comes back on another server may say what is left",
  async () => {
    await using nodes = await startCluster({}, { rate: 1, burst: 20 });
    const first = await Client.join(nodes.one.ws);
    const { key } = first.welcome;
    assertEquals(await say(first, 4), 4);
    await first[Symbol.asyncDispose]();
    await using second = await Client.join(nodes.two.ws, { key });
    assertEquals(await say(second, 6), 6);
  },
);

redisTest(
  "what is said on one server counts for the room on the other",
  async () => {
    const limits = { roomRate: 20, rate: 0 };
    await using nodes = await startCluster({}, limits, { monotonic: () => 0 });
    await using one = await Client.join(nodes.one.ws);
    await using two = await Client.join(nodes.two.ws);
    const stored = await say(one, 50);
    const room = nodes.two.hub.rooms.get("lobby");
    await until(() => room?.head.seq === stored, "all that was said");
    const more = await say(two, 50);
    assert(stored > 5 && more > 0, `${stored} and ${more}`);
    assert(stored + more <= 20, `${stored} and ${more}`);
  },
);

redisTest("long messages of another server count as several, too", async () => {
  const limits = { roomRate: 40, rate: 0 };
  let nowMs = 0;
  const clock = { monotonic: () => nowMs };
  await using nodes = await startCluster({}, limits, clock);
  await using one = await Client.join(nodes.one.ws);
  await using two = await Client.join(nodes.two.ws);
  // By then neither is new any more.
  nowMs = 60_000;
  const stored = await say(one, 30, "x".repeat(4_000));
  // Each counts as two: one client alone has 4/5 of nine tenths of the room.
  assertEquals(stored, 15);
  const room = nodes.two.hub.rooms.get("lobby");
  await until(() => room?.head.seq === stored, "all that was said");
  // It would be 17 if they counted as one each.
  assertEquals(await say(two, 30), 5);
});

redisTest("what a server says and hears itself it counts once", async () => {
  const limits = { roomRate: 40, rate: 0 };
  await using nodes = await startCluster({}, limits, { monotonic: () => 0 });
  await using client = await Client.join(nodes.one.ws);
  const room = nodes.one.hub.rooms.get("lobby");
  let stored = 0;
  while (stored < 10) stored += await say(client, 1);
  await until(() => room?.head.seq === stored, "all that was said");
  // A new client alone gets 16/21 of half of the room: see SharedRate.
  assertEquals(stored + await say(client, 40), 15);
});
