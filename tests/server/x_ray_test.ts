// What the X-ray shows of a connection, held to the bytes of a raw socket; who
// may see it, and that it costs nothing when nobody looks. Real watchers read
// its stream.
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { HttpError } from "../../chat/http/http_error.ts";
import { type Direction, frameHeader } from "../../chat/x_ray/frame_header.ts";
import {
  MAX_FIELDS,
  MAX_HEAD_CHARS,
  RequestRecord,
} from "../../chat/x_ray/handshake_record.ts";
import {
  KeptFrames,
  MAX_KEPT_FRAMES,
  PREVIEW_CHARS,
  previewOf,
} from "../../chat/x_ray/kept_frames.ts";
import {
  CLOSED_KEPT_MS,
  ClosedConnections,
  MAX_CLOSED,
} from "../../chat/x_ray/closed_connections.ts";
import {
  EventFeed,
  formatFeedEvent,
  MAX_RING_CHARS,
  MAX_RING_EVENTS,
} from "../../chat/x_ray/feed.ts";
import {
  MAX_OWN_WATCHERS,
  MAX_WATCHERS_PER_KEY,
  TURN_MS,
  WatchPlaces,
} from "../../chat/x_ray/watch_places.ts";
import { MAX_MODERATOR_WATCHERS } from "../../chat/x_ray/x_ray.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  Inbox,
  range,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";

const MODERATOR = "otter-school";
const SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const V1 = { "Sec-WebSocket-Protocol": "partyline.v1" };

const start = (changes = {}) =>
  startServer({ moderator: MODERATOR, ...changes });

/** Finds the events in what comes of a stream; those without data are none. */
class EventParser {
  #text = "";
  readonly #decoder = new TextDecoder();

  read(chunk: Uint8Array): WireEvent[] {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    const blocks = this.#text.split("\n\n");
    this.#text = blocks.pop() ?? "";
    return blocks
      .map((block) => /^event: (\w+)\ndata: (.*)$/.exec(block))
      .filter((found) => found !== null)
      .map(([, event, data = ""]) => ({ event, ...JSON.parse(data) }));
  }
}

/** Somebody who reads /x-ray/events. */
class Watcher implements AsyncDisposable {
  readonly #events = new Inbox<WireEvent>();
  readonly ended: Promise<void>;

  private constructor(
    private readonly reader: ReadableStreamDefaultReader<Uint8Array>,
  ) {
    this.ended = this.#read();
  }

  static async open(
    server: TestServer,
    query: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<Watcher> {
    const search = new URLSearchParams(query);
    const url = `${server.http}/x-ray/events?${search}`;
    const response = await fetch(url, { headers });
    if (response.status !== 200 || !response.body) {
      throw new Error(`${response.status} ${await response.text()}`);
    }
    return new Watcher(response.body.getReader());
  }

  /** The next event of that name; those before it are passed over. */
  async next(name: string): Promise<WireEvent> {
    while (true) {
      const event = await this.#events.take(`an event ${name}`);
      if (event.event === name) return event;
    }
  }

  /** The next thing that happens, whatever it is. */
  any(): Promise<WireEvent> {
    return this.#events.take("an event");
  }

  /** The next frame that has `part` in it. */
  async frame(direction: Direction, part: string): Promise<WireEvent> {
    while (true) {
      const event = await this.next("frame");
      if (event.direction === direction && event.text.includes(part)) {
        return event;
      }
    }
  }

  /** The connection of that name, once it is as `isReady` wants it. */
  async line(name: string, isReady = (_line: WireEvent) => true) {
    while (true) {
      const { lines } = await this.next("connections");
      const line = lines.find((line: WireEvent) => line.name === name);
      if (line && isReady(line)) return line;
    }
  }

  async #read(): Promise<void> {
    const parser = new EventParser();
    for (let next; !(next = await this.reader.read()).done;) {
      for (const event of parser.read(next.value)) this.#events.put(event);
    }
  }

  async [Symbol.asyncDispose]() {
    await this.reader.cancel();
    await this.ended;
  }
}

/** Watches the only connection there is, with the moderator's code. */
async function watchOnly(server: TestServer): Promise<Watcher> {
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  while (true) {
    const { lines: [line] } = await all.next("connections");
    if (line === undefined) continue;
    return await Watcher.open(server, {
      moderator: MODERATOR,
      connection: `${line.id}`,
    });
  }
}

const recorders = ({ connections }: TestServer) =>
  [...connections.keys()].filter(({ recorder }) => recorder !== undefined)
    .length;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

async function status(server: TestServer, query: string) {
  const response = await fetch(`${server.http}/x-ray/events?${query}`);
  await response.body?.cancel();
  return response.status;
}

/** The header and the payload of the server's next frame. */
async function capture(raw: RawClient) {
  const next = await raw.readFrame();
  assert(next !== undefined, "the connection ended");
  return { header: hex(next.header), payload: next.payload };
}

Deno.test("the server's frame headers are shown as they travel: 7, 16 and 64 bits", async () => {
  await using server = await start({ maxMessage: 90_000, maxFrame: 100_000 });
  using raw = await RawClient.upgrade(server.port);
  await raw.write(frame(Opcode.text, "x"));
  const { payload } = await capture(raw);
  const around = payload.length - 1;
  await using watcher = await watchOnly(server);
  for (const length of [125, 126, 65535, 65536]) {
    await raw.write(frame(Opcode.text, "x".repeat(length - around)));
    const captured = await capture(raw);
    assertEquals(captured.payload.length, length);
    const shown = await watcher.frame("out", "message");
    assertEquals(shown.derived.header, captured.header);
    assertEquals(
      shown.derived.header,
      hex(frameHeader("out", 1, length).bytes),
    );
    assertEquals(shown.length, length);
    assertEquals(shown.derived.bytes, length + captured.header.length / 2);
    assertEquals(shown.derived.isMasked, false);
  }
});

Deno.test("a client's frame headers are shown as they travel, without the masking key", async () => {
  await using server = await start({ maxMessage: 90_000, maxFrame: 100_000 });
  using raw = await RawClient.upgrade(server.port);
  await raw.write(frame(Opcode.text, "x"));
  await capture(raw);
  await using watcher = await watchOnly(server);
  const sizes = [[0, 2, 7], [125, 2, 7], [126, 4, 16], [65535, 4, 16], [
    65536,
    10,
    64,
  ]] as const;
  for (const [length, headerBytes, lengthBits] of sizes) {
    const sent = frame(
      Opcode.text,
      "é".repeat(length / 2) + "x".repeat(length % 2),
    );
    await raw.write(sent);
    await capture(raw);
    const shown = await watcher.frame("in", "");
    assertEquals(shown.derived, {
      opcode: 1,
      header: hex(sent.subarray(0, headerBytes)),
      lengthBits,
      isMasked: true,
      bytes: sent.length,
    });
    assertEquals(shown.length, length);
  }
});

Deno.test("the handshake is shown with the values of the RFC's example", async () => {
  await using server = await start();
  using raw = await RawClient.open(server.port);
  await raw.write(
    `GET /ws?room=physics HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n` +
      `Upgrade: websocket\r\nConnection: Upgrade\r\nX-Twice: a\r\nX-Twice: b\r\n` +
      `Sec-WebSocket-Key: ${SAMPLE_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  const head = await raw.readHead();
  await using watcher = await watchOnly(server);
  const opened = await watcher.next("opened");
  assertEquals(opened.head.split("\n"), [
    "GET /ws?room=physics",
    "connection: Upgrade",
    `host: 127.0.0.1:${server.port}`,
    `sec-websocket-key: ${SAMPLE_KEY}`,
    "sec-websocket-version: 13",
    "upgrade: websocket",
    "x-twice: a, b",
  ]);
  assertEquals(opened.accept, {
    key: SAMPLE_KEY,
    guid: "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
    sha1: "b37a4f2cc0624f1690f64606cf385945b2bec4ea",
    accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  });
  const [code, ...fields] = opened.answer.split("\n");
  assertEquals(code, "101");
  assertMatch(head, /^HTTP\/1\.1 101 /);
  for (const field of fields) {
    assert(
      head.toLowerCase().includes(`\r\n${field.toLowerCase()}\r\n`),
      field,
    );
  }
  assertEquals(opened.transport, "websocket");
  assertEquals([opened.dialect, opened.room], ["plain", "physics"]);
  assertEquals([opened.isNew, opened.leftOut], [false, 0]);
});

Deno.test("an identity's key shows its own connection and no other's", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  await using bob = await Client.join(server.ws, { name: "Bob" });
  await using watcher = await Watcher.open(server, { key: ada.welcome.key });
  const opened = await watcher.any();
  assertEquals([opened.event, opened.isNew], ["opened", false]);
  bob.request({ type: "message", message: "from Bob", id: "1" });
  const got = await watcher.any();
  assertEquals([got.event, got.direction], ["frame", "out"]);
  assert(got.text.includes("from Bob"), got.text);
  ada.request({ type: "message", message: "from Ada", id: "1" });
  assertEquals((await watcher.any()).direction, "in");
  assertEquals((await watcher.any()).connection, opened.connection);
  assertEquals(recorders(server), 1);
});

Deno.test("the bytes of the text and those on the wire are told apart", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws);
  await using watcher = await Watcher.open(server, { key: ada.welcome.key });
  const text = '{"type":"message","message":"☎️","id":"1"}';
  ada.send(text);
  const { length, derived, kind, isCut } = await watcher.frame(
    "in",
    "☎️",
  );
  assertEquals(length, new TextEncoder().encode(text).length);
  assertEquals(derived.bytes, length + 6);
  assertEquals([kind, isCut], ["text", false]);
});

Deno.test("a watcher follows an identity from connection to connection, from the handshake on", async () => {
  await using server = await start();
  const first = await Client.join(server.ws);
  const { key } = first.welcome;
  await using watcher = await Watcher.open(server, { key });
  const { connection } = await watcher.next("opened");
  await first[Symbol.asyncDispose]();
  assertEquals((await watcher.next("closed")).connection, connection);
  await using other = await Client.join(server.ws);
  await using second = await Client.join(server.ws, { key });
  const opened = await watcher.any();
  assertEquals([opened.event, opened.isNew], ["opened", true]);
  assert(opened.connection > connection);
  assert((await watcher.any()).text.includes('"type":"hello"'));
  assert((await watcher.any()).text.includes('"type":"welcome"'));
  other.request({ type: "ping", id: "not Ada's" });
  second.request({ type: "ping", id: "mine" });
  await watcher.frame("out", "mine");
  // The one who turned out to be somebody else is not recorded any more.
  assertEquals(recorders(server), 1);
});

Deno.test("a connection that is silent when its watcher comes is shown from its hello on", async () => {
  await using server = await start();
  const first = await Client.join(server.ws);
  const { key } = first.welcome;
  await first[Symbol.asyncDispose]();
  using raw = await RawClient.upgrade(server.port, "/ws", V1);
  await until(() => server.connections.size === 1, "one connection");
  await using watcher = await Watcher.open(server, { key });
  await raw.write(frame(Opcode.text, JSON.stringify({ type: "hello", key })));
  assertEquals((await watcher.any()).isNew, false);
  assert((await watcher.any()).text.includes("hello"));
  assert((await watcher.any()).text.includes("welcome"));
});

Deno.test("what lets somebody in is hidden, in headers, addresses and payloads", async () => {
  await using server = await start({ invite: "cuckoo-7" });
  const known = await Client.join(`${server.ws}?invite=cuckoo-7`);
  const { key } = known.welcome;
  await known[Symbol.asyncDispose]();
  await using watcher = await Watcher.open(server, { key });
  using raw = await RawClient.upgrade(
    server.port,
    `/ws?invite=cuckoo-7&%6Bey=${key}&line=cuckoo-7&room=lobby`,
    {
      ...V1,
      Authorization: "Bearer cuckoo-7",
      Cookie: "a=cuckoo-7",
      "X-Forwarded-Access-Token": "cuckoo-7",
      "X-Original-URI": "/chat/ws?room=lobby&invite=cuckoo-7",
      "Partyline-Key": key,
      "X-Envoy-Original-Path": "/ws?invite=cuckoo-7",
      Forwarded: 'for=1.2.3.4;path="/ws?invite=cuckoo-7"',
      Referer: `http://127.0.0.1:${server.port}/?next=/%3Finvite=cuckoo-7`,
    },
  );
  const hello = `{"type":"hello","key" : "${key}"}`;
  await raw.write(frame(Opcode.text, hello));
  const all = [];
  while (!all.at(-1)?.text?.includes("welcome")) all.push(await watcher.any());
  const shown = JSON.stringify(all);
  const secret = key.split(".").at(-1) ?? key;
  assert(!shown.includes("cuckoo-7"), shown);
  assert(!shown.includes(secret), shown);
  assert(shown.includes("&room=lobby"), shown);
  assertEquals(all[1].text, hello.replace(key, "*".repeat(key.length)));
  assertEquals(all[1].length, hello.length);
});

for (
  const write of [
    (key: string) => `{"type":"hello","k\\u0065y":"${key}"}`,
    (key: string) =>
      `{"type":"hello","key"\n:\t"\\u00${
        hex(new TextEncoder().encode(key[0]))
      }${key.slice(1)}"}`,
    (key: string) => `{"x":"\\"key\\":","key":"${key}","type":"hello"}`,
    (key: string) => `{"key":"${key}","type":"hello","x":"${"y".repeat(900)}"}`,
  ]
) {
  Deno.test(`a key is hidden also when it is written as ${write("KEY").slice(0, 40)}`, async () => {
    await using server = await start();
    const known = await Client.join(server.ws);
    const { key } = known.welcome;
    await known[Symbol.asyncDispose]();
    await using watcher = await Watcher.open(server, { key });
    using raw = await RawClient.upgrade(server.port, "/ws", V1);
    await raw.write(frame(Opcode.text, write(key)));
    const all = [];
    while (!all.at(-1)?.text?.includes("welcome")) {
      all.push(await watcher.any());
    }
    assert(!JSON.stringify(all).includes(key.slice(1)), JSON.stringify(all));
    assertEquals(all[1].length, write(key).length);
    assertEquals(all[1].text.length, Math.min(write(key).length, 800));
  });
}

Deno.test("a moderator sees all connections in a line each, and one in full", async () => {
  await using server = await start();
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  await using ada = await Client.join(`${server.ws}?room=physics`, {
    name: "Ada",
  });
  await using plain = await Client.open(server.ws);
  const { sender } = await plain.say("hello, all");
  const line = await all.line(sender, ({ last }) => last?.direction === "out");
  assertEquals([line.room, line.dialect, line.transport], [
    "lobby",
    "plain",
    "websocket",
  ]);
  assertEquals(line.in, { frames: 1, bytes: 10 + 6 });
  assertEquals([line.out.frames, line.waiting], [1, 0]);
  assertEquals(line.out.bytes, line.last.bytes);
  assert(line.last.glimpse.includes("hello, all"), line.last.glimpse);
  await using one = await Watcher.open(server, {
    moderator: MODERATOR,
    connection: `${line.id}`,
  });
  assertEquals((await one.any()).connection, line.id);
  ada.request({ type: "rename", name: "Grace" });
  const renamed = await all.line("Grace");
  assertEquals(renamed.dialect, "partyline.v1");
  await plain.say("again");
  assertEquals((await one.frame("in", "again")).text, "again");
  await ada[Symbol.asyncDispose]();
  while (true) {
    const { gone, count } = await all.next("connections");
    if (gone.length === 0) continue;
    assertEquals([gone, count], [[renamed.id], 1]);
    break;
  }
});

Deno.test("a card has the last frames, also those from when it was not open", async () => {
  await using server = await start({ rate: 0 });
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  await using ada = await Client.join(server.ws, { name: "Ada" });
  const count = MAX_KEPT_FRAMES / 2 + 1;
  for (let i = 1; i <= count; i++) {
    ada.request({ type: "ping", id: `${i}.` });
    await ada.nextOf("pong");
  }
  const { id, in: { frames: received }, out: { frames: sent } } = await all
    .line("Ada", ({ in: { frames } }) => frames > count);
  await using one = await Watcher.open(server, {
    moderator: MODERATOR,
    connection: `${id}`,
  });
  const opened = await one.any();
  const dropped = await one.any();
  assertEquals(dropped, {
    event: "dropped",
    count: received + sent - MAX_KEPT_FRAMES,
  });
  const frames = [];
  for (let i = 0; i < MAX_KEPT_FRAMES; i++) frames.push(await one.any());
  assert(opened.isNew, "it opened after the first watcher came");
  assert(opened.at <= (frames[0]?.at ?? 0), "the opening is not the first");
  const ids = frames.map(({ direction, text }) =>
    `${direction} ${JSON.parse(text).id ?? JSON.parse(text)[0].id}`
  );
  const rounds = Array.from({ length: count - 1 }, (_, i) => `${i + 2}.`);
  assertEquals(ids, rounds.flatMap((id) => [`in ${id}`, `out ${id}`]));
});

Deno.test("a connection that has closed is shown for a while, with its code and last frames", async () => {
  let laterMs = 0;
  const monotonic = () => performance.now() + laterMs;
  await using server = await startServer({ moderator: MODERATOR }, {
    monotonic,
  });
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  using raw = await RawClient.upgrade(server.port);
  await raw.write(frame(Opcode.text, "my last words"));
  await raw.write(frame(Opcode.close, Uint8Array.of(0x0f, 0xa1, 0x62)));
  const closed = async () => (await all.next("connections")).closed;
  let rows: WireEvent[] = [];
  while (rows.length === 0) rows = await closed() ?? rows;
  const [{ id, end, room }] = rows as [WireEvent];
  assertEquals([rows.length, room], [1, "lobby"]);
  assertEquals([end.by, end.code, end.reason], ["client", 4001, "b"]);
  await using one = await Watcher.open(server, {
    moderator: MODERATOR,
    connection: `${id}`,
  });
  assertEquals((await one.frame("in", "words")).text, "my last words");
  assertEquals((await one.next("closed")).code, 4001);
  laterMs = CLOSED_KEPT_MS;
  while (rows.length > 0) rows = await closed() ?? rows;
  const query = `moderator=${MODERATOR}&connection=${id}`;
  assertEquals(await status(server, query), 404);
});

Deno.test("of the connections that have closed the newest are kept, and nothing of the others", () => {
  const forgotten: number[] = [];
  const closed = new ClosedConnections(() => 0);
  for (let id = 1; id <= MAX_CLOSED + 2; id++) {
    closed.add({ id }, { forget: () => forgotten.push(id) });
  }
  assertEquals(closed.rows.length, MAX_CLOSED);
  assertEquals(closed.rows[0], { id: MAX_CLOSED + 2 });
  assertEquals(forgotten, [1, 2]);
  assertEquals(closed.recorderOf(2), undefined);
  closed.clear();
  assertEquals([closed.rows, forgotten.length], [[], MAX_CLOSED + 2]);
});

Deno.test("the frames that are kept share a space, and what is forgotten leaves it", () => {
  const left = 100_000;
  const space = { left };
  const seen = (length: number) => ({
    at: 0,
    direction: "in" as const,
    opcode: Opcode.text,
    length,
    ...previewOf("x".repeat(length)),
  });
  const few = new KeptFrames(space);
  for (let i = 0; i < 2 * MAX_KEPT_FRAMES; i++) few.put(seen(i));
  assertEquals(few.all.length, MAX_KEPT_FRAMES);
  assertEquals(few.all.at(-1)?.length, 2 * MAX_KEPT_FRAMES - 1);
  const many = Array.from({ length: 100 }, () => new KeptFrames(space));
  for (const kept of many) kept.put(seen(1_000_000));
  for (const kept of many) kept.put(seen(1_000_000));
  assert(space.left >= 0 && space.left < 2_000, `${space.left}`);
  const count = many.reduce((sum, { all }) => sum + all.length, 0);
  assert(count > 50 && count < 100, `${count}`);
  for (const kept of [few, ...many]) kept.clear();
  assertEquals(space.left, left);
});

Deno.test("bytes that wait for a slow client are shown, and go when it reads", async () => {
  await using server = await start({ maxMessage: 60_000, rate: 0 });
  using slow = await RawClient.upgrade(server.port);
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  await until(() => server.connections.size === 1, "the slow one");
  const [session] = server.connections.keys();
  const text = "x".repeat(60_000);
  let sent = 0;
  while (session !== undefined && session.transport.bufferedAmount === 0) {
    for (let i = 0; i < 16; i++, sent++) session.send(text);
    // What the socket takes is written meanwhile.
    await new Promise((done) => setTimeout(done));
  }
  const name = session?.name ?? "";
  assert((await all.line(name, ({ waiting }) => waiting > 0)).waiting > 0);
  for (let i = 0; i < sent; i++) await slow.readFrame();
  assertEquals((await all.line(name, (line) => line.waiting === 0)).waiting, 0);
});

Deno.test("what did not change is not told again", async () => {
  await using server = await start();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using bob = await Client.join(`${server.ws}?room=b`, { name: "Bob" });
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  const first = await all.next("connections");
  assertEquals(first.lines.length, 2);
  bob.request({ type: "ping" });
  const { lines } = await all.next("connections");
  assertEquals(lines.map(({ name }: WireEvent) => name), ["Bob"]);
});

Deno.test("nobody else sees anything: wrong codes and keys get 403", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws);
  const { key } = ada.welcome;
  const queries = [
    "",
    "moderator=",
    "moderator=otter-schooL",
    `moderator=${key}`,
    `key=${key}x`,
    "key=",
    `key=${MODERATOR}`,
    "connection=1",
    "moderator=wrong-code&connection=1",
  ];
  const statuses = await Promise.all(
    queries.map((query) => status(server, query)),
  );
  assertEquals(statuses, queries.map(() => 403));
  assertEquals(recorders(server), 0);
});

Deno.test("without a moderator's code nobody is one", async () => {
  await using server = await startServer();
  for (const query of ["moderator=", "moderator=undefined", ""]) {
    assertEquals(await status(server, query), 403, query);
  }
});

Deno.test("only GET is here, and a connection that is gone gets 404", async () => {
  await using server = await start();
  const query = `moderator=${MODERATOR}&connection=7`;
  assertEquals(await status(server, query), 404);
  const response = await fetch(`${server.http}/x-ray/events?${query}`, {
    method: "POST",
  });
  await response.body?.cancel();
  assertEquals([response.status, response.headers.get("allow")], [405, "GET"]);
});

Deno.test("nothing is recorded while nobody watches, and nothing after", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws);
  await using plain = await Client.open(server.ws);
  await plain.say("unseen");
  assertEquals(recorders(server), 0);
  for (
    const query of [
      { key: ada.welcome.key },
      { moderator: MODERATOR },
      { moderator: MODERATOR, connection: "2" },
    ]
  ) {
    {
      await using watcher = await Watcher.open(server, query);
      await watcher.any();
      assertEquals(
        recorders(server),
        "moderator" in query && !("connection" in query) ? 2 : 1,
      );
    }
    await until(() => recorders(server) === 0, "no recorders");
  }
  await plain.say("unseen again");
  assertEquals(recorders(server), 0);
});

Deno.test("a new connection has no recorder when the only watcher has gone", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws);
  {
    await using watcher = await Watcher.open(server, { key: ada.welcome.key });
    await watcher.any();
    using _silent = await RawClient.upgrade(server.port, "/ws", V1);
    await until(
      () => recorders(server) === 2,
      "a recorder that waits for a hello",
    );
  }
  await until(() => recorders(server) === 0, "no recorders");
  await using _late = await Client.join(server.ws);
  assertEquals(recorders(server), 0);
});

Deno.test("who watches too often is refused", async () => {
  await using server = await start();
  await using ada = await Client.join(server.ws);
  const { key } = ada.welcome;
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < MAX_WATCHERS_PER_KEY; i++) {
    stack.use(await Watcher.open(server, { key }));
  }
  assertEquals(await status(server, `key=${key}`), 429);
});

Deno.test("guests who watch all that they may keep no moderator out, nor moderators them", async () => {
  await using server = await start();
  await using stack = new AsyncDisposableStack();
  const open = async (query: Record<string, string>) => {
    stack.use(await Watcher.open(server, query));
  };
  const guests = MAX_OWN_WATCHERS / MAX_WATCHERS_PER_KEY;
  for (let i = 0; i < guests; i++) {
    const { key } = stack.use(await Client.join(server.ws)).welcome;
    for (let j = 0; j < MAX_WATCHERS_PER_KEY; j++) await open({ key });
  }
  const one = { moderator: MODERATOR, connection: "1" };
  await open({ moderator: MODERATOR });
  for (let i = 1; i < MAX_MODERATOR_WATCHERS; i++) await open(one);
  for (const query of ["", "&connection=1"]) {
    assertEquals(await status(server, `moderator=${MODERATOR}${query}`), 503);
  }
  await stack.disposeAsync();
  await until(() => recorders(server) === 0, "no recorders");
  // The other way round.
  await using again = new AsyncDisposableStack();
  const ada = again.use(await Client.join(server.ws));
  for (let i = 0; i < MAX_MODERATOR_WATCHERS; i++) {
    again.use(await Watcher.open(server, { moderator: MODERATOR }));
  }
  assertEquals(await status(server, `moderator=${MODERATOR}`), 503);
  again.use(await Watcher.open(server, { key: ada.welcome.key }));
});

/** All places for own X-rays are taken, by people who are alone in their rooms. */
async function takeAll(
  server: TestServer,
  stack: AsyncDisposableStack,
  windows = MAX_WATCHERS_PER_KEY,
) {
  const watchers: Watcher[] = [];
  const people: Awaited<ReturnType<typeof Client.join>>[] = [];
  for (let i = 0; i < MAX_OWN_WATCHERS / windows; i++) {
    const url = `${server.ws}?room=room-${i}`;
    const person = stack.use(await Client.join(url));
    people.push(person);
    const { key } = person.welcome;
    for (let j = 0; j < windows; j++) {
      watchers.push(stack.use(await Watcher.open(server, { key })));
    }
  }
  return { watchers, people };
}

Deno.test("when all places are taken, those who have several give one to somebody who has none", async () => {
  await using server = await startServer({}, { monotonic: () => 0 });
  await using stack = new AsyncDisposableStack();
  const { watchers } = await takeAll(server, stack);
  const late = stack.use(await Client.join(`${server.ws}?room=late`));
  const { key } = late.welcome;
  stack.use(await Watcher.open(server, { key }));
  const { why } = await watchers[0]!.next("superseded");
  assertMatch(why, /you watch in several windows\. .*again\.$/);
  await soon(watchers[0]!.ended, "the end of the stream");
});

Deno.test("an address with many keys that are kept active keeps nobody of another address out", async () => {
  await using server = await startServer(
    { trustProxy: ["127.0.0.1"] },
    { monotonic: () => 0 },
  );
  await using stack = new AsyncDisposableStack();
  const { watchers, people } = await takeAll(server, stack, 1);
  for (const person of people) person.request({ type: "ping" });
  for (const watcher of watchers) await watcher.frame("in", "ping");
  const late = stack.use(await Client.join(`${server.ws}?room=late`));
  const query = { key: late.welcome.key };
  const elsewhere = { "X-Forwarded-For": "192.0.2.1" };
  const watcher = stack.use(await Watcher.open(server, query, elsewhere));
  await watcher.next("opened");
  const { why } = await watchers[0]!.next("superseded");
  assertMatch(why, /your network has the most of them\. .*again\.$/);
  await soon(watchers[0]!.ended, "the end of the stream");
});

type Seat = [key: string, network: string, block: string];

/** All places are taken by these; who has to go is noted, and why. */
function fill(seats: Seat[]) {
  const time = { ms: 0 };
  const places = new WatchPlaces(() => time.ms);
  const ended: string[] = [];
  const take = (...[key, network, block]: Seat) => {
    const leave = places.take(key, { network, block }, (why) => {
      ended.push(`${key}: ${/because (.*)\. Close/.exec(why)?.[1]}`);
      leave();
    });
  };
  for (const seat of seats) take(...seat);
  assertEquals(places.size, MAX_OWN_WATCHERS);
  const isRefused = (...seat: Seat) =>
    assertThrows(() => take(...seat), HttpError, "Too many people");
  return { time, ended, take, isRefused };
}

Deno.test("people of one address who watch in one window each take turns of 30 s", () => {
  const seats = range(1, MAX_OWN_WATCHERS).map((n): Seat => [`${n}`, "a", "b"]);
  const { time, ended, take, isRefused } = fill(seats);
  time.ms = TURN_MS - 1;
  isRefused("late", "a", "b");
  time.ms = TURN_MS;
  isRefused("9", "a", "b");
  take("late", "a", "b");
  take("later", "a", "b");
  const why = "all are taken and you have watched for the longest time";
  assertEquals(ended, [`1: ${why}`, `2: ${why}`]);
});

Deno.test("places to watch are shared by block of networks, then by network, then by key", () => {
  const seats = [
    ...range(1, 128).map((n): Seat => [`a${n}`, `a${n}`, "A"]),
    ...range(1, 100).map((n): Seat => [`b${n}`, "b", "B"]),
    ...range(1, 28).map((n): Seat => [`c${Math.ceil(n / 2)}`, "c", "B"]),
  ];
  const { ended, take, isRefused } = fill(seats);
  // In B, because that has no less than A.
  take("late", "c", "B");
  take("late", "d", "C");
  // All there have one.
  isRefused("late", "b", "B");
  take("late", "d", "C");
  assertEquals(ended, [
    "b1: all are taken and your address has the most of them",
    "a1: all are taken and your network has the most of them",
    "b2: all are taken and your network has the most of them",
  ]);
});

Deno.test("a watcher who does not read costs a full ring, and is told what was dropped", async () => {
  for (
    const [text, kept] of [
      ["x", MAX_RING_EVENTS],
      ["x".repeat(MAX_RING_CHARS / 8), 7],
    ] as const
  ) {
    const trace = new EventFeed(() => {});
    const reader = trace.body.getReader();
    await reader.read();
    for (let i = 0; i < 1_000; i++) {
      trace.put(formatFeedEvent("frame", { i, text }));
    }
    const { value } = await reader.read();
    const read = new EventParser().read(value ?? new Uint8Array());
    assertEquals(read[0], { event: "dropped", count: 1_000 - kept });
    assertEquals(read.length, 1 + kept);
    assertEquals([read[1].i, read.at(-1).i], [1_000 - kept, 999]);
    trace.close();
    assertEquals((await reader.read()).done, true);
  }
});

Deno.test("of a long payload the beginning is shown", async () => {
  await using server = await start();
  using raw = await RawClient.upgrade(server.port);
  await raw.write(frame(Opcode.text, "x"));
  await capture(raw);
  await using watcher = await watchOnly(server);
  await raw.write(frame(Opcode.text, "é".repeat(PREVIEW_CHARS + 1)));
  const long = await watcher.frame("in", "é");
  assertEquals([long.text.length, long.isCut], [PREVIEW_CHARS, true]);
  assertEquals(long.length, 2 * PREVIEW_CHARS + 2);
});

Deno.test("of a long request the beginning is kept, and the rest counted", () => {
  const head = (fields: number, value: string) => {
    const headers = new Headers();
    for (let i = 0; i < fields; i++) headers.set(`x-${i}`, value);
    return new RequestRecord(
      new Request("http://a.example/ws", { headers }),
      [],
    );
  };
  assertEquals(head(MAX_FIELDS, "1").leftOut, 0);
  assertEquals(head(MAX_FIELDS + 9, "1").leftOut, 9);
  const long = head(MAX_FIELDS, "x".repeat(1_000));
  assert(long.leftOut > 0 && long.head.length <= MAX_HEAD_CHARS);
  const url = `http://a.example/ws?room=${"x".repeat(60_000)}`;
  assert(new RequestRecord(new Request(url), []).head.length <= MAX_HEAD_CHARS);
});

/** What is told of the end, and the close frames before it. */
async function ending(watcher: Watcher) {
  const frames = [];
  while (true) {
    const event = await watcher.any();
    if (event.kind === "close") frames.push(event);
    if (event.event === "closed") return { frames, closed: event };
  }
}

Deno.test("a close by the client is shown with its code and reason", async () => {
  await using server = await start();
  for (
    const [payload, code, reason] of [
      [Uint8Array.of(0x03, 0xe9, 0x62, 0x79, 0x65), 1001, "bye"],
      [new Uint8Array(), 1005, ""],
    ] as const
  ) {
    using raw = await RawClient.upgrade(server.port);
    await using watcher = await watchOnly(server);
    const sent = frame(Opcode.close, payload);
    await raw.write(sent);
    const { frames, closed } = await ending(watcher);
    assertEquals(
      frames.map(({ direction, length, close, derived }) => [
        direction,
        length,
        close,
        derived.header,
        derived.bytes,
      ]),
      [[
        "in",
        payload.length,
        { code, reason },
        hex(sent.subarray(0, 2)),
        sent.length,
      ]],
    );
    assertEquals([closed.by, closed.code, closed.isClean], [
      "client",
      code,
      true,
    ]);
    await until(() => server.connections.size === 0, "nobody left");
  }
});

Deno.test("a close by the server is shown as it travels, and the client's answer", async () => {
  await using server = await start();
  using raw = await RawClient.upgrade(server.port, "/ws", V1);
  await using watcher = await watchOnly(server);
  await raw.write(frame(Opcode.text, "no JSON"));
  const captured = await capture(raw);
  await raw.write(frame(Opcode.close, captured.payload));
  const { frames: [out, back], closed } = await ending(watcher);
  assertEquals(out.direction, "out");
  assertEquals(
    out.derived.header + out.hex,
    captured.header + hex(captured.payload),
  );
  assertEquals(out.close, { code: 1002, reason: "send JSON objects" });
  assertEquals([back.direction, back.close.code], ["in", 1002]);
  assertEquals([closed.by, closed.code, closed.isClean], [
    "server",
    1002,
    true,
  ]);
});

for (const answer of ["an empty close frame", "nothing"]) {
  Deno.test(`a close by the server keeps its code and reason when the client answers ${answer}`, async () => {
    await using server = await start();
    const raw = await RawClient.upgrade(server.port, "/ws", V1);
    await using watcher = await watchOnly(server);
    await raw.write(frame(Opcode.text, "no JSON"));
    await capture(raw);
    if (answer !== "nothing") {
      await raw.write(frame(Opcode.close, new Uint8Array()));
    }
    raw[Symbol.dispose]();
    const { closed } = await ending(watcher);
    assertEquals([closed.by, closed.code, closed.reason], [
      "server",
      1002,
      "send JSON objects",
    ]);
  });
}

Deno.test("a lost connection is nobody's close, a broken frame is named", async () => {
  await using server = await start();
  for (
    const [bytes, fault] of [
      [new Uint8Array(), "EOF"],
      [frame(Opcode.text, "x", { reserved: 4 }), "Reserved"],
    ] as const
  ) {
    const raw = await RawClient.upgrade(server.port);
    await using watcher = await watchOnly(server);
    await raw.write(bytes);
    if (bytes.length === 0) raw[Symbol.dispose]();
    const { frames, closed } = await ending(watcher);
    assertEquals([frames, closed.by, closed.code], [[], "nobody", 0]);
    assert(closed.fault.includes(fault), closed.fault);
    raw[Symbol.dispose]();
    await until(() => server.connections.size === 0, "nobody left");
  }
});

Deno.test("who answers no ping is closed by the server, as it travels", async () => {
  await using server = await start({ idleTimeout: 2 });
  using raw = await RawClient.upgrade(server.port);
  await using watcher = await watchOnly(server);
  assertEquals((await capture(raw)).header, "8900");
  const captured = await capture(raw);
  const { frames: [out], closed } = await ending(watcher);
  assertEquals(out.direction, "out");
  assertEquals(
    out.derived.header + out.hex,
    captured.header + hex(captured.payload),
  );
  assertEquals([closed.by, closed.code], ["server", 1001]);
});

Deno.test("a binary frame is shown with its length, and what became of it", async () => {
  await using server = await start();
  using raw = await RawClient.upgrade(server.port);
  await using watcher = await watchOnly(server);
  const sent = frame(Opcode.binary, Uint8Array.of(1, 2, 255));
  await raw.write(sent);
  const shown = await watcher.next("frame");
  assertEquals([shown.kind, shown.length, shown.derived.header], [
    "binary",
    3,
    hex(sent.subarray(0, 2)),
  ]);
  const { payload } = await capture(raw);
  await raw.write(frame(Opcode.close, payload));
  const { by, code } = await watcher.next("closed");
  assertEquals([by, code], ["server", 1003]);
});

Deno.test("the drawing board's frames are shown with their bytes, both ways", async () => {
  await using server = await start();
  const draw = { "Sec-WebSocket-Protocol": "partyline.draw.v1" };
  using raw = await RawClient.upgrade(server.port, "/ws", draw);
  await using watcher = await watchOnly(server);
  assertEquals((await watcher.next("opened")).dialect, "partyline.draw.v1");
  using other = await RawClient.upgrade(server.port, "/ws", draw);
  const stroke = Uint8Array.of(0, 1, 128, 255);
  await raw.write(frame(Opcode.binary, stroke));
  const sent = await watcher.next("frame");
  await capture(other);
  await other.write(frame(Opcode.binary, stroke));
  const got = await watcher.next("frame");
  const captured = await capture(raw);
  for (const [shown, direction] of [[sent, "in"], [got, "out"]] as const) {
    assertEquals([shown.direction, shown.kind, shown.hex], [
      direction,
      "binary",
      hex(stroke),
    ]);
  }
  assertEquals(got.derived.header, captured.header);
});

Deno.test("an echo is shown with its bytes, both ways", async () => {
  await using server = await start();
  using raw = await RawClient.upgrade(server.port, "/echo");
  await using watcher = await watchOnly(server);
  assertEquals((await watcher.next("opened")).dialect, "echo");
  const bytes = Uint8Array.of(0, 1, 128, 255);
  await raw.write(frame(Opcode.binary, bytes));
  for (const direction of ["in", "out"]) {
    const shown = await watcher.next("frame");
    assertEquals([shown.direction, shown.kind, shown.hex], [
      direction,
      "binary",
      hex(bytes),
    ]);
  }
});

Deno.test("a member over SSE is shown without frames, which it has none of", async () => {
  await using server = await start();
  const aborter = new AbortController();
  const stream = await fetch(`${server.http}/events?name=Eve`, {
    signal: aborter.signal,
    headers: { "x-who": "Eve" },
  });
  await using all = await Watcher.open(server, { moderator: MODERATOR });
  const { id, transport } = await all.line("Eve");
  assertEquals(transport, "sse");
  await using watcher = await Watcher.open(server, {
    moderator: MODERATOR,
    connection: `${id}`,
  });
  const opened = await watcher.any();
  assert(opened.head.startsWith("GET /events?name=Eve\n"), opened.head);
  assertMatch(opened.head, /^x-who: Eve$/m);
  assertEquals([opened.accept, opened.answer], [null, ""]);
  await using plain = await Client.open(server.ws);
  await plain.say("hello, Eve");
  const shown = await watcher.frame("out", "hello, Eve");
  assertEquals(shown.derived, undefined);
  aborter.abort();
  await stream.body?.cancel().catch(() => {});
  assertEquals((await watcher.next("closed")).by, "nobody");
});

Deno.test("what nobody sent is not shown: over HTTP there is no hello", async () => {
  await using server = await start();
  const posted = await fetch(`${server.http}/messages`, {
    method: "POST",
    body: "by POST",
  });
  const { key } = await posted.json();
  await using watcher = await Watcher.open(server, { key });
  assertEquals((await watcher.next("opened")).transport, "poll");
  const stream = await fetch(`${server.http}/events?key=${key}`);
  assertEquals((await watcher.next("closed")).by, "server");
  const opened = await watcher.any();
  assertEquals([opened.event, opened.transport], ["opened", "sse"]);
  const welcome = await watcher.any();
  assertEquals([welcome.event, welcome.direction], ["frame", "out"]);
  assert(welcome.text.includes("welcome"), welcome.text);
  await stream.body?.cancel();
});

Deno.test("a watcher sees how the server's stop ends the connection", async () => {
  const server = await start();
  await using client = await Client.join(server.ws);
  const { key } = client.welcome;
  await using watcher = await Watcher.open(server, { key });
  await watcher.next("opened");
  const stopped = server[Symbol.asyncDispose]();
  while (true) {
    const { close } = await watcher.next("frame");
    if (close === undefined) continue;
    assertEquals(close.code, 1001);
    break;
  }
  assertEquals((await watcher.next("closed")).code, 1001);
  await stopped;
});

Deno.test("watchers are let go when the server stops", async () => {
  const server = await start();
  const client = await Client.join(server.ws);
  await using watcher = await Watcher.open(server, { moderator: MODERATOR });
  await watcher.any();
  await server[Symbol.asyncDispose]();
  await client.closed;
  await soon(watcher.ended, "the end of the stream");
  assertEquals(recorders(server), 0);
});
