// Messages that answer another one: `replyTo` is stored and delivered with the
// message, on every transport, and names a message that there is or was.
import { assertEquals, assertMatch } from "@std/assert";
import { decodeFrame } from "../../static/client/protocol.js";
import { Client, range, startServer } from "../support/harness.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";

const JSON_BODY = { "content-type": "application/json" };

/** Says something, perhaps in answer to another message, and returns its event. */
async function say(client: Client, message: string, replyTo?: number) {
  const reply = replyTo === undefined ? {} : { replyTo };
  client.request({ type: "message", message, id: message, ...reply });
  return (await client.messagesUpTo(message)).at(-1);
}

Deno.test("an answer is delivered, stored and read again as one", async () => {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/test.db`;
  {
    await using server = await startServer({ data });
    await using ada = await Client.join(server.ws);
    await using bob = await Client.join(server.ws);
    assertEquals("replyTo" in await say(ada, "question"), false);
    const answer = await say(ada, "answer", 1);
    assertEquals([answer.seq, answer.replyTo], [2, 1]);
    assertEquals((await bob.messagesUpTo("answer")).at(-1), answer);
    const [, read] = decodeFrame(
      JSON.stringify([{ ...answer, replyTo: undefined }, answer]),
      new Date(),
    ).map((event) => event.type === "message" ? event.replyTo : undefined);
    assertEquals(read, 1);
  }
  await using server = await startServer({ data });
  await using late = await Client.join(server.ws);
  assertEquals((await late.messagesUpTo("answer")).at(-1).replyTo, 1);
  late.request({ type: "history", before: 3 });
  const { messages } = await late.nextOf("history");
  assertEquals(
    messages.map(({ replyTo }: { replyTo?: number }) => replyTo),
    [undefined, 1],
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("an answer that is sent again is stored once, and still answers the same", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await say(ada, "question");
  const first = await say(ada, "answer", 1);
  assertEquals(await say(ada, "answer", 1), first);
});

Deno.test("an answer to a message that is no longer in the history is taken", async () => {
  await using server = await startServer({ keep: 2, rate: 0 });
  await using ada = await Client.join(server.ws);
  for (const n of range(1, 8)) await say(ada, `${n}`);
  assertEquals((await say(ada, "late", 1)).replyTo, 1);
});

Deno.test("an answer to a message that there is not yet is refused by its id, and nothing is stored", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  ada.request({ type: "message", message: "to myself", id: "a", replyTo: 1 });
  const error = await ada.nextOf("error");
  assertEquals([error.code, error.id], ["invalid", "a"]);
  assertMatch(error.message, /no message 1 in this room.*newest message is 0/);
  assertEquals((await say(ada, "first")).seq, 1);
});

for (const replyTo of ["1", 0, -1, 1.5, null, {}]) {
  const text = JSON.stringify(replyTo);
  Deno.test(`replyTo ${text} is malformed, and refused by the message's id`, async () => {
    await using server = await startServer();
    await using ada = await Client.join(server.ws);
    await say(ada, "first");
    const request = { type: "message", message: "x", id: "a", replyTo };
    ada.send(JSON.stringify(request));
    const error = await ada.nextOf("error");
    assertEquals([error.code, error.id], ["invalid", "a"]);
    assertMatch(error.message, /"replyTo" must be the seq of a message/);
  });
}

Deno.test("answers come by SSE, by long poll and by POST", async () => {
  await using server = await startServer();
  const http = `${server.http}/messages`;
  const { body: { key } } = await post(http, "question");
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const answer = { type: "message", message: "answer", id: "1", replyTo: 1 };
  const posted = await post(
    `${http}?key=${key}`,
    JSON.stringify(answer),
    JSON_BODY,
  );
  assertEquals([posted.status, posted.body.event.replyTo], [200, 1]);
  await stream.next("message");
  assertEquals((await stream.next("message")).data.replyTo, 1);
  const polled = await get(http);
  assertEquals(polled.body.at(-1).replyTo, 1);
  const early = JSON.stringify({ ...answer, id: "2", replyTo: 9 });
  const refused = await post(`${http}?key=${key}`, early, JSON_BODY);
  assertEquals(refused.status, 400);
  assertMatch(refused.body, /no message 9 in this room/);
});
