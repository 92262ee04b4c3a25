// The requests to /events and /messages: a request opens a session of the full
// dialect on a line that is no WebSocket, or acts for a session that exists. An
// HTTP client is a member like any other, with the same limits; a failed
// request is answered with a sentence.
import { Deadline } from "../ops/deadline.ts";
import { HttpError, retryAfter } from "../http/http_error.ts";
import { type ErrorCode, escapeControls } from "../protocol/events.ts";
import {
  exceedsChars,
  type Hello,
  MAX_HISTORY,
  MAX_ID_CHARS,
  parseRequest,
  readSince,
  type Request as ClientRequest,
} from "../protocol/requests.ts";
import type { Hub } from "../room/hub.ts";
import type { Owner } from "../http/proxy.ts";
import {
  type Problem,
  Session,
  type SessionContext,
  textProblem,
  type Transport,
} from "../session/session.ts";
import { type Answer, V1 } from "../session/v1.ts";
import { splitKey } from "../store/keys.ts";
import { STORE_RETRY_MS } from "../store/store.ts";
import { EVENT_STREAM_HEADERS, EventStream } from "./event_stream.ts";
import {
  answerPassedOn,
  type ForwardedRequest,
  handleOrForward,
  OnOtherServer,
  orUnavailable,
  takenOver,
} from "./forwarding.ts";
import { LastWords, Mailbox, MAX_WAIT_SECONDS } from "./long_poll.ts";
import { type PollPlace, PollPlaces } from "./poll_places.ts";

/** How long the body of a request may take. */
export const BODY_TIMEOUT_MS = 10_000;

/** Memory that the body of a request takes at first; it grows with the body. */
const FIRST_BODY_BYTES = 1_024;

/** How long the store may take to say where the room stands. */
const WELCOME_TIMEOUT_MS = 10_000;

const HAS_ENDED = "This line has ended: open /events or /messages again.";

/** The functions of the server, which knows who is connected. */
export interface HttpRequestsContext {
  hub: Hub;
  monotonic(): number;
  polls: PollPlaces;
  /** Throws if there is no space for one more client. */
  checkSpace(roomName: string, isPoll?: boolean): void;
  /** Counts a session as a connection until its transport is gone. */
  keep(session: Session, isGone: Promise<void>, request: Request): void;
}

/** A client whose transport is HTTP. */
interface OpenedByHttp<L extends Transport> {
  client: V1;
  transport: L;
}

/** A client that polls. */
interface Poll {
  mailbox: Mailbox;
  place: PollPlace;
}

export class HttpRequests {
  /** By the dialect of the client. */
  readonly #polls = new Map<V1, Poll>();
  readonly #lastWords = new LastWords();
  /** The names that clients gave to their lines. */
  readonly #lineNames = new WeakMap<V1, string>();
  /** Clients that are still saying hello, by the id in their key. */
  readonly #joining = new Map<string, V1>();

  constructor(private readonly context: HttpRequestsContext) {}

  /** `GET /events`: all events of the room, as Server-Sent Events. */
  events(request: Request, url: URL, at: SessionContext): Response {
    const hello = readHello(request.headers, url);
    this.context.checkSpace(at.roomName);
    const opened: OpenedByHttp<EventStream> = this.#open(
      request,
      hello,
      readLine(url),
      at,
      (onEnd) => new EventStream(() => opened.client.epoch, onEnd),
    );
    return new Response(opened.transport.body, {
      headers: EVENT_STREAM_HEADERS,
    });
  }

  /**
   * `GET /messages`: without `wait` a new session and its welcome; with `wait`
   * the new events since then, at once or as soon as there are any. A client
   * that names its `line` is told in its next request why the line ended.
   */
  async poll(
    request: Request,
    url: URL,
    at: SessionContext,
  ): Promise<Response> {
    const hello = readHello(request.headers, url);
    const { key, since } = hello;
    const { roomName } = at;
    const lineName = readLine(url);
    const waitSeconds = readCount(url, "wait", MAX_WAIT_SECONDS);
    if (waitSeconds !== undefined) {
      const { owner } = at;
      const asking = { roomName, lineName, since, waitSeconds, owner };
      const signal = waitSeconds > 0 ? request.signal : undefined;
      do {
        const answer = await this.#askHolder(key, asking, signal);
        if (answer !== undefined) return answer;
        // Another request may have opened a line for this key meanwhile.
      } while (this.#isComing(key));
    }
    const { transport } = this.#openMailbox(request, hello, lineName, at);
    // Without a key a client cannot ask again for events that it did not get.
    const isNew = key === undefined;
    const events = await takeFrom(
      transport,
      0,
      WELCOME_TIMEOUT_MS,
      isNew,
      request.signal,
    );
    if (events.length > 0) return json(asArray(events));
    transport.expire();
    throw new HttpError(
      503,
      "Your history could not be read in time: you asked for too much of it.",
      retryAfter(STORE_RETRY_MS),
    );
  }

  /** `POST /messages`: says something, and answers when it is stored. */
  async post(
    request: Request,
    url: URL,
    at: SessionContext,
  ): Promise<Response> {
    const text = await readBody(request, at.limits.maxFrame);
    const posted = readPosted(request.headers, text);
    const key = readKey(request.headers, url);
    const { roomName } = at;
    const asking = { roomName, lineName: readLine(url), asked: posted };
    do {
      const answer = await this.#askHolder(key, asking);
      if (answer !== undefined) return answer;
    } while (this.#isComing(key));
    if (posted.type !== "message") {
      throw new HttpError(409, "Open /events or /messages first.");
    }
    const problem = textProblem(posted.message, at.limits.maxMessage);
    if (problem !== undefined) throw refused(problem);
    const name = url.searchParams.get("name");
    const hello: Hello = { type: "hello", history: 0 };
    if (key !== undefined) hello.key = key;
    if (name !== null) hello.name = name;
    const { client, transport } = this.#openMailbox(
      request,
      hello,
      undefined,
      at,
    );
    transport.begin();
    const answer = await client.post(posted);
    transport.answered();
    // A client that came only for this message, which failed, does not stay.
    if (answer.type === "refused") {
      client.session.disconnect("nothing_said");
    }
    // Then the present holder of the key gets the message.
    const next = answer.type === "ended"
      ? await this.#askHolder(client.key || key, asking)
      : undefined;
    return next ?? tell(answer, client);
  }

  /**
   * Makes the client with this key, on this server or another, do what is
   * posted. Undefined if a new line has to be opened for it.
   */
  async #askHolder(
    key: string | undefined,
    asking: ForwardedRequest,
    signal?: AbortSignal,
  ): Promise<Response | undefined> {
    let identity: string | undefined;
    if (key !== undefined) {
      await this.#joining.get(idOf(key))?.joined;
      const known = this.context.hub.identities.identify(key);
      identity = (await orUnavailable(known))?.id;
    }
    return await handleOrForward(
      key,
      identity,
      asking,
      this.#handleHere,
      signal,
    );
  }

  /** Answers a request that another server passed on. */
  answer(text: string, signal: AbortSignal): Promise<string> {
    return answerPassedOn(text, this.#handleHere, signal);
  }

  /** Throws `OnOtherServer` if the identity's holder is on another server. */
  readonly #handleHere = (
    identity: string | undefined,
    asking: ForwardedRequest,
    signal?: AbortSignal,
  ): Promise<Response | undefined> => {
    const { asked: posted } = asking;
    return posted === undefined
      ? this.#pollHere(identity, asking, signal)
      : this.#postHere(identity, posted, asking);
  };

  async #pollHere(
    identity: string | undefined,
    asking: ForwardedRequest,
    signal: AbortSignal | undefined,
  ): Promise<Response | undefined> {
    const { lineName, since, waitSeconds = 0, keyMark, owner } = asking;
    const line = nameLine(identity, lineName);
    const lastWords = this.#lastWords.take(line, this.context.monotonic());
    if (lastWords !== undefined) return json(asArray(lastWords));
    const holder = await this.#present(identity, lineName);
    const poll = holder && this.#pollOf(holder, asking);
    if (holder === undefined || poll === undefined) return undefined;
    const { mailbox } = poll;
    chargeForRepeats(holder, mailbox.bytesAgain(since?.seq ?? 0));
    this.#goOn(holder, poll, owner);
    const events = await takeFrom(
      mailbox,
      since?.seq ?? 0,
      waitSeconds * 1000,
      false,
      signal,
    );
    if (signal?.aborted) this.context.hub.review(holder.session.roomName);
    const body = asArray(events);
    // A welcome contains the key.
    const hasKey = keyMark !== undefined && holder.key !== "";
    return json(hasKey ? body.replaceAll(holder.key, keyMark) : body);
  }

  async #postHere(
    identity: string | undefined,
    posted: ClientRequest,
    { roomName, lineName, keyMark }: ForwardedRequest,
  ): Promise<Response | undefined> {
    const client = await this.#present(identity, lineName);
    if (client === undefined) return undefined;
    checkRoom(client, roomName);
    if (posted.type !== "message") {
      client.receiveRequest(posted);
      return json('{"accepted":true}', 202);
    }
    const answer = await client.post(posted);
    if (answer.type === "ended" && lineName === undefined) {
      // The request names no line, so the key's present holder gets it.
      const next = await this.#present(identity, undefined);
      if (next !== undefined) {
        checkRoom(next, roomName);
        return tell(await next.post(posted), next, keyMark);
      }
    }
    return tell(answer, client, keyMark);
  }

  /**
   * The client that is here under this identity. A request that names a line is
   * for that line alone: it may arrive long after its sender went on with
   * another line, and must not speak there, supersede it or take its events.
   */
  async #present(
    identity: string | undefined,
    lineName: string | undefined,
  ): Promise<V1 | undefined> {
    const client = identity === undefined
      ? undefined
      : await this.#holder(identity);
    if (lineName === undefined) return client;
    const name = client && this.#lineNames.get(client);
    if (client !== undefined && name === lineName) return client;
    // A POST may have opened a mailbox without a name for this client.
    const isOther = client !== undefined &&
      (name !== undefined || !this.#polls.has(client));
    throw isOther ? takenOver() : new HttpError(410, HAS_ENDED);
  }

  async #holder(identity: string): Promise<V1 | undefined> {
    // If the store is far away, saying hello takes a while.
    await this.#joining.get(identity)?.joined;
    const { holder, peer } = await orUnavailable(
      this.context.hub.identities.present(identity),
    );
    if (peer !== undefined) throw new OnOtherServer(peer, identity);
    return holder instanceof V1 ? holder : undefined;
  }

  /** The poll of a client here, if the request can go on with it. */
  #pollOf(
    holder: V1,
    { roomName, lineName, since }: ForwardedRequest,
  ): Poll | undefined {
    const poll = this.#polls.get(holder);
    // A late request must not supersede a client that came after it.
    if (poll === undefined) throw takenOver();
    const canGoOn = holder.session.roomName === roomName &&
      (since === undefined ||
        since.epoch === holder.epoch && poll.mailbox.canGoOn(since.seq));
    if (canGoOn) return poll;
    if (lineName !== undefined) throw new HttpError(410, HAS_ENDED);
    return undefined;
  }

  /** A client that polls came back, and is confirmed from now on. */
  #goOn({ session }: V1, { place }: Poll, owner?: Owner): void {
    if (
      place.isUnconfirmed && !this.context.hub.hasSpaceFor(session.roomName)
    ) {
      session.disconnect("too_many_rooms");
      return;
    }
    place.goOn(owner);
    this.context.hub.review(session.roomName);
  }

  #openMailbox(
    request: Request,
    hello: Hello,
    lineName: string | undefined,
    at: SessionContext,
  ) {
    this.context.checkSpace(at.roomName, true);
    const place = this.context.polls.take(
      at.owner,
      at.roomName,
      () => opened.transport.expire(),
    );
    const opened: OpenedByHttp<Mailbox> = this.#open(
      request,
      hello,
      lineName,
      at,
      (onEnd) =>
        new Mailbox(
          place,
          (unheard) => {
            const { client } = opened;
            this.#polls.delete(client);
            place.leave();
            const line = nameLine(idOf(client.key), lineName);
            this.#lastWords.add(line, unheard, this.context.monotonic());
            onEnd();
          },
          hello.since?.seq,
        ),
    );
    this.#polls.set(opened.client, { mailbox: opened.transport, place });
    return opened;
  }

  /** Opens a session whose transport is HTTP, and says hello for the client. */
  #open<L extends Transport>(
    request: Request,
    hello: Hello,
    lineName: string | undefined,
    at: SessionContext,
    newTransport: (onEnd: () => void) => L,
  ): OpenedByHttp<L> {
    const { promise: isGone, resolve } = Promise.withResolvers<void>();
    const transport = newTransport(() => {
      session.ended();
      resolve();
    });
    const session = new Session(transport, at, (session) => new V1(session));
    const client = session.dialect;
    if (lineName !== undefined) this.#lineNames.set(client, lineName);
    this.context.keep(session, isGone, request);
    session.opened();
    client.receiveRequest(hello);
    if (hello.key !== undefined) this.#noteComing(hello.key, client);
    return { client, transport };
  }

  #isComing(key: string | undefined): boolean {
    return key !== undefined && this.#joining.has(idOf(key));
  }

  #noteComing(key: string, client: V1): void {
    const id = idOf(key);
    this.#joining.set(id, client);
    client.joined.then(() => {
      if (this.#joining.get(id) === client) this.#joining.delete(id);
    });
  }
}

function idOf(key: string): string {
  return splitKey(key).id;
}

/**
 * Counts an answer that is given again as history that the client is given.
 * Throws if that is too much now.
 */
function chargeForRepeats(client: V1, bytes: number): void {
  const waitMs = bytes === 0 ? 0 : client.repeat(bytes);
  if (waitMs === 0) return;
  throw new HttpError(
    429,
    "You asked for the same messages too often: use since to say which you have.",
    retryAfter(waitMs),
  );
}

/** A line belongs to one identity; others may use the same name. */
function nameLine(
  identity: string | undefined,
  lineName: string | undefined,
): string | undefined {
  return identity && lineName && `${identity} ${lineName}`;
}

/** A message for one room must not be heard in another. */
function checkRoom({ session }: V1, roomName: string): void {
  if (session.roomName === roomName) return;
  throw new HttpError(
    409,
    `This key is in the room "${session.roomName}", and you posted to ` +
      `"${roomName}": post to the room of the key, or leave the key out.`,
  );
}

async function takeFrom(
  mailbox: Mailbox,
  seq: number,
  waitMs: number,
  isLast: boolean,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  try {
    return await mailbox.take(seq, waitMs, isLast, signal);
  } finally {
    mailbox.answered();
  }
}

function asArray(events: readonly string[]): string {
  return `[${events.join(",")}]`;
}

/** A `hello`, read from the address and the headers. */
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
      throw new HttpError(400, "since must be an epoch and a seq: EPOCH:SEQ.");
    }
    hello.since = read;
  }
  return hello;
}

function readKey(headers: Headers, url: URL): string | undefined {
  return headers.get("partyline-key") ?? url.searchParams.get("key") ??
    undefined;
}

/** The client's own name for its line, a new one for each line. */
function readLine(url: URL): string | undefined {
  const name = url.searchParams.get("line") ?? undefined;
  if (name === undefined) return undefined;
  if (name !== "" && !exceedsChars(name, MAX_ID_CHARS)) return name;
  throw new HttpError(400, `line must have 1 to ${MAX_ID_CHARS} characters.`);
}

function readCount(url: URL, name: string, max: number): number | undefined {
  const text = url.searchParams.get(name);
  if (text === null) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (count <= max) return count;
  throw new HttpError(
    400,
    `${name} must be a whole number from 0 to ${max}.`,
  );
}

/** A JSON body is a request of the full dialect; any other is a message. */
function readPosted(headers: Headers, text: string): ClientRequest {
  const isJson = /^application\/json\b/i.test(
    headers.get("content-type") ?? "",
  );
  if (!isJson) {
    return { type: "message", message: text, id: crypto.randomUUID() };
  }
  const posted = parseRequest(text);
  if (posted === undefined) {
    throw new HttpError(400, "The body is not a JSON object.");
  }
  if (posted.type === "malformed") {
    throw new HttpError(400, posted.message);
  }
  if (posted.type === "hello") {
    throw new HttpError(
      400,
      "POST does not accept hello: GET /events or /messages sends it.",
    );
  }
  return posted;
}

async function readBody(request: Request, maxBytes: number): Promise<string> {
  // A chunk of one byte holds on to the 64 KiB that Deno read it into, so what is
  // kept is a copy.
  let body = new Uint8Array(FIRST_BODY_BYTES);
  let size = 0;
  const reader = request.body?.getReader();
  let isLate = false;
  const deadline = new Deadline(BODY_TIMEOUT_MS, () => {
    isLate = true;
    reader?.cancel("late");
  });
  try {
    for (let next; reader && !(next = await reader.read()).done;) {
      const start = size;
      size += next.value.length;
      if (size > maxBytes) {
        await reader.cancel("too large");
        throw new HttpError(
          413,
          `The body is too large: at most ${maxBytes} bytes are allowed.`,
        );
      }
      if (size > body.length) body = grown(body, size);
      body.set(next.value, start);
    }
    // A cancelled body ends like a complete one.
    if (isLate) {
      throw new HttpError(408, "The body took too long: no message was sent.");
    }
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(body.subarray(0, size));
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, "The body was not complete, or not UTF-8.");
  } finally {
    deadline.cancel();
  }
}

/** The same bytes with space for `size`, and for more to come. */
function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(size, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}

const STATUS: { [C in ErrorCode]?: number } = {
  too_long: 413,
  rate_limited: 429,
  busy: 503,
  log_unavailable: 503,
};

function refused({ code, message, retryAfterMs }: Problem): HttpError {
  const headers = retryAfterMs === undefined ? {} : retryAfter(retryAfterMs);
  return new HttpError(STATUS[code] ?? 400, message, headers);
}

function tell(answer: Answer, client: V1, key = client.key): Response {
  switch (answer.type) {
    case "stored":
      return json(`{"key":${JSON.stringify(key)},"event":${answer.event}}`);
    case "refused":
      throw refused(answer.problem);
    case "ended":
      throw takenOver();
  }
}

function json(body: string, status = 200): Response {
  return new Response(`${escapeControls(body)}\n`, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store, no-transform",
    },
  });
}
