// The requests to /x-ray/events, and the connections that each reader may
// watch: with a key those of its own identity, with the moderator's code all of
// them. A session has a recorder only while somebody watches.
import { AccessCode } from "../http/admission.ts";
import type { Hub } from "../room/hub.ts";
import type { HandshakeRecord } from "./handshake_record.ts";
import { SUBPROTOCOL } from "../protocol/requests.ts";
import { HttpError } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";
import type { Session } from "../session/session.ts";
import { EVENT_STREAM_HEADERS } from "../transport/event_stream.ts";
import { ConnectionRecorder, type End, type Shared } from "./recorder.ts";
import { ClosedConnections } from "./closed_connections.ts";
import { EventFeed, Feed, formatFeedEvent } from "./feed.ts";
import { MAX_KEPT_SIZE } from "./kept_frames.ts";
import type { Context } from "../ops/context.ts";
import { tooMany, WatchPlaces } from "./watch_places.ts";

/** Readers with the moderator's code. No other reader takes their places. */
export const MAX_MODERATOR_WATCHERS = 64;

/** Connections that are described; further ones are only counted. */
const MAX_LISTED = 500;

/** How often the overview of all connections is sent again. */
const OVERVIEW_EVERY_MS = 250;

interface Options {
  /** The code to watch all connections; "" if nobody may. */
  moderator: string;
  idleTimeout: number;
}

export class XRay {
  readonly #code: AccessCode | undefined;
  readonly #handshakes = new Map<
    Session,
    { id: number; handshake: HandshakeRecord }
  >();
  readonly #recorders = new Map<Session, ConnectionRecorder>();
  readonly #feedsByKey = new Map<string, Set<EventFeed>>();
  readonly #feeds = new Set<EventFeed>();
  /** The places of people who watch their own connections. */
  readonly #places: WatchPlaces;
  readonly #overviews = new Set<Overview>();
  readonly #closed: ClosedConnections<ClosedRow, ConnectionRecorder>;
  readonly #shared: Shared;
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(
    options: Options,
    private readonly hub: Hub,
    private readonly sessions: () => Iterable<Session>,
    context: Context,
  ) {
    const { moderator, idleTimeout } = options;
    this.#shared = {
      now: context.now,
      idleTimeoutSeconds: idleTimeout,
      space: { left: MAX_KEPT_SIZE },
      settled: (session) => this.#feedsOf(session),
    };
    this.#places = new WatchPlaces(context.monotonic);
    this.#closed = new ClosedConnections(context.monotonic);
    this.#code = moderator === ""
      ? undefined
      : new AccessCode(moderator, MODERATOR_ERRORS);
  }

  /** The feeds that show a session, now that its key is known. */
  #feedsOf(session: Session): Iterable<EventFeed> {
    const feeds = this.#feedsByKey.get(session.key);
    if (feeds === undefined) this.#removeRecorders();
    return feeds ?? [];
  }

  /** A connection has begun. Its handshake is kept until it ends. */
  opened(session: Session, handshake: HandshakeRecord): void {
    const id = ++this.#lastId;
    this.#handshakes.set(session, { id, handshake });
    if (this.#overviews.size > 0) this.#recorderOf(session, true);
    if (this.#feedsByKey.size > 0) this.#await(session, true);
  }

  gone(session: Session): void {
    const recorder = this.#recorders.get(session);
    recorder?.gone();
    const row = this.#describe(session);
    if (this.#overviews.size > 0 && recorder?.end && row) {
      this.#closed.add({ ...row, end: recorder.end }, recorder);
    } else recorder?.forget();
    session.recorder = undefined;
    this.#recorders.delete(session);
    this.#handshakes.delete(session);
  }

  /** Begins no more streams, and answers wrong codes at once. */
  drain(): void {
    this.#isClosed = true;
    this.#code?.close();
  }

  /** Ends every stream. */
  close(): void {
    for (const feed of this.#feeds) feed.close();
    for (const overview of this.#overviews) overview.close();
  }

  /**
   * `GET /x-ray/events`: with `key` the connections of that identity; with
   * `moderator` all of them, or the one that `connection` names. Throws an
   * `HttpError`.
   */
  async events({ searchParams }: URL, from: Owner): Promise<Response> {
    const key = searchParams.get("key");
    if (key !== null) return answer(await this.#watchKey(key, from));
    const code = searchParams.get("moderator") ?? undefined;
    if (this.#code === undefined) throw noModerator();
    const refused = await this.#code.check(code);
    if (refused !== undefined) throw refused;
    this.#checkOpen();
    const count = this.#overviews.size + this.#feeds.size - this.#places.size;
    if (count >= MAX_MODERATOR_WATCHERS) throw tooMany(503);
    const id = searchParams.get("connection");
    return answer(id === null ? this.#watchAll() : this.#watchOne(Number(id)));
  }

  async #watchKey(key: string, from: Owner): Promise<EventFeed> {
    if (await this.hub.identities.identify(key) === undefined) {
      throw new HttpError(403, "No client of this server has this key.");
    }
    this.#checkOpen();
    const leave = this.#places.take(
      key,
      from,
      (why) => feed.end(formatFeedEvent("superseded", { why })),
    );
    const feeds = this.#feedsByKey.get(key) ?? new Set();
    const feed = this.#newFeed(() => {
      leave();
      feeds.delete(feed);
      if (feeds.size === 0) this.#feedsByKey.delete(key);
    });
    feeds.add(feed);
    this.#feedsByKey.set(key, feeds);
    for (const session of this.sessions()) {
      if (session.key === key) this.#recorderOf(session)?.show(feed);
      else if (session.key === "") this.#await(session, false);
    }
    return feed;
  }

  /** Only the full dialect has keys. */
  #await(session: Session, isNew: boolean): void {
    if (this.#handshakes.get(session)?.handshake.dialect !== SUBPROTOCOL) {
      return;
    }
    this.#recorderOf(session, isNew)?.awaitIdentity(isNew);
  }

  #watchOne(id: number): EventFeed {
    const recorder = this.#find(id) ?? this.#closed.recorderOf(id);
    if (recorder === undefined) {
      throw new HttpError(404, "This connection has ended.");
    }
    const feed = this.#newFeed(() => recorder.feeds.delete(feed));
    recorder.showAll(feed);
    return feed;
  }

  #find(id: number): ConnectionRecorder | undefined {
    for (const session of this.sessions()) {
      if (this.#handshakes.get(session)?.id !== id) continue;
      return this.#recorderOf(session);
    }
  }

  #watchAll(): Overview {
    const overview = new Overview(
      this.sessions,
      (session) => this.#describe(session),
      () => this.#closed.rows,
      () => {
        this.#overviews.delete(overview);
        if (this.#overviews.size === 0) {
          clearInterval(this.#timer);
          this.#closed.clear();
        }
        this.#removeRecorders();
      },
    );
    if (this.#overviews.size === 0) {
      this.#timer = setInterval(() => this.#tick(), OVERVIEW_EVERY_MS);
    }
    this.#overviews.add(overview);
    for (const session of this.sessions()) this.#recorderOf(session);
    return overview;
  }

  #tick(): void {
    this.#closed.removeOld();
    for (const overview of this.#overviews) overview.tick();
  }

  #newFeed(onEnd: () => void): EventFeed {
    const feed = new EventFeed((feed) => {
      this.#feeds.delete(feed);
      for (const recorder of this.#recorders.values()) {
        recorder.feeds.delete(feed);
      }
      onEnd();
      this.#removeRecorders();
    });
    this.#feeds.add(feed);
    return feed;
  }

  /** The recorder of a session, made if there is none. */
  #recorderOf(
    session: Session,
    isNew = false,
  ): ConnectionRecorder | undefined {
    const known = this.#handshakes.get(session);
    if (known === undefined || session.recorder !== undefined) {
      return this.#recorders.get(session);
    }
    const { id, handshake } = known;
    const recorder = new ConnectionRecorder(
      id,
      session,
      handshake,
      this.#shared,
      isNew,
    );
    session.recorder = (happening) => recorder.record(happening);
    this.#recorders.set(session, recorder);
    return recorder;
  }

  /** Removes recorders that nobody needs. */
  #removeRecorders(): void {
    if (this.#overviews.size > 0) return;
    for (const [session, recorder] of this.#recorders) {
      const isAwaited = this.#feedsByKey.size > 0 && recorder.isAwaited;
      if (recorder.feeds.size > 0 || isAwaited) continue;
      session.recorder = undefined;
      recorder.forget();
      this.#recorders.delete(session);
    }
  }

  /** The row for a connection in the overview. */
  #describe(session: Session): Row | undefined {
    const known = this.#handshakes.get(session);
    if (known === undefined) return undefined;
    const { id, handshake: { transport, dialect } } = known;
    const recorder = this.#recorders.get(session);
    return {
      id,
      name: session.name,
      room: session.roomName,
      transport,
      dialect,
      in: recorder?.counts.in ?? { frames: 0, bytes: 0 },
      out: recorder?.counts.out ?? { frames: 0, bytes: 0 },
      waiting: session.waitingBytes,
      closing: session.closing ?? null,
      last: recorder?.last ?? null,
    };
  }

  #checkOpen(): void {
    if (this.#isClosed) {
      throw new HttpError(503, "The server is shutting down.");
    }
  }
}

/** A row about one connection, for the overview. */
type Row =
  & { id: number; name: string; room: string; waiting: number }
  & Pick<HandshakeRecord, "transport" | "dialect">
  & ConnectionRecorder["counts"]
  & { last: ConnectionRecorder["last"] | null }
  /** Set if the server closed it and waits for the client's close frame. */
  & { closing: Session["closing"] | null };

/** A row about a connection that has closed. */
type ClosedRow = Row & { end: End };

/** All connections in short: an event says what changed since the last. */
class Overview {
  /** The last row that was sent, by the connection's number. */
  #told = new Map<number, string>();
  #toldCount = -1;
  #toldClosed = "[]";
  #isDue = true;
  readonly #feed: Feed;

  constructor(
    private readonly sessions: () => Iterable<Session>,
    private readonly describe: (session: Session) => Row | undefined,
    private readonly closed: () => ClosedRow[],
    onEnd: () => void,
  ) {
    this.#feed = new Feed(() => this.#drain(), onEnd);
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#feed.body;
  }

  tick(): void {
    this.#isDue = true;
    this.#feed.wake();
  }

  close(): void {
    this.#feed.close();
  }

  #drain(): string | undefined {
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
    const closed = JSON.stringify(this.closed());
    const isSame = changed.length === 0 && gone.length === 0 &&
      count === this.#toldCount && closed === this.#toldClosed;
    if (isSame) return undefined;
    const closedPart = closed === this.#toldClosed ? "" : `,"closed":${closed}`;
    this.#told = lines;
    this.#toldCount = count;
    this.#toldClosed = closed;
    const text = changed.map(([, line]) => line).join(",");
    return `event: connections\ndata: {"count":${count},"gone":[${gone}],` +
      `"lines":[${text}]${closedPart}}\n\n`;
  }
}

function answer({ body }: { body: ReadableStream<Uint8Array> }): Response {
  return new Response(body, { headers: EVENT_STREAM_HEADERS });
}

function noModerator(): HttpError {
  return new HttpError(
    403,
    "This server was started without a moderator's code.",
  );
}

const MODERATOR_ERRORS = {
  missing: () =>
    new HttpError(
      403,
      "To watch all connections, give the moderator's code: " +
        "the server prints a link with it when started with --show-moderator.",
    ),
  wrong: () =>
    new HttpError(
      403,
      "This is not the moderator's code: ask the server's operator.",
    ),
  tooMany: (retryAfter: Record<string, string>) =>
    new HttpError(
      429,
      "This is not the moderator's code, and the server is getting too many wrong ones: " +
        "look for the code in the server's terminal, and try again later.",
      retryAfter,
    ),
};
