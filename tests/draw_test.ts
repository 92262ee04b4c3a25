// The dialect `partyline.draw.v1` as its clients see it: what one draws reaches
// the others as it is, nobody else, and no more than the limits let through.
import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../chat/metrics.ts";
import {
  CloseCode,
  DRAW_SUBPROTOCOL,
  MAX_DRAW_BYTES,
  SUBPROTOCOL,
} from "../chat/protocol.ts";
import { MAX_REFUSALS } from "../chat/session.ts";
import { DRAW_BURST, MAX_DRAWERS } from "../chat/session_draw.ts";
import {
  Client,
  Inbox,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
} from "./harness.ts";

/** Someone at a board. */
class Pen implements AsyncDisposable {
  readonly #frames = new Inbox<number[]>();
  readonly closed: Promise<CloseEvent>;

  constructor(readonly socket: WebSocket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.#frames.put([...new Uint8Array(data)]);
    };
    this.closed = new Promise((resolve) => socket.onclose = resolve);
  }

  /** Connects and waits until it is at the board. */
  static async join(server: TestServer, room = "lobby"): Promise<Pen> {
    const before = drawersIn(server, room);
    const url = `${server.ws}?room=${room}`;
    const pen = new Pen(new WebSocket(url, DRAW_SUBPROTOCOL));
    await until(() => drawersIn(server, room) > before, "a pen at the board");
    return pen;
  }

  draw(...bytes: number[]): void {
    this.socket.send(Uint8Array.from(bytes));
  }

  next(): Promise<number[]> {
    return this.#frames.take("a stroke");
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    await soon(this.closed, "the end of a pen");
  }
}

const drawersIn = (server: TestServer, room = "lobby") =>
  server.lobby.rooms.get(room)?.drawers.size ?? 0;

Deno.test("a frame reaches the others at the board as it came, in order", async () => {
  await using server = await startServer();
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  await using c = await Pen.join(server);
  const strokes = [[], [0], [1, 7, 0, 0, 255, 255], [255, 254, 10, 13, 0]];
  for (const bytes of strokes) a.draw(...bytes);
  for (const pen of [b, c]) {
    for (const bytes of strokes) assertEquals(await pen.next(), bytes);
  }
  // The next that comes to `a` is this one: it never got its own.
  b.draw(42);
  assertEquals(await a.next(), [42]);
  assertEquals(await c.next(), [42]);
});

Deno.test("the server answers with the subprotocol of the board", async () => {
  await using server = await startServer();
  await using pen = await Pen.join(server);
  assertEquals(pen.socket.protocol, DRAW_SUBPROTOCOL);
  await using both = await Client.open(server.ws, {
    protocols: [DRAW_SUBPROTOCOL, SUBPROTOCOL],
  });
  assertEquals(both.socket.protocol, SUBPROTOCOL);
});

Deno.test("boards of different rooms see nothing of each other", async () => {
  await using server = await startServer();
  await using a = await Pen.join(server, "one");
  await using b = await Pen.join(server, "one");
  await using other = await Pen.join(server, "two");
  await using another = await Pen.join(server, "two");
  a.draw(1);
  other.draw(2);
  assertEquals([await b.next(), await another.next()], [[1], [2]]);
});

Deno.test("nobody in the chat notices who draws, and the other way round", async () => {
  await using server = await startServer();
  await using chatter = await Client.join(server.ws);
  await using pen = await Pen.join(server);
  await using second = await Pen.join(server);
  pen.draw(9);
  assertEquals(await second.next(), [9]);
  chatter.request({ type: "message", message: "hi", id: "1" });
  // Joins come first; there is the chatter's own and no other.
  const join = await chatter.nextOf("join");
  assertEquals([join.sender, join.count], [chatter.welcome.sender, 1]);
  assertEquals((await chatter.next()).message, "hi");
  pen.draw(8);
  assertEquals(await second.next(), [8]);
  const room = server.lobby.rooms.get("lobby");
  assertEquals([room?.members.size, room?.drawers.size], [1, 2]);
});

Deno.test("nothing is kept: who comes later sees what is drawn from then on", async () => {
  await using server = await startServer();
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  a.draw(1);
  await b.next();
  await using late = await Pen.join(server);
  a.draw(2);
  assertEquals(await late.next(), [2]);
});

Deno.test("a room with nobody but drawers is forgotten when they go", async () => {
  await using server = await startServer();
  const a = await Pen.join(server, "board");
  const b = await Pen.join(server, "board");
  assertEquals(server.connections.size, 2);
  await a[Symbol.asyncDispose]();
  await until(() => drawersIn(server, "board") === 1, "one to be left");
  await b[Symbol.asyncDispose]();
  await until(() => server.connections.size === 0, "all to be gone");
  assertEquals(server.lobby.rooms.size, 0);
});

Deno.test("drawers count as connections", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using _pen = await Pen.join(server);
  const answer = await fetch(`${server.http}/ws`);
  assertEquals(answer.status, 503);
  await answer.body?.cancel();
});

Deno.test("a frame of text ends a drawer with 1003", async () => {
  await using server = await startServer();
  await using pen = await Pen.join(server);
  pen.socket.send("a line");
  const { code, reason } = await soon(pen.closed, "a close");
  assertEquals(code, CloseCode.unsupportedData);
  assertEquals(reason, "send binary, not text");
});

Deno.test("the largest frame passes; a byte more ends the drawer with 1009", async () => {
  await using server = await startServer();
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  a.socket.send(new Uint8Array(MAX_DRAW_BYTES));
  assertEquals((await b.next()).length, MAX_DRAW_BYTES);
  a.socket.send(new Uint8Array(MAX_DRAW_BYTES + 1));
  assertEquals((await soon(a.closed, "a close")).code, CloseCode.tooLarge);
  await until(() => drawersIn(server) === 1, "the other to be left");
});

Deno.test("what is drawn too fast is dropped, in silence", async () => {
  let nowMs = 0;
  const metrics = new Metrics();
  await using server = await startServer({}, { now: () => nowMs, metrics });
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  for (let i = 0; i < DRAW_BURST + MAX_REFUSALS - 1; i++) a.draw(i);
  for (let i = 0; i < DRAW_BURST; i++) assertEquals(await b.next(), [i]);
  const isCounted = () =>
    metrics.refusals.lines().includes(
      `partyline_refusals_total{code="rate_limited"} ${MAX_REFUSALS - 1}`,
    );
  await until(isCounted, "the refusals");
  nowMs += 1_000;
  a.draw(7);
  assertEquals(await b.next(), [7]);
});

Deno.test("who goes on drawing too fast is let go with 1008", async () => {
  await using server = await startServer({}, { now: () => 0 });
  await using a = await Pen.join(server);
  for (let i = 0; i < DRAW_BURST + MAX_REFUSALS; i++) a.draw(i % 256);
  assertEquals((await soon(a.closed, "a close")).code, CloseCode.policy);
});

Deno.test("who does not read is let go; the others see every stroke", async () => {
  let nowMs = 0;
  await using server = await startServer(
    { sendLimit: 64 * 1024 },
    { now: () => nowMs },
  );
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  using _stalled = await RawClient.upgrade(server.port, "/ws", {
    "Sec-WebSocket-Protocol": DRAW_SUBPROTOCOL,
  });
  await until(() => drawersIn(server) === 3, "the stalled one");
  for (let i = 0; drawersIn(server) === 3; i++) {
    assert(i < 20_000, "the stalled one is never let go");
    const stroke = new Uint8Array(MAX_DRAW_BYTES).fill(i);
    nowMs += 1_000;
    a.socket.send(stroke);
    assertEquals(await b.next(), [...stroke]);
  }
  a.draw(1);
  assertEquals(await b.next(), [1]);
});

Deno.test("a full board takes nobody in, until someone goes", async () => {
  await using server = await startServer();
  await using stack = new AsyncDisposableStack();
  const first = await Pen.join(server);
  for (let i = 1; i < MAX_DRAWERS; i++) stack.use(await Pen.join(server));
  const late = new Pen(new WebSocket(server.ws, DRAW_SUBPROTOCOL));
  const { code, reason } = await soon(late.closed, "a close");
  assertEquals(code, CloseCode.tryAgainLater);
  assertEquals(reason, "too many are drawing here");
  assertEquals(drawersIn(server), MAX_DRAWERS);
  await first[Symbol.asyncDispose]();
  await until(() => drawersIn(server) === MAX_DRAWERS - 1, "a free place");
  stack.use(await Pen.join(server));
});

Deno.test("drawers are told to come back like everyone", async () => {
  const server = await startServer();
  const pen = await Pen.join(server);
  await server[Symbol.asyncDispose]();
  const { code } = await soon(pen.closed, "a close");
  assertEquals(code, CloseCode.shuttingDown);
});
