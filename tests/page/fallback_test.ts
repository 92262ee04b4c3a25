// The page's lines without WebSocket, against the real server: by Server-Sent
// Events and by long polling. A page here is connection, session and outbox, as
// room.js wires them; between it and the server is a proxy that can be cruel.
import { assert, assertEquals } from "@std/assert";
import { Connection } from "../../static/client/connection.js";
import {
  createEventSocket,
  createPollSocket,
} from "../../static/client/http_socket.js";
import { Outbox } from "../../static/client/outbox.js";
import { Session } from "../../static/client/session.js";
import { Memory } from "../../static/shared/storage.js";
import { LastWords } from "../../chat/transport/long_poll.ts";
import { POLL_TIMEOUT_MS } from "../../chat/transport/poll_places.ts";
import { V1 } from "../../chat/session/v1.ts";
import type { Identity } from "../../static/client/identity.js";
import { Dice } from "../stress/dice.ts";
import { startBlockingProxy } from "../support/blocking_proxy.ts";
import {
  Client,
  pause,
  soon,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";
import { newSeed } from "../support/seed.ts";

const SOCKETS = { sse: createEventSocket, poll: createPollSocket };
type Kind = keyof typeof SOCKETS;
const KINDS = Object.keys(SOCKETS) as Kind[];

/** A line of its own, as connection.js would hold it. */
class Line implements AsyncDisposable {
  readonly socket;
  readonly events: WireEvent[] = [];
  readonly closed: Promise<number>;

  constructor(kind: Kind, url: string, hello: Record<string, unknown> = {}) {
    this.socket = SOCKETS[kind](url);
    this.socket.addEventListener("open", () => {
      this.send({ type: "hello", ...hello });
    });
    this.socket.addEventListener("message", (event) => {
      this.events.push(...JSON.parse((event as MessageEvent).data));
    });
    this.closed = new Promise((resolve) =>
      this.socket.addEventListener(
        "close",
        (event) => resolve((event as CloseEvent).code),
      )
    );
  }

  send(request: unknown): void {
    this.socket.send(JSON.stringify(request));
  }

  async nextOf(type: string): Promise<WireEvent> {
    const find = () => this.events.findIndex((event) => event.type === type);
    await until(() => find() >= 0, type);
    return this.events.splice(find(), 1)[0];
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    // What was given up ends in a turn of its own.
    await pause(0);
  }
}

/** Waits until a server that is left knows that it was. */
const isEmpty = (server: TestServer) =>
  until(() => server.connections.size === 0, "the end", 40_000);

Deno.test("a poll that rests keeps no request waiting, hears all the same, and waits again at once when it goes on", async () => {
  await using server = await startServer();
  await using proxy = startBlockingProxy(server.port);
  await using other = await Client.join(server.ws);
  await using line = new Line("poll", `ws://127.0.0.1:${proxy.port}/ws`);
  await line.nextOf("welcome");
  const polls = (wait: number) =>
    proxy.requests.filter((line) => line.includes(`wait=${wait}`)).length;
  await until(() => polls(15) > 0, "a poll that waits");
  line.socket.rest(true);
  line.send({ type: "ping" });
  await line.nextOf("pong");
  const waited = polls(15);
  other.request({ type: "message", id: "x", message: "after a while" });
  assertEquals((await line.nextOf("message")).message, "after a while");
  assertEquals(polls(15), waited);
  line.socket.rest(false);
  await until(() => polls(15) > waited, "a poll that waits", 2_000);
  other.request({ type: "message", id: "y", message: "at once" });
  assertEquals((await line.nextOf("message")).message, "at once");
});

Deno.test("a poll that rests from the beginning comes back at once after the welcome", async () => {
  await using server = await startServer();
  await using line = new Line("poll", server.ws);
  line.socket.rest(true);
  await line.nextOf("welcome");
  const [session] = server.connections.keys();
  // Else it would not be waited for until it asks again, five seconds later.
  await until(() => session?.isUnconfirmed === false, "its return", 2_000);
});

for (const kind of KINDS) {
  Deno.test(`by ${kind} a line is welcomed, says, hears and answers like a WebSocket`, async () => {
    await using server = await startServer();
    await using other = await Client.join(`${server.ws}?room=a`);
    await using line = new Line(kind, `${server.ws}?room=a`, {
      name: "Ada L",
      history: 10,
    });
    const welcome = await line.nextOf("welcome");
    assertEquals(welcome.sender, "Ada L");
    assertEquals(welcome.room, "a");
    for (let i = 0; i < 3; i++) {
      line.send({ type: "message", id: `${i}`, message: `say ${i}` });
    }
    for (let i = 0; i < 3; i++) {
      assertEquals((await other.nextOf("message")).message, `say ${i}`);
      assertEquals((await line.nextOf("message")).id, `${i}`);
    }
    other.request({ type: "message", id: "x", message: "ünd Antwort ☎️" });
    assertEquals((await line.nextOf("message")).message, "ünd Antwort ☎️");
    line.send({ type: "ping" });
    await line.nextOf("pong");
    line.send({ type: "history", before: 3, count: 1 });
    assertEquals((await line.nextOf("history")).messages[0].message, "say 1");
    line.send({ type: "rename", name: "Bea" });
    assertEquals((await line.nextOf("rename")).name, "Bea");
  });

  Deno.test(`by ${kind} what the server refuses is told once, with the message's id`, async () => {
    await using server = await startServer({
      rate: 0.5,
      burst: 2,
      maxMessage: 20,
    });
    await using line = new Line(kind, server.ws);
    await line.nextOf("welcome");
    const long = "too long for this server";
    line.send({ type: "message", id: "long", message: long });
    for (const id of ["a", "b", "c"]) {
      line.send({ type: "message", id, message: id });
    }
    line.send({ type: "rename", name: "?" });
    const refused = [];
    for (let i = 0; i < 3; i++) refused.push(await line.nextOf("error"));
    assertEquals(refused.map(({ code, id }) => [code, id]), [
      ["too_long", "long"],
      ["rate_limited", "c"],
      ["name_invalid", undefined],
    ]);
    assertEquals(refused[0].retryAfter, undefined);
    assertEquals(
      refused[0].message,
      "Too long: this message was not sent. At most 20 characters are allowed.",
    );
    const { retryAfter } = refused[1];
    assert(retryAfter === 1_000 || retryAfter === 2_000, `${retryAfter}`);
    line.send({ type: "ping" });
    await line.nextOf("pong");
    assertEquals(line.events.filter(({ type }) => type === "error"), []);
  });

  Deno.test(`by ${kind} a body over the frame's limit is refused, and the line lives on`, async () => {
    await using server = await startServer({ maxFrame: 200 });
    await using line = new Line(kind, server.ws);
    await line.nextOf("welcome");
    line.send({ type: "message", id: "a", message: "x".repeat(300) });
    const { code, id, message } = await line.nextOf("error");
    assertEquals([code, id], ["too_long", "a"]);
    assertEquals(
      message,
      "The body is too large: at most 200 bytes are allowed.",
    );
    line.send({ type: "message", id: "b", message: "short" });
    assertEquals((await line.nextOf("message")).id, "b");
  });

  Deno.test(`by ${kind} the last error comes with its time to wait, and then the close code`, async () => {
    await using server = await startServer();
    await using line = new Line(kind, server.ws);
    await line.nextOf("welcome");
    for (const session of server.connections.keys()) {
      session.disconnect("restarting", 7_000);
    }
    const { code, retryAfter } = await line.nextOf("error");
    assertEquals([code, retryAfter], ["restarting", 7_000]);
    assertEquals(await soon(line.closed, "the close"), 1012);
  });

  Deno.test(`by ${kind} who is followed by another connection with its key hears of it`, async () => {
    await using server = await startServer();
    await using line = new Line(kind, server.ws);
    const { key, sender } = await line.nextOf("welcome");
    await using other = await Client.join(server.ws, { key });
    assertEquals(other.welcome.sender, sender);
    assertEquals(await soon(line.closed, "the close"), 4002);
  });

  Deno.test(`by ${kind} a page that is opened anew is welcomed anew, with the history`, async () => {
    await using server = await startServer();
    await using first = new Line(kind, server.ws, { history: 10 });
    const { key, sender } = await first.nextOf("welcome");
    first.send({ type: "message", id: "1", message: "before" });
    await first.nextOf("message");
    first.socket.close();
    await using second = new Line(kind, server.ws, { key, history: 10 });
    assertEquals((await second.nextOf("welcome")).sender, sender);
    assertEquals((await second.nextOf("message")).message, "before");
  });

  Deno.test(`by ${kind} a line ends when the server knows its session no more`, async () => {
    await using server = await startServer();
    await using line = new Line(kind, server.ws);
    const { key } = await line.nextOf("welcome");
    for (const session of server.connections.keys()) {
      session.disconnect("server_fault");
    }
    assertEquals(await soon(line.closed, "the close"), 1011);
    await isEmpty(server);
    await using other = new Line(kind, server.ws, { key });
    await other.nextOf("welcome");
  });

  Deno.test(`by ${kind} an invitation that no longer holds ends the line`, async () => {
    const first = await startServer({ invite: "cuckoo" });
    await using proxy = startBlockingProxy(first.port);
    await using line = new Line(
      kind,
      `ws://127.0.0.1:${proxy.port}/ws?invite=cuckoo`,
    );
    await line.nextOf("welcome");
    await first[Symbol.asyncDispose]();
    await soon(line.closed, "the close");
    await using _second = await startServer({
      port: first.port,
      invite: "magpie",
    });
    await using late = new Line(
      kind,
      `ws://127.0.0.1:${proxy.port}/ws?invite=cuckoo`,
    );
    assertEquals(await soon(late.closed, "the close"), 1006);
  });
}

/** A poll by hand; returns the events. */
async function poll(server: TestServer, query: string): Promise<WireEvent[]> {
  const response = await fetch(`${server.http}/messages?${query}`);
  assertEquals(response.status, 200);
  return await response.json();
}

async function statusOfPoll(server: TestServer, query: string) {
  const response = await fetch(`${server.http}/messages?${query}`);
  await response.text();
  return response.status;
}

Deno.test("who was between two polls at the end is told of it with the next, once", async () => {
  await using server = await startServer();
  const [welcome] = await poll(server, "line=a");
  for (const session of server.connections.keys()) {
    session.disconnect("restarting", 7_000);
  }
  const query = `line=a&wait=1&key=${welcome.key}`;
  const events = await poll(server, query);
  assertEquals(events.slice(-2).map(({ type, code }) => [type, code]), [
    ["error", "restarting"],
    ["close", 1012],
  ]);
  assertEquals(await statusOfPoll(server, query), 410);
  const [again] = await poll(server, `line=b&key=${welcome.key}`);
  assertEquals([again.type, again.sender], ["welcome", welcome.sender]);
});

Deno.test("a line that another took over does not take the key back", async () => {
  await using server = await startServer();
  const [{ key }] = await poll(server, "line=a");
  const [welcome] = await poll(server, `line=b&key=${key}`);
  assertEquals(welcome.type, "welcome");
  const [end] = await poll(server, `line=a&wait=0&key=${key}`);
  assertEquals([end.type, end.code], ["close", 4002]);
  assertEquals(await statusOfPoll(server, `line=a&wait=0&key=${key}`), 409);
  const events = await poll(server, `line=b&wait=0&key=${key}`);
  assertEquals(events.filter(({ type }) => type !== "join"), []);
  assertEquals(server.connections.size, 1);
});

Deno.test("what a POST opened for a client does not count as another that took over", async () => {
  await using server = await startServer();
  const [{ key, sender }] = await poll(server, "line=a");
  for (const session of server.connections.keys()) {
    session.disconnect("server_fault");
  }
  const query = `line=a&wait=0&key=${key}`;
  await poll(server, query);
  const response = await fetch(`${server.http}/messages`, {
    method: "POST",
    headers: { "partyline-key": key },
    body: "hi",
  });
  assertEquals((await response.json()).event.sender, sender);
  assertEquals(await statusOfPoll(server, query), 410);
  const [welcome] = await poll(server, `line=b&key=${key}`);
  assertEquals([welcome.type, welcome.sender], ["welcome", sender]);
});

Deno.test("last words are kept for a lease, and of ten thousand lines", () => {
  const words = new LastWords();
  for (let i = 0; i <= 10_000; i++) words.add(`${i}`, ["end"], 0);
  assertEquals(words.take("0", 0), undefined);
  assertEquals(words.take("1", POLL_TIMEOUT_MS - 1), ["end"]);
  assertEquals(words.take("2", POLL_TIMEOUT_MS), undefined);
});

Deno.test("a line's name has at most 64 characters", async () => {
  await using server = await startServer();
  const url = `${server.http}/messages?line=${"x".repeat(65)}`;
  const response = await fetch(url);
  assertEquals(response.status, 400);
  assertEquals(await response.text(), "line must have 1 to 64 characters.\n");
});

Deno.test("a message that is posted twice at a time is stored once and answered twice", async () => {
  await using server = await startServer();
  await poll(server, "line=a");
  const [session] = server.connections.keys();
  const dialect = session?.dialect;
  assert(dialect instanceof V1);
  const hi = { type: "message", message: "hi", id: "1" } as const;
  const posts = [dialect.post(hi), dialect.post(hi)];
  const [first, second] = await soon(Promise.all(posts), "both");
  assertEquals(first?.type, "stored");
  assertEquals(second, first);
});

/** The part of the page that knows of lines and messages, without a page. */
class Page implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly missed: string[] = [];
  isUp = false;
  readonly connection: Connection;
  readonly #session: Session;
  readonly outbox: Outbox;

  #isOver = false;

  constructor(url: string, dice: Dice) {
    const who = { key: null as string | null, name: null as string | null };
    const identity = Object.assign(who, {
      keep(key: string, name: string) {
        Object.assign(who, { key, name });
      },
    }) as unknown as Identity;
    this.connection = new Connection(() => url, {
      onState: (state) => {
        this.isUp = false;
        if (state.name === "open") return this.#session.greet();
        this.#session.end();
        this.outbox.lineDown();
      },
      onFrame: (data) => {
        this.#session.receive(data);
        if (!this.#session.isCaughtUp) return;
        this.isUp = true;
        this.outbox.lineUp();
      },
    }, {
      // Back soon, however often it is cut off.
      random: () => dice.next() / 50,
      setTimer: (callback, delayMs) => {
        const timer = setTimeout(callback, this.#isOver ? 0 : delayMs);
        if (this.#isOver) clearTimeout(timer);
        return timer;
      },
    });
    this.#session = new Session(this.connection, {
      onEvent: (event) => {
        if (event.type === "message") this.heard.push(event.message);
        if (event.type === "error") this.outbox.refused(event);
      },
      onStored: (id) => this.outbox.stored(id),
      onMissed: () => this.missed.push("missed"),
      onNewLife: () => this.missed.push("new life"),
    }, identity);
    this.outbox = new Outbox("lobby", new Memory(null), {
      send: ({ id, text }) =>
        this.#session.request({ type: "message", id, message: text }),
      onChange: () => {},
    });
    this.connection.open();
  }

  async [Symbol.asyncDispose]() {
    this.#isOver = true;
    this.connection.restart();
    await pause(0);
  }
}

for (const kind of KINDS) {
  Deno.test(`behind a proxy that blocks all but ${kind} a page loses nothing and says nothing twice`, async () => {
    const dice = new Dice(newSeed(), 0);
    await using server = await startServer({ rate: 0 });
    await using proxy = startBlockingProxy(server.port, {
      holdsStreams: kind === "poll",
    });
    await using witness = await Client.join(server.ws);
    await using other = await Client.join(server.ws);
    await using page = new Page(`ws://127.0.0.1:${proxy.port}/ws`, dice);
    await until(() => page.isUp, "the page", 20_000);
    assertEquals(page.connection.kind, kind);
    const COUNT = 60;
    for (let i = 0; i < COUNT; i++) {
      page.outbox.add(`page ${i}`);
      other.request({ type: "message", id: `${i}`, message: `other ${i}` });
      if (dice.chance(0.2)) proxy.cut();
      await pause(dice.below(30));
    }
    const said: WireEvent[] = [];
    while (said.length < 2 * COUNT) said.push(await witness.nextOf("message"));
    await until(() => page.heard.length >= said.length, "all", 30_000);
    assertEquals(page.heard, said.map(({ message }) => message));
    assertEquals(page.missed, []);
    assertEquals(page.outbox.entries, []);
    const own = said.filter(({ message }) => message.startsWith("page"));
    assertEquals(
      own.map(({ message }) => message),
      Array.from({ length: COUNT }, (_, i) => `page ${i}`),
    );
    assertEquals(new Set(own.map(({ sender }) => sender)).size, 1);
  });
}
