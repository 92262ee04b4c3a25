// What clients that poll may take: places of their own, a few for each connection
// or key; rooms and memory only from when they came back.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import { HttpError } from "../../chat/http/http_error.ts";
import { READ_MS } from "../../chat/ops/deadline.ts";
import { Mailbox } from "../../chat/transport/long_poll.ts";
import {
  FIRST_POLL_TIMEOUT_MS,
  MAX_POLLS_OF_ADDRESS,
  MAX_POLLS_OF_CONNECTION,
  PollPlaces,
} from "../../chat/transport/poll_places.ts";
import { get } from "../support/http_clients.ts";
import {
  Client,
  newOwner,
  RawClient,
  request,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

/** A connection that is kept, and one request after the other on it. */
class Poller implements Disposable {
  private constructor(private readonly tcp: RawClient) {}

  static async open({ port }: TestServer): Promise<Poller> {
    return new Poller(await RawClient.open(port));
  }

  async write(path: string, headers: Record<string, string> = {}) {
    await this.tcp.write(request(path, { Host: "localhost", ...headers }));
  }

  async read() {
    const { status, field } = await this.tcp.readAnswer();
    const text = await this.tcp.readBody(Number(field("content-length")));
    const body = status === 200 ? JSON.parse(text) : text;
    return { status, body, retryAfter: field("retry-after") };
  }

  async ask(path: string, headers: Record<string, string> = {}) {
    await this.write(path, headers);
    return await this.read();
  }

  /** A new poll; the address with which it goes on. */
  async begin(path = "/messages", headers: Record<string, string> = {}) {
    const { status, body: [{ key, room }] } = await this.ask(path, headers);
    assertEquals(status, 200);
    return `/messages?room=${room}&key=${key}&wait=0`;
  }

  [Symbol.dispose]() {
    this.tcp[Symbol.dispose]();
  }
}

Deno.test("of 1,000 polls that are begun on one connection a few come in, and the others cost nothing", async () => {
  await using server = await startServer();
  await using member = await Client.join(server.ws);
  using poller = await Poller.open(server);
  let begun = 0;
  const beganMs = performance.now();
  for (let sent = 0; sent < 1_000; sent += 100) {
    for (let i = 0; i < 100; i++) await poller.write("/messages?room=new");
    for (let i = 0; i < 100; i++) {
      const { status, retryAfter, body } = await poller.read();
      if (status === 200) {
        // On a slow machine, places are free again, but it made too many people.
        if (body[0].type === "welcome") begun++;
        continue;
      }
      assertEquals([status, retryAfter], [429, "5"]);
      assertMatch(body, /^Too many clients poll on this connection/);
    }
    assert(server.connections.size <= 1 + MAX_POLLS_OF_CONNECTION);
  }
  // On a slow machine the first of them are not waited for any more.
  const leases = Math.ceil(
    (performance.now() - beganMs) / FIRST_POLL_TIMEOUT_MS,
  );
  assert(begun <= leases * MAX_POLLS_OF_CONNECTION, `${begun} were begun`);
  using other = await Poller.open(server);
  await other.begin();
  member.request({ type: "ping" });
  await member.nextOf("pong");
});

Deno.test("polls have places of their own, apart from those of WebSockets", async () => {
  await using server = await startServer({ maxClients: 1, maxPolls: 1 });
  using a = await Poller.open(server);
  await a.ask(await a.begin());
  await using _member = await Client.join(server.ws);
  using b = await Poller.open(server);
  const { status, body, retryAfter } = await b.ask("/messages");
  assertEquals([status, retryAfter], [503, "5"]);
  assertMatch(body, /^Too many clients are polling/);
  assertEquals((await b.ask("/events")).status, 503);
});

Deno.test("a poll belongs to the connection where it goes on", async () => {
  await using server = await startServer();
  using a = await Poller.open(server);
  using b = await Poller.open(server);
  const first = await a.begin();
  for (let i = 1; i < MAX_POLLS_OF_CONNECTION; i++) await a.begin();
  assertEquals((await a.ask("/messages")).status, 429);
  assertEquals((await b.ask(first)).status, 200);
  await a.begin();
  assertEquals((await a.ask("/messages")).status, 429);
  for (let i = 1; i < MAX_POLLS_OF_CONNECTION; i++) await b.begin();
  assertEquals((await b.ask("/messages")).status, 429);
});

Deno.test("a poll does not go on where a connection has all that it may have", async () => {
  await using server = await startServer();
  using a = await Poller.open(server);
  using b = await Poller.open(server);
  const first = await a.begin();
  for (let i = 0; i < MAX_POLLS_OF_CONNECTION; i++) await b.begin();
  const { status, body, retryAfter } = await b.ask(first);
  assertEquals([status, retryAfter], [429, "5"]);
  assertMatch(body, /^Too many clients poll on this connection/);
  assertEquals((await a.ask(first)).status, 200);
});

Deno.test("a client that goes in the middle of a request keeps its place from nobody", async () => {
  await using server = await startServer({ maxPolls: 1, maxRooms: 1 });
  const gone = await Poller.open(server);
  const path = (await gone.begin("/messages?room=gone"))
    .replace("wait=0", "wait=50");
  // It hears of its own coming; then nothing comes.
  await gone.ask(path);
  await gone.write(path);
  // Deno before 2.9 hands on no request whose client is gone by then.
  for (let i = 0; i < 5; i++) await (await fetch(server.http)).text();
  assertEquals(isStaying(server), true);
  gone[Symbol.dispose]();
  await until(() => !isStaying(server), "its end");
  using other = await Poller.open(server);
  await other.begin();
});

/** Whether somebody polls who came back. */
function isStaying({ connections }: TestServer): boolean {
  return [...connections.keys()].some(({ isUnconfirmed }) => !isUnconfirmed);
}

Deno.test("when all polls are taken the oldest goes whose client has not come back", async () => {
  await using server = await startServer({ maxPolls: 2 });
  using poller = await Poller.open(server);
  const first = await poller.begin();
  await poller.ask(first);
  await poller.begin();
  const third = await poller.begin();
  assertEquals(server.connections.size, 2);
  // Both are who they were, so nobody is welcomed.
  for (const path of [first, third]) {
    const { body } = await poller.ask(path);
    const welcomes = body.filter(({ type }: { type: string }) =>
      type === "welcome"
    );
    assertEquals(welcomes, []);
  }
  assertEquals((await poller.ask("/messages")).status, 503);
});

Deno.test("a room of polls that have not come back keeps nobody from a new room", async () => {
  await using server = await startServer({ maxRooms: 2 });
  using poller = await Poller.open(server);
  const a = await poller.begin("/messages?room=a");
  const b = await poller.begin("/messages?room=b");
  await using _member = await Client.join(`${server.ws}?room=c`);
  assertEquals((await poller.ask(a)).status, 200);
  const { body } = await poller.ask(b);
  assertMatch(JSON.stringify(body), /"close".*too many rooms/);
  await until(() => server.hub.rooms.size === 2, "the end of the room");
  assertEquals((await poller.ask("/messages?room=d")).status, 503);
});

Deno.test("behind a trusted proxy a class of one address polls over one connection", async () => {
  await using server = await startServer({ trustProxy: ["127.0.0.1"] });
  using proxy = await Poller.open(server);
  const headers = { "X-Forwarded-For": "192.0.2.1" };
  const path = "/messages?history=0&room=class";
  const all = Array.from({ length: 300 });
  const asked: string[] = [];
  for (const _ of all) asked.push(await proxy.begin(path, headers));
  for (const again of asked) {
    assertEquals((await proxy.ask(again, headers)).status, 200);
  }
  const polls = [...server.connections.keys()];
  assertEquals(polls.length, all.length);
  assertEquals(polls.filter(({ isUnconfirmed }) => isUnconfirmed), []);
});

const shared = newOwner({ isShared: true });

/** Space enough for what one address may have. */
function newPlaces() {
  return new PollPlaces({ maxPolls: 1_000, maxRooms: 1_000 });
}

Deno.test("clients that came back count for their address, which has only so many places", () => {
  const places = newPlaces();
  const take = (owner = shared) => places.take(owner, "lobby", () => {});
  const taken = Array.from({ length: MAX_POLLS_OF_ADDRESS }, () => take());
  for (const place of taken) place.goOn(shared);
  const error = assertThrows(() => take(), HttpError);
  assertEquals(error.status, 429);
  assertMatch(error.message, /^Too many clients poll from your address/);
  const other = take(newOwner({ isShared: true }));
  assertThrows(() => other.goOn(shared), HttpError);
  taken[0]?.leave();
  other.goOn(shared);
  assertThrows(() => take(), HttpError);
});

Deno.test("when an address has all its places the oldest goes whose client has not come back", () => {
  const places = newPlaces();
  const ended: number[] = [];
  const taken = Array.from({ length: MAX_POLLS_OF_ADDRESS }, (_, i) => {
    const place = places.take(shared, "lobby", () => {
      ended.push(i);
      place.leave();
    });
    return place;
  });
  taken[0]?.goOn(shared);
  taken[1]?.goOn(shared);
  taken[1]?.abandon();
  places.take(shared, "lobby", () => {});
  assertEquals(ended, [2]);
  assertEquals(places.size, MAX_POLLS_OF_ADDRESS);
});

Deno.test("clients of one network hold only a part of all rooms by polling, and others the rest", () => {
  const places = new PollPlaces({ maxPolls: 1_000, maxRooms: 8 });
  const hold = (room: string, network = "a") => {
    const owner = newOwner({ network });
    const place = places.take(owner, room, () => {});
    place.goOn(owner);
    return place;
  };
  const first = hold("1");
  hold("2");
  const error = assertThrows(() => hold("3"), HttpError);
  assertEquals(error.status, 429);
  assertMatch(error.message, /poll in too many rooms/);
  const second = hold("1");
  const other = hold("3", "b");
  // It goes on from this network, where it would hold one more.
  assertThrows(() => other.goOn(newOwner({ network: "a" })), HttpError);
  first.leave();
  assertThrows(() => hold("3"), HttpError);
  second.abandon();
  hold("3");
  assertThrows(() => second.goOn(newOwner({ network: "a" })), HttpError);
});

Deno.test("one client behind a trusted proxy does not hold all rooms", async () => {
  await using server = await startServer({
    trustProxy: ["127.0.0.1"],
    maxRooms: 4,
  });
  using proxy = await Poller.open(server);
  const headers = { "X-Forwarded-For": "192.0.2.1" };
  const statuses: number[] = [];
  for (const room of ["a", "b", "c", "d"]) {
    const again = await proxy.begin(`/messages?room=${room}`, headers);
    statuses.push((await proxy.ask(again, headers)).status);
  }
  assertEquals(statuses, [200, 429, 429, 429]);
  await using _member = await Client.join(`${server.ws}?room=class`);
});

Deno.test("a client that does not come back is waited for only a short time", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let hasEnded = false;
    const place = { isUnconfirmed: true, abandon() {} };
    const mailbox = new Mailbox(place, () => hasEnded = true);
    await mailbox.take(0, 0);
    await clock.tickAsync(2 * FIRST_POLL_TIMEOUT_MS);
    assertEquals(hasEnded, false, "a request is open");
    mailbox.answered();
    await clock.tickAsync(FIRST_POLL_TIMEOUT_MS + READ_MS - 1);
    assertEquals(hasEnded, false);
    await clock.tickAsync(1);
    assertEquals(hasEnded, true);
  } finally {
    clock.uninstall();
  }
});

Deno.test("a client that goes in the middle of a request is waited for only a short time", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let hasEnded = false;
    const places = new PollPlaces({ maxPolls: 1, maxRooms: 1 });
    const owner = newOwner();
    const place = places.take(owner, "lobby", () => {});
    const mailbox = new Mailbox(place, () => hasEnded = true);
    place.goOn(owner);
    const request = new AbortController();
    const taken = mailbox.take(0, 50_000, false, request.signal);
    request.abort();
    assertEquals(await taken, []);
    mailbox.answered();
    await clock.tickAsync(FIRST_POLL_TIMEOUT_MS + READ_MS - 1);
    assertEquals(hasEnded, false);
    await clock.tickAsync(1);
    assertEquals(hasEnded, true);
  } finally {
    clock.uninstall();
  }
});

Deno.test("a client that went before its request could wait is not waited for", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const place = { isUnconfirmed: false, abandon: resolve };
  const mailbox = new Mailbox(place, () => {});
  const taken = mailbox.take(0, 50_000, false, AbortSignal.abort());
  await soon(promise, "that its place is given up");
  assertEquals(await taken, []);
  mailbox.expire();
});

Deno.test("no history waits for a client that was given it and has no key to ask again", async () => {
  await using server = await startServer({ rate: 0 });
  await using member = await Client.open(server.ws);
  for (let i = 0; i < 20; i++) await member.say(`${i} `.padEnd(2_000));
  const [{ key, epoch, seq }, ...events] =
    (await get(`${server.http}/messages`)).body;
  assertEquals(events.length, 20);
  const poll = [...server.connections.keys()].at(-1);
  const few = 1_000;
  assertEquals((poll?.waitingBytes ?? Infinity) < few, true);
  await member.say("new");
  const since = `${epoch}:${seq}`;
  const url = `${server.http}/messages?wait=5&key=${key}&since=${since}`;
  const messages = (await get(url)).body
    .filter(({ type }: { type: string }) => type === "message");
  assertEquals(messages.map(({ message }: { message: string }) => message), [
    "new",
  ]);
});
