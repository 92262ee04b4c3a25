// Rooms by HTTP: Server-Sent Events, long poll and POST. Whoever
// is here that way is a member like any other: same names, order, limits and
// recovery. Requests go by `fetch`, as from a program or a page.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { setImmediate } from "node:timers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import { READ_MS } from "../../chat/ops/deadline.ts";
import { Logger } from "../../chat/ops/logger.ts";
import type { Hub } from "../../chat/room/hub.ts";
import { Mailbox } from "../../chat/transport/long_poll.ts";
import {
  FIRST_POLL_TIMEOUT_MS,
  POLL_TIMEOUT_MS,
} from "../../chat/transport/poll_places.ts";
import { errorResponse } from "../../chat/http/http_error.ts";
import type { SessionContext } from "../../chat/session/session.ts";
import type { Peer } from "../../chat/store/store.ts";
import { EventStream, formatEvent } from "../../chat/transport/event_stream.ts";
import { MAX_ASKED } from "../../chat/transport/forwarding.ts";
import {
  HttpRequests,
  type HttpRequestsContext,
} from "../../chat/transport/http_requests.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import {
  Client,
  isOldest,
  newContext,
  RawClient,
  soon,
  startServer,
  until,
  type WireEvent,
} from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";

const texts = (events: WireEvent[]) =>
  events.filter(({ type }) => type === "message").map(({ message }) => message);

Deno.test("a message is an SSE event without a name and with an id, others have a name", () => {
  assertEquals(
    formatEvent('{"type":"message","seq":7,"message":"hi"}', "e"),
    'id: e:7\ndata: {"type":"message","seq":7,"message":"hi"}\n\n',
  );
  assertEquals(
    formatEvent('{"type":"join","sender":"a"}', "e"),
    'event: join\ndata: {"type":"join","sender":"a"}\n\n',
  );
});

Deno.test("a client that listens by SSE is in the room and hears what WebSockets say", async () => {
  await using server = await startServer();
  await using socket = await Client.join(server.ws);
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const welcome = await stream.next("welcome");
  assertEquals(welcome.data.members.length, 2);
  assertEquals((await socket.nextOf("join")).sender, socket.welcome.sender);
  assertEquals((await socket.nextOf("join")).sender, welcome.data.sender);
  socket.request({ type: "message", message: "hi", id: "1" });
  const { id, data } = await stream.next("message");
  assertEquals([data.message, data.sender], ["hi", socket.welcome.sender]);
  assertEquals(id, `${welcome.data.epoch}:${data.seq}`);
});

Deno.test("a stream that ends is told to those who remain", async () => {
  await using server = await startServer();
  await using socket = await Client.join(server.ws);
  const stream = await EventSourceClient.open(`${server.http}/events`);
  const { data } = await stream.next("welcome");
  await stream[Symbol.asyncDispose]();
  // Deno notices the end when it writes next.
  socket.request({ type: "message", message: "anyone?", id: "1" });
  assertEquals((await socket.nextOf("leave")).sender, data.sender);
  await until(() => server.connections.size === 1, "the stream's place");
});

Deno.test("Last-Event-ID brings what was missed, once and in order", async () => {
  await using server = await startServer({ rate: 0 });
  await using socket = await Client.join(server.ws);
  const say = (n: number) =>
    socket.request({ type: "message", message: `${n}`, id: `${n}` });
  const first = await EventSourceClient.open(`${server.http}/events`);
  const { key } = (await first.next("welcome")).data;
  say(1);
  const { id } = await first.next("message");
  await first[Symbol.asyncDispose]();
  for (let n = 2; n <= 300; n++) {
    say(n);
    if (n % 10 === 0) await socket.messagesUpTo(`${n}`);
  }
  await using again = await EventSourceClient.open(
    `${server.http}/events?key=${key}`,
    { "last-event-id": id },
  );
  assertEquals((await again.next("welcome")).data.recovered, true);
  for (let n = 2; n <= 300; n++) {
    assertEquals((await again.next("message")).data.message, `${n}`);
  }
});

Deno.test("a POST without a key makes a member, and answers when it is stored", async () => {
  await using server = await startServer();
  await using socket = await Client.join(server.ws);
  const { status, body } = await post(`${server.http}/messages`, "hello");
  assertEquals(status, 200);
  const [event] = await socket.messagesUpTo("hello");
  assertEquals(body.event, event);
  const again = await post(`${server.http}/messages?key=${body.key}`, "me too");
  assertEquals(again.body.event.sender, event.sender);
  assertEquals(again.body.key, body.key);
});

Deno.test("a POST with a stream's key speaks for that member", async () => {
  await using server = await startServer();
  await using stream = await EventSourceClient.open(
    `${server.http}/events?name=Ada`,
  );
  const { key, sender } = (await stream.next("welcome")).data;
  assertEquals(sender, "Ada");
  const json = { "content-type": "application/json", "partyline-key": key };
  const request = { type: "message", message: "by json", id: "my-1" };
  const url = `${server.http}/messages`;
  const { body } = await post(url, JSON.stringify(request), json);
  assertEquals([body.event.sender, body.event.id], ["Ada", "my-1"]);
  assertEquals((await stream.next("message")).data, body.event);
  // Sent again, it is not stored again.
  const repeated = await post(url, JSON.stringify(request), json);
  assertEquals(repeated.body, body);
  const rename = { type: "rename", name: "Grace" };
  assertEquals((await post(url, JSON.stringify(rename), json)).status, 202);
  assertEquals((await stream.next("rename")).data.name, "Grace");
});

Deno.test("JSON that begins with a byte-order mark is read, by POST and in a frame", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  const json = (message: string) =>
    "\ufeff" + JSON.stringify({ type: "message", message, id: message });
  a.send(json("in a frame"));
  assertEquals((await a.nextOf("message")).message, "in a frame");
  const headers = { "content-type": "application/json" };
  const url = `${server.http}/messages`;
  assertEquals((await post(url, json("by POST"), headers)).status, 200);
  assertEquals((await a.nextOf("message")).message, "by POST");
});

Deno.test("a long poll waits for the next event, and hears each message once", async () => {
  await using server = await startServer();
  await using socket = await Client.join(server.ws);
  const url = `${server.http}/messages`;
  const [welcome] = (await get(url)).body;
  const { key, epoch } = welcome;
  let seq = welcome.seq;
  const heard: string[] = [];
  for (let n = 1; n <= 5; n++) {
    const polled = get(`${url}?key=${key}&since=${epoch}:${seq}&wait=10`);
    socket.request({ type: "message", message: `${n}`, id: `${n}` });
    for (let events = (await polled).body;;) {
      heard.push(...texts(events));
      seq = Math.max(seq, ...events.map((event: WireEvent) => event.seq ?? 0));
      if (heard.length >= n) break;
      const asked = `${url}?key=${key}&since=${epoch}:${seq}&wait=10`;
      events = (await get(asked)).body;
    }
  }
  assertEquals(heard, ["1", "2", "3", "4", "5"]);
  assertEquals(server.connections.size, 2);
});

Deno.test("an answer that was lost is given again", async () => {
  await using server = await startServer();
  const url = `${server.http}/messages`;
  const [{ key, epoch, seq }] = (await get(url)).body;
  await post(`${url}?key=${key}`, "one");
  const asked = `${url}?key=${key}&since=${epoch}:${seq}&wait=10`;
  assertEquals(texts((await get(asked)).body), ["one"]);
  assertEquals(texts((await get(asked)).body), ["one"]);
  const later = `${url}?key=${key}&since=${epoch}:${seq + 1}`;
  assertEquals(texts((await get(later)).body), []);
  // Whoever goes back further than what waits here gets it from the store.
  assertEquals(texts((await get(asked)).body), ["one"]);
});

/** The place of a client that came back. */
const staying = { isUnconfirmed: false, abandon() {} };

Deno.test("a mailbox has what follows the position that its client came back with", () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const mailbox = new Mailbox(staying, () => {}, 4);
    mailbox.send("", ['{"type":"error"}']);
    // What was missed may come in another frame than the welcome.
    mailbox.send("", ['{"type":"welcome","recovered":true,"seq":6}']);
    for (const seq of [5, 6]) {
      mailbox.send("", [`{"type":"message","seq":${seq},"message":"hi"}`]);
    }
    assertEquals([3, 4, 6].map((seq) => mailbox.canGoOn(seq)), [
      false,
      true,
      true,
    ]);
  } finally {
    clock.uninstall();
  }
});

Deno.test("a client that stops polling leaves the room after a while, and may come back", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let hasEnded = false;
    const place = { isUnconfirmed: true, abandon() {} };
    const mailbox = new Mailbox(place, () => hasEnded = true);
    await clock.tickAsync(FIRST_POLL_TIMEOUT_MS - 1);
    place.isUnconfirmed = false;
    mailbox.send("", ['{"type":"message","seq":1}']);
    assertEquals((await mailbox.take(0, 0)).length, 1);
    await clock.tickAsync(POLL_TIMEOUT_MS);
    assertEquals(hasEnded, false, "a request is open");
    mailbox.answered();
    await clock.tickAsync(POLL_TIMEOUT_MS + READ_MS - 1);
    assertEquals(hasEnded, false);
    await clock.tickAsync(1);
    assertEquals(hasEnded, true);
  } finally {
    clock.uninstall();
  }
});

Deno.test("the answer to a message that was sent again waits for a client that has missed nothing", async () => {
  const mailbox = new Mailbox(staying, () => {}, 5);
  mailbox.send("", ['{"type":"welcome","recovered":true,"seq":5}']);
  await mailbox.take(0, 0);
  mailbox.send("", ['{"type":"message","seq":3,"message":""}']);
  assertEquals((await mailbox.take(5, 0)).length, 1);
  assertEquals(await mailbox.take(5, 0), []);
  mailbox.expire();
});

Deno.test("a silent stream is kept alive, and holds no timer after its end", async () => {
  const clock = FakeTimers.install({
    toFake: ["setInterval", "clearInterval"],
  });
  try {
    let ends = 0;
    const stream = new EventStream(() => "e", () => ends++);
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    assertEquals((await reader.read()).value, "retry: 1000\n\n");
    clock.tick(15_000);
    assertEquals((await reader.read()).value, ": still here\n\n");
    stream.close(1001, "the end");
    assertMatch(
      (await reader.read()).value ?? "",
      /^event: close\ndata: .*1001/,
    );
    assertEquals((await reader.read()).done, true);
    assertEquals([ends, clock.countTimers()], [1, 0]);
  } finally {
    clock.uninstall();
  }
});

Deno.test("a stream that is not read is cut off beyond the send limit", async () => {
  const errors: string[] = [];
  const write = (line: string) => {
    if (/ error /.test(line)) errors.push(line);
  };
  const logger = new Logger("text", write, Date.now);
  await using server = await startServer(
    { sendLimit: 64 * 1024, rate: 0 },
    { logger },
  );
  await using socket = await Client.join(server.ws);
  const abort = new AbortController();
  const response = await fetch(`${server.http}/events`, {
    signal: abort.signal,
  });
  await until(() => server.connections.size === 2, "the stream");
  let n = 0;
  await soon(
    (async () => {
      while (server.connections.size === 2) {
        const message = "x".repeat(4_000);
        for (let i = 0; i < 20; i++) {
          socket.request({ type: "message", message, id: `${++n}` });
        }
        while ((await socket.nextOf("message")).id !== `${n}`);
      }
    })(),
    "the end of the stream",
    30_000,
  );
  abort.abort();
  await response.body?.cancel().catch(() => {});
  socket.request({ type: "message", message: "still here", id: "last" });
  await socket.messagesUpTo("still here");
  assertEquals(errors, []);
});

const refusals: {
  what: string;
  path: string;
  method?: string;
  body?: string;
  headers?: Record<string, string>;
  status: number;
  says: RegExp;
}[] = [
  {
    what: "another method",
    path: "/messages",
    method: "PUT",
    status: 405,
    says: /GET, POST/,
  },
  {
    what: "a POST to the stream",
    path: "/events",
    body: "x",
    status: 405,
    says: /only GET/,
  },
  {
    what: "a room that cannot be",
    path: "/events?room=X",
    status: 400,
    says: /1 to 32/,
  },
  {
    what: "a position that is none",
    path: "/messages?since=now",
    status: 400,
    says: /EPOCH:SEQ/,
  },
  {
    what: "a wait that is too long",
    path: "/messages?wait=51",
    status: 400,
    says: /0 to 50/,
  },
  {
    what: "more history than there is at a time",
    path: "/events?history=201",
    status: 400,
    says: /0 to 200/,
  },
  {
    what: "a wait that is none",
    path: "/messages?wait=-1",
    status: 400,
    says: /whole number/,
  },
  {
    what: "a message that is too long",
    path: "/messages",
    body: "x".repeat(4_001),
    status: 413,
    says: /4000/,
  },
  {
    what: "a body that is too large",
    path: "/messages",
    body: "x".repeat(70_000),
    status: 413,
    says: /65536 bytes/,
  },
  {
    what: "JSON that is no request",
    path: "/messages",
    body: '{"type":"message"}',
    headers: { "content-type": "application/json" },
    status: 400,
    says: /"id" must be/,
  },
  {
    what: "a message on a line that has ended",
    path: "/messages?line=a",
    body: "x",
    status: 410,
    says: /has ended/,
  },
  {
    what: "a name of a line that is too long",
    path: `/events?line=${"x".repeat(65)}`,
    status: 400,
    says: /1 to 64/,
  },
  {
    what: "typing by someone who does not listen",
    path: "/messages",
    body: '{"type":"typing"}',
    headers: { "content-type": "application/json" },
    status: 409,
    says: /Open \/events/,
  },
  {
    what: "a page of another site",
    path: "/messages",
    body: "x",
    headers: { origin: "https://evil.example" },
    status: 403,
    says: /--allow-origin/,
  },
  {
    what: "a link on a page of another site",
    path: "/messages",
    headers: { "sec-fetch-site": "cross-site" },
    status: 403,
    says: /--allow-origin/,
  },
];

for (const { what, path, method, body, headers, status, says } of refusals) {
  Deno.test(`${what} is refused with ${status} by HTTP`, async () => {
    await using server = await startServer();
    const response = await fetch(server.http + path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      ...body !== undefined && { body },
      ...headers && { headers },
    });
    assertMatch(await response.text(), says);
    assertEquals(response.status, status);
    await until(() => server.connections.size <= 1, "no more than one member");
  });
}

Deno.test("too many messages by POST are 429, with when to try again", async () => {
  await using server = await startServer({ rate: 1, burst: 2 });
  const url = `${server.http}/messages`;
  const { body: { key } } = await post(url, "1");
  assertEquals((await post(`${url}?key=${key}`, "2")).status, 200);
  const refused = await post(`${url}?key=${key}`, "3");
  assertEquals(refused.status, 429);
  assertEquals(refused.retryAfter, "1");
});

// In JSON such text is longer than a frame may be; it never was in one.
const ESCAPED = ['"', "\\", "\u0001", "\n"];

Deno.test("a message that is too long and is longer yet in JSON is 413, and its stream goes on", async () => {
  await using server = await startServer({ rate: 0 });
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const { key } = (await stream.next("welcome")).data;
  const url = `${server.http}/messages`;
  for (const char of ESCAPED) {
    const body = char.repeat(40_000);
    for (const from of [`${url}?key=${key}`, url]) {
      const headers = { "content-type": "text/plain" };
      const response = await fetch(from, { method: "POST", headers, body });
      assertMatch(await response.text(), /^Too long/);
      assertEquals(response.status, 413);
    }
  }
  assertEquals((await post(`${url}?key=${key}`, "still here")).status, 200);
  assertEquals((await stream.next("message")).data.message, "still here");
});

Deno.test("a message that is not too long is taken by POST however long it is in JSON", async () => {
  await using server = await startServer({
    maxMessage: 40_000,
    maxFrame: 65_536,
    rate: 0,
  });
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const { key } = (await stream.next("welcome")).data;
  const url = `${server.http}/messages`;
  for (const char of ESCAPED) {
    const body = `${char.repeat(39_999)}x`;
    for (const from of [`${url}?key=${key}`, url]) {
      assertEquals((await post(from, body)).status, 200);
      assertEquals((await stream.next("message")).data.message, body);
    }
  }
});

Deno.test("a hello by HTTP may be longer in JSON than a frame", async () => {
  await using server = await startServer({ maxFrame: 4_096, maxMessage: 100 });
  const name = encodeURIComponent('"'.repeat(2_500));
  const { status, body } = await get(`${server.http}/messages?name=${name}`);
  const [welcome, error] = body;
  assertEquals([status, welcome.type, error.code], [
    200,
    "welcome",
    "name_invalid",
  ]);
});

Deno.test("when the server is full, HTTP gets 503 with Retry-After like WebSocket", async () => {
  await using server = await startServer({ maxClients: 1, maxPolls: 1 });
  await using _ = await Client.join(server.ws);
  const key = (await get(`${server.http}/messages`)).body[0].key;
  await get(`${server.http}/messages?wait=0&key=${key}`);
  for (const path of ["/events", "/messages"]) {
    const response = await fetch(server.http + path);
    assertMatch(await response.text(), /full|Too many/);
    assertEquals(response.status, 503);
    assertEquals(response.headers.get("retry-after"), "5");
  }
});

Deno.test("a drain ends streams and polls, and tells them when to come back", async () => {
  let asked = 0;
  await using server = await startServer({}, { monotonic: () => ++asked });
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  await stream.next("welcome");
  const url = `${server.http}/messages`;
  const [{ key, epoch, seq }] = (await get(url)).body;
  const before = asked;
  const polled = get(`${url}?key=${key}&since=${epoch}:${seq}&wait=20`);
  // The clock is read to mark the key as used: the request has come.
  await until(() => asked > before, "the poll");
  const drained = server.drain(2_000);
  const { data: error } = await stream.next("error");
  assertEquals(error.code, "shutting_down");
  const close = await stream.next("close");
  assertEquals([close.data.code, close.retry], [1001, `${error.retryAfter}`]);
  const codes = (await polled).body.map(({ code }: WireEvent) => code);
  assert(codes.includes("shutting_down"), String(codes));
  await drained;
  assertEquals(server.connections.size, 0);
});

Deno.test("the same key on another transport takes over", async () => {
  await using server = await startServer();
  await using socket = await Client.join(server.ws);
  const { key, sender } = socket.welcome;
  await using stream = await EventSourceClient.open(
    `${server.http}/events?key=${key}`,
  );
  assertEquals((await stream.next("welcome")).data.sender, sender);
  assertEquals((await soon(socket.closed, "the close")).code, 4002);
});

for (const isNoticed of [false, true]) {
  const when = isNoticed ? "after the server noticed" : "before that";
  Deno.test(`a client whose stream ended and that polls, ${when}, did not leave`, async () => {
    await using server = await startServer();
    await using other = await Client.join(server.ws);
    await using stream = await EventSourceClient.open(`${server.http}/events`);
    const { key, sender } = (await stream.next("welcome")).data;
    while ((await other.nextOf("join")).sender !== sender);
    await stream[Symbol.asyncDispose]();
    if (isNoticed) {
      // Deno notices the end when it writes next.
      other.request({ type: "message", message: "anyone?", id: "1" });
      await until(() => server.hub.census.members === 1, "the end");
    }
    await get(`${server.http}/messages?key=${key}`);
    other.request({ type: "message", message: "the end", id: "2" });
    const heard = [];
    do heard.push(await other.next()); while (
      heard.at(-1)?.message !== "the end"
    );
    assertEquals(heard.filter(({ type }) => type !== "message"), []);
  });
}

Deno.test("a stream whose key is in use on a newer one is told to stay away for weeks", async () => {
  await using server = await startServer();
  const url = `${server.http}/events`;
  await using first = await EventSourceClient.open(url);
  const { key } = (await first.next("welcome")).data;
  await using second = await EventSourceClient.open(`${url}?key=${key}`);
  await second.next("welcome");
  const { data, retry } = await first.next("close");
  assertEquals(data.code, 4002);
  const days = Number(retry) / (24 * 60 * 60 * 1000);
  // A timer takes no more than 2^31 - 1 ms, which is less than 25 days.
  assert(days >= 14 && days < 24.8, `${days} days`);
  await post(`${server.http}/messages?key=${key}`, "still here");
  assertEquals((await second.next("message")).data.message, "still here");
});

Deno.test("a poll that comes late does not push out the client that came after it", async () => {
  await using server = await startServer();
  const url = `${server.http}/messages`;
  const [{ key, epoch, seq }] = (await get(url)).body;
  await using socket = await Client.join(server.ws, { key });
  const late = await get(`${url}?key=${key}&since=${epoch}:${seq}&wait=10`);
  assertEquals(late.status, 409);
  socket.request({ type: "message", message: "still here", id: "1" });
  await socket.messagesUpTo("still here");
});

Deno.test("what comes late for a line does no harm to the next line of the same client", async () => {
  await using server = await startServer({ rate: 0 });
  const url = `${server.http}/messages`;
  const json = { "content-type": "application/json" };
  const say = (id: string) =>
    JSON.stringify({ type: "message", message: id, id });
  const [{ key, epoch, seq }] = (await get(`${url}?line=a`)).body;
  const [old, now] = [`${url}?line=a&key=${key}`, `${url}?line=b&key=${key}`];
  await get(now);
  // So many that the server has forgotten the first id.
  const ids = Array.from({ length: 65 }, (_, i) => `${i}`);
  for (const id of ids) await post(now, say(id), json);

  const late = [
    await post(old, say("0"), json),
    await post(old, '{"type":"rename","name":"Late"}', json),
    await post(old, '{"type":"ping"}', json),
  ];
  assertEquals(late.map(({ status }) => status), [409, 409, 409]);
  const asked = `${old}&since=${epoch}:${seq}&wait=10`;
  assertEquals((await get(asked)).body.at(-1).code, 4002);
  assertEquals((await get(asked)).status, 409);
  const { body } = await get(`${now}&since=${epoch}:${seq}&wait=10`);
  assertEquals(texts(body), ids);
  const types = new Set(body.map(({ type }: WireEvent) => type));
  // Nothing of the line before it came later.
  assertEquals([...types], ["message"]);
});

Deno.test("the last words of a line are for its own client, also if another's has the same name", async () => {
  await using server = await startServer();
  const url = (room: string) => `${server.http}/messages?line=1&room=${room}`;
  const [{ key, epoch, seq }] = (await get(url("a"))).body;
  const [other] = (await get(url("b"))).body;
  await get(`${server.http}/messages?line=2&room=b&key=${other.key}`);
  const next = `&key=${key}&since=${epoch}:${seq}&wait=0`;
  const { body } = await get(url("a") + next);
  assert(body.every(({ type }: WireEvent) => type === "join"));
  assertEquals((await get(`${url("b")}&wait=0`)).status, 410);
  const last = await get(`${url("b")}&key=${other.key}&wait=0`);
  assertEquals(last.body.at(-1).code, 4002);
});

Deno.test("what is posted for one room is not said in another", async () => {
  await using server = await startServer();
  const [{ key }] = (await get(`${server.http}/messages?room=a`)).body;
  await using a = await Client.join(`${server.ws}?room=a`);
  const wrong = await post(`${server.http}/messages?room=b&key=${key}`, "b's");
  assertEquals(wrong.status, 409);
  assertMatch(`${wrong.body}`, /in the room "a".* posted to "b"/);
  await post(`${server.http}/messages?room=a&key=${key}`, "a's");
  assertEquals(texts(await a.messagesUpTo("a's")), ["a's"]);
});

Deno.test("a body that does not come whole in time is refused with 408, and nothing is said", async () => {
  await using server = await startServer();
  await using listener = await Client.join(server.ws);
  using raw = await RawClient.open(server.port);
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await raw.write(
      `POST /messages HTTP/1.1\r\nHost: localhost:${server.port}\r\n` +
        "Content-Length: 23\r\n\r\nDo not ",
    );
    while (clock.countTimers() === 0) await new Promise(setImmediate);
    await clock.tickAsync(10_000 + READ_MS);
  } finally {
    clock.uninstall();
  }
  assertMatch(await raw.readHead(), /^HTTP\/1\.1 408 /);
  await post(`${server.http}/messages`, "end");
  assertEquals(texts(await listener.messagesUpTo("end")), ["end"]);
});

Deno.test("of posts with one id those over the rate are refused alone", async () => {
  await using server = await startServer({ rate: 1, burst: 1 }, {
    now: () => 0,
  });
  const [{ key }] = (await get(`${server.http}/messages`)).body;
  const body = JSON.stringify({ type: "message", message: "once", id: "1" });
  const json = { "content-type": "application/json" };
  const url = `${server.http}/messages?key=${key}`;
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => post(url, body, json)),
  );
  const statuses = answers.map(({ status }) => status).sort();
  assertEquals(statuses, [200, 429, 429, 429]);
});

Deno.test("an answer that was lost is given again, also to a line that a POST began", async () => {
  await using server = await startServer();
  const url = `${server.http}/messages`;
  const { key } = (await post(url, "one")).body;
  const asked = `${url}?key=${key}&wait=0`;
  await post(`${url}?key=${key}`, "two");
  assertEquals(texts((await get(asked)).body), ["one", "two"]);
  assertEquals(texts((await get(asked)).body), ["one", "two"]);
});

Deno.test("a poll that comes late does not begin its own line anew", async () => {
  await using server = await startServer();
  const url = `${server.http}/messages`;
  const [{ key, epoch, seq }] = (await get(`${url}?line=a`)).body;
  const line = `${url}?line=a&key=${key}`;
  await post(line, "one");
  await get(`${line}&since=${epoch}:${seq + 1}&wait=0`);
  const late = await get(`${line}&since=${epoch}:${seq}&wait=10`);
  assertEquals(late.status, 410);
  await post(line, "two");
  const next = await get(`${line}&since=${epoch}:${seq + 1}&wait=10`);
  assertEquals(texts(next.body), ["two"]);
});

Deno.test("no control character of a message comes raw by HTTP, where a terminal may print it", async () => {
  await using server = await startServer();
  await using stranger = await Client.open(server.ws);
  const text = "a\x1b[2Jb\x9bc\x7fd\x80e\nf é 👍";
  const response = await fetch(`${server.http}/events`);
  assert(response.body !== null);
  const stream = new TextReader(response.body);
  await stream.until(/event: join\n.*\n\n/);
  await stranger.say(text);
  const told = await stream.until(/"message":"a.*\n\n/);
  await stream.cancel();
  const url = `${server.http}/messages`;
  const polled = await (await fetch(url)).text();
  const posted = await (await fetch(url, { method: "POST", body: text }))
    .text();
  for (const answer of [told, polled, posted]) {
    // deno-lint-ignore no-control-regex -- that is what must not be there
    assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(answer), false, answer);
  }
  assertEquals(texts(JSON.parse(polled)), [text]);
});

Deno.test("curl is enough to chat", async () => {
  await using server = await startServer();
  const curl = (...args: string[]) =>
    new Deno.Command("curl", { args: ["-sN", ...args], stdout: "piped" });
  let listening: Deno.ChildProcess;
  try {
    listening = curl(`${server.http}/events`).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !Deno.env.has("CI")) return;
    throw error;
  }
  const lines = new TextReader(listening.stdout);
  await lines.until(/event: welcome/);
  const { stdout } = await curl("-d", "by curl", `${server.http}/messages`)
    .output();
  assertMatch(new TextDecoder().decode(stdout), /"message":"by curl"/);
  await lines.until(/data: .*"message":"by curl"/);
  listening.kill();
  await lines.cancel();
  await listening.status;
});

Deno.test("a sender who is always on yet another server is asked for only so often", async () => {
  let asked = 0;
  const peer: Peer = {
    ask() {
      asked++;
      return Promise.resolve('{"isElsewhere":true}');
    },
  };
  const hub = {
    identities: {
      identify: () => Promise.resolve({ id: "a", name: "Ann" }),
      present: () => Promise.resolve({ peer }),
    },
  } as unknown as Hub;
  const requests = new HttpRequests({ hub } as HttpRequestsContext);
  const url = new URL("http://localhost/messages?key=a.b");
  const request = new Request(url, { method: "POST", body: "hi" });
  const at = {
    hub,
    limits: { maxFrame: 100 },
    context: newContext(),
  } as SessionContext;
  const error = await requests.post(request, url, at).catch((e) => e);
  assertEquals([errorResponse(error).status, asked], [409, MAX_ASKED]);
});

Deno.test({
  name:
    "a body in many small pieces takes about as much memory as it has bytes",
  // It cannot collect garbage on demand.
  ignore: isOldest,
  async fn() {
    setFlagsFromString("--expose-gc");
    const collectGarbage: () => void = runInNewContext("gc");
    const external = () => {
      collectGarbage();
      return Deno.memoryUsage().external;
    };
    const before = external();
    let after = Infinity;
    let pieces = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pieces++;
        // As Deno reads it: a piece of the body in memory for 64 KiB.
        const piece = new Uint8Array(64 * 1024).subarray(0, 1);
        if (pieces === 1_000) {
          after = external();
          // Not UTF-8, so it is not looked at any further.
          piece.fill(0xff);
          controller.enqueue(piece);
          return controller.close();
        }
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
    const url = new URL("http://localhost/messages");
    const request = new Request(url, { method: "POST", body });
    const at = { limits: { maxFrame: 2_000 } } as SessionContext;
    const error = await new HttpRequests({} as HttpRequestsContext).post(
      request,
      url,
      at,
    )
      .catch((e) => e);
    assertEquals([errorResponse(error).status, pieces], [400, 1_000]);
    const grownBytes = after - before;
    assert(grownBytes < 1_000_000, `${grownBytes} bytes were held`);
  },
});
