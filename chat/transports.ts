// Owns what a request to /events and /messages means: it becomes a session of
// the full dialect on another line, or speaks for one, here or on another
// server. Never decides who may come in.
// Invariant: whoever is here by HTTP is a member like any other, with the same
// limits; a request that fails is answered with a sentence.
import type { Lobby } from "./lobby.ts";
import { LogError } from "./log.ts";
import { LastWords, Mailbox } from "./poll.ts";
import {
  type ErrorCode,
  exceedsChars,
  type Hello,
  MAX_HISTORY,
  MAX_ID_CHARS,
  parseRequest,
  readSince,
  type Request as Asked,
} from "./protocol.ts";
import { Refusal, refuse, retryAfter } from "./refusal.ts";
import { LOG_RETRY_MS } from "./room.ts";
import type { Line, Session, Surroundings } from "./session.ts";
import { type Answer, LOG_FAILED, V1Session } from "./session_v1.ts";
import { EVENT_STREAM_HEADERS, EventStream } from "./sse.ts";

/** Longest wait of a long poll; networks often cut at 60 s. */
export const MAX_WAIT_SECONDS = 50;

/** How long the body of a request may take. */
const BODY_TIMEOUT_MS = 10_000;

/** How long a log may take to say where the room stands. */
const WELCOME_TIMEOUT_MS = 10_000;

const TAKEN_OVER = "Another connection came with this key.";
const HAS_ENDED = "This line has ended: open /events or /messages anew.";

export interface Host {
  lobby: Lobby;
  /** Has another server do what a request asks; at most within `waitMs`. */
  ask(node: string, question: string, waitMs: number): Promise<string>;
  surroundings(roomName: string, client: string): Surroundings;
  /** Throws if one more cannot come in. */
  checkSpace(roomName: string): void;
  /** Counts a session as a connection until it is gone. */
  keep(session: Session, isGone: Promise<void>, request: Request): void;
}

/** A request to /messages, as one server passes it on to another. */
interface PassedOn {
  method: string;
  search: string;
  headers: Record<string, string>;
  /** What was posted, with an id: it may be that it was stored already. */
  asked?: Asked;
  roomName: string;
  client: string;
}

/** How long another server may take, beside what the request may wait. */
const PASSED_ON_TIMEOUT_MS = 10_000;

/** How many servers may be asked for one request. */
export const MAX_ASKED = 4;

/** What another server answers, or the one that has to be asked instead. */
type Told =
  | { status: number; headers: Record<string, string>; body: string }
  | { node: string };

/** Somebody is on another server with the key of a request. */
class Elsewhere extends Error {
  constructor(readonly node: string) {
    super();
  }
}

interface Opened<L extends Line> {
  session: V1Session;
  line: L;
}

export class Transports {
  readonly #mailboxes = new Map<V1Session, Mailbox>();
  readonly #lastWords = new LastWords();
  /** What clients call their lines. */
  readonly #lineNames = new WeakMap<V1Session, string>();
  /** Who is about to be here, by key. */
  readonly #coming = new Map<string, V1Session>();

  constructor(private readonly host: Host) {}

  /** `GET /events`: all that happens, as Server-Sent Events. */
  events(request: Request, url: URL, at: Surroundings): Response {
    const hello = readHello(request.headers, url);
    const opened: Opened<EventStream> = this.#open(
      request,
      hello,
      readLine(url),
      at,
      (onEnd) => new EventStream(() => opened.session.epoch, onEnd),
    );
    return new Response(opened.line.body, { headers: EVENT_STREAM_HEADERS });
  }

  /**
   * `GET /messages`: without `wait` a new session, and its welcome; with it
   * what is new since then, at once or when there is something. A client that
   * names its `line` is told, with the next request, why that ended.
   */
  poll(request: Request, url: URL, at: Surroundings): Promise<Response> {
    const answer = this.#poll(request, url, at);
    return this.#orElsewhere(request, url, undefined, at, answer);
  }

  async #poll(
    request: Request,
    url: URL,
    at: Surroundings,
  ): Promise<Response> {
    const hello = readHello(request.headers, url);
    const lineName = readLine(url);
    const waitSeconds = readCount(url, "wait", MAX_WAIT_SECONDS);
    const isNew = waitSeconds === undefined;
    const lastWords = isNew
      ? undefined
      : this.#lastWords.take(lineName, at.world.now());
    if (lastWords !== undefined) return json(`[${lastWords.join(",")}]`);
    const find = () => this.#mailboxOf(hello, lineName, at);
    let known = isNew ? undefined : await find();
    // While the log was asked, another request may have brought somebody.
    while (!isNew && known === undefined && this.#isComing(hello.key)) {
      known = await find();
    }
    const mailbox = known ??
      this.#openMailbox(request, hello, lineName, at).line;
    const seq = known === undefined ? 0 : hello.since?.seq ?? 0;
    // The welcome is always on its way.
    const waitMs = known === undefined
      ? WELCOME_TIMEOUT_MS
      : (waitSeconds ?? 0) * 1000;
    try {
      const events = await mailbox.take(seq, waitMs);
      return json(`[${events.join(",")}]`);
    } finally {
      mailbox.answered();
    }
  }

  /** `POST /messages`: says something, and answers when it is stored. */
  async post(
    request: Request,
    url: URL,
    at: Surroundings,
  ): Promise<Response> {
    const text = await readBody(request, at.limits.maxFrame);
    const asked = readAsked(request.headers, text);
    const answer = this.#post(request, url, asked, at);
    return await this.#orElsewhere(request, url, asked, at, answer);
  }

  async #post(
    request: Request,
    url: URL,
    asked: Asked,
    at: Surroundings,
  ): Promise<Response> {
    const key = readKey(request.headers, url);
    const lineName = readLine(url);
    const find = () => this.#present(key, lineName, at);
    let session = await find();
    while (session === undefined && this.#isComing(key)) session = await find();
    if (asked.type !== "message") {
      if (session === undefined) {
        throw new Refusal(409, "Open /events or /messages first.");
      }
      session.received(JSON.stringify(asked));
      return json('{"accepted":true}', 202);
    }
    if (session === undefined) {
      const name = url.searchParams.get("name");
      const hello: Hello = { type: "hello", history: 0 };
      if (key !== undefined) hello.key = key;
      if (name !== null) hello.name = name;
      session = this.#openMailbox(request, hello, undefined, at).session;
    }
    const { message, id } = asked;
    const answer = await session.post(message, id);
    if (answer.type === "ended" && lineName === undefined) {
      // Without a line's name it is for whoever has the key, by now another.
      const next = await this.#present(session.key || key, undefined, at);
      if (next !== undefined) return tell(await next.post(message, id), next);
    }
    return tell(answer, session);
  }

  /** The answer, or that of the server where it has to be asked for. */
  async #orElsewhere(
    { method, headers }: Request,
    { search }: URL,
    asked: Asked | undefined,
    { roomName, client }: Surroundings,
    answer: Promise<Response>,
  ): Promise<Response> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof Elsewhere)) throw error;
      const passedOn: PassedOn = {
        method,
        search,
        headers: Object.fromEntries(headers),
        ...asked !== undefined && { asked },
        roomName,
        client,
      };
      const waitMs = PASSED_ON_TIMEOUT_MS +
        (method === "GET" ? MAX_WAIT_SECONDS * 1000 : 0);
      const question = JSON.stringify(passedOn);
      let { node } = error;
      for (let asked = 0; asked < MAX_ASKED; asked++) {
        const told: Told = JSON.parse(
          await orUnavailable(this.host.ask(node, question, waitMs)),
        );
        if (!("node" in told)) return new Response(told.body, told);
        // By now its sender is on another one.
        node = told.node;
      }
      throw new Refusal(409, TAKEN_OVER);
    }
  }

  /** Answers a request that another server passed on, or says who would. */
  async answer(text: string): Promise<string> {
    return JSON.stringify(await this.#answer(text));
  }

  async #answer(text: string): Promise<Told> {
    const passedOn: PassedOn = JSON.parse(text);
    const at = this.host.surroundings(passedOn.roomName, passedOn.client);
    const url = new URL(`http://localhost/messages${passedOn.search}`);
    const { method, headers } = passedOn;
    const request = new Request(url, { method, headers });
    let response: Response;
    try {
      response = passedOn.asked === undefined
        ? await this.#poll(request, url, at)
        : await this.#post(request, url, passedOn.asked, at);
    } catch (error) {
      if (error instanceof Elsewhere) return { node: error.node };
      response = refuse(error);
    }
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  }

  /**
   * Who is here with this key. A request that names its line is for that one
   * alone: it may come when its sender has long gone on with another, and must
   * not speak there, push it out or take what is for it.
   */
  async #present(
    key: string | undefined,
    lineName: string | undefined,
    at: Surroundings,
  ): Promise<V1Session | undefined> {
    const session = key === undefined
      ? undefined
      : await this.#holder(key, at.world.now());
    if (lineName === undefined) return session;
    const name = session && this.#lineNames.get(session);
    if (session !== undefined && name === lineName) return session;
    // A mailbox without a name may be one that a POST opened for this client.
    const isOther = session !== undefined &&
      (name !== undefined || !this.#mailboxes.has(session));
    throw isOther ? new Refusal(409, TAKEN_OVER) : new Refusal(410, HAS_ENDED);
  }

  async #holder(key: string, nowMs: number): Promise<V1Session | undefined> {
    // Where the log is far away, saying hello takes a while.
    await this.#coming.get(key)?.joined;
    const { holder, node } = await orUnavailable(
      this.host.lobby.present(key, nowMs),
    );
    if (node !== undefined) throw new Elsewhere(node);
    return holder instanceof V1Session ? holder : undefined;
  }

  /** The mailbox of someone who polls, if it can go on where that one is. */
  async #mailboxOf(
    { key, since }: Hello,
    lineName: string | undefined,
    at: Surroundings,
  ): Promise<Mailbox | undefined> {
    const holder = await this.#present(key, lineName, at);
    if (holder === undefined) return undefined;
    const mailbox = this.#mailboxes.get(holder);
    // A late request must not push out who came after it.
    if (mailbox === undefined) throw new Refusal(409, TAKEN_OVER);
    const canGoOn = holder.roomName === at.roomName &&
      (since === undefined ||
        since.epoch === holder.epoch && mailbox.canGoOn(since.seq));
    if (canGoOn) return mailbox;
    if (lineName !== undefined) throw new Refusal(410, HAS_ENDED);
    return undefined;
  }

  #openMailbox(
    request: Request,
    hello: Hello,
    lineName: string | undefined,
    at: Surroundings,
  ) {
    const opened: Opened<Mailbox> = this.#open(
      request,
      hello,
      lineName,
      at,
      (onEnd) =>
        new Mailbox((unheard) => {
          this.#mailboxes.delete(opened.session);
          this.#lastWords.add(lineName, unheard, at.world.now());
          onEnd();
        }),
    );
    this.#mailboxes.set(opened.session, opened.line);
    return opened;
  }

  /** Opens a session on a line of HTTP, and says hello for it. */
  #open<L extends Line>(
    request: Request,
    hello: Hello,
    lineName: string | undefined,
    at: Surroundings,
    newLine: (onEnd: () => void) => L,
  ): Opened<L> {
    this.host.checkSpace(at.roomName);
    const { promise: isGone, resolve } = Promise.withResolvers<void>();
    const line = newLine(() => {
      session.ended();
      resolve();
    });
    const session = new V1Session(line, at);
    if (lineName !== undefined) this.#lineNames.set(session, lineName);
    this.host.keep(session, isGone, request);
    session.opened();
    session.received(JSON.stringify(hello));
    if (hello.key !== undefined) this.#noteComing(hello.key, session);
    return { session, line };
  }

  #isComing(key: string | undefined): boolean {
    return key !== undefined && this.#coming.has(key);
  }

  #noteComing(key: string, session: V1Session): void {
    this.#coming.set(key, session);
    session.joined.then(() => {
      if (this.#coming.get(key) === session) this.#coming.delete(key);
    });
  }
}

/** What the log tells; if it cannot be asked, that is a refusal. */
async function orUnavailable<T>(told: Promise<T>): Promise<T> {
  try {
    return await told;
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    throw new Refusal(503, LOG_FAILED, retryAfter(LOG_RETRY_MS));
  }
}

/** What a frame of the full dialect says, from the address and the headers. */
function readHello(headers: Headers, url: URL): Hello {
  const hello: Hello = { type: "hello" };
  const key = readKey(headers, url);
  const name = url.searchParams.get("name");
  const since = headers.get("last-event-id") ?? url.searchParams.get("since");
  const history = readCount(url, "history", MAX_HISTORY);
  if (key !== undefined) hello.key = key;
  if (name !== null) hello.name = name;
  if (history !== undefined) hello.history = history;
  if (since !== null && since !== "") {
    const read = readSince(since);
    if (read === undefined) {
      throw new Refusal(400, "since is an epoch and a seq: EPOCH:SEQ.");
    }
    hello.since = read;
  }
  return hello;
}

function readKey(headers: Headers, url: URL): string | undefined {
  return headers.get("partyline-key") ?? url.searchParams.get("key") ??
    undefined;
}

/** The client's own name for its line, a new one for each. */
function readLine(url: URL): string | undefined {
  const name = url.searchParams.get("line") ?? undefined;
  if (name === undefined) return undefined;
  if (name !== "" && !exceedsChars(name, MAX_ID_CHARS)) return name;
  throw new Refusal(400, `line has 1 to ${MAX_ID_CHARS} characters.`);
}

function readCount(url: URL, name: string, max: number): number | undefined {
  const text = url.searchParams.get(name);
  if (text === null) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (count <= max) return count;
  throw new Refusal(
    400,
    `${name} is a whole number from 0 to ${max}.`,
  );
}

/** JSON is a request of the full dialect; any other body is a message. */
function readAsked(headers: Headers, text: string): Asked {
  const isJson = /^application\/json\b/i.test(
    headers.get("content-type") ?? "",
  );
  if (!isJson) {
    return { type: "message", message: text, id: crypto.randomUUID() };
  }
  const asked = parseRequest(text);
  if (asked === undefined) {
    throw new Refusal(400, "The body is not a JSON object.");
  }
  if (asked.type === "malformed") {
    throw new Refusal(400, asked.message);
  }
  if (asked.type === "hello") {
    throw new Refusal(400, "GET /events or /messages says hello.");
  }
  return asked;
}

async function readBody(request: Request, maxBytes: number): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  const timer = setTimeout(() => reader?.cancel("late"), BODY_TIMEOUT_MS);
  try {
    for (let next; reader && !(next = await reader.read()).done;) {
      size += next.value.length;
      if (size > maxBytes) {
        await reader.cancel("too large");
        throw new Refusal(413, `At most ${maxBytes} bytes are taken.`);
      }
      chunks.push(next.value);
    }
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(await new Blob(chunks).arrayBuffer());
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, "The body was not complete, or not UTF-8.");
  } finally {
    clearTimeout(timer);
  }
}

const STATUS: { [C in ErrorCode]?: number } = {
  too_long: 413,
  rate_limited: 429,
  busy: 503,
  log_unavailable: 503,
};

function tell(answer: Answer, { key }: V1Session): Response {
  switch (answer.type) {
    case "stored":
      return json(`{"key":${JSON.stringify(key)},"event":${answer.event}}`);
    case "refused":
      throw new Refusal(
        STATUS[answer.code] ?? 400,
        answer.message,
        answer.retryAfterMs === undefined
          ? {}
          : retryAfter(answer.retryAfterMs),
      );
    case "ended":
      throw new Refusal(409, TAKEN_OVER);
  }
}

function json(body: string, status = 200): Response {
  return new Response(`${body}\n`, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store, no-transform",
    },
  });
}
