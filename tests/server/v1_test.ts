// The dialect `partyline.v1` over real sockets: hello, recovery,
// exactly once, identity, presence, history, and what is refused.
import { assert, assertEquals, assertMatch } from "@std/assert";
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import { READ_MS } from "../../chat/ops/deadline.ts";
import { Logger } from "../../chat/ops/logger.ts";
import {
  type Hello,
  MAX_HISTORY,
  type Request,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import { MAX_WAITING_PAGES } from "../../chat/session/history_pager.ts";
import { HELLO_TIMEOUT_MS, V1 } from "../../chat/session/v1.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  range,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

const texts = (events: { message: string }[]) =>
  events.map(({ message }) => message);
const seqs = (events: { seq: number }[]) => events.map(({ seq }) => seq);
/** Sends numbered messages and waits for the last one's echo. */
async function fill(client: Client, from: number, to: number) {
  for (const n of range(from, to)) {
    client.request({ type: "message", message: `${n}`, id: `${n}` });
  }
  await client.messagesUpTo(`${to}`);
}

Deno.test("hello is answered with welcome", async () => {
  await using server = await startServer({ rate: 7, maxMessage: 99 });
  await using a = await Client.join(`${server.ws}?room=physics`);
  assertEquals(a.socket.protocol, SUBPROTOCOL);
  const { sender, author, key, epoch, ...rest } = a.welcome;
  assertMatch(author, /^[\w-]+$/);
  assertMatch(sender, /^[a-z]+-[a-z]+$/);
  assertMatch(key, /^[\w-]+\.[\w-]{22,}$/);
  assertMatch(epoch, /./);
  assertEquals(rest, {
    type: "welcome",
    room: "physics",
    seq: 0,
    recovered: null,
    members: [sender],
    count: 1,
    limits: { message: 99, frame: 65536, rate: 7, burst: 10 },
    listsRooms: false,
  });
});

Deno.test("a message comes back to its sender with its id, and to both dialects", async () => {
  await using server = await startServer();
  await using plain = await Client.open(server.ws);
  await plain.say("ready");
  await using a = await Client.join(server.ws);
  await using b = await Client.join(server.ws);
  a.request({ type: "message", message: "hi", id: "my-1" });
  const event = (await b.messagesUpTo("hi")).at(-1);
  assertEquals([event.seq, event.sender, event.id], [
    2,
    a.welcome.sender,
    "my-1",
  ]);
  assertEquals((await a.messagesUpTo("hi")).at(-1), event);
  assertEquals(await plain.next(), event);
  await plain.say("hello");
  assertEquals((await a.nextOf("message")).message, "hello");
});

Deno.test("messages of one moment come as one frame", async () => {
  await using server = await startServer({ rate: 0 });
  using raw = await RawClient.upgrade(server.port);
  await using a = await Client.join(server.ws);
  let frames = 0;
  a.socket.addEventListener("message", () => frames++);
  const burst = range(1, 50).map((n) => [...frame(Opcode.text, `${n}`)]);
  await raw.write(Uint8Array.from(burst.flat()));
  const heard = await a.messagesUpTo("50");
  assertEquals(seqs(heard), range(1, 50));
  assert(frames < 50, `${frames} frames`);
});

/** Joins, and notes the bytes of each frame. */
async function joinAndWeigh(ws: string, hello: Partial<Hello> = {}) {
  const client = await Client.open(ws, { protocols: [SUBPROTOCOL] });
  const sizes: number[] = [];
  client.socket.addEventListener("message", ({ data }) => {
    sizes.push(new TextEncoder().encode(data).length);
  });
  client.request({ type: "hello", ...hello });
  return Object.assign(client, { sizes });
}

Deno.test("no frame is larger than 32 KiB: live, with the welcome, history, catching up", async () => {
  await using server = await startServer({ rate: 0 });
  await using live = await joinAndWeigh(server.ws);
  const { epoch } = await live.nextOf("welcome");
  for (const i of range(1, 400)) {
    const message = `${i} ${"é".repeat(1_000)}`;
    live.request({ type: "message", message, id: `${i}` });
  }
  const heard = [];
  while (heard.length < 400) heard.push(await live.nextOf("message"));
  assertEquals(seqs(heard), range(1, 400));
  await using fresh = await joinAndWeigh(server.ws, { history: 200 });
  for (const seq of range(201, 400)) {
    assertEquals((await fresh.nextOf("message")).seq, seq);
  }
  fresh.request({ type: "history", before: 401, count: 200 });
  const { messages, more } = await fresh.nextOf("history");
  assertEquals([messages.at(-1).seq, more], [400, true]);
  const since = { epoch, seq: 0 };
  await using late = await joinAndWeigh(server.ws, { since });
  for (const seq of range(1, 400)) {
    assertEquals((await late.nextOf("message")).seq, seq);
  }
  for (const { sizes } of [live, fresh, late]) {
    const largest = Math.max(...sizes);
    assert(largest <= 32 * 1024, `${largest} bytes`);
    assert(largest > 28 * 1024, `${largest} bytes: more frames than need be`);
  }
});

Deno.test("a message that is larger than 32 KiB has a frame of its own", async () => {
  await using server = await startServer({ rate: 0, maxMessage: 15_000 });
  await using a = await joinAndWeigh(server.ws);
  const message = "水".repeat(15_000);
  for (const id of ["1", "2"]) a.request({ type: "message", message, id });
  for (const seq of [1, 2]) {
    const event = await a.nextOf("message");
    assertEquals([event.seq, event.message], [seq, message]);
  }
  a.request({ type: "history", before: 3 });
  const { messages, more } = await a.nextOf("history");
  assertEquals([seqs(messages), more], [[2], true]);
});

Deno.test("joining shows the newest 50 messages, or as many as asked for", async () => {
  await using server = await startServer({ rate: 0 });
  await using a = await Client.join(server.ws);
  await fill(a, 1, 60);
  for (
    const [history, first] of [[undefined, 11], [3, 58], [200, 1]] as const
  ) {
    await using b = await Client.join(
      server.ws,
      history === undefined ? {} : { history },
    );
    assertEquals(b.welcome.seq, 60);
    assertEquals(seqs(await b.messagesUpTo("60")), range(first, 60));
  }
  await using c = await Client.join(server.ws, { history: 0 });
  await fill(a, 61, 61);
  assertEquals(seqs(await c.messagesUpTo("61")), [61]);
});

Deno.test("a client that returns gets what it missed, then what is live, once", async () => {
  await using server = await startServer({ rate: 0 });
  await using a = await Client.join(server.ws);
  await fill(a, 1, 10);
  let since;
  {
    await using b = await Client.join(server.ws);
    since = { epoch: b.welcome.epoch, seq: 4 };
  }
  await fill(a, 11, 700);
  const back = Client.join(server.ws, { since });
  await fill(a, 701, 800);
  await using b = await back;
  assertEquals(b.welcome.recovered, true);
  await fill(a, 801, 810);
  assertEquals(seqs(await b.messagesUpTo("810")), range(5, 810));
});

Deno.test("a client that had seen nothing yet recovers too", async () => {
  await using server = await startServer({ rate: 0 });
  let since;
  {
    await using a = await Client.join(`${server.ws}?room=new`);
    since = { epoch: a.welcome.epoch, seq: a.welcome.seq };
  }
  await using b = await Client.join(`${server.ws}?room=new`);
  await fill(b, 1, 3);
  await using a = await Client.join(`${server.ws}?room=new`, { since });
  assertEquals(a.welcome.recovered, true);
  assertEquals(seqs(await a.messagesUpTo("3")), [1, 2, 3]);
});

Deno.test("history that is gone is told, and the newest is sent instead", async () => {
  await using server = await startServer({ rate: 0, keep: 20 });
  await using a = await Client.join(server.ws);
  await fill(a, 1, 100);
  const { epoch } = a.welcome;
  for (
    const since of [
      { epoch, seq: 79 },
      { epoch, seq: 101 },
      { epoch: "another", seq: 99 },
    ]
  ) {
    await using b = await Client.join(server.ws, { since, history: 5 });
    assertEquals(b.welcome.recovered, false);
    assertEquals(seqs(await b.messagesUpTo("100")), range(96, 100));
  }
  await using c = await Client.join(server.ws, { since: { epoch, seq: 80 } });
  assertEquals(c.welcome.recovered, true);
  assertEquals(seqs(await c.messagesUpTo("100")), range(81, 100));
});

Deno.test("a long absence is caught up page by page, without overfilling the socket", async () => {
  const sendLimit = 64 * 1024;
  await using server = await startServer({ rate: 0, sendLimit });
  await using a = await Client.join(server.ws);
  const text = "x".repeat(3_000);
  for (let i = 0; i < 300; i += 10) {
    for (let j = 0; j < 10; j++) {
      a.request({ type: "message", message: text, id: `${i + j}` });
    }
    for (let j = 0; j < 10; j++) await a.nextOf("message");
  }
  const { epoch } = a.welcome;
  await using b = await Client.join(server.ws, { since: { epoch, seq: 0 } });
  const heard = [];
  while (heard.length < 300) heard.push(await b.nextOf("message"));
  assertEquals(seqs(heard), range(1, 300));
});

Deno.test("welcome tells the newest seq, also to a client that gets the rest of it page by page", async () => {
  await using server = await startServer({ rate: 0, roomRate: 0 });
  await using a = await Client.join(server.ws);
  const newest = MAX_HISTORY + 50;
  await fill(a, 1, newest);
  const { epoch } = a.welcome;
  await using b = await Client.join(server.ws, { since: { epoch, seq: 0 } });
  const { recovered, seq } = b.welcome;
  assertEquals([recovered, seq], [true, newest]);
  assertEquals(seqs(await b.messagesUpTo(`${newest}`)), range(1, newest));
});

Deno.test("a message sent again is not answered before what comes before it", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  await fill(a, 1, 1);
  const [session] = server.connections.keys();
  const dialect = session?.dialect;
  assert(dialect instanceof V1);
  for (const seq of [2, 1]) {
    dialect.acknowledge(JSON.stringify({ type: "message", seq }), seq);
  }
  assertEquals((await a.nextOf("message")).seq, 1);
});

Deno.test("an id sent again after a reconnect is stored once and answered", async () => {
  await using server = await startServer();
  await using watcher = await Client.join(server.ws);
  let key;
  {
    await using a = await Client.join(server.ws);
    ({ key } = a.welcome);
    a.request({ type: "message", message: "once", id: "x" });
    await watcher.messagesUpTo("once");
  }
  await using a = await Client.join(server.ws, { key, history: 0 });
  a.request({ type: "message", message: "once", id: "x" });
  const { seq, id } = (await a.messagesUpTo("once")).at(-1);
  assertEquals([seq, id], [1, "x"]);
  a.request({ type: "message", message: "end", id: "y" });
  assertEquals(texts(await watcher.messagesUpTo("end")), ["end"]);
});

Deno.test("a key brings back the name, also after the server was started anew", async () => {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/test.db`;
  let before;
  {
    await using server = await startServer({ data });
    await using a = await Client.join(server.ws, { name: "Ada" });
    before = a.welcome;
    await fill(a, 1, 3);
  }
  {
    await using server = await startServer({ data });
    await using a = await Client.join(server.ws, {
      key: before.key,
      since: { epoch: before.epoch, seq: 1 },
    });
    assertEquals([a.welcome.sender, a.welcome.recovered], ["Ada", true]);
    assertEquals(seqs(await a.messagesUpTo("3")), [2, 3]);
    a.request({ type: "message", message: "3", id: "3" });
    assertEquals((await a.nextOf("message")).seq, 3);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a newer connection with the same key takes over with 4002", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws, { name: "Ada" });
  await using b = await Client.join(server.ws, { key: a.welcome.key });
  const { code, reason } = await soon(a.closed, "the close");
  assertEquals(code, 4002);
  assertMatch(reason, /another connection/);
  assertEquals([b.welcome.sender, b.welcome.count], ["Ada", 1]);
  b.request({ type: "message", message: "still me", id: "1" });
  assertEquals((await b.messagesUpTo("still me")).at(-1).sender, "Ada");
});

Deno.test("a name that is wished for and taken or invalid is told, with another name given", async () => {
  await using server = await startServer();
  await using _a = await Client.join(server.ws, { name: "Ada" });
  for (
    const [name, code] of [["ADA", "name_taken"], [
      "<b>",
      "name_invalid",
    ]] as const
  ) {
    await using b = await Client.join(server.ws, { name });
    assertMatch(b.welcome.sender, /^[a-z]+-[a-z]+$/);
    assertEquals((await b.nextOf("error")).code, code);
  }
});

Deno.test("rename is told to all, and refused with a reason", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  await using b = await Client.join(server.ws, { name: "Eve" });
  a.request({ type: "rename", name: "Ada" });
  const { at: _, ...event } = await b.nextOf("rename");
  assertEquals(event, {
    type: "rename",
    sender: a.welcome.sender,
    name: "Ada",
  });
  assertEquals((await a.nextOf("rename")).name, "Ada");
  a.request({ type: "rename", name: "eve" });
  assertEquals((await a.nextOf("error")).code, "name_taken");
  a.request({ type: "rename", name: " " });
  assertEquals((await a.nextOf("error")).code, "name_invalid");
  a.request({ type: "message", message: "hi", id: "1" });
  assertEquals((await b.messagesUpTo("hi")).at(-1).sender, "Ada");
});

Deno.test("a name that looks like that of somebody who is away is taken, and the error says so", async () => {
  await using server = await startServer();
  {
    await using a = await Client.join(server.ws, { name: "coco" });
    assertEquals(a.welcome.sender, "coco");
  }
  await using b = await Client.join(server.ws, { name: "сосо" });
  const told = await b.nextOf("error");
  assertEquals(told.code, "name_taken");
  assertMatch(told.message, /"сосо" is taken, or looks like .* another\.$/);
  b.request({ type: "rename", name: "СОСО" });
  assertEquals((await b.nextOf("error")).code, "name_taken");
  b.request({ type: "rename", name: "Cосо" });
  const mixed = await b.nextOf("error");
  assertEquals(mixed.code, "name_invalid");
  assertMatch(mixed.message, /one alphabet: "C" is Latin, "о" is Cyrillic\.$/);
});

Deno.test("whoever ends in the middle of a rename leaves under the name that was known", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  await using b = await Client.join(server.ws);
  const { hub } = server;
  const rename = hub.identities.rename.bind(hub.identities);
  hub.identities.rename = async (identity, name) => {
    await rename(identity, name);
    hub.identities.supersede(identity.id, Infinity);
  };
  b.request({ type: "rename", name: "Bea" });
  assertEquals((await a.nextOf("leave")).sender, b.welcome.sender);
  await soon(b.closed, "the close");
  await using c = await Client.join(server.ws, { name: "bea" });
  assertEquals(c.welcome.members.length, 2);
});

Deno.test("a message carries the name it was sent under", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws, { name: "Ada" });
  a.request({ type: "message", message: "first", id: "1" });
  a.request({ type: "rename", name: "Lovelace" });
  assertEquals((await a.messagesUpTo("first")).at(-1).sender, "Ada");
});

Deno.test("members see who joins, leaves and types", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  let name;
  {
    await using b = await Client.join(server.ws);
    name = b.welcome.sender;
    assertEquals(
      b.welcome.members.toSorted(),
      [a.welcome.sender, name].toSorted(),
    );
    let join = await a.nextOf("join");
    while (join.sender !== name) join = await a.nextOf("join");
    assertEquals(join.count, 2);
    b.request({ type: "typing" });
    assertEquals((await a.nextOf("typing")).sender, name);
  }
  const leave = await a.nextOf("leave");
  assertEquals(
    [leave.sender, leave.message, leave.count],
    [name, "Client disconnected", 1],
  );
});

Deno.test("of a large room, 200 names and the count are told", async () => {
  await using server = await startServer();
  const plain = await Promise.all(
    Array.from({ length: 250 }, () => Client.open(server.ws)),
  );
  const room = server.hub.rooms.get("lobby");
  await until(() => room?.members.size === 250, "everyone");
  await using a = await Client.join(server.ws);
  assertEquals([a.welcome.members.length, a.welcome.count], [200, 251]);
  assert(a.welcome.members.includes(a.welcome.sender));
  await Promise.all(plain.map((client) => client[Symbol.asyncDispose]()));
});

Deno.test("older messages are given on request", async () => {
  await using server = await startServer({ rate: 0 });
  await using a = await Client.join(server.ws);
  await fill(a, 1, 30);
  await using b = await Client.join(server.ws, { history: 5 });
  b.request({ type: "history", before: 26, count: 20 });
  const { before, more, messages } = await b.nextOf("history");
  assertEquals([before, more, seqs(messages)], [26, true, range(6, 25)]);
  b.request({ type: "history", before: 6 });
  const last = await b.nextOf("history");
  assertEquals([last.more, seqs(last.messages)], [false, range(1, 5)]);
});

/** A client alone in a room where a page of history is a quarter of the limit. */
async function joinLongHistory(server: TestServer): Promise<Client> {
  const a = await Client.join(server.ws);
  const message = "x".repeat(4_000);
  for (let i = 1; i <= 10; i++) {
    a.request({ type: "message", message, id: `${i}` });
    await a.nextOf("message");
  }
  return a;
}

Deno.test("a client that reads gets every page that it asked for at once", async () => {
  await using server = await startServer({ rate: 0, sendLimit: 64 * 1024 });
  await using a = await joinLongHistory(server);
  for (let i = 0; i < MAX_WAITING_PAGES; i++) {
    a.request({ type: "history", before: 11 });
  }
  for (let i = 0; i < MAX_WAITING_PAGES; i++) {
    const { messages } = await a.nextOf("history");
    assertEquals(seqs(messages).at(-1), 10);
  }
});

Deno.test("a client that goes on asking for pages and reads none is disconnected", async () => {
  const lines: string[] = [];
  const logger = new Logger("text", (line) => lines.push(line), Date.now);
  await using server = await startServer(
    { rate: 0, sendLimit: 64 * 1024 },
    { logger },
  );
  await using _author = await joinLongHistory(server);
  const headers = { "sec-websocket-protocol": SUBPROTOCOL };
  using client = await RawClient.upgrade(server.port, "/ws", headers);
  const ask = (request: Request) =>
    client.write(frame(Opcode.text, JSON.stringify(request)));
  await ask({ type: "hello", history: 0 });
  const isOut = () => lines.join("").includes("slow_reader");
  // First the buffers of the system fill.
  while (!isOut()) {
    try {
      await ask({ type: "history", before: 11 });
    } catch {
      await until(isOut, "the reason");
    }
  }
  assertMatch(lines.join(""), /reading too slowly.*slow_reader/);
});

Deno.test("ping is answered with its id", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  a.request({ type: "ping", id: "7" });
  assertEquals(await a.nextOf("pong"), { type: "pong", id: "7" });
  a.request({ type: "ping" });
  assertEquals(await a.nextOf("pong"), { type: "pong" });
});

for (
  const [what, text] of [
    ["no type", "{}"],
    ["an unknown type", '{"type":"shout"}'],
    ["a message without id", '{"type":"message","message":"x"}'],
    ["a message that is no string", '{"type":"message","message":7,"id":"1"}'],
    [
      "an id that is too long",
      `{"type":"message","message":"x","id":"${"x".repeat(65)}"}`,
    ],
    ["an empty id", '{"type":"message","message":"x","id":""}'],
    ["a name that is no string", '{"type":"rename","name":{}}'],
    ["a negative seq", '{"type":"history","before":-1}'],
    ["too much history", '{"type":"history","before":1,"count":201}'],
    ["a second hello", '{"type":"hello"}'],
    ["a ping with a number for an id", '{"type":"ping","id":1}'],
  ] as const
) {
  Deno.test(`${what} gets an error that says so, and the client stays`, async () => {
    await using server = await startServer();
    await using a = await Client.join(server.ws);
    a.send(text);
    const { code, sender, message } = await a.nextOf("error");
    assertEquals([code, sender], ["invalid", "server"]);
    assertMatch(message, /^[A-Z].*\.$/);
    a.request({ type: "ping" });
    await a.nextOf("pong");
  });
}

for (
  const [what, text] of [
    ["what is not JSON", "hello"],
    ["JSON that is no object", "[1]"],
    ["a request before hello", '{"type":"ping"}'],
  ] as const
) {
  Deno.test(`${what} closes with 1002`, async () => {
    await using server = await startServer();
    await using a = await Client.open(server.ws, { protocols: [SUBPROTOCOL] });
    a.send(text);
    assertEquals((await soon(a.closed, "the close")).code, 1002);
  });
}

for (
  const [what, text] of [
    ["since", '{"type":"hello","since":{"epoch":1}}'],
    ["since", '{"type":"hello","since":null}'],
    ["history", '{"type":"hello","history":1.5}'],
    ["key", '{"type":"hello","key":{}}'],
    ["name", '{"type":"hello","name":[]}'],
  ] as const
) {
  Deno.test(`a hello with a bad ${what}, ${text}, may be said again`, async () => {
    await using server = await startServer();
    await using a = await Client.open(server.ws, { protocols: [SUBPROTOCOL] });
    a.send(text);
    assertEquals((await a.nextOf("error")).code, "invalid");
    a.send('{"type":"hello"}');
    await a.nextOf("welcome");
  });
}

Deno.test("silence instead of hello closes with 1002 in time", async () => {
  await using server = await startServer();
  const clock = FakeTimers.install({
    toFake: ["setTimeout", "clearTimeout"],
    shouldClearNativeTimers: true,
  });
  try {
    using raw = await RawClient.upgrade(server.port, "/ws", {
      "Sec-WebSocket-Protocol": SUBPROTOCOL,
    });
    clock.tick(HELLO_TIMEOUT_MS + READ_MS);
    assertEquals(await raw.closeCode(), 1002);
  } finally {
    clock.uninstall();
  }
});

Deno.test("requests that are no messages have a rate of their own", async () => {
  let nowMs = 0;
  await using server = await startServer({ burst: 2 }, {
    monotonic: () => nowMs,
  });
  await using a = await Client.join(server.ws);
  for (const id of ["1", "2"]) a.request({ type: "message", message: id, id });
  for (let i = 0; i < 3; i++) a.request({ type: "ping", id: `${i}` });
  for (let i = 0; i < 2; i++) await a.nextOf("pong");
  const { code, id, retryAfter } = await a.nextOf("error");
  // An id in an error is a message's: this one was stored.
  assertEquals([code, id, retryAfter], ["rate_limited", undefined, 100]);
  nowMs += retryAfter;
  a.request({ type: "ping" });
  await a.nextOf("pong");
});

Deno.test("a flood of typing is cut off with 1008", async () => {
  await using server = await startServer({}, { monotonic: () => 0 });
  await using a = await Client.join(server.ws);
  for (let i = 0; i < 70; i++) a.request({ type: "typing" });
  assertEquals((await soon(a.closed, "the close")).code, 1008);
});

Deno.test("what comes after a bad client is gone: no name, no room, no identity in use", async () => {
  await using server = await startServer();
  for (let i = 0; i < 50; i++) {
    using raw = await RawClient.upgrade(server.port, "/ws", {
      "Sec-WebSocket-Protocol": SUBPROTOCOL,
    });
    await raw.write(frame(Opcode.text, '{"type":"hello"}'));
  }
  await until(() => server.connections.size === 0, "an empty server");
  await until(() => server.hub.rooms.size === 0, "no room");
  const { identities, census } = server.hub;
  assertEquals([census.names, identities.inUse.size], [0, 0]);
});
