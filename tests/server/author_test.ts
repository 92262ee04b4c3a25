// Who said it: the `author` of a message tells people apart, whatever their names
// are and whichever way they come, and gives nothing away.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeFrame } from "../../static/client/protocol.js";
import { splitKey } from "../../chat/store/keys.ts";
import { Client, startServer } from "../support/harness.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";

/** Says something and returns its event. */
async function say(client: Client, message: string) {
  client.request({ type: "message", message, id: message });
  return (await client.messagesUpTo(message)).at(-1);
}

Deno.test("all messages of a person have the author that its welcome told", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  await using bob = await Client.join(`${server.ws}?room=other`);
  const { author, key } = ada.welcome;
  assertMatch(author, /^[\w-]{10}$/);
  assert(bob.welcome.author !== author);
  assertEquals((await say(ada, "as Ada")).author, author);
  ada.request({ type: "rename", name: "Grace" });
  await ada.nextOf("rename");
  const renamed = await say(ada, "as Grace");
  assertEquals([renamed.sender, renamed.author], ["Grace", author]);
  await using again = await Client.join(`${server.ws}?room=other`, { key });
  assertEquals(again.welcome.author, author);
  assertEquals((await say(again, "elsewhere")).author, author);
  assertEquals((await bob.messagesUpTo("elsewhere")).at(-1).author, author);
});

Deno.test("who takes a name that was given up is another author", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  const first = await say(ada, "first");
  ada.request({ type: "rename", name: "Grace" });
  await ada.nextOf("rename");
  await using eve = await Client.join(server.ws, { name: "Ada" });
  const second = await say(eve, "second");
  assertEquals([first.sender, second.sender], ["Ada", "Ada"]);
  assert(first.author !== second.author);
  // Whichever way it is read.
  await using late = await Client.join(server.ws);
  const told = [await late.nextOf("message"), await late.nextOf("message")];
  late.request({ type: "history", before: 3 });
  const { messages: paged } = await late.nextOf("history");
  late.request({ type: "search", text: "s" });
  const { messages: found } = await late.nextOf("found");
  for (const shown of [told, paged, found]) {
    assertEquals(shown, [first, second]);
  }
});

Deno.test("an author does not show the key, nor the part of it that names the identity", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  const { author, key } = ada.welcome;
  const { id, secret } = splitKey(key);
  for (const part of [id, secret]) {
    for (let at = 0; at + 4 <= author.length; at++) {
      assert(!part.includes(author.slice(at, at + 4)));
    }
  }
});

Deno.test("a message in the plain dialect has no author", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await using plain = await Client.open(server.ws);
  assertEquals("author" in await plain.say("hello"), false);
  assertEquals("author" in (await ada.messagesUpTo("hello")).at(-1), false);
});

Deno.test("by SSE, by long poll and by POST an author is the same", async () => {
  await using server = await startServer();
  const http = `${server.http}/messages`;
  const { body: { key, event } } = await post(http, "posted");
  const [{ author }] = (await get(`${http}?key=${key}`)).body;
  assertEquals([event.author, author.length], [author, 10]);
  await using stream = await EventSourceClient.open(
    `${server.http}/events?key=${key}`,
  );
  const { data: welcome } = await stream.next("welcome");
  const { data: message } = await stream.next("message");
  assertEquals([welcome.author, message.author], [author, author]);
});

Deno.test("an author stays the same when the server is started anew", async () => {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/test.db`;
  const heard: string[] = [];
  let key: string | undefined;
  for (const name of ["first", "second"]) {
    await using server = await startServer({ data });
    await using ada = await Client.join(server.ws, key ? { key } : {});
    ({ key } = ada.welcome);
    await say(ada, name);
    await using bob = await Client.join(server.ws);
    for (const { author } of await bob.messagesUpTo(name)) heard.push(author);
    heard.push(ada.welcome.author);
  }
  assertEquals(heard.length, 5);
  assertEquals(new Set(heard).size, 1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the page reads an author, also where an older server tells none", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  const { author, ...welcome } = ada.welcome;
  const message = await say(ada, "hi");
  const old = { ...message, author: undefined };
  const frame = JSON.stringify([ada.welcome, message, welcome, old]);
  const authors = decodeFrame(frame, new Date()).map((event) =>
    "author" in event ? event.author : undefined
  );
  assertEquals(authors, [author, author, null, null]);
});
