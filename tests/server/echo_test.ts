// /echo as its clients see it: every message comes back as it was, to its sender
// alone, within the limits; the door is that of /ws.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Frame, frame, Opcode } from "../../chat/check/frames.ts";
import { Logger } from "../../chat/ops/logger.ts";
import { Metrics } from "../../chat/ops/metrics.ts";
import { CloseCode, DISCONNECTS } from "../../chat/protocol/close_codes.ts";
import {
  ECHO_BYTES_PER_SECOND,
  LEAST_ECHO_BYTES,
  WAITING_BYTES,
} from "../../chat/session/echo.ts";
import { docsPage } from "../support/docs.ts";
import {
  Client,
  handshake,
  Inbox,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

const SEND_LIMIT = 64 * 1024;

/** A client of Deno's own; binary messages come as bytes. */
class Caller implements AsyncDisposable {
  readonly #messages = new Inbox<string | number[]>();
  readonly #opened: Promise<unknown>;
  readonly closed: Promise<CloseEvent>;

  constructor(readonly socket: WebSocket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) =>
      this.#messages.put(
        typeof data === "string" ? data : [...new Uint8Array(data)],
      );
    this.#opened = new Promise((resolve) => socket.onopen = resolve);
    this.closed = new Promise((resolve) => socket.onclose = resolve);
  }

  static async open(server: TestServer, path = "/echo"): Promise<Caller> {
    const url = new URL(path, server.ws);
    const caller = new Caller(new WebSocket(url));
    await soon(caller.#opened, "a connection");
    return caller;
  }

  next(): Promise<string | number[]> {
    return this.#messages.take("an echo");
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    await soon(this.closed, "the end of a caller");
  }
}

/** The next frame with a message, as its opcode and its text. */
async function nextMessage(raw: RawClient): Promise<[number, string]> {
  let next: Frame | undefined;
  do next = await soon(raw.readFrame(), "a frame"); while (
    next?.opcode === Opcode.pong
  );
  assert(next !== undefined, "the connection ended");
  return [next.opcode, new TextDecoder().decode(next.payload)];
}

const codeAndReason = ({ code, reason }: CloseEvent) => [code, reason];

Deno.test("every message comes back as it was and in order, text as text and bytes as bytes", async () => {
  await using server = await startServer();
  await using caller = await Caller.open(server);
  const { socket } = caller;
  const messages = [
    "",
    [],
    "a",
    [0, 255, 128, 10],
    "Grüße, 世界 👋 \u0000\r\n",
    '{"type":"hello"}',
    "x".repeat(70_000),
    "a",
  ];
  for (const message of messages) {
    socket.send(
      typeof message === "string" ? message : Uint8Array.from(message),
    );
  }
  for (const message of messages) assertEquals(await caller.next(), message);
});

Deno.test("a fragmented message comes back whole, wherever it was cut", async () => {
  await using server = await startServer();
  using raw = await RawClient.upgrade(server.port, "/echo");
  const bytes = new TextEncoder().encode("Grüße 👋");
  const part = (opcode: number, from: number, to: number, fin: boolean) =>
    frame(opcode, bytes.subarray(from, to), { fin });
  for (let cut = 0; cut <= bytes.length; cut++) {
    await raw.write(part(Opcode.text, 0, cut, false));
    await raw.write(frame(Opcode.ping, "now"));
    await raw.write(frame(Opcode.continuation, "", { fin: false }));
    await raw.write(part(Opcode.continuation, cut, bytes.length, true));
    assertEquals(await nextMessage(raw), [Opcode.text, "Grüße 👋"]);
  }
  await raw.write(frame(Opcode.binary, "", { fin: false }));
  await raw.write(frame(Opcode.continuation, "end"));
  assertEquals(await nextMessage(raw), [Opcode.binary, "end"]);
});

for (
  const [what, message] of [
    ["text", "ü".repeat(SEND_LIMIT / 2)],
    ["binary", new Uint8Array(SEND_LIMIT).fill(7)],
  ] as const
) {
  Deno.test(`${what} of --send-limit bytes comes back, and one byte more closes with 1009`, async () => {
    await using server = await startServer({
      sendLimit: SEND_LIMIT,
      maxMessage: 1,
    });
    await using caller = await Caller.open(server);
    caller.socket.send(message);
    const expected = typeof message === "string" ? message : [...message];
    assertEquals(await caller.next(), expected);
    caller.socket.send(
      typeof message === "string"
        ? `${message}.`
        : new Uint8Array(SEND_LIMIT + 1),
    );
    assertEquals(
      codeAndReason(await soon(caller.closed, "a close")),
      [...DISCONNECTS.frame_too_large],
    );
  });
}

Deno.test("by default a message of 1 MiB comes back", async () => {
  await using server = await startServer();
  await using caller = await Caller.open(server);
  const message = "é".repeat(512 * 1024);
  caller.socket.send(message);
  assertEquals(await caller.next() === message, true);
});

Deno.test("an echo reaches no other client, and nobody in the chat notices", async () => {
  await using server = await startServer();
  await using chatter = await Client.join(server.ws);
  await using one = await Caller.open(server);
  await using other = await Caller.open(server);
  one.socket.send("mine");
  assertEquals(await one.next(), "mine");
  other.socket.send("yours");
  assertEquals(await other.next(), "yours");
  chatter.request({ type: "message", message: "hi", id: "1" });
  const join = await chatter.nextOf("join");
  assertEquals([join.sender, join.count], [chatter.welcome.sender, 1]);
  assertEquals((await chatter.next()).message, "hi");
  assertEquals(server.hub.census, { rooms: 2, members: 1, names: 1 });
});

Deno.test("an echo client that does not read is closed with 1013, and little waits for it", async () => {
  const limit = 1024 * 1024;
  await using server = await startServer({ sendLimit: limit, rate: 0 });
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  using stalled = await RawClient.upgrade(server.port, "/echo");
  await until(() => server.connections.size === 2, "the stalled one");
  const session = [...server.connections.keys()].at(-1);
  const size = limit / 4;
  const message = frame(Opcode.binary, new Uint8Array(size));
  let most = 0;
  for (let sent = 0; session?.hasEnded === false; sent++) {
    await stalled.write(message);
    most = Math.max(most, session.waitingBytes);
    assertEquals((await bystander.say(`${sent} were sent`)).type, "message");
  }
  assert(most <= limit + size, `${most} bytes waited`);
  assertEquals(await stalled.closeCode(), CloseCode.tryAgainLater);
});

const PER_SECOND = ECHO_BYTES_PER_SECOND / LEAST_ECHO_BYTES;

Deno.test("the page of the limits names those of the echo", () => {
  const [, section = ""] = /<section id="echo"([^]*?)<\/section>/
    .exec(docsPage("limits")) ?? [];
  const text = section.replaceAll(/<[^>]*>/g, "").replaceAll(/\s+/g, " ");
  assertStringIncludes(text, `${ECHO_BYTES_PER_SECOND / 1024 / 1024} MiB a`);
  assertStringIncludes(text, `less than ${LEAST_ECHO_BYTES / 1024} KiB counts`);
});

/** Sends short messages; `back` says how many came back. */
class Flooder implements AsyncDisposable {
  back = 0;
  readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
    caller.socket.onmessage = () => this.back++;
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) this.caller.socket.send("");
  }

  [Symbol.asyncDispose]() {
    return this.caller[Symbol.asyncDispose]();
  }
}

const waitingIn = (server: TestServer) =>
  [...server.connections.keys()]
    .reduce((sum, { dialect }) => sum + (dialect.waitingBytes ?? 0), 0);

Deno.test("all echo clients share one rate, what comes too early waits, and a quiet client does not", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using stack = new AsyncDisposableStack();
  const flooders: Flooder[] = [];
  for (let i = 0; i < 4; i++) {
    flooders.push(stack.use(new Flooder(await Caller.open(server))));
  }
  const each = PER_SECOND / 2;
  for (const flooder of flooders) flooder.send(each);
  const back = () => flooders.reduce((sum, { back }) => sum + back, 0);
  const are = (count: number) => () =>
    back() + waitingIn(server) / WAITING_BYTES === count;
  await until(are(4 * each), "all to be back or to wait");
  assert(back() < PER_SECOND, `${back()} were sent back at once`);
  await using quiet = await Caller.open(server);
  quiet.socket.send("me");
  assertEquals(await quiet.next(), "me");
  const before = back();
  nowMs += 100;
  await until(() => back() > before, "more to come back");
  await until(are(4 * each), "the rest to wait");
  const more = back() - before;
  assert(more < PER_SECOND / 5, `${more} in 100 ms`);
  const areAllBack = () => {
    nowMs += 100;
    return back() === 4 * each;
  };
  await until(areAllBack, "all to come back");
});

Deno.test("an echo client that sends on and on is closed with 1008, and the reason", async () => {
  const lines: string[] = [];
  const metrics = new Metrics();
  await using server = await startServer({
    sendLimit: SEND_LIMIT,
    maxMessage: 1,
  }, {
    monotonic: () => 0,
    metrics,
    logger: new Logger("json", (line) => lines.push(line), Date.now),
  });
  await using flooder = new Flooder(await Caller.open(server));
  const waiting = () => waitingIn(server) / WAITING_BYTES;
  const isClosed = () => server.connections.size === 0;
  let most = 0;
  for (let sent = 100; !isClosed(); sent += 100) {
    flooder.send(100);
    const areSeen = () => flooder.back + waiting() === sent || isClosed();
    await until(areSeen, "all to be back or to wait");
    most = Math.max(most, waitingIn(server));
  }
  assert(most <= SEND_LIMIT + WAITING_BYTES, `${most} bytes waited`);
  assertEquals(
    codeAndReason(await soon(flooder.caller.closed, "a close")),
    [...DISCONNECTS.echo_flood],
  );
  assertEquals(lines.join("").includes('"reason":"echo_flood"'), true);
  assertEquals(metrics.disconnects.lines().at(-1)?.split(" "), [
    'partyline_evictions_total{reason="echo_flood"}',
    "1",
  ]);
});

Deno.test("a stop closes echo clients with 1001, also while messages wait", async () => {
  const server = await startServer({}, { monotonic: () => 0 });
  const caller = await Caller.open(server);
  await using flooder = new Flooder(caller);
  flooder.send(PER_SECOND);
  await until(() => waitingIn(server) > 0, "some to wait");
  await server[Symbol.asyncDispose]();
  assertEquals(
    (await soon(caller.closed, "a close")).code,
    CloseCode.shuttingDown,
  );
});

Deno.test("when the server opens its port again, echo clients are closed with 1012", async () => {
  await using server = await startServer();
  await using caller = await Caller.open(server);
  await server.reopen("test", "restarting");
  const { code, reason } = await soon(caller.closed, "a close");
  assertEquals(code, CloseCode.restarting);
  assert(reason.startsWith("the server is restarting; come back in "), reason);
});

Deno.test("an echo client that falls silent is let go after the idle time-out", async () => {
  await using server = await startServer({ idleTimeout: 2 });
  using _silent = await RawClient.upgrade(server.port, "/echo");
  await until(() => server.connections.size === 1, "the silent one");
  await until(() => server.connections.size === 0, "its end");
});

/** The answer to a handshake at /echo. */
async function knock(
  server: TestServer,
  headers: Record<string, string> = {},
  query = "",
) {
  using raw = await RawClient.open(server.port);
  await raw.write(handshake(server.port, `/echo${query}`, headers));
  return await raw.readAnswer();
}

Deno.test("/echo lets in the same pages as /ws", async () => {
  await using server = await startServer({
    allowOrigin: ["https://class.example"],
  });
  const statusFor = async (Origin: string) =>
    (await knock(server, { Origin })).status;
  assertEquals(await statusFor("https://evil.example"), 403);
  assertEquals(await statusFor("null"), 403);
  assertEquals(await statusFor("https://class.example"), 101);
  assertEquals(await statusFor(`http://127.0.0.1:${server.port}`), 101);
  // A program names no page, whatever the host.
  assertEquals((await knock(server, { Host: "chat.example" })).status, 101);
});

Deno.test("/echo asks for the invitation", async () => {
  const invite = "course-2026-x";
  await using server = await startServer({ invite });
  assertEquals((await knock(server)).status, 401);
  assertEquals((await knock(server, {}, `?invite=${invite}`)).status, 101);
  const Authorization = `Bearer ${invite}`;
  assertEquals((await knock(server, { Authorization })).status, 101);
});

Deno.test("echo clients count for --max-clients", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using _caller = await Caller.open(server);
  assertEquals((await knock(server)).status, 503);
});

Deno.test("echo clients have a quarter of --max-clients, and the chat has the rest", async () => {
  await using server = await startServer({ maxClients: 4 * 2 });
  await using _first = await Caller.open(server);
  await using _second = await Caller.open(server);
  const { status, field } = await knock(server);
  assertEquals([status, field("retry-after")], [503, "5"]);
  await using _client = await Client.open(server.ws);
});

Deno.test("echo clients take one room together, whatever rooms they ask for", async () => {
  await using server = await startServer({ maxRooms: 2 });
  await using stack = new AsyncDisposableStack();
  for (const room of ["a", "b", "c"]) {
    stack.use(await Caller.open(server, `/echo?room=${room}`));
  }
  assertEquals([...server.hub.rooms.keys()], ["/echo"]);
  await using _client = await Client.open(server.ws);
});

Deno.test("at /echo no subprotocol is agreed, whatever is offered", async () => {
  await using server = await startServer();
  for (const offered of ["echo", "partyline.v1", "partyline", "a, b"]) {
    const headers = { "Sec-WebSocket-Protocol": offered };
    const { status, field } = await knock(server, headers);
    assertEquals(status, 101, offered);
    assertEquals(field("sec-websocket-protocol"), undefined, offered);
  }
});

Deno.test("/echo without a handshake gets 426, and another method 405", async () => {
  await using server = await startServer();
  const answer = await fetch(`${server.http}/echo`);
  assertEquals(answer.status, 426);
  assertEquals(answer.headers.get("upgrade"), "websocket");
  assertEquals(
    await answer.text(),
    "This address is for WebSocket: send an opening handshake.\n",
  );
  const posted = await fetch(`${server.http}/echo`, { method: "POST" });
  assertEquals(posted.status, 405);
  await posted.body?.cancel();
});

Deno.test("/echo is below the base path", async () => {
  await using server = await startServer({ base: "/class/" });
  await using caller = await Caller.open(server, "/class/echo");
  caller.socket.send("hi");
  assertEquals(await caller.next(), "hi");
  assertEquals((await knock(server)).status, 404);
});
