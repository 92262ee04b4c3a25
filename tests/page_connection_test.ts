// The page's line to the server without a browser: when it comes back, why it
// waits, and what it makes of a refusal. Sockets, timers and chance are played.
import { assert, assertEquals } from "@std/assert";
import {
  Connection,
  retryDelayMs,
  spreadMs,
  type State,
} from "../static/connection.js";
import { parseRetryAfter, readRefusal } from "../static/refusal.js";

type Timer = ReturnType<typeof setTimeout>;
type Refusal = Awaited<ReturnType<typeof readRefusal>>;

const seed = Number(Deno.env.get("SEED") ?? Date.now() % 2 ** 31);
console.log(`page_connection_test.ts: SEED=${seed}`);

/** Chance that can be replayed: a linear congruential generator. */
function chance(from = seed): () => number {
  let state = from >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One turn of the event loop. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

class Socket extends EventTarget {
  readyState = 0;
  send() {}
  close() {}
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  end(code: number) {
    this.readyState = 3;
    this.dispatchEvent(new CloseEvent("close", { code }));
  }
}

/** A page's line, and a world in which time moves when it is told to. */
class World {
  now = 0;
  /** What the next question will be answered with. */
  refusal: Refusal | null = null;
  asked = 0;
  readonly states: State[] = [];
  readonly sockets: Socket[] = [];
  readonly kinds: string[] = [];
  readonly openedAtMs: number[] = [];
  readonly connection: Connection;
  readonly #timers = new Map<Timer, { atMs: number; callback: () => void }>();

  constructor(random: () => number = () => 0.5) {
    this.connection = new Connection(
      () => "ws://localhost/ws",
      { onState: (state) => this.states.push(state), onFrame: () => {} },
      {
        createSocket: (kind) => {
          const socket = new Socket();
          this.sockets.push(socket);
          this.kinds.push(kind);
          this.openedAtMs.push(this.now);
          return socket;
        },
        askWhy: () => {
          this.asked++;
          return Promise.resolve(this.refusal);
        },
        now: () => this.now,
        random,
        setTimer: (callback, delayMs) => {
          const timer = {} as Timer;
          this.#timers.set(timer, { atMs: this.now + delayMs, callback });
          return timer;
        },
        clearTimer: (timer) => this.#timers.delete(timer),
      },
    );
    this.connection.open();
  }

  get socket(): Socket {
    const socket = this.sockets.at(-1);
    assert(socket);
    return socket;
  }

  get state(): State {
    const state = this.states.at(-1);
    assert(state);
    return state;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass up to the next timer, and that one happen. */
  tick(): void {
    const [first] = [...this.#timers].sort(([, a], [, b]) => a.atMs - b.atMs);
    assert(first, "no timer");
    const [timer, { atMs, callback }] = first;
    this.#timers.delete(timer);
    this.now = Math.max(this.now, atMs);
    callback();
  }

  /** The attempt fails, and the server says this when it is asked why. */
  async refuse(refusal: Refusal | null): Promise<void> {
    this.refusal = refusal;
    this.socket.end(1006);
    // The question and its answer take a turn of the event loop at most.
    await turn();
  }

  /** A line of HTTP opens by itself, and this is what comes first. */
  hear(): void {
    this.socket.open();
    this.socket.dispatchEvent(new MessageEvent("message", { data: "[]" }));
  }

  /** Opens, and stays for long enough to count as stable. */
  stay(): void {
    this.socket.open();
    this.now += 60_000;
  }
}

const full: Refusal = {
  kind: "later",
  why: "The server is full.",
  retryAfterMs: 5_000,
};
const refusal = (kind: Refusal["kind"], why: string): Refusal => ({
  kind,
  why,
  retryAfterMs: 0,
});

Deno.test("a backoff step is never longer than its bound, and grows to 15 s", () => {
  const random = chance();
  for (let attempt = 0; attempt < 40; attempt++) {
    const delayMs = retryDelayMs(attempt, random());
    assert(delayMs >= 0 && delayMs < Math.min(15_000, 500 * 2 ** attempt));
  }
  assertEquals(retryDelayMs(1_000, 0.5), 7_500);
});

Deno.test("a thousand pages that the server left without a word come back spread", async () => {
  const random = chance();
  const worlds = Array.from({ length: 1_000 }, () => new World(random));
  const counts = new Map<number, number>();
  for (const world of worlds) {
    world.stay();
    const lostAtMs = world.now;
    world.socket.end(1006);
    // The server is away for ten seconds: attempts until then fail.
    while (true) {
      world.tick();
      if (world.now - lostAtMs >= 10_000) break;
      await world.refuse(null);
    }
    const second = Math.floor((world.now - lostAtMs) / 1_000);
    counts.set(second, (counts.get(second) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  assert(counts.size >= 8 && most < 300, JSON.stringify([...counts]));
});

Deno.test("pages that the server told when to come back come back then, not before", () => {
  const random = chance();
  for (let i = 0; i < 100; i++) {
    const world = new World(random);
    world.stay();
    const hintMs = Math.floor(random() * 10_000) + 1;
    const toldAtMs = world.now;
    world.connection.heed("The server is restarting.", hintMs);
    world.socket.end(1012);
    assertEquals(world.state, {
      name: "waiting",
      delayMs: hintMs,
      why: "The server is restarting.",
    });
    world.tick();
    assertEquals(world.openedAtMs.at(-1), toldAtMs + hintMs);
  }
});

Deno.test("what the server asked for is kept when the line breaks without its code", () => {
  for (const code of [1000, 1001, 1005, 1006, 1012, 1013]) {
    const world = new World();
    world.stay();
    world.connection.heed("The server has too much to do.", 4_000);
    world.socket.end(code);
    assertEquals(world.state, {
      name: "waiting",
      delayMs: 4_000,
      why: "The server has too much to do.",
    });
  }
});

Deno.test("after the server's own time each failure backs off as ever", async () => {
  const world = new World();
  world.stay();
  world.connection.heed("The server is restarting.", 4_000);
  world.socket.end(1012);
  world.tick();
  for (const delayMs of [500, 1_000, 2_000, 4_000, 7_500, 7_500]) {
    await world.refuse(null);
    assertEquals(world.state, { name: "waiting", delayMs, why: null });
    world.tick();
  }
});

Deno.test("a server that hangs up at once, again and again, sees the page back off", () => {
  const world = new World();
  const delays = [];
  for (let i = 0; i < 8; i++) {
    world.socket.open();
    world.connection.heed("The server is restarting.", 0);
    world.socket.end(1012);
    assert(world.state.name === "waiting");
    delays.push(world.state.delayMs);
    world.tick();
  }
  assertEquals(delays, [250, 500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500]);
});

Deno.test("nothing brings the page back before the server's time but the button", () => {
  const world = new World();
  world.stay();
  world.connection.heed("The server is restarting.", 4_000);
  world.socket.end(1012);
  const attempts = world.sockets.length;
  world.connection.wake();
  world.connection.networkIsDown();
  assertEquals(world.state, { name: "offline" });
  world.connection.networkIsUp();
  assertEquals(world.sockets.length, attempts);
  assertEquals(world.state, {
    name: "waiting",
    delayMs: 4_000,
    why: "The server is restarting.",
  });
  assertEquals(world.timers, 1);
  world.connection.open();
  assertEquals(world.sockets.length, attempts + 1);
});

Deno.test("Retry-After is obeyed by a whole class, and spreads it", async () => {
  const random = chance();
  const delays: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    const world = new World(random);
    await world.refuse(full);
    const { state } = world;
    assert(state.name === "waiting");
    assertEquals(state.why, "The server is full.");
    delays.push(state.delayMs);
  }
  delays.sort((a, b) => a - b);
  const [first = 0, last = 0] = [delays[0], delays.at(-1)];
  assert(first >= 5_000 && last <= 7_500, `${first} … ${last}`);
  // Of a thousand within 2.5 s, no half second has more than a third.
  for (const from of delays) {
    const close = delays.filter((ms) => ms >= from && ms < from + 500);
    assert(close.length < 333, `${close.length} after ${from} ms`);
  }
});

Deno.test("a server that stays full is asked less and less often, never early", async () => {
  const world = new World(() => 0.999);
  let lastMs = 0;
  for (let i = 0; i < 8; i++) {
    await world.refuse(full);
    assert(world.state.name === "waiting");
    const { delayMs } = world.state;
    assert(delayMs >= 5_000 && delayMs >= lastMs && delayMs < 22_500);
    lastMs = delayMs;
    world.tick();
  }
  assert(lastMs > 20_000, `${lastMs}`);
});

Deno.test("a server that sends the page away for a day sees it after ten minutes", async () => {
  const world = new World(() => 0);
  await world.refuse({ ...full, retryAfterMs: 86_400_000 });
  assert(world.state.name === "waiting");
  assertEquals(world.state.delayMs, 600_000);
  assertEquals(spreadMs(600_000, 0.5), 750_000);
});

Deno.test("a refusal that time does not heal ends the attempts until someone acts", async () => {
  const names = { final: "refused", uninvited: "uninvited" } as const;
  for (const [kind, name] of Object.entries(names)) {
    const world = new World();
    await world.refuse(refusal(kind as keyof typeof names, "No."));
    assertEquals(world.state, { name, why: "No." });
    assertEquals(world.timers, 0);
    world.connection.wake();
    world.connection.networkIsUp();
    assertEquals(world.sockets.length, 1);
    world.connection.open();
    assertEquals(world.sockets.length, 2);
  }
});

const blocked = refusal("blocked", "Blocked.");

/** Where WebSocket is blocked; the page has found out and fallen back. */
async function fallBack(): Promise<World> {
  const world = new World();
  await world.refuse(blocked);
  world.tick();
  await world.refuse(blocked);
  return world;
}

Deno.test("WebSocket is called blocked when two attempts in a row say so", async () => {
  const world = new World();
  for (const answer of [blocked, null, blocked]) {
    await world.refuse(answer);
    assertEquals(world.state, {
      name: "waiting",
      delayMs: world.state.name === "waiting" ? world.state.delayMs : NaN,
      why: null,
    });
    world.tick();
  }
  assertEquals(new Set(world.kinds), new Set(["websocket"]));
  await world.refuse(blocked);
  assertEquals(world.kinds.at(-1), "sse");
  assertEquals(world.connection.kind, "sse");
});

Deno.test("where a stream stays silent the page polls at once, and stays with that", async () => {
  const world = await fallBack();
  world.socket.open();
  assertEquals(world.state, { name: "open" });
  const openedAtMs = world.now;
  world.tick();
  assertEquals(world.now - openedAtMs, 5_000);
  await turn();
  assertEquals(world.kinds.slice(-2), ["sse", "poll"]);
  world.hear();
  assertEquals(world.timers, 0);
  world.socket.end(1006);
  world.tick();
  await turn();
  assertEquals(world.kinds.slice(-2), ["poll", "poll"]);
});

Deno.test("a stream that is refused without a word is followed by polls, and they by a wait", async () => {
  const world = await fallBack();
  world.socket.open();
  world.socket.end(1006);
  await turn();
  assertEquals(world.kinds.at(-1), "poll");
  world.socket.open();
  world.socket.end(1006);
  assertEquals(world.state.name, "waiting");
});

Deno.test("a stream that was heard is not given up when it is lost", async () => {
  const world = await fallBack();
  world.hear();
  assertEquals(world.timers, 0);
  world.socket.end(1006);
  assertEquals(world.state.name, "waiting");
  world.tick();
  await turn();
  assertEquals(world.kinds.slice(-2), ["sse", "sse"]);
});

Deno.test("a line of HTTP is opened only when the server would have it", async () => {
  const world = await fallBack();
  world.hear();
  world.socket.end(1006);
  const lines = world.sockets.length;
  world.refusal = full;
  world.tick();
  assertEquals(world.state, { name: "connecting" });
  await turn();
  assertEquals(world.sockets.length, lines);
  assert(world.state.name === "waiting");
  assertEquals(world.state.why, "The server is full.");
  world.refusal = refusal("uninvited", "No code.");
  world.tick();
  await turn();
  assertEquals<State>(world.state, { name: "uninvited", why: "No code." });
});

Deno.test("WebSocket is tried again when a line is lost after five minutes, or in another network", async () => {
  const world = await fallBack();
  const loseAt = async (nowMs: number) => {
    world.hear();
    world.now = nowMs;
    world.socket.end(1006);
    world.tick();
    await turn();
    return world.kinds.at(-1);
  };
  assertEquals(await loseAt(world.now + 290_000), "sse");
  assertEquals(await loseAt(world.now + 290_000), "websocket");
  // It needs no second attempt now.
  await world.refuse(blocked);
  assertEquals(world.kinds.at(-1), "sse");
  world.hear();
  world.connection.networkIsDown();
  world.connection.networkIsUp();
  assertEquals(world.kinds.at(-1), "websocket");
  world.stay();
  assertEquals(world.connection.kind, "websocket");
});

Deno.test("a knock opens no socket before the server would let it in", async () => {
  const world = new World();
  await world.refuse(refusal("uninvited", "No code."));
  const answers = [
    refusal("uninvited", "A wrong code."),
    { ...full, why: "Too many wrong codes." },
    null,
    refusal("blocked", "Not said."),
  ];
  for (const answer of answers) {
    assertEquals(world.sockets.length, 1);
    world.refusal = answer;
    if (world.timers > 0) world.tick();
    else world.connection.knock();
    assertEquals(world.state, { name: "connecting" });
    await turn();
  }
  assertEquals([world.sockets.length, world.asked], [2, 5]);
  world.stay();
  world.socket.end(1006);
  world.tick();
  assertEquals([world.sockets.length, world.asked], [3, 5]);
});

Deno.test("a knock does not wait for an attempt with the old address", async () => {
  const world = new World();
  world.refusal = refusal("uninvited", "No code.");
  world.socket.end(1006);
  world.refusal = refusal("blocked", "Not said.");
  world.connection.knock();
  await turn();
  assertEquals(world.state, { name: "connecting" });
  assertEquals([world.sockets.length, world.asked], [2, 2]);
});

Deno.test("an attempt that hangs is asked about, and an answer that comes too late is not heard", async () => {
  const world = new World();
  world.refusal = full;
  const before = world.sockets.length;
  world.tick();
  // Asked, not answered yet: opening is under way, so another wish changes nothing.
  world.connection.open();
  assertEquals(world.sockets.length, before);
  world.connection.networkIsUp();
  assertEquals(world.sockets.length, before + 1);
  await turn();
  assertEquals(world.state, { name: "connecting" });
  assertEquals(world.timers, 1);
});

Deno.test("1012 alone says that the server restarts", () => {
  const world = new World();
  world.stay();
  world.socket.end(1012);
  assertEquals(world.state, {
    name: "waiting",
    delayMs: 250,
    why: "The server is restarting.",
  });
});

Deno.test("Retry-After is read as seconds, as a date, or not at all", () => {
  const nowMs = Date.parse("2026-03-10T10:00:00Z");
  const read = (retryAfter: string, date?: string) => {
    const headers = new Headers({ "retry-after": retryAfter });
    if (date !== undefined) headers.set("date", date);
    return parseRetryAfter(headers, nowMs);
  };
  assertEquals(parseRetryAfter(new Headers(), nowMs), 0);
  assertEquals(read("7"), 7_000);
  assertEquals(read("0"), 0);
  assertEquals(read("Tue, 10 Mar 2026 10:00:09 GMT"), 9_000);
  assertEquals(read("Tue, 10 Mar 2026 09:00:00 GMT"), 0);
  // By the server's clock, which the visitor's need not agree with.
  const [date, later] = [
    "Tue, 10 Mar 2026 12:00:00 GMT",
    "Tue, 10 Mar 2026 12:00:30 GMT",
  ];
  assertEquals(read(later, date), 30_000);
  for (const strange of ["", "soon", "-1", "1.5", "1e3", "5, 7"]) {
    assertEquals(read(strange), 0, strange);
  }
});

Deno.test("a refusal is told in the server's words if they are a sentence", async () => {
  const read = (status: number, body: string, type = "text/plain") => {
    const headers = { "content-type": type, "retry-after": "3" };
    return readRefusal(new Response(body, { status, headers }), 0);
  };
  assertEquals(await read(503, "The server is full: try again later.\n"), {
    kind: "later",
    why: "The server is full: try again later.",
    retryAfterMs: 3_000,
  });
  const kinds = [];
  for (const status of [400, 401, 403, 404, 426, 429, 500, 502, 503, 200]) {
    const { kind, why } = await read(status, "<h1>Nginx</h1>", "text/html");
    assert(/^[A-Z][^<>]+\.$/.test(why), why);
    kinds.push(`${status} ${kind}`);
  }
  assertEquals(kinds, [
    "400 final",
    "401 uninvited",
    "403 final",
    "404 later",
    "426 blocked",
    "429 later",
    "500 later",
    "502 later",
    "503 later",
    "200 later",
  ]);
  const long = await read(503, "long ".repeat(100));
  assertEquals(long.why, "The server has no time now.");
  const blocked = await read(426, "Here is a WebSocket.");
  assert(blocked.why.includes("blocks WebSocket"));
});
