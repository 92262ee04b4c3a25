// Rates that hold for a person and for a room, however often somebody comes anew
// and on whatever transport. Mostly the time stands still, so that what is
// counted does not depend on how fast the machine is.
import http2 from "node:http2";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { MAX_REFUSALS } from "../../chat/session/session.ts";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { ANNOUNCED } from "../../chat/room/identities.ts";
import { FIRST_BURST } from "../../chat/room/rates.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import {
  Client,
  isOldest,
  newOwner,
  range,
  soon,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";

const STANDING = { monotonic: () => 0 };

/** Says something as often, one after the other; the refusals. */
async function say(
  client: Client,
  count: number,
  message = "hi",
): Promise<WireEvent[]> {
  const refusals: WireEvent[] = [];
  for (const i of range(1, count)) {
    const id = `${i} ${Math.random()}`;
    client.request({ type: "message", message, id });
    let event: WireEvent;
    do event = await client.next(); while (event.id !== id);
    if (event.type === "error") refusals.push(event);
  }
  return refusals;
}

/** How many messages the lobby has. */
const seqOf = ({ hub }: TestServer) => hub.rooms.get("lobby")?.head.seq;

Deno.test("a key that comes back again and again keeps to its rate", async () => {
  await using server = await startServer({}, STANDING);
  await using watcher = await Client.join(server.ws);
  let { key } = watcher.welcome;
  for (const _ of range(1, 10)) {
    // The first one is new.
    const hello = key === watcher.welcome.key ? {} : { key };
    await using client = await Client.join(server.ws, hello);
    key = client.welcome.key;
    await say(client, 5);
  }
  assertEquals(seqOf(server), FIRST_BURST);
});

Deno.test("what a key may say comes back at --rate while it is away", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  const first = await Client.join(server.ws);
  await say(first, FIRST_BURST + 1);
  const { key } = first.welcome;
  await first[Symbol.asyncDispose]();
  nowMs = 500;
  await using second = await Client.join(server.ws, { key });
  assertEquals((await say(second, 6)).length, 1);
  assertEquals(seqOf(server), FIRST_BURST + 5);
});

Deno.test("a key has one rate for WebSocket, event stream, polls and POST", async () => {
  await using server = await startServer({}, STANDING);
  await using _watcher = await Client.join(server.ws);
  const socket = await Client.join(server.ws);
  const { key } = socket.welcome;
  await say(socket, 3);
  await socket[Symbol.asyncDispose]();
  const url = `${server.http}/messages?key=${key}`;
  const speak = async () => (await post(url, "hi")).status;
  {
    await using stream = await EventSourceClient.open(
      `${server.http}/events?key=${key}`,
    );
    await stream.next("welcome");
    assertEquals([await speak(), await speak(), await speak()], [
      200,
      200,
      200,
    ]);
  }
  await get(url);
  const statuses = [];
  while (statuses.length < 6) statuses.push(await speak());
  assertEquals(statuses, [200, 200, 200, 200, 429, 429]);
  assertEquals(seqOf(server), FIRST_BURST);
});

Deno.test("what is no message has one rate for a key, too", async () => {
  await using server = await startServer({ burst: 4 }, STANDING);
  const first = await Client.join(server.ws);
  for (const _ of range(1, 4)) first.request({ type: "ping" });
  for (const _ of range(1, 4)) await first.nextOf("pong");
  const { key } = first.welcome;
  await first[Symbol.asyncDispose]();
  await using second = await Client.join(server.ws, { key });
  second.request({ type: "ping" });
  assertEquals((await second.nextOf("error")).code, "rate_limited");
});

Deno.test("a new client of either dialect may say a part of its burst at once", async () => {
  await using server = await startServer({}, STANDING);
  await using client = await Client.join(server.ws);
  const { key, limits } = client.welcome;
  assertEquals(limits.burst, FIRST_BURST);
  assertEquals((await say(client, 20)).length, 20 - FIRST_BURST);
  await using again = await Client.join(server.ws, { key });
  assertEquals(again.welcome.limits.burst, 20);
  await using plain = await Client.open(server.ws);
  for (const i of range(1, FIRST_BURST)) await plain.say(`${i}`);
  plain.send("one more");
  assertEquals((await plain.nextOf("error")).code, "rate_limited");
});

Deno.test("what is too much for a room is refused with the id, the time to wait and the reason", async () => {
  const limits = { roomRate: 2, rate: 100, burst: 100 };
  await using server = await startServer(limits, STANDING);
  await using client = await Client.join(server.ws);
  const [refusal] = await say(client, 10);
  const { code, id, retryAfter, message } = refusal ?? {};
  assertEquals([code, id.split(" ")[0]], ["rate_limited", "9"]);
  assert(retryAfter > 0 && retryAfter < 2_000, `${retryAfter}`);
  assertMatch(message, /^This room is too busy: this was not sent\. /);
  await using plain = await Client.open(server.ws);
  for (const _ of range(1, 10)) plain.send("hi");
  assertEquals((await plain.nextOf("error")).code, "rate_limited");
});

Deno.test("long messages fill a room with fewer of them, in either dialect", async () => {
  const limits = { roomRate: 40, rate: 0 };
  const countOf = async (message: string) => {
    await using server = await startServer(limits, STANDING);
    await using client = await Client.join(server.ws);
    const refusals = await say(client, 40, message);
    assertMatch(refusals[0]?.message, /a long one counts as several/);
    return seqOf(server);
  };
  // A new client alone gets 16/21 of half of the room: see SharedRate.
  assertEquals(await countOf("😀".repeat(500)), 15);
  assertEquals(await countOf("x".repeat(4_000)), 8);
  assertEquals(await countOf("😀".repeat(4_000)), 2);
  await using server = await startServer(limits, STANDING);
  await using plain = await Client.open(server.ws);
  for (const _ of range(1, 5)) plain.send("😀".repeat(4_000));
  await plain.nextOf("error");
  assertEquals(seqOf(server), 2);
});

Deno.test("a person who says little is heard in a room that others fill", async () => {
  let nowMs = 0;
  const limits = { roomRate: 20, rate: 100, burst: 100 };
  await using server = await startServer(limits, { monotonic: () => nowMs });
  await using quiet = await Client.join(server.ws);
  // By then it is not new any more.
  nowMs = 60_000;
  const heavy = [];
  await using stack = new AsyncDisposableStack();
  for (const _ of range(1, 10)) {
    heavy.push(stack.use(await Client.join(server.ws)));
  }
  for (const i of range(1, 3)) {
    const refused = await Promise.all(heavy.map((client) => say(client, 10)));
    assert(refused.every(({ length }) => length > 0), `${i}`);
    assertEquals(await say(quiet, 1), []);
    nowMs += 5_000;
  }
});

Deno.test("what the room refuses costs a client nothing that comes again when it was told to", async () => {
  let nowMs = 0;
  const limits = { roomRate: 20 };
  await using server = await startServer(limits, { monotonic: () => nowMs });
  await using client = await Client.join(server.ws);
  const { rate } = server.hub.rooms.get("lobby") ?? {};
  for (const _ of range(1, 2 * MAX_REFUSALS)) {
    rate?.note(1_000, 1_000, nowMs);
    const [{ message, retryAfter } = { retryAfter: 0 }] = await say(client, 1);
    assertMatch(message, /^This room is too busy/);
    nowMs += retryAfter;
  }
  assertEquals(client.socket.readyState, WebSocket.OPEN);
});

Deno.test("whoever does not wait as the room told it to is disconnected", async () => {
  await using server = await startServer({ roomRate: 1 }, STANDING);
  await using client = await Client.join(server.ws);
  while ((await say(client, 1)).length === 0);
  for (const i of range(1, MAX_REFUSALS)) {
    client.request({ type: "message", message: "x", id: `${i}` });
  }
  const { code, reason } = await soon(client.closed, "the end");
  assertEquals([code, reason], [1008, "too many refused messages"]);
});

Deno.test("a room that is left and entered anew keeps to its rate", async () => {
  const limits = { roomRate: 20, rate: 0 };
  await using server = await startServer(limits, STANDING);
  let stored = 0;
  for (const _ of range(1, 5)) {
    await using client = await Client.join(server.ws);
    stored += 10 - (await say(client, 10)).length;
    await client[Symbol.asyncDispose]();
    await until(() => server.hub.rooms.size === 0, "the end of the room");
  }
  assert(stored <= 20, `${stored}`);
});

/** Comes without a key, says five things and goes; how many were refused. */
async function sayAnew({ ws, hub }: TestServer, address = "192.0.2.1") {
  const headers = { "x-forwarded-for": address };
  const before = hub.census.members;
  await using plain = await Client.open(ws, { headers });
  for (const i of range(1, 5)) plain.send(`${i}`);
  let refused = 0;
  for (let answers = 0; answers < 5;) {
    const { type } = await plain.next();
    if (type === "message" || type === "error") answers++;
    if (type === "error") refused++;
  }
  await plain[Symbol.asyncDispose]();
  await until(() => hub.census.members === before, "its end");
  return refused;
}

const BEHIND_PROXY = { trustProxy: ["127.0.0.1"] };

Deno.test("a client without a key that comes again and again keeps to its rate", async () => {
  let nowMs = 0;
  await using server = await startServer(BEHIND_PROXY, {
    monotonic: () => nowMs,
  });
  await using _watcher = await Client.join(server.ws);
  for (const _ of range(1, 10)) await sayAnew(server);
  assertEquals(seqOf(server), FIRST_BURST);
  // From elsewhere it is somebody else.
  assertEquals(await sayAnew(server, "192.0.2.2"), 0);
  nowMs += 500;
  for (const _ of range(1, 10)) await sayAnew(server);
  assertEquals(seqOf(server), FIRST_BURST + 5 + 5);
});

Deno.test("a client for which others of its network left too little is told so, until that is back", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using watcher = await Client.join(server.ws);
  const own = /^Too fast: .* at most 10 messages per second are allowed\.$/;
  const others =
    /^Too fast: .*; clients that came from your network before you/;
  const [atFirst] = await say(watcher, FIRST_BURST + 1);
  assertMatch(atFirst?.message, own);
  {
    await using before = await Client.join(server.ws);
    await say(before, FIRST_BURST - 1);
    for (const _ of range(1, 20)) before.request({ type: "ping" });
    await before.nextOf("pong");
  }
  await until(() => server.hub.census.members === 1, "its end");
  await using client = await Client.join(server.ws);
  const [refusal] = await say(client, 2);
  assertMatch(refusal?.message, others);
  client.request({ type: "ping" });
  assertMatch((await client.nextOf("error")).message, others);
  nowMs += 2_000;
  assertMatch((await say(client, 21))[0]?.message, own);
});

Deno.test("a POST without a key, again and again, keeps to the rate of one client", async () => {
  await using server = await startServer({}, STANDING);
  await using _watcher = await Client.join(server.ws);
  const statuses = [];
  for (const _ of range(1, 15)) {
    const { status, body } = await post(`${server.http}/messages`, "hi");
    statuses.push(status);
    if (status !== 200) continue;
    // It goes before the next one comes.
    const url = `${server.ws}?room=elsewhere`;
    const hello = { key: body.key, history: 0 };
    await (await Client.join(url, hello))[Symbol.asyncDispose]();
    const { identities } = server.hub;
    await until(() => identities.inUse.size === 1, "its end");
  }
  assertEquals(statuses, [...Array(10).fill(200), ...Array(5).fill(429)]);
});

Deno.test("new clients of one address do not keep those of others from speaking, and all take half of a room", async () => {
  const limits = { ...BEHIND_PROXY, roomRate: 40, rate: 0 };
  await using server = await startServer(limits, STANDING);
  await using _watcher = await Client.join(server.ws);
  for (const _ of range(1, 10)) await sayAnew(server);
  const ofOne = seqOf(server) ?? 0;
  assert(ofOne >= 14 && ofOne <= 16, `${ofOne}`);
  assert(await sayAnew(server, "192.0.2.2") < 5);
  for (const i of range(3, 50)) await sayAnew(server, `192.0.${i}.2`);
  assertEquals(seqOf(server), 20);
});

Deno.test("a class of 60 without keys is heard behind one address", async () => {
  await using server = await startServer({}, STANDING);
  await using stack = new AsyncDisposableStack();
  const clients = [];
  for (const _ of range(1, 60)) {
    clients.push(stack.use(await Client.open(server.ws)));
  }
  for (const [i, client] of clients.entries()) await client.say(`${i}`);
});

/** Waits until that happens once. */
const once = (emitter: http2.ClientHttp2Session, event: string) =>
  soon(new Promise<void>((resolve) => emitter.once(event, resolve)), event);

Deno.test(
  "one connection makes no more than a few new people, however many streams it opens",
  { ignore: isOldest },
  async () => {
    await using server = await startServer({}, STANDING);
    const session = http2.connect(server.http);
    const answers = range(1, 20).map(() => {
      const stream = session.request({ ":path": "/events" });
      let text = "";
      stream.on("data", (bytes: Uint8Array) => {
        text += new TextDecoder().decode(bytes);
      });
      return { stream, hears: (word: string) => text.includes(word) };
    });
    const areAnswered = () =>
      answers.every(({ hears }) => hears("welcome") || hears("rate_limited"));
    await until(areAnswered, "an answer to each");
    const welcomes = answers.filter(({ hears }) => hears("welcome"));
    assertEquals(welcomes.length, 16);
    for (const { stream } of answers) stream.close();
    session.close();
    await once(session, "close");
  },
);

Deno.test("newcomers who are too many are asked to come back, by WebSocket and by POST", async () => {
  await using server = await startServer({ maxClients: 10 }, STANDING);
  const { identities } = server.hub;
  const holder = { supersede() {} };
  for (const _ of range(1, 2_500)) {
    const network = "127.0.0.1";
    const owner = newOwner({ network, block: "127.0.0.0/24" });
    await identities.register(undefined, holder, owner).catch(() => {});
  }
  await using full = await Client.open(server.ws, { protocols: [SUBPROTOCOL] });
  full.request({ type: "hello" });
  const error = await full.nextOf("error");
  assertEquals(error.code, "busy");
  assert(error.retryAfter >= 1_000);
  const { code, reason } = await soon(full.closed, "the end");
  assertEquals(code, 1013);
  assertMatch(reason, /^too many new people at once; come back in [1-5] s$/);
  const answer = await post(`${server.http}/messages`, "hi");
  assertEquals(answer.status, 503);
  assertMatch(`${answer.retryAfter}`, /^[1-5]$/);
  // A plain client has another name each time.
  await using plain = await Client.open(server.ws);
  assertEquals((await plain.nextOf("error")).code, "busy");
  assertEquals((await soon(plain.closed, "the end")).code, 1013);
});

Deno.test("somebody who comes back with a key is no newcomer", async () => {
  await using server = await startServer({}, STANDING);
  const [{ key }] = (await get(`${server.http}/messages`)).body;
  // On one connection, which could not bring so many new people.
  for (const room of range(1, 20)) {
    const url = `${server.http}/messages?room=r-${room}&key=${key}`;
    assertEquals((await get(url)).body[0].type, "welcome");
  }
});

/** Joins and leaves as often, one after the other. */
async function comeAndGo({ ws, hub }: TestServer, key: string, times: number) {
  for (const _ of range(1, times)) {
    const before = hub.rooms.get("lobby")?.members.size ?? 0;
    await (await Client.join(ws, { key }))[Symbol.asyncDispose]();
    const hasLeft = () => (hub.rooms.get("lobby")?.members.size ?? 0) <= before;
    await until(hasLeft, "the end of a visit");
  }
}

/** A hello with this key, and how it was refused. */
async function refusedHello({ ws }: TestServer, key: string) {
  await using client = await Client.open(ws, { protocols: [SUBPROTOCOL] });
  client.request({ type: "hello", key });
  const error = await client.nextOf("error");
  const { code, reason } = await soon(client.closed, "the end");
  return { error, end: `${code} ${reason}` };
}

Deno.test("a key that comes and goes without end is announced at its rate, on every transport", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using watcher = await Client.join(server.ws, { name: "Watcher" });
  const first = await Client.join(server.ws);
  const { key, sender: name } = first.welcome;
  await first[Symbol.asyncDispose]();
  await comeAndGo(server, key, ANNOUNCED.burst);
  const { error, end } = await refusedHello(server, key);
  assertEquals([error.code, error.retryAfter], ["rate_limited", 1_000]);
  assertMatch(
    error.message,
    /^You join too often with this key\. Wait a second/,
  );
  assertEquals(end, "1013 joining too often; come back in 1 s");
  const url = `${server.http}/messages?key=${key}`;
  const { status, retryAfter } = await post(url, "hi");
  assertEquals([status, retryAfter], [429, "1"]);
  assertEquals((await get(url)).body[0].code, "rate_limited");
  {
    const events = `${server.http}/events?key=${key}`;
    await using stream = await EventSourceClient.open(events);
    assertEquals((await stream.next("close")).retry, "1000");
  }
  // Whoever waits is let in, and everybody else always.
  await using other = await Client.join(server.ws, { name: "Other" });
  nowMs = 1_000;
  await using back = await Client.join(server.ws, { key });
  assertEquals(back.welcome.sender, name);
  back.request({ type: "message", message: "back", id: "1" });
  const heard: string[] = [];
  for (let event: WireEvent = {}; event.message !== "back";) {
    event = await watcher.next();
    if (event.type === "join") heard.push(event.sender);
  }
  const own = heard.filter((sender) => sender === name);
  assertEquals(own.length, 1 + ANNOUNCED.burst + 1);
  assertEquals(heard.includes(other.welcome.sender), true);
});

Deno.test("a refused hello leaves whoever is here with that key where it is", async () => {
  await using server = await startServer({}, STANDING);
  await using first = await Client.join(server.ws);
  const { key } = first.welcome;
  let last = first;
  await using stack = new AsyncDisposableStack();
  for (const _ of range(1, ANNOUNCED.burst)) {
    last = stack.use(await Client.join(server.ws, { key }));
  }
  assertEquals((await refusedHello(server, key)).error.code, "rate_limited");
  assertEquals((await say(last, 1)).length, 0);
});

Deno.test("new names are announced at the same rate, and a name that is refused costs nothing", async () => {
  let nowMs = 0;
  const limits = { rate: 100, burst: 100 };
  await using server = await startServer(limits, { monotonic: () => nowMs });
  await using other = await Client.join(server.ws, { name: "Other" });
  const client = await Client.join(server.ws);
  const { key } = client.welcome;
  const rename = (name: string) => client.request({ type: "rename", name });
  for (const i of range(1, ANNOUNCED.burst)) {
    rename(other.welcome.sender);
    rename(`name-${i}`);
  }
  rename("one more");
  for (const _ of range(1, ANNOUNCED.burst)) {
    assertEquals((await client.nextOf("error")).code, "name_taken");
  }
  const { code, retryAfter, message } = await client.nextOf("error");
  assertEquals([code, retryAfter], ["rate_limited", 1_000]);
  assertMatch(message, /^You change your name too often\. Wait a second/);
  for (const i of range(1, ANNOUNCED.burst)) {
    assertEquals((await other.nextOf("rename")).name, `name-${i}`);
  }
  await client[Symbol.asyncDispose]();
  assertEquals((await refusedHello(server, key)).error.code, "rate_limited");
  nowMs = 1_000;
  await comeAndGo(server, key, 1);
});

Deno.test("a class behind one address that loads its pages again and again is let in", async () => {
  await using server = await startServer({}, STANDING);
  const joinAll = (hellos: { key?: string }[]) =>
    Promise.all(hellos.map((hello) => Client.join(server.ws, hello)));
  const leaveAll = (clients: Client[]) =>
    Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  let pages = await joinAll(range(1, 60).map(() => ({})));
  for (const _ of range(1, 4)) {
    const keys = pages.map(({ welcome: { key } }) => ({ key }));
    await leaveAll(pages);
    pages = await joinAll(keys);
  }
  await leaveAll(pages);
});

Deno.test("a key that comes back once a second is let in for ever, and with --rate 0 at any rate", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using free = await startServer({ rate: 0 }, STANDING);
  const first = await Client.join(server.ws);
  const other = await Client.join(free.ws);
  await first[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  for (const _ of range(1, 2 * ANNOUNCED.burst)) {
    await comeAndGo(server, first.welcome.key, 1);
    await comeAndGo(free, other.welcome.key, 1);
    nowMs += 1_000;
  }
});
