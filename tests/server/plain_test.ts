// The plain dialect as its clients see it: Deno's own WebSocket
// and `ws`, a foreign one.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { WebSocket as ForeignWebSocket } from "npm:ws@8.23.0";
import { Client, Inbox, soon, startServer, until } from "../support/harness.ts";

Deno.test("everyone gets every message as JSON, the sender included", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await using b = await Client.open(server.ws);
  await until(
    () => server.hub.rooms.get("lobby")?.members.size === 2,
    "both",
  );
  a.send("hi");
  const [seenByA, seenByB] = [await a.next(), await b.next()];
  assertEquals(seenByA, seenByB);
  assertEquals(Object.keys(seenByA), [
    "type",
    "seq",
    "at",
    "sender",
    "message",
  ]);
  assertEquals([seenByA.type, seenByA.seq, seenByA.message], [
    "message",
    1,
    "hi",
  ]);
  assertMatch(seenByA.sender, /^[a-z]+-[a-z]+$/);
  assertEquals(new Date(seenByA.at).toISOString(), seenByA.at);
});

Deno.test("each client has a name of its own", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await using b = await Client.open(`${server.ws}?room=other`);
  const names = [(await a.say("x")).sender, (await b.say("x")).sender];
  assertEquals(new Set(names).size, 2);
});

Deno.test("a disconnection is announced to those who remain", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  let sender;
  {
    await using b = await Client.open(server.ws);
    ({ sender } = await b.say("soon gone"));
    await a.next();
  }
  const { at, ...leave } = await a.next();
  assertEquals(leave, {
    type: "leave",
    sender,
    message: "Client disconnected",
    count: 1,
  });
  assert(at);
});

Deno.test("rooms do not hear each other", async () => {
  await using server = await startServer();
  await using a = await Client.open(`${server.ws}?room=physics`);
  await using b = await Client.open(`${server.ws}?room=art-9`);
  await a.say("mass");
  b.send("colour");
  assertEquals((await b.next()).message, "colour");
});

Deno.test("without ?room= one is in the lobby", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await using b = await Client.open(`${server.ws}?room=lobby`);
  await b.say("ready");
  await a.say("hello");
  assertEquals((await b.next()).message, "hello");
});

Deno.test("text passes unchanged: quotes, line ends, every plane", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  for (const text of [' "\\', "a\n\r\u2028b", "\0", "<b>ä€🦦</b>", "{}"]) {
    assertEquals((await a.say(text)).message, text);
  }
});

Deno.test("messages of one sender keep their order", async () => {
  await using server = await startServer({ rate: 0 });
  await using a = await Client.open(server.ws);
  await using b = await Client.open(server.ws);
  await b.say("ready");
  const texts = Array.from({ length: 500 }, (_, i) => `${i}`);
  for (const text of texts) a.send(text);
  const heard = [];
  while (heard.length < texts.length) heard.push((await b.next()).message);
  assertEquals(heard, texts);
});

Deno.test("what is refused is told in a frame like any other", async () => {
  await using server = await startServer({ maxMessage: 10 });
  await using a = await Client.open(server.ws);
  a.send("x".repeat(11));
  const { message, ...event } = await a.next();
  assertEquals(event, { type: "error", sender: "server", code: "too_long" });
  assertMatch(message, /^[A-Z].*\.$/);
});

Deno.test("a foreign client, `ws`, chats and is answered in its closing", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await a.say("ready");
  const foreign = new ForeignWebSocket(server.ws);
  const inbox = new Inbox<string>();
  foreign.on("message", (data: unknown) => inbox.put(String(data)));
  await new Promise((resolve) => foreign.once("open", resolve));
  foreign.send("from abroad");
  assertEquals(JSON.parse(await inbox.take("the echo")).message, "from abroad");
  assertEquals((await a.next()).message, "from abroad");
  const closed = new Promise((resolve) => foreign.once("close", resolve));
  foreign.close(1000);
  assertEquals(await closed, 1000);
  assertEquals((await a.next()).type, "leave");
});

Deno.test("a client that sends 200 messages at once hears that it is closed with 1008", async () => {
  await using server = await startServer();
  await using client = await Client.open(server.ws);
  for (let i = 0; i < 200; i++) client.send(`message ${i}`);
  const { code, reason } = await soon(client.closed, "the close");
  assertEquals([code, reason], [1008, "too many refused messages"]);
});
