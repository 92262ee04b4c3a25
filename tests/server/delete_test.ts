// Deleting an own message: everybody is told, its text comes to nobody any more, and
// who was away learns of it; over all transports, reconnects and restarts.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeFrame } from "../../static/client/protocol.js";
import { MAX_DELETABLE } from "../../chat/room/room.ts";
import { MAX_DELETIONS } from "../../chat/store/store.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import {
  Client,
  range,
  startServer,
  type WireEvent,
} from "../support/harness.ts";

/** Says something and returns its event. */
async function say(client: Client, message: string) {
  client.request({ type: "message", message, id: message.slice(0, 9) });
  return (await client.messagesUpTo(message)).at(-1);
}

async function erase(client: Client, seq: number) {
  client.request({ type: "delete", seq });
  return await client.nextOf("delete");
}

/** Says and deletes as many messages as deletions are kept. */
async function eraseMany(client: Client) {
  let last;
  for (const n of range(1, MAX_DELETIONS)) {
    client.request({ type: "message", message: "x", id: `x${n}` });
    ({ seq: last } = await client.nextOf("message"));
    client.request({ type: "delete", seq: last });
  }
  while ((await client.nextOf("delete")).target !== last);
}

/** What a late client is shown of the room's history. */
async function read(ws: string): Promise<WireEvent[]> {
  await using late = await Client.join(ws);
  const shown = [];
  for (const _ of range(1, late.welcome.seq)) {
    shown.push(await late.nextOf("message"));
  }
  return shown;
}

Deno.test("everybody is told of a deletion, which has no seq of its own", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  await using bob = await Client.join(server.ws);
  const said = await say(ada, "oops");
  const { at, ...event } = await erase(ada, 1);
  assertMatch(at, /^2\d{3}-.*Z$/);
  assertEquals(event, { type: "delete", sender: "Ada", target: 1 });
  assertEquals(await bob.nextOf("delete"), { at, ...event });
  assertEquals((await say(ada, "next")).seq, 2);
  const [shown] = await read(server.ws);
  assertEquals(shown, { ...said, message: "", deleted: true });
  bob.request({ type: "history", before: 2 });
  assertEquals((await bob.nextOf("history")).messages, [shown]);
  bob.request({ type: "search", text: "oops" });
  assertEquals((await bob.nextOf("found")).messages, []);
});

Deno.test("a plain client hears nothing of a deletion", async () => {
  await using server = await startServer();
  await using plain = await Client.open(server.ws);
  await plain.say("ready");
  await using ada = await Client.join(server.ws);
  await say(ada, "oops");
  await erase(ada, 2);
  await say(ada, "next");
  const heard = [await plain.next(), await plain.next()];
  assertEquals(heard.map(({ message }) => message), ["oops", "next"]);
});

Deno.test("a message can be deleted after a rename and on a later connection", async () => {
  await using server = await startServer();
  let key;
  {
    await using ada = await Client.join(server.ws, { name: "Ada" });
    ({ key } = ada.welcome);
    await say(ada, "oops");
    ada.request({ type: "rename", name: "Grace" });
    await ada.nextOf("rename");
  }
  await using ada = await Client.join(server.ws, { key });
  assertEquals((await erase(ada, 1)).sender, "Grace");
});

Deno.test("nobody deletes the message of another, also not with the same name", async () => {
  await using server = await startServer();
  await using plain = await Client.open(server.ws);
  await plain.say("plain");
  await using ada = await Client.join(server.ws, { name: "Ada" });
  await say(ada, "mine");
  ada.request({ type: "rename", name: "Grace" });
  await ada.nextOf("rename");
  await using eve = await Client.join(server.ws, { name: "Ada" });
  for (const seq of [1, 2]) {
    eve.request({ type: "delete", seq });
    const { code, message } = await eve.nextOf("error");
    assertEquals(code, "invalid");
    assertMatch(message, /only your own/);
  }
  const shown = await read(server.ws);
  assertEquals(shown.map(({ message }) => message), ["plain", "mine"]);
});

Deno.test("to delete again is answered with the event, and told to nobody else", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await using bob = await Client.join(server.ws);
  await say(ada, "oops");
  await erase(ada, 1);
  await bob.nextOf("delete");
  assertEquals((await erase(ada, 1)).target, 1);
  await say(ada, "next");
  let event;
  do {
    event = await bob.next();
    assert(event.type !== "delete");
  } while (event.message !== "next");
});

Deno.test("a message that is not there, or too far back, is refused with a reason", async () => {
  await using server = await startServer({ rate: 0, keep: 20_000 });
  await using ada = await Client.join(server.ws);
  await say(ada, "first");
  ada.request({ type: "delete", seq: 2 });
  assertMatch((await ada.nextOf("error")).message, /no message 2/);
  for (const n of range(1, MAX_DELETABLE)) {
    ada.request({ type: "message", message: `${n}`, id: `${n}` });
    if (n % 1_000 === 0) await ada.messagesUpTo(`${n}`);
  }
  ada.request({ type: "delete", seq: 1 });
  assertMatch((await ada.nextOf("error")).message, /no message 1 .*deleted/);
  assertEquals((await erase(ada, 2)).target, 2);
});

Deno.test("a deletion counts as a message of its author, and in the room", async () => {
  const cases = [
    { limits: { burst: 3, roomRate: 0 }, most: 2, why: /^Too fast/ },
    { limits: { burst: 100, roomRate: 1 }, most: 8, why: /^This room/ },
  ];
  for (const { limits, most, why } of cases) {
    await using server = await startServer(limits, { monotonic: () => 1 });
    await using ada = await Client.join(server.ws);
    await say(ada, "oops");
    for (const _ of range(0, most)) ada.request({ type: "delete", seq: 1 });
    const { code, message } = await ada.nextOf("error");
    assertEquals(code, "rate_limited");
    assertMatch(message, why);
  }
});

for (const data of [":memory:", "a file"]) {
  Deno.test(`who comes back learns what was deleted meanwhile, with ${data}`, async () => {
    const folder = await Deno.makeTempDir();
    const path = data === ":memory:" ? data : `${folder}/test.db`;
    let since, key;
    const start = () => startServer({ data: path });
    let server = await start();
    {
      await using ada = await Client.join(server.ws);
      ({ key } = ada.welcome);
      for (const text of ["one", "two", "three"]) await say(ada, text);
      await erase(ada, 1);
      await say(ada, "four");
      since = { epoch: ada.welcome.epoch, seq: 4 };
      await using eve = await Client.join(server.ws);
      await say(eve, "five");
      await erase(ada, 2);
      await erase(ada, 4);
    }
    if (path !== data) {
      await server[Symbol.asyncDispose]();
      server = await start();
    }
    {
      await using back = await Client.join(server.ws, { key, since });
      assertEquals(back.welcome.recovered, true);
      const events = [];
      while (events.length < 3) {
        const event = await back.next();
        if (event.type !== "join") events.push(event);
      }
      const told = events.filter(({ type }) => type === "delete");
      assertEquals(told.map(({ target }) => target), [2, 4]);
      assertEquals(events.filter(({ seq }) => seq).map(({ seq }) => seq), [5]);
    }
    await server[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  });
}

for (const isAtOnce of [true, false]) {
  const when = isAtOnce ? "at once" : "later";
  Deno.test(`who missed more deletions than are kept is not told to have all, and is given history ${when}`, async () => {
    const clock = { ms: 0 };
    await using server = await startServer(
      { rate: 0, roomRate: 0, historyRate: isAtOnce ? 0 : 64 },
      { monotonic: () => clock.ms },
    );
    await using ada = await Client.join(server.ws);
    let key;
    {
      await using bob = await Client.join(server.ws);
      ({ key } = bob.welcome);
      // What it is given takes all that it may be given now.
      for (const n of range(1, 20)) await say(ada, `${n} `.padEnd(4_000));
    }
    {
      await using bob = await Client.join(server.ws, { key });
      while ((await bob.next()).seq !== 20);
    }
    const { epoch } = ada.welcome;
    const { seq } = await say(ada, "oops");
    const back = async () => {
      const since = { epoch, seq };
      await using bob = await Client.join(server.ws, { key, since });
      return bob.welcome.recovered;
    };
    await erase(ada, seq);
    assertEquals(await back(), true);
    await eraseMany(ada);
    assertEquals(await back(), false);
  });
}

Deno.test("who waits for deletions that are not kept so long has to come again", async () => {
  const clock = { ms: 0 };
  await using server = await startServer(
    { rate: 0, roomRate: 0, historyRate: 64 },
    { monotonic: () => clock.ms },
  );
  await using ada = await Client.join(server.ws);
  for (const n of range(1, 20)) await say(ada, `${n} `.padEnd(4_000));
  let key;
  {
    await using bob = await Client.join(server.ws);
    ({ key } = bob.welcome);
    while ((await bob.next()).seq !== 20);
  }
  await erase(ada, 7);
  const since = { epoch: ada.welcome.epoch, seq: 20 };
  await using bob = await Client.join(server.ws, { key, since });
  assertEquals(bob.welcome.recovered, true);
  await eraseMany(ada);
  clock.ms += 60_000;
  const { code, reason } = await bob.closed;
  assertEquals(code, 1013);
  assertMatch(reason, /^the history no longer reaches back so far/);
});

Deno.test("a page that was read before a deletion, and is sent after it, has no text", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await say(ada, "oops");
  const room = server.hub.rooms.get("lobby");
  assert(room !== undefined);
  await using bob = await Client.join(server.ws, { history: 0 });
  const read = Promise.withResolvers<void>();
  const store = (room as unknown as { store: { before: unknown } }).store;
  const before = (store.before as (...args: unknown[]) => Promise<unknown>)
    .bind(store);
  store.before = async (...args: unknown[]) => {
    const page = await before(...args);
    await read.promise;
    return page;
  };
  bob.request({ type: "history", before: 2 });
  bob.request({ type: "ping" });
  await bob.nextOf("pong");
  await erase(ada, 1);
  await bob.nextOf("delete");
  read.resolve();
  const { messages } = await bob.nextOf("history");
  assertEquals([messages[0].message, messages[0].deleted], ["", true]);
});

Deno.test("who comes while a message is deleted is told, though it read the text before", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await say(ada, "oops");
  const room = server.hub.rooms.get("lobby");
  assert(room !== undefined);
  const reading = Promise.withResolvers<void>();
  const deleted = Promise.withResolvers<void>();
  const newest = room.newest.bind(room);
  room.newest = async (...args) => {
    const page = await newest(...args);
    reading.resolve();
    await deleted.promise;
    return page;
  };
  const joining = Client.join(server.ws);
  await reading.promise;
  await erase(ada, 1);
  deleted.resolve();
  await using bob = await joining;
  assertEquals((await bob.nextOf("message")).message, "oops");
  assertEquals((await bob.nextOf("delete")).target, 1);
});

Deno.test("who may be given no history yet is told of deletions before what is live", async () => {
  const clock = { ms: 0 };
  await using server = await startServer(
    { rate: 0, historyRate: 64 },
    { monotonic: () => clock.ms },
  );
  await using eve = await Client.join(server.ws, { history: 0 });
  for (let i = 1; i <= 20; i++) await say(eve, `${i} `.padEnd(4_000));
  const { epoch } = eve.welcome;
  let key;
  {
    await using ada = await Client.join(server.ws);
    ({ key } = ada.welcome);
    for (const _ of range(1, 20)) await ada.nextOf("message");
  }
  await erase(eve, 7);
  const since = { epoch, seq: 20 };
  await using ada = await Client.join(server.ws, { key, since });
  await say(eve, "live");
  clock.ms += 1_000;
  const heard = [];
  while (heard.length < 2) {
    const { type, target, message } = await ada.next();
    if (type === "delete" || type === "message") heard.push(target ?? message);
  }
  assertEquals(heard, [7, "live"]);
});

Deno.test("a deletion that is posted is told by SSE and by long poll", async () => {
  await using server = await startServer();
  const http = `${server.http}/messages`;
  const headers = { "content-type": "application/json" };
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const { data: { key } } = await stream.next("welcome");
  const [welcome] = (await get(http)).body;
  await post(`${http}?key=${key}`, "oops");
  await stream.next("message");
  const body = '{"type":"delete","seq":1}';
  const posted = await post(`${http}?key=${key}`, body, headers);
  assertEquals(posted.status, 202);
  const { data } = await stream.next("delete");
  assertEquals(data.target, 1);
  const poll = `${http}?key=${welcome.key}&since=${welcome.epoch}`;
  let told: WireEvent;
  for (let seq = 0; told === undefined;) {
    const { body } = await get(`${poll}:${seq}&wait=5`);
    told = body.find(({ type }: WireEvent) => type === "delete");
    seq = Math.max(seq, ...body.map((event: WireEvent) => event.seq ?? 0));
  }
  assertEquals(told, data);
});

Deno.test("the page reads a deletion, and a message that was deleted", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  const said = await say(ada, "oops");
  const deletion = await erase(ada, 1);
  const [gone] = await read(server.ws);
  const frame = JSON.stringify([said, deletion, gone, { type: "delete" }]);
  const events = decodeFrame(frame, new Date());
  assertEquals(
    events.map((event) =>
      event.type === "message"
        ? event.isDeleted
        : event.type === "delete" && event.target
    ),
    [false, 1, true],
  );
});
