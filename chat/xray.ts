// Owns who watches what of the connections, and the requests to /x-ray/events.
// Never looks into a frame and never changes a connection but for its tap.
// Invariant: a session has a tap only while somebody watches; a key shows the
// connections of its own identity, only the moderator's code shows all.
import { Invitation } from "./doors.ts";
import type { Lobby } from "./lobby.ts";
import type { Opening } from "./opening.ts";
import { SUBPROTOCOL } from "./protocol.ts";
import { Refusal, retryAfter, wrongMethod } from "./refusal.ts";
import type { Session } from "./session.ts";
import { EVENT_STREAM_HEADERS } from "./sse.ts";
import { ConnectionTap, type Watchers } from "./tap.ts";
import { Trace, Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** Watchers at a time: all together, and of one identity. */
export const MAX_WATCHERS = 256;
export const MAX_WATCHERS_PER_KEY = 4;

/** Connections that are shown at once; of the others only the number. */
export const MAX_LISTED = 500;

/** How often what changed among all connections is told. */
export const OVERVIEW_EVERY_MS = 250;

const RETRY_MS = 5_000;

interface Options {
  /** Lets whoever has it watch all; nobody if it is empty. */
  moderator: string;
  idleTimeout: number;
}

export class XRay implements Watchers {
  readonly #code: Invitation | undefined;
  readonly #openings = new WeakMap<Session, { id: number; opening: Opening }>();
  readonly #taps = new Map<Session, ConnectionTap>();
  readonly #tracesByKey = new Map<string, Set<Trace>>();
  readonly #traces = new Set<Trace>();
  readonly #overviews = new Set<Overview>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(
    private readonly options: Options,
    private readonly lobby: Lobby,
    private readonly sessions: () => Iterable<Session>,
    private readonly world: World,
  ) {
    const { moderator } = options;
    this.#code = moderator === ""
      ? undefined
      : new Invitation(moderator, world.now, MODERATOR_REFUSALS);
  }

  get now(): () => number {
    return this.world.now;
  }

  get idleTimeoutSeconds(): number {
    return this.options.idleTimeout;
  }

  settled(session: Session): Iterable<Trace> {
    const traces = this.#tracesByKey.get(session.key);
    if (traces === undefined) this.#untap();
    return traces ?? [];
  }

  /** A connection has begun. Its opening is kept for as long as it lasts. */
  opened(session: Session, opening: Opening): void {
    const id = ++this.#lastId;
    this.#openings.set(session, { id, opening });
    if (this.#overviews.size > 0) this.#tap(session);
    if (this.#tracesByKey.size > 0) this.#await(session, true);
  }

  gone(session: Session): void {
    this.#taps.get(session)?.gone();
    this.#taps.delete(session);
  }

  /** Ends every watch, begins none, and makes no wrong code wait any more. */
  close(): void {
    this.#isClosed = true;
    this.#code?.close();
    for (const trace of this.#traces) trace.close();
    for (const overview of this.#overviews) overview.close();
  }

  /**
   * `GET /x-ray/events`: with `key` the connections of that identity; with
   * `moderator` all of them, or the one that `connection` names. `from` names
   * the TCP connection. Throws a `Refusal`.
   */
  async events(
    { method }: Request,
    { searchParams }: URL,
    from: string,
  ): Promise<Response> {
    if (method !== "GET") throw wrongMethod(["GET"]);
    const key = searchParams.get("key");
    if (key !== null) return answer(await this.#watchKey(key));
    const code = searchParams.get("moderator") ?? undefined;
    if (this.#code === undefined) throw noModerator();
    const refused = await this.#code.check(code, from);
    if (refused !== undefined) throw refused;
    this.#checkSpace();
    const id = searchParams.get("connection");
    return answer(id === null ? this.#watchAll() : this.#watchOne(Number(id)));
  }

  async #watchKey(key: string): Promise<Trace> {
    if (!await this.lobby.isKnown(key)) {
      throw new Refusal(403, "Nobody here has this key.");
    }
    this.#checkSpace();
    const traces = this.#tracesByKey.get(key) ?? new Set();
    if (traces.size >= MAX_WATCHERS_PER_KEY) throw tooMany(429);
    const trace = this.#newTrace(() => {
      traces.delete(trace);
      if (traces.size === 0) this.#tracesByKey.delete(key);
    });
    traces.add(trace);
    this.#tracesByKey.set(key, traces);
    for (const session of this.sessions()) {
      if (session.key === key) this.#tap(session)?.show(trace);
      else if (session.key === "") this.#await(session, false);
    }
    return trace;
  }

  /** Only the full dialect has keys. */
  #await(session: Session, isNew: boolean): void {
    if (this.#openings.get(session)?.opening.dialect !== SUBPROTOCOL) return;
    this.#tap(session)?.awaitOwner(isNew);
  }

  #watchOne(id: number): Trace {
    for (const session of this.sessions()) {
      if (this.#openings.get(session)?.id !== id) continue;
      const trace = this.#newTrace(() => {});
      this.#tap(session)?.show(trace);
      return trace;
    }
    throw new Refusal(404, "This connection is gone.");
  }

  #watchAll(): Overview {
    const overview = new Overview(
      this.sessions,
      (session) => this.#describe(session),
      () => {
        this.#overviews.delete(overview);
        if (this.#overviews.size === 0) clearInterval(this.#timer);
        this.#untap();
      },
    );
    if (this.#overviews.size === 0) {
      this.#timer = setInterval(() => this.#tick(), OVERVIEW_EVERY_MS);
    }
    this.#overviews.add(overview);
    for (const session of this.sessions()) this.#tap(session);
    return overview;
  }

  #tick(): void {
    for (const overview of this.#overviews) overview.tick();
  }

  #newTrace(onEnd: () => void): Trace {
    const trace = new Trace((trace) => {
      this.#traces.delete(trace);
      for (const tap of this.#taps.values()) tap.traces.delete(trace);
      onEnd();
      this.#untap();
    });
    this.#traces.add(trace);
    return trace;
  }

  /** The tap of a session, made if need be. */
  #tap(session: Session): ConnectionTap | undefined {
    const known = this.#openings.get(session);
    if (known === undefined || session.tap !== undefined) {
      return this.#taps.get(session);
    }
    const { id, opening } = known;
    const tap = new ConnectionTap(id, session, opening, this);
    session.tap = tap;
    this.#taps.set(session, tap);
    return tap;
  }

  /** Takes away the taps that are of use to nobody. */
  #untap(): void {
    if (this.#overviews.size > 0) return;
    for (const [session, tap] of this.#taps) {
      const isAwaited = this.#tracesByKey.size > 0 && tap.isAwaited;
      if (tap.traces.size > 0 || isAwaited) continue;
      session.tap = undefined;
      this.#taps.delete(session);
    }
  }

  /** A line about one connection, for the overview. */
  #describe(session: Session): Line | undefined {
    const known = this.#openings.get(session);
    if (known === undefined) return undefined;
    const { id, opening: { transport, dialect } } = known;
    const tap = this.#taps.get(session);
    return {
      id,
      name: session.name,
      room: session.roomName,
      transport,
      dialect,
      in: tap?.counts.in ?? { frames: 0, bytes: 0 },
      out: tap?.counts.out ?? { frames: 0, bytes: 0 },
      waiting: session.waitingBytes,
      last: tap?.last ?? null,
    };
  }

  #checkSpace(): void {
    const count = this.#traces.size + this.#overviews.size;
    if (count >= MAX_WATCHERS) throw tooMany(503);
    if (this.#isClosed) throw new Refusal(503, "The server is shutting down.");
  }
}

type Line =
  & { id: number; name: string; room: string; waiting: number }
  & Pick<Opening, "transport" | "dialect">
  & ConnectionTap["counts"]
  & { last: ConnectionTap["last"] | null };

/** All connections, condensed: what changed since the reader heard of it. */
class Overview {
  /** As it was told last, by the connection's number. */
  #told = new Map<number, string>();
  #toldCount = -1;
  #isDue = true;
  readonly #watch: Watch;

  constructor(
    private readonly sessions: () => Iterable<Session>,
    private readonly describe: (session: Session) => Line | undefined,
    onEnd: () => void,
  ) {
    this.#watch = new Watch(() => this.#take(), onEnd);
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#watch.body;
  }

  tick(): void {
    this.#isDue = true;
    this.#watch.wake();
  }

  close(): void {
    this.#watch.close();
  }

  #take(): string | undefined {
    if (!this.#isDue) return undefined;
    this.#isDue = false;
    const lines = new Map<number, string>();
    let count = 0;
    for (const session of this.sessions()) {
      count++;
      if (lines.size >= MAX_LISTED) continue;
      const line = this.describe(session);
      if (line !== undefined) lines.set(line.id, JSON.stringify(line));
    }
    const told = this.#told;
    const changed = [...lines].filter(([id, line]) => told.get(id) !== line);
    const gone = [...told.keys()].filter((id) => !lines.has(id));
    const isSame = changed.length === 0 && gone.length === 0 &&
      count === this.#toldCount;
    if (isSame) return undefined;
    this.#told = lines;
    this.#toldCount = count;
    const text = changed.map(([, line]) => line).join(",");
    return `event: connections\ndata: {"count":${count},"gone":[${gone}],` +
      `"lines":[${text}]}\n\n`;
  }
}

function answer({ body }: { body: ReadableStream<Uint8Array> }): Response {
  return new Response(body, { headers: EVENT_STREAM_HEADERS });
}

function noModerator(): Refusal {
  return new Refusal(403, "This server was started without a moderator.");
}

function tooMany(status: number): Refusal {
  const message = "Too many watch already: try again later.";
  return new Refusal(status, message, retryAfter(RETRY_MS));
}

const MODERATOR_REFUSALS = {
  missing: () =>
    new Refusal(
      403,
      "Who watches all connections needs the moderator's code: " +
        "open the link that the server printed when it started.",
    ),
  wrong: () =>
    new Refusal(403, "This is not the moderator's code: see the terminal."),
  tooMany: (retryAfter: Record<string, string>) =>
    new Refusal(
      429,
      "Too many wrong codes were tried here: wait a while.",
      retryAfter,
    ),
};
