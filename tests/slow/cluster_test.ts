// Several servers on one Redis are one server to everybody: names, rooms,
// identities and history; and nobody notices which one somebody is on.
import { assertEquals } from "@std/assert";
import { Client, startServer } from "../harness.ts";
import { redisTest, startRedis } from "../redis.ts";

/** Two servers on a Redis of their own. */
async function pair() {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const start = async () =>
    stack.use(await startServer({ data: redis.url, lease: 2 }));
  const [one, two] = [await start(), await start()];
  return { redis, one, two, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

redisTest(
  "plain clients on two servers hear each other, in one order",
  async () => {
    await using nodes = await pair();
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

redisTest(
  "who comes back on another server has its name and misses nothing",
  async () => {
    await using nodes = await pair();
    await using bob = await Client.join(nodes.two.ws, { name: "Bob" });
    await using ann = await Client.join(nodes.one.ws, { name: "Ann" });
    assertEquals(ann.welcome.members.toSorted(), ["Ann", "Bob"]);
    assertEquals(ann.welcome.count, 2);
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
    assertEquals((await back.nextOf("message")).message, "second");
  },
);

redisTest(
  "a key used on another server ends the first connection",
  async () => {
    await using nodes = await pair();
    await using first = await Client.join(nodes.one.ws, { name: "Ann" });
    await using second = await Client.join(nodes.two.ws, {
      key: first.welcome.key,
    });
    assertEquals((await first.closed).code, 4002);
    second.request({ type: "message", message: "still here", id: "1" });
    const [{ sender }] = await second.messagesUpTo("still here") as [
      { sender: string },
    ];
    assertEquals(sender, "Ann");
    await using bob = await Client.join(nodes.one.ws, { name: "Bob" });
    assertEquals(bob.welcome.members.toSorted(), ["Ann", "Bob"]);
  },
);

redisTest("a POST finds its sender's stream on another server", async () => {
  await using nodes = await pair();
  await using ann = await Client.join(nodes.one.ws, { name: "Ann" });
  const response = await fetch(
    `${nodes.two.http}/messages?key=${ann.welcome.key}`,
    { method: "POST", body: "by way of two" },
  );
  assertEquals(response.status, 200);
  const { event } = await response.json();
  assertEquals([event.sender, event.message], ["Ann", "by way of two"]);
  assertEquals((await ann.nextOf("message")).message, "by way of two");
});

redisTest("two databases of one Redis are two worlds", async () => {
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
