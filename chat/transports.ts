// Owns what a request to /events and /messages means: it becomes a session of
// the full dialect on another line, or speaks for one. Never decides who may
// come in.
// Invariant: whoever is here by HTTP is a member like any other, with the same
// limits; a request that fails is answered with a sentence.
import type { Lobby } from "./lobby.ts";
import { Mailbox } from "./poll.ts";
import {
  type ErrorCode,
  type Hello,
  parseRequest,
  readSince,
  type Request as Asked,
} from "./protocol.ts";
import { Refusal } from "./refusal.ts";
import type { Line, Session, Surroundings } from "./session.ts";
import { type Answer, V1Session } from "./session_v1.ts";
import { EventStream } from "./sse.ts";

/** Longest wait of a long poll; networks often cut at 60 s. */
export const MAX_WAIT_SECONDS = 50;

/** How long the body of a request may take. */
const BODY_TIMEOUT_MS = 10_000;

/** How long a log may take to say where the room stands. */
const WELCOME_TIMEOUT_MS = 10_000;

const TAKEN_OVER = "Another connection came with this key.";

export interface Host {
  lobby: Lobby;
  /** Throws if one more cannot come in. */
  checkSpace(roomName: string): void;
  /** Counts a session as a connection until it is gone. */
  keep(session: Session, isGone: Promise<void>, request: Request): void;
}

interface Opened<L extends Line> {
  session: V1Session;
  line: L;
}

export class Transports {
  readonly #mailboxes = new Map<V1Session, Mailbox>();

  constructor(private readonly host: Host) {}

  /** `GET /events`: all that happens, as Server-Sent Events. */
  events(request: Request, url: URL, at: Surroundings): Response {
    const hello = readHello(request.headers, url);
    const opened: Opened<EventStream> = this.#open(
      request,
      hello,
      at,
      (onEnd) => new EventStream(() => opened.session.epoch, onEnd),
    );
    return new Response(opened.line.body, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store, no-transform",
        // What nginx would collect, a browser would see too late.
        "x-accel-buffering": "no",
      },
    });
  }

  /**
   * `GET /messages`: without `wait` a new session, and its welcome; with it
   * what is new since then, at once or when there is something.
   */
  async poll(
    request: Request,
    url: URL,
    at: Surroundings,
  ): Promise<Response> {
    const hello = readHello(request.headers, url);
    const waitSeconds = readCount(url, "wait", MAX_WAIT_SECONDS);
    const known = waitSeconds === undefined
      ? undefined
      : await this.#mailboxOf(hello, at);
    const mailbox = known ?? this.#openMailbox(request, hello, at).line;
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
    const key = readKey(request.headers, url);
    const present = key === undefined
      ? undefined
      : await this.host.lobby.present(key, at.world.now());
    let session = present instanceof V1Session ? present : undefined;
    if (asked.type !== "message") {
      if (session === undefined) {
        throw new Refusal(409, "Open /events or /messages first.");
      }
      session.received(text);
      return json('{"accepted":true}', 202);
    }
    if (session === undefined) {
      const name = url.searchParams.get("name");
      const hello: Hello = { type: "hello", history: 0 };
      if (key !== undefined) hello.key = key;
      if (name !== null) hello.name = name;
      session = this.#openMailbox(request, hello, at).session;
    }
    return tell(await session.post(asked.message, asked.id), session);
  }

  /** The mailbox of someone who polls, if it can go on where that one is. */
  async #mailboxOf(
    { key, since }: Hello,
    at: Surroundings,
  ): Promise<Mailbox | undefined> {
    if (key === undefined) return undefined;
    const holder = await this.host.lobby.present(key, at.world.now());
    if (!(holder instanceof V1Session)) return undefined;
    const mailbox = this.#mailboxes.get(holder);
    // A late request must not push out who came after it.
    if (mailbox === undefined) throw new Refusal(409, TAKEN_OVER);
    const canGoOn = holder.roomName === at.roomName &&
      (since === undefined ||
        since.epoch === holder.epoch && mailbox.canGoOn(since.seq));
    return canGoOn ? mailbox : undefined;
  }

  #openMailbox(request: Request, hello: Hello, at: Surroundings) {
    const opened: Opened<Mailbox> = this.#open(
      request,
      hello,
      at,
      (onEnd) =>
        new Mailbox(() => {
          this.#mailboxes.delete(opened.session);
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
    this.host.keep(session, isGone, request);
    session.opened();
    session.received(JSON.stringify(hello));
    return { session, line };
  }
}

/** What a frame of the full dialect says, from the address and the headers. */
function readHello(headers: Headers, url: URL): Hello {
  const hello: Hello = { type: "hello" };
  const key = readKey(headers, url);
  const name = url.searchParams.get("name");
  const since = headers.get("last-event-id") ?? url.searchParams.get("since");
  const history = readCount(url, "history", Number.MAX_SAFE_INTEGER);
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
        retryAfter(answer.retryAfterMs),
      );
    case "ended":
      throw new Refusal(409, TAKEN_OVER);
  }
}

/** In whole seconds (RFC 9110 section 10.2.3). */
function retryAfter(ms: number | undefined): Record<string, string> {
  return ms === undefined
    ? {}
    : { "retry-after": String(Math.ceil(ms / 1000)) };
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
