// What every session promises, whatever its dialect: the limits on what comes in
// and on what waits to go out, refusals and the end of them, and that a fault
// costs one client. The tests use the dialect in which a rule is seen best.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Logger } from "../../chat/ops/logger.ts";
import { CloseCode } from "../../chat/protocol/close_codes.ts";
import {
  DRAW_SUBPROTOCOL,
  MAX_DRAW_BYTES,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import { MAX_REFUSALS } from "../../chat/session/session.ts";
import {
  Client,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

const say = (client: Client, message: string, id = message) =>
  client.request({ type: "message", message, id });

/** How the server ends a client that sends this as its first frame. */
async function endAfter(
  server: TestServer,
  protocols: string[],
  frame: string | Uint8Array<ArrayBuffer>,
) {
  await using client = await Client.open(server.ws, { protocols });
  client.socket.send(frame);
  const { code, reason } = await soon(client.closed, "the close");
  return [code, reason];
}

const MAX_FRAME = 2_000;

const longText = "x".repeat(MAX_FRAME + 1);
const longBytes = new Uint8Array(MAX_DRAW_BYTES + 1);

for (
  const [name, protocols, wrongKind, tooLarge, kind] of [
    ["plain", [], longBytes, longText, "text, not binary"],
    ["v1", [SUBPROTOCOL], longBytes, longText, "text, not binary"],
    ["draw", [DRAW_SUBPROTOCOL], longText, longBytes, "binary, not text"],
  ] as const
) {
  Deno.test(`${name}: a frame of the other kind ends a client with 1003`, async () => {
    await using server = await startServer();
    const end = await endAfter(server, [...protocols], wrongKind);
    assertEquals(end, [CloseCode.unsupportedData, `send ${kind}`]);
  });

  Deno.test(`${name}: a frame that is a byte too large ends a client with 1009`, async () => {
    await using server = await startServer({ maxFrame: MAX_FRAME });
    const end = await endAfter(server, [...protocols], tooLarge);
    assertEquals(end, [CloseCode.tooLarge, "frame too large"]);
  });
}

Deno.test("the largest frame of text passes; its bytes count, not its characters", async () => {
  await using server = await startServer({ maxFrame: MAX_FRAME });
  await using a = await Client.open(server.ws);
  const largest = "ä".repeat(MAX_FRAME / 2);
  assertEquals((await a.say(largest)).message, largest);
  a.send(`${largest}a`);
  assertEquals((await soon(a.closed, "the close")).code, CloseCode.tooLarge);
});

Deno.test("a message of the greatest length passes, a longer one is refused to its sender alone", async () => {
  await using server = await startServer({ maxMessage: 10 });
  await using a = await Client.join(server.ws);
  await using b = await Client.open(server.ws);
  await b.say("ready");
  say(a, "🦦".repeat(11), "long");
  const { code, id, sender, message } = await a.nextOf("error");
  assertEquals([code, id, sender], ["too_long", "long", "server"]);
  assertMatch(message, /10 characters/);
  say(a, "🦦".repeat(10), "short");
  assertEquals((await b.next()).message, "🦦".repeat(10));
});

for (const text of ["", " ", "\t\r\n\u00a0\u3000"]) {
  const name = JSON.stringify(text);
  Deno.test(`a message of nothing but white space is refused: ${name}`, async () => {
    await using server = await startServer();
    await using a = await Client.join(server.ws);
    await using plain = await Client.open(server.ws);
    say(a, text, "empty");
    const { code, id, message } = await a.nextOf("error");
    assertEquals([code, id], ["invalid", "empty"]);
    assertMatch(message, /^Empty: .* white space\.$/);
    plain.send(text);
    assertEquals((await plain.next()).code, "invalid");
    const body = JSON.stringify({ type: "message", message: text, id: "x" });
    const headers = { "content-type": "application/json" };
    for (const from of ["", `?key=${a.welcome.key}`]) {
      const url = `${server.http}/messages${from}`;
      const answer = await fetch(url, { method: "POST", headers, body });
      assertEquals(answer.status, 400);
      assertEquals(await answer.text(), `${message}\n`);
    }
    say(a, "said", "first");
    assertEquals((await a.nextOf("message")).seq, 1);
  });
}

Deno.test("a client that is too fast is told how long to wait, alone, and may go on then", async () => {
  let nowMs = 1_000_000;
  await using server = await startServer({ rate: 10, burst: 2 }, {
    monotonic: () => nowMs,
  });
  await using a = await Client.join(server.ws);
  await using b = await Client.open(server.ws);
  await b.say("ready");
  for (const text of ["1", "2", "3"]) say(a, text);
  const { code, id, sender, message, retryAfter } = await a.nextOf("error");
  assertEquals([code, id, sender], ["rate_limited", "3", "server"]);
  assertMatch(message, /Too fast.*0\.1 s/);
  assertEquals(retryAfter, 100);
  nowMs += retryAfter;
  say(a, "3");
  const heard = [await b.next(), await b.next(), await b.next()];
  assertEquals(heard.map((event) => event.message), ["1", "2", "3"]);
});

Deno.test("a rate of 0 sets no limit", async () => {
  await using server = await startServer({ rate: 0, burst: 1 }, {
    monotonic: () => 0,
  });
  await using a = await Client.open(server.ws);
  for (let i = 0; i < 200; i++) {
    assertEquals((await a.say(`${i}`)).type, "message");
  }
});

Deno.test("a message for which the room has no space is refused, and may be said again", async () => {
  await using server = await startServer();
  await using plain = await Client.open(server.ws);
  await plain.say("ready");
  await using v1 = await Client.join(server.ws);
  const room = server.hub.rooms.get("lobby");
  assert(room);
  const { say: queue } = room;
  room.say = () => false;
  say(v1, "hi", "1");
  plain.send("hello");
  const { id, retryAfter, ...busy } = await v1.nextOf("error");
  assertEquals([busy.code, id, retryAfter], ["busy", "1", 1_000]);
  assertMatch(busy.message, /^The room is too busy/);
  assertEquals(await plain.nextOf("error"), busy);
  room.say = queue;
  say(v1, "hi", "1");
  assertEquals((await plain.nextOf("message")).id, "1");
});

for (const name of ["plain", "v1"]) {
  Deno.test(`${name}: what is said before a client is in its room is said then, up to --burst`, async () => {
    await using server = await startServer({ burst: 2 }, { now: () => 0 });
    await using a = await Client.open(server.ws);
    await a.say("ready");
    const room = server.hub.rooms.get("lobby");
    assert(room);
    const opened = Promise.withResolvers<void>();
    room.open = () => opened.promise;
    const protocols = name === "v1" ? [SUBPROTOCOL] : [];
    await using b = await Client.open(server.ws, { protocols });
    if (name === "v1") b.request({ type: "hello" });
    for (const message of ["1", "2", "3"]) {
      if (name === "v1") say(b, message);
      else b.send(message);
    }
    assertEquals((await b.nextOf("error")).code, "rate_limited");
    opened.resolve();
    assertEquals((await a.nextOf("message")).message, "1");
    assertEquals((await a.nextOf("message")).message, "2");
  });
}

Deno.test("a client that ended before it was in its room says nothing there", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await a.say("ready");
  const room = server.hub.rooms.get("lobby");
  assert(room);
  const opened = Promise.withResolvers<void>();
  room.open = () => opened.promise;
  const b = await Client.open(server.ws);
  b.send("too late");
  await b[Symbol.asyncDispose]();
  await until(() => room.guests.size === 1, "the end of b");
  opened.resolve();
  assertEquals((await a.say("still here")).seq, 2);
});

Deno.test("a client that is disconnected for what it said before it was in its room says no more of it", async () => {
  const burst = MAX_REFUSALS + 1;
  await using server = await startServer({ burst }, { now: () => 0 });
  await using a = await Client.open(server.ws);
  await a.say("ready");
  const room = server.hub.rooms.get("lobby");
  assert(room);
  const opened = Promise.withResolvers<void>();
  room.open = () => opened.promise;
  await using b = await Client.open(server.ws);
  for (let i = 0; i < MAX_REFUSALS; i++) b.send(" ");
  b.send("too late");
  b.send("one too many");
  await b.nextOf("error");
  opened.resolve();
  assertEquals((await soon(b.closed, "the close")).code, CloseCode.policy);
  assertEquals((await a.say("still here")).seq, 2);
});

Deno.test("50 refusals in a row end a client with 1008, one message between them saves it", async () => {
  await using server = await startServer({ maxMessage: 1, rate: 0 });
  await using a = await Client.open(server.ws);
  for (let i = 1; i < MAX_REFUSALS; i++) a.send("too long");
  await a.say("1");
  for (let i = 1; i < MAX_REFUSALS; i++) a.send("too long");
  await a.say("2");
  for (let i = 0; i < MAX_REFUSALS; i++) a.send("too long");
  const { code, reason } = await soon(a.closed, "the close");
  assertEquals([code, reason], [CloseCode.policy, "too many refused messages"]);
});

Deno.test("a client is not disconnected for what is not its fault", async () => {
  await using server = await startServer({ rate: 0 });
  await using a = await Client.join(server.ws);
  await using _b = await Client.join(server.ws, { name: "Eve" });
  for (let i = 0; i < MAX_REFUSALS + 10; i++) {
    a.request({ type: "rename", name: "Eve" });
    assertEquals((await a.nextOf("error")).code, "name_taken");
  }
  a.request({ type: "ping" });
  await a.nextOf("pong");
});

Deno.test("a client that stops reading is out of the room; the others miss nothing", async () => {
  await using server = await startServer({ rate: 0, sendLimit: 64 * 1024 });
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  using _stalled = await RawClient.upgrade(server.port);
  const [room] = server.hub.rooms.values();
  await until(() => room?.members.size === 2, "the stalled one");
  const text = "x".repeat(3_900);
  const batch = 50;
  let heard = 1;
  let hasLeft = false;
  while (!hasLeft) {
    for (let i = 0; i < batch; i++) bystander.send(text);
    for (const upTo = heard + batch; heard < upTo;) {
      const event = await bystander.next();
      if (event.type === "leave") hasLeft = true;
      else assertEquals(event.seq, ++heard);
    }
    assert(heard < 20_000, "the stalled client is never disconnected");
  }
  assertEquals(room?.members.size, 1);
  await bystander.say("still here");
});

Deno.test("a handler that throws costs only its own client", async () => {
  let isBroken = false;
  const now = () => {
    if (!isBroken) return 0;
    isBroken = false;
    throw new Error("the clock is broken (on purpose)");
  };
  const lines: string[] = [];
  const logger = new Logger("text", (line) => lines.push(line), Date.now);
  await using server = await startServer({}, { now, logger });
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  await using victim = await Client.open(server.ws);
  await victim.say("ready");
  await bystander.next();
  isBroken = true;
  victim.send("boom");
  const { code } = await soon(victim.closed, "the close");
  assertEquals(code, CloseCode.serverFault);
  assertMatch(lines[0] ?? "", /A connection failed\..*clock is broken/);
  await bystander.say("still here");
});

const FAULT = new TypeError("a fault of the program (on purpose)");

for (const name of ["plain", "v1"]) {
  Deno.test(`${name}: a fault of the program while a client joins is not told as a failure of the store`, async () => {
    const lines: string[] = [];
    const logger = new Logger("text", (line) => lines.push(line), Date.now);
    await using server = await startServer({}, { logger });
    await using bystander = await Client.open(server.ws);
    await bystander.say("ready");
    const room = server.hub.rooms.get("lobby");
    assert(room);
    room.open = () => Promise.reject(FAULT);
    const protocols = name === "v1" ? [SUBPROTOCOL] : [];
    await using victim = await Client.open(server.ws, { protocols });
    if (name === "v1") victim.request({ type: "hello" });
    const { code } = await soon(victim.closed, "the close");
    assertEquals(code, CloseCode.serverFault);
    assertMatch(lines.join("\n"), /TypeError: a fault of the program/);
    await bystander.say("still here");
  });
}

Deno.test("a fault of the program in a request is not told as a failure of the store", async () => {
  const lines: string[] = [];
  const logger = new Logger("text", (line) => lines.push(line), Date.now);
  await using server = await startServer({}, { logger });
  await using victim = await Client.join(server.ws);
  const room = server.hub.rooms.get("lobby");
  assert(room);
  room.before = () => Promise.reject(FAULT);
  victim.request({ type: "history", before: 1 });
  const { code } = await soon(victim.closed, "the close");
  assertEquals(code, CloseCode.serverFault);
  assertMatch(lines.join("\n"), /TypeError: a fault of the program/);
});

Deno.test("the end comes once, however often a session is told of it", async () => {
  await using server = await startServer();
  await using a = await Client.open(server.ws);
  await a.say("ready");
  await using b = await Client.join(server.ws);
  b.request({ type: "ping" });
  await b.nextOf("pong");
  const session = [...server.connections.keys()].at(-1);
  session?.ended();
  session?.ended();
  session?.disconnect("server_fault");
  assertEquals((await soon(b.closed, "the close")).code, CloseCode.serverFault);
  assertEquals((await a.next()).type, "leave");
  await until(() => server.connections.size === 1, "one connection");
  await a.say("nothing came between");
  assertEquals([...server.hub.rooms.keys()], ["lobby"]);
});
