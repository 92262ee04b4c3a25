// The page's line to the server without a browser: when it comes back, why it
// waits, and what it makes of a refusal. Sockets and timers are the test's own.
import { setImmediate } from "node:timers";
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  Connection,
  retryDelayMs,
  spreadMs,
  type State,
} from "../../static/client/connection.js";
import {
  parseRetryAfter,
  readHttpError,
  whyClosed,
} from "../../static/client/http_error.js";
import { Dice } from "../stress/dice.ts";
import { newSeed } from "../support/seed.ts";

type Timer = ReturnType<typeof setTimeout>;
type HttpError = Awaited<ReturnType<typeof readHttpError>>;

const seed = newSeed();
const chance = (dice = new Dice(seed, 0)) => () => dice.next();

/** One turn of the event loop. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

class Socket extends EventTarget {
  readyState = 0;
  isResting = false;
  rest(isResting: boolean) {
    this.isResting = isResting;
  }
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

/** A page's connection; sockets, answers and time are in the test's hands. */
class Page {
  now = 0;
  /** What the next question will be answered with. */
  httpError: HttpError | null = null;
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
          return Promise.resolve(this.httpError);
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
  async refuse(httpError: HttpError | null): Promise<void> {
    this.httpError = httpError;
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

const full: HttpError = {
  status: 503,
  kind: "later",
  why: "The server is full.",
  retryAfterMs: 5_000,
};
const httpError = (kind: HttpError["kind"], why: string): HttpError => ({
  status: 400,
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
  const pages = Array.from({ length: 1_000 }, () => new Page(random));
  const counts = new Map<number, number>();
  for (const page of pages) {
    page.stay();
    const lostAtMs = page.now;
    page.socket.end(1006);
    // The server is away for ten seconds: attempts until then fail.
    while (true) {
      page.tick();
      if (page.now - lostAtMs >= 10_000) break;
      await page.refuse(null);
    }
    const second = Math.floor((page.now - lostAtMs) / 1_000);
    counts.set(second, (counts.get(second) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  assert(counts.size >= 8 && most < 300, JSON.stringify([...counts]));
});

Deno.test("pages that the server told when to come back come back then, not before", () => {
  const random = chance();
  for (let i = 0; i < 100; i++) {
    const page = new Page(random);
    page.stay();
    const hintMs = Math.floor(random() * 10_000) + 1;
    const toldAtMs = page.now;
    page.connection.heed("The server is restarting.", hintMs);
    page.socket.end(1012);
    assertEquals(page.state, {
      name: "waiting",
      delayMs: hintMs,
      why: "The server is restarting.",
    });
    page.tick();
    assertEquals(page.openedAtMs.at(-1), toldAtMs + hintMs);
  }
});

Deno.test("what the server asked for is kept when the line breaks without its code", () => {
  for (const code of [1000, 1001, 1005, 1006, 1012, 1013]) {
    const page = new Page();
    page.stay();
    page.connection.heed("The server has too much to do.", 4_000);
    page.socket.end(code);
    assertEquals(page.state, {
      name: "waiting",
      delayMs: 4_000,
      why: "The server has too much to do.",
    });
  }
});

Deno.test("after the server's own time each failure backs off as ever", async () => {
  const page = new Page();
  page.stay();
  page.connection.heed("The server is restarting.", 4_000);
  page.socket.end(1012);
  page.tick();
  for (const delayMs of [500, 1_000, 2_000, 4_000, 7_500, 7_500]) {
    await page.refuse(null);
    const why = "The server is restarting.";
    assertEquals(page.state, { name: "waiting", delayMs, why });
    page.tick();
  }
});

Deno.test("why a line ended stays told while the server does not answer", async () => {
  const page = new Page();
  page.stay();
  page.socket.end(1001);
  const told = () => {
    assert(page.state.name === "waiting");
    return [page.connection.endCode, page.state.why];
  };
  const stopped = [1001, whyClosed(1001)];
  assertMatch(whyClosed(1001) ?? "", /^The server went away.*1001\)\.$/);
  assertEquals(told(), stopped);
  for (let i = 0; i < 3; i++) {
    page.tick();
    await page.refuse(null);
    assertEquals(told(), stopped);
  }
  // Until the line was open again, and ends in another way.
  page.tick();
  page.stay();
  page.socket.end(1006);
  assertEquals(told(), [1006, null]);
});

Deno.test("a server that hangs up at once, again and again, sees the page back off", () => {
  const page = new Page();
  const delays = [];
  for (let i = 0; i < 8; i++) {
    page.socket.open();
    page.connection.heed("The server is restarting.", 0);
    page.socket.end(1012);
    assert(page.state.name === "waiting");
    delays.push(page.state.delayMs);
    page.tick();
  }
  assertEquals(delays, [250, 500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500]);
});

Deno.test("nothing brings the page back before the server's time but the button", () => {
  const page = new Page();
  page.stay();
  page.connection.heed("The server is restarting.", 4_000);
  page.socket.end(1012);
  const attempts = page.sockets.length;
  page.connection.wake();
  page.connection.networkIsDown();
  assertEquals(page.state, { name: "offline" });
  page.connection.networkIsUp();
  assertEquals(page.sockets.length, attempts);
  assertEquals(page.state, {
    name: "waiting",
    delayMs: 4_000,
    why: "The server is restarting.",
  });
  assertEquals(page.timers, 1);
  page.connection.open();
  assertEquals(page.sockets.length, attempts + 1);
});

Deno.test("Retry-After is obeyed by a whole class, and spreads it", async () => {
  const random = chance();
  const delays: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    const page = new Page(random);
    await page.refuse(full);
    const { state } = page;
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
  const page = new Page(() => 0.999);
  let lastMs = 0;
  for (let i = 0; i < 8; i++) {
    await page.refuse(full);
    assert(page.state.name === "waiting");
    const { delayMs } = page.state;
    assert(delayMs >= 5_000 && delayMs >= lastMs && delayMs < 22_500);
    lastMs = delayMs;
    page.tick();
  }
  assert(lastMs > 20_000, `${lastMs}`);
});

Deno.test("a server that sends the page away for a day sees it after ten minutes", async () => {
  const page = new Page(() => 0);
  await page.refuse({ ...full, retryAfterMs: 86_400_000 });
  assert(page.state.name === "waiting");
  assertEquals(page.state.delayMs, 600_000);
  assertEquals(spreadMs(600_000, 0.5), 750_000);
});

Deno.test("a refusal that time does not heal ends the attempts until someone acts", async () => {
  const names = { final: "refused", uninvited: "uninvited" } as const;
  for (const [kind, name] of Object.entries(names)) {
    const page = new Page();
    await page.refuse(httpError(kind as keyof typeof names, "No."));
    assertEquals(page.state, { name, why: "No." });
    assertEquals(page.timers, 0);
    page.connection.wake();
    page.connection.networkIsUp();
    assertEquals(page.sockets.length, 1);
    page.connection.open();
    assertEquals(page.sockets.length, 2);
  }
});

const blocked = httpError("blocked", "Blocked.");

/** Where WebSocket is blocked; the page has found out and fallen back. */
async function fallBack(): Promise<Page> {
  const page = new Page();
  await page.refuse(blocked);
  page.tick();
  await page.refuse(blocked);
  return page;
}

Deno.test("WebSocket is called blocked when two attempts in a row say so", async () => {
  const page = new Page();
  for (const answer of [blocked, null, blocked]) {
    await page.refuse(answer);
    assertEquals(page.state, {
      name: "waiting",
      delayMs: page.state.name === "waiting" ? page.state.delayMs : NaN,
      why: null,
    });
    page.tick();
  }
  assertEquals(new Set(page.kinds), new Set(["websocket"]));
  await page.refuse(blocked);
  assertEquals(page.kinds.at(-1), "sse");
  assertEquals(page.connection.kind, "sse");
});

Deno.test("where a stream stays silent the page polls at once, and stays with that", async () => {
  const page = await fallBack();
  page.socket.open();
  assertEquals(page.state, { name: "open" });
  const openedAtMs = page.now;
  page.tick();
  assertEquals(page.now - openedAtMs, 5_000);
  await turn();
  assertEquals(page.kinds.slice(-2), ["sse", "poll"]);
  page.hear();
  assertEquals(page.timers, 0);
  page.socket.end(1006);
  page.tick();
  await turn();
  assertEquals(page.kinds.slice(-2), ["poll", "poll"]);
});

Deno.test("a stream that is refused without a word is followed by polls, and they by a wait", async () => {
  const page = await fallBack();
  page.socket.open();
  page.socket.end(1006);
  await turn();
  assertEquals(page.kinds.at(-1), "poll");
  page.socket.open();
  page.socket.end(1006);
  assertEquals(page.state.name, "waiting");
});

Deno.test("a stream that was heard is not given up when it is lost", async () => {
  const page = await fallBack();
  page.hear();
  assertEquals(page.timers, 0);
  page.socket.end(1006);
  assertEquals(page.state.name, "waiting");
  page.tick();
  await turn();
  assertEquals(page.kinds.slice(-2), ["sse", "sse"]);
});

Deno.test("a stream that is to rest becomes polls for good, which rest and go on as they are", async () => {
  const page = await fallBack();
  page.hear();
  page.connection.rest(true);
  await turn();
  page.hear();
  assertEquals(page.kinds.slice(-2), ["sse", "poll"]);
  assert(page.socket.isResting);
  const lines = page.sockets.length;
  page.connection.rest(false);
  assert(!page.socket.isResting);
  page.connection.rest(true);
  assert(page.socket.isResting);
  assertEquals(page.sockets.length, lines);
  page.connection.rest(false);
  page.socket.end(1006);
  page.tick();
  await turn();
  assertEquals(page.kinds.slice(lines), ["poll"]);
  assert(!page.socket.isResting);
});

Deno.test("a WebSocket that is to rest stays as it is, and what comes after it in a network without is polls", async () => {
  const page = new Page();
  page.stay();
  page.connection.rest(true);
  assertEquals(page.kinds, ["websocket"]);
  page.socket.end(1006);
  page.tick();
  await page.refuse(blocked);
  page.tick();
  await page.refuse(blocked);
  assertEquals(page.kinds.at(-1), "poll");
  assert(page.socket.isResting);
});

Deno.test("a line of HTTP is opened only when the server would have it", async () => {
  const page = await fallBack();
  page.hear();
  page.socket.end(1006);
  const lines = page.sockets.length;
  page.httpError = full;
  page.tick();
  assertEquals(page.state, { name: "connecting" });
  await turn();
  assertEquals(page.sockets.length, lines);
  assert(page.state.name === "waiting");
  assertEquals(page.state.why, "The server is full.");
  page.httpError = httpError("uninvited", "No code.");
  page.tick();
  await turn();
  assertEquals<State>(page.state, { name: "uninvited", why: "No code." });
});

Deno.test("WebSocket is tried again when a line is lost after five minutes, or in another network", async () => {
  const page = await fallBack();
  const loseAt = async (nowMs: number) => {
    page.hear();
    page.now = nowMs;
    page.socket.end(1006);
    page.tick();
    await turn();
    return page.kinds.at(-1);
  };
  assertEquals(await loseAt(page.now + 290_000), "sse");
  assertEquals(await loseAt(page.now + 290_000), "websocket");
  // It needs no second attempt now.
  await page.refuse(blocked);
  assertEquals(page.kinds.at(-1), "sse");
  page.hear();
  page.connection.networkIsDown();
  page.connection.networkIsUp();
  assertEquals(page.kinds.at(-1), "websocket");
  page.stay();
  assertEquals(page.connection.kind, "websocket");
});

Deno.test("a knock opens no socket before the server would let it in", async () => {
  const page = new Page();
  await page.refuse(httpError("uninvited", "No code."));
  const answers = [
    httpError("uninvited", "A wrong code."),
    { ...full, why: "Too many wrong codes." },
    null,
    httpError("blocked", "Not said."),
  ];
  for (const answer of answers) {
    assertEquals(page.sockets.length, 1);
    page.httpError = answer;
    if (page.timers > 0) page.tick();
    else page.connection.knock();
    assertEquals(page.state, { name: "connecting" });
    await turn();
  }
  assertEquals([page.sockets.length, page.asked], [2, 5]);
  page.stay();
  page.socket.end(1006);
  page.tick();
  assertEquals([page.sockets.length, page.asked], [3, 5]);
});

Deno.test("a knock does not wait for an attempt with the old address", async () => {
  const page = new Page();
  page.httpError = httpError("uninvited", "No code.");
  page.socket.end(1006);
  page.httpError = httpError("blocked", "Not said.");
  page.connection.knock();
  await turn();
  assertEquals(page.state, { name: "connecting" });
  assertEquals([page.sockets.length, page.asked], [2, 2]);
});

Deno.test("an attempt that hangs is asked about, and an answer that comes too late is not heard", async () => {
  const page = new Page();
  page.httpError = full;
  const before = page.sockets.length;
  page.tick();
  // Asked, not answered yet: opening is under way, so another wish changes nothing.
  page.connection.open();
  assertEquals(page.sockets.length, before);
  page.connection.networkIsUp();
  assertEquals(page.sockets.length, before + 1);
  await turn();
  assertEquals(page.state, { name: "connecting" });
  assertEquals(page.timers, 1);
});

Deno.test("1012 alone says that the server restarts", () => {
  const page = new Page();
  page.stay();
  page.socket.end(1012);
  assertEquals(page.state, {
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
    return readHttpError(new Response(body, { status, headers }), 0);
  };
  assertEquals(await read(503, "The server is full: try again later.\n"), {
    status: 503,
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
  assertEquals(long.why, "The server is busy now.");
  const blocked = await read(426, "This address is for WebSocket.");
  assert(blocked.why.includes("blocks WebSocket"));
});
