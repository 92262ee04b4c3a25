// The dialect `partyline.draw.v1` as its clients see it: what one draws reaches
// the others as it is, nobody else, and no more than the limits let through.
import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../../chat/ops/metrics.ts";
import { CloseCode } from "../../chat/protocol/close_codes.ts";
import {
  DRAW_SUBPROTOCOL,
  MAX_DRAW_BYTES,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import { MAX_REFUSALS } from "../../chat/session/session.ts";
import {
  ALL_BOARDS_BYTES_PER_SECOND,
  Board,
  BOARD_BYTES_PER_SECOND,
  DRAWER_IDLE_MS,
  MAX_DRAWERS,
  newBoardsRate,
} from "../../chat/room/board.ts";
import { SharedRate } from "../../chat/room/rates.ts";
import {
  DRAW_BURST,
  type Drawing,
  MAX_STROKE_PAUSE_MS,
  MAX_WAITING_STROKES_BYTES,
  READ_NOTHING_MS,
} from "../../chat/session/drawing.ts";
import {
  Client,
  Inbox,
  RawClient,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

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
    await until(
      () =>
        drawersIn(server, room) > before &&
        pen.socket.readyState === WebSocket.OPEN,
      "a pen at the board",
    );
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
  server.hub.rooms.get(room)?.board.drawers.size ?? 0;

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
  const room = server.hub.rooms.get("lobby");
  assertEquals([room?.members.size, room?.board.drawers.size], [1, 2]);
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
  assertEquals(server.hub.rooms.size, 0);
});

Deno.test("drawers count as connections", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using _pen = await Pen.join(server);
  const answer = await fetch(`${server.http}/ws`);
  assertEquals(answer.status, 503);
  await answer.body?.cancel();
});

Deno.test("the largest frame passes", async () => {
  await using server = await startServer();
  await using a = await Pen.join(server);
  await using b = await Pen.join(server);
  a.socket.send(new Uint8Array(MAX_DRAW_BYTES));
  assertEquals((await b.next()).length, MAX_DRAW_BYTES);
});

Deno.test("what is drawn too fast is dropped, in silence", async () => {
  let nowMs = 0;
  const metrics = new Metrics();
  await using server = await startServer({}, {
    monotonic: () => nowMs,
    metrics,
  });
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

Deno.test("a full board takes nobody in, until someone goes", async () => {
  await using server = await startServer();
  await using stack = new AsyncDisposableStack();
  const first = await Pen.join(server);
  for (let i = 1; i < MAX_DRAWERS; i++) stack.use(await Pen.join(server));
  const late = new Pen(new WebSocket(server.ws, DRAW_SUBPROTOCOL));
  const { code, reason } = await soon(late.closed, "a close");
  assertEquals(code, CloseCode.tryAgainLater);
  assertEquals(reason, "too many people are drawing here");
  assertEquals(drawersIn(server), MAX_DRAWERS);
  await first[Symbol.asyncDispose]();
  await until(() => drawersIn(server) === MAX_DRAWERS - 1, "a free place");
  stack.use(await Pen.join(server));
});

Deno.test("on a full board one who drew nothing for 30 s gives way to one who comes", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await Pen.join(server));
  const idle = stack.use(await Pen.join(server));
  for (let i = 2; i < MAX_DRAWERS; i++) stack.use(await Pen.join(server));
  nowMs += DRAWER_IDLE_MS;
  first.draw(7);
  assertEquals(await idle.next(), [7]);
  const late = stack.use(
    new Pen(new WebSocket(server.ws, DRAW_SUBPROTOCOL)),
  );
  const { code, reason } = await soon(idle.closed, "a close");
  assertEquals(code, CloseCode.tryAgainLater);
  assertEquals(
    reason,
    "you drew nothing for 30 s and somebody else came to draw",
  );
  first.draw(8);
  assertEquals(await late.next(), [8]);
  assertEquals(drawersIn(server), MAX_DRAWERS);
});

Deno.test("a drawer that does not read misses strokes and stays, for a while", async () => {
  let nowMs = 0;
  await using server = await startServer({}, { monotonic: () => nowMs });
  await using _pen = await Pen.join(server);
  using stalled = await RawClient.upgrade(server.port, "/ws", {
    "Sec-WebSocket-Protocol": DRAW_SUBPROTOCOL,
  });
  await until(() => drawersIn(server) === 2, "the stalled one");
  const session = [...server.connections.keys()].at(-1);
  const drawer = session?.dialect as unknown as Drawing;
  const waiting = () => session?.transport.bufferedAmount ?? 0;
  const frame = new Uint8Array(MAX_DRAW_BYTES).buffer;
  let shown = 0;
  // As many as all buffers on the way hold, and then as many again.
  while (waiting() <= MAX_WAITING_STROKES_BYTES) {
    drawer.show(frame);
    // What the socket takes is written between two of them.
    if (++shown % 16 === 0) await new Promise((done) => setTimeout(done));
  }
  for (let i = 0; i < shown; i++) drawer.show(frame);
  assert(waiting() <= MAX_WAITING_STROKES_BYTES + 2 * MAX_DRAW_BYTES);
  nowMs += 60_000;
  drawer.show(frame);
  const left = READ_NOTHING_MS - MAX_STROKE_PAUSE_MS;
  for (const endMs = nowMs + left; nowMs < endMs; nowMs += 500) {
    drawer.show(frame);
  }
  drawer.show(frame);
  assertEquals(drawersIn(server), 2);
  nowMs++;
  drawer.show(frame);
  assertEquals(drawersIn(server), 1);
  // It reads what was there, and then why it was the last.
  assertEquals(await stalled.closeCode(), CloseCode.tryAgainLater);
});

/** A board with so many drawers; each counts what it is shown. */
function boardOf(count: number, all = new SharedRate(0)) {
  const board = new Board(all);
  const drawers = Array.from({ length: count }, () => ({ shown: 0 }));
  for (const drawer of drawers) {
    const show = () => drawer.shown++;
    const network = crypto.randomUUID();
    assert(board.join(drawer, { show, supersede: () => {}, network }, 0));
  }
  const sent = () => drawers.reduce((sum, { shown }) => sum + shown, 0);
  return { board, drawers, sent };
}

Deno.test("a board sends so many bytes a second, however many draw how much", () => {
  const { board, drawers, sent } = boardOf(MAX_DRAWERS);
  const frame = new ArrayBuffer(MAX_DRAW_BYTES);
  const seconds = 10;
  for (let ms = 0; ms < seconds * 1000; ms += 20) {
    for (const drawer of drawers) board.show(frame, drawer, ms);
  }
  const perSecond = sent() * MAX_DRAW_BYTES / seconds;
  // What is left over from before is sent once more.
  assert(perSecond < BOARD_BYTES_PER_SECOND * 1.3, `${perSecond}`);
  assert(perSecond > BOARD_BYTES_PER_SECOND * 0.7, `${perSecond}`);
});

Deno.test("all boards of a server send so many bytes a second together, and each has its share", () => {
  const all = newBoardsRate();
  const full = Array.from({ length: 8 }, () => boardOf(MAX_DRAWERS, all));
  const small = boardOf(10, all);
  const seconds = 10;
  const strokes = 20;
  for (let n = 0; n < seconds * 60; n++) {
    const ms = n * 1000 / 60;
    for (const { board, drawers } of full) {
      for (const drawer of drawers) {
        board.show(new ArrayBuffer(MAX_DRAW_BYTES), drawer, ms);
      }
    }
    if (n % (60 / strokes) !== 0) continue;
    for (const drawer of small.drawers) {
      small.board.show(new ArrayBuffer(100), drawer, ms);
    }
  }
  const sent = full.reduce((sum, board) => sum + board.sent(), 0);
  const perSecond = sent * MAX_DRAW_BYTES / seconds;
  assert(perSecond < ALL_BOARDS_BYTES_PER_SECOND * 1.3, `${perSecond}`);
  assert(perSecond > ALL_BOARDS_BYTES_PER_SECOND * 0.7, `${perSecond}`);
  // Of the first ones some may be lost, when all take what is left over from before.
  assert(small.sent() > 0.99 * seconds * strokes * 10 * 9, `${small.sent()}`);
});

/** Comes to a board; the reasons why its place went to another one. */
function comeTo(board: Board, network: string, nowMs = 0) {
  const why: string[] = [];
  const id = {};
  const supersede = (reason: string) => why.push(reason);
  const isIn = board.join(id, { show: () => {}, supersede, network }, nowMs);
  return { id, why, isIn };
}

Deno.test("neither an empty frame nor a stroke that is lost keeps a place on a full board", () => {
  const board = new Board(newBoardsRate());
  const all = Array.from(
    { length: MAX_DRAWERS },
    () => comeTo(board, crypto.randomUUID()),
  );
  const [first, second, ...others] = all;
  assert(first !== undefined && second !== undefined);
  const large = new ArrayBuffer(MAX_DRAW_BYTES);
  while (board.show(large, {}, 100));
  assertEquals(board.show(large, first.id, 100), true);
  board.show(large, {}, 101);
  assertEquals(board.show(large, first.id, 102), false);
  assertEquals(board.show(new ArrayBuffer(0), second.id, 5_000), true);
  for (const { id } of others) {
    assertEquals(board.show(new ArrayBuffer(1), id, 10_000), true);
  }
  assertEquals(comeTo(board, "late", DRAWER_IDLE_MS).isIn, true);
  assertEquals(second.why, ["board_idle"]);
  assertEquals(comeTo(board, "later", DRAWER_IDLE_MS + 100).isIn, true);
  assertEquals(first.why, ["board_idle"]);
});

Deno.test("on a full board the network with most places gives one to a client of another", () => {
  const board = new Board(newBoardsRate());
  const many = Array.from(
    { length: MAX_DRAWERS - 1 },
    (_, ms) => comeTo(board, "many", ms),
  );
  comeTo(board, "few", 100);
  assertEquals(comeTo(board, "few", 101).isIn, true);
  assertEquals([many[0]?.why, many[1]?.why], [["board_full"], []]);
  assertEquals(comeTo(board, "many", 102).isIn, false);
  for (let i = 0; i < MAX_DRAWERS; i++) comeTo(board, "few", 103);
  const left = many.filter(({ why }) => why.length === 0);
  assertEquals(left.length, MAX_DRAWERS / 2);
});

Deno.test("a class of ten draws at full speed, and nothing is lost", () => {
  const { board, drawers, sent } = boardOf(10);
  const frame = new ArrayBuffer(100);
  for (let n = 0; n < 600; n++) {
    for (const drawer of drawers) board.show(frame, drawer, n * 1000 / 60);
  }
  assertEquals(sent(), 600 * 10 * 9);
});

Deno.test("whoever draws little is seen by all, whatever others draw", () => {
  const { board, drawers } = boardOf(MAX_DRAWERS);
  const [quiet, other] = drawers;
  const frame = new ArrayBuffer(100);
  let seen = 0;
  for (let n = 0; n < 600; n++) {
    for (const drawer of drawers) {
      if (drawer !== quiet) board.show(frame, drawer, n * 1000 / 60);
    }
    const before = other?.shown ?? 0;
    if (n % 20 === 0) board.show(frame, quiet, n * 1000 / 60);
    seen += (other?.shown ?? 0) - before;
  }
  assertEquals(seen, 30);
});
