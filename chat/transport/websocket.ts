// How a WebSocket carries a session: the opening handshake (RFC 6455 section
// 4), the dialect that the subprotocol or the path names, and the handlers of the
// socket. The size of frames and slow readers are checked in session/session.ts.
// A socket that never opens is given up after a while; a client that is closed
// for a fault is read until it is quiet, so that the close frame reaches it.
import { CloseCode } from "../protocol/close_codes.ts";
import { DRAW_SUBPROTOCOL, SUBPROTOCOL } from "../protocol/requests.ts";
import { Deadline } from "../ops/deadline.ts";
import { HttpError } from "../http/http_error.ts";
import { Drawing } from "../session/drawing.ts";
import { Echo } from "../session/echo.ts";
import { Plain } from "../session/plain.ts";
import {
  Session,
  type SessionContext,
  type Transport,
} from "../session/session.ts";
import { V1 } from "../session/v1.ts";

/** How long a handshake may take to complete after it was answered. */
const OPEN_TIMEOUT_MS = 10_000;

/** How long a client has to be quiet before it is sent the close frame. */
const QUIET_MS = 100;

/** A client that is never quiet is sent the close frame after this time. */
const MAX_CLOSE_DELAY_MS = 2_000;

/** Closes for a fault of the client, which may be sending more. */
const FAULTS: ReadonlySet<number> = new Set([
  CloseCode.protocolError,
  CloseCode.unsupportedData,
  CloseCode.policy,
  CloseCode.tooLarge,
]);

/** A session on a new socket. */
interface OpenedSocket {
  session: Session;
  response: Response;
  /** Resolves when the socket is gone. */
  isGone: Promise<void>;
}

/** The dialect of /echo, which no subprotocol names. */
const ECHO = "echo";

/** The agreement of client and server in a handshake. */
export interface Agreement {
  /** A subprotocol, or `ECHO`; undefined for the plain dialect. */
  dialect:
    | typeof SUBPROTOCOL
    | typeof DRAW_SUBPROTOCOL
    | typeof ECHO
    | undefined;
  /** The subprotocol to return: ours, or a name that the client offered. */
  subprotocol: string | undefined;
}

/** At /echo no subprotocol is agreed, whatever the client offers. */
export const ECHO_AGREEMENT: Agreement = {
  dialect: ECHO,
  subprotocol: undefined,
};

/** Longest name of a subprotocol that is returned, in characters. */
const MAX_SUBPROTOCOL_CHARS = 256;

/** The characters in the name of a subprotocol (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * The subprotocol to speak. If a client's library offers some name of its own,
 * the client speaks the plain dialect and gets that name back, because many
 * libraries give up without one. Throws if a name begins like ours and is not
 * ours, such as `partyline` alone, or cannot be returned.
 */
export function readSubprotocol(headers: Headers): Agreement {
  const offered = readList(headers.get("sec-websocket-protocol") ?? "")
    .filter((name) => name !== "");
  for (const ours of [SUBPROTOCOL, DRAW_SUBPROTOCOL] as const) {
    if (offered.includes(ours)) return { dialect: ours, subprotocol: ours };
  }
  if (offered.some((name) => /^partyline(\.|$)/i.test(name))) {
    throw new HttpError(
      400,
      `This server knows ${SUBPROTOCOL} and ${DRAW_SUBPROTOCOL} as subprotocols: ` +
        "offer one of them, or none.",
    );
  }
  const [first] = offered;
  if (first !== undefined && !isReturnable(first)) {
    throw new HttpError(
      400,
      "The name of a subprotocol must be a token of at most " +
        `${MAX_SUBPROTOCOL_CHARS} characters.`,
    );
  }
  return { dialect: undefined, subprotocol: first };
}

function isReturnable(name: string): boolean {
  return name.length <= MAX_SUBPROTOCOL_CHARS && TOKEN.test(name);
}

/**
 * The transport of a WebSocket. Deno drops the socket at the first message after
 * its close frame. TCP then resets the connection if more was not read yet (RFC
 * 9293 section 3.6.1), and the client loses what it did not read: the errors, and
 * the close frame. So the input of a client that is closed for a fault is read
 * until the client sends no more.
 */
class SocketTransport implements Transport {
  /** The socket's own, which never waits and never throws once it is open. */
  readonly send: Transport["send"];
  #socket;
  #isQuiet = true;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.send = socket.send.bind(socket);
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  close(code: number, reason: string): void {
    if (!FAULTS.has(code)) return this.#socket.close(code, reason);
    const atLatestMs = performance.now() + MAX_CLOSE_DELAY_MS;
    clearInterval(this.#timer);
    this.#isQuiet = true;
    this.#socket.addEventListener("message", () => {
      this.#isQuiet = false;
    });
    this.#timer = setInterval(() => {
      if (this.#isQuiet || performance.now() >= atLatestMs) {
        clearInterval(this.#timer);
        this.#socket.close(code, reason);
      }
      this.#isQuiet = true;
    }, QUIET_MS);
  }

  /** The socket is gone. */
  ended(): void {
    clearInterval(this.#timer);
  }
}

function newSession(
  dialect: Agreement["dialect"],
  transport: Transport,
  at: SessionContext,
): Session {
  switch (dialect) {
    case SUBPROTOCOL:
      return new Session(transport, at, (session) => new V1(session));
    case DRAW_SUBPROTOCOL:
      return new Session(transport, at, (session) => new Drawing(session));
    case ECHO:
      return new Session(transport, at, (session) => new Echo(session));
    case undefined:
      return new Session(transport, at, (session) => new Plain(session));
  }
}

/** Answers a handshake. Throws an `HttpError` if the request is none. */
export function openSocket(
  request: Request,
  { dialect, subprotocol }: Agreement,
  idleTimeout: number,
  at: SessionContext,
): OpenedSocket {
  if (!asksForWebSocket(request.headers)) {
    throw new HttpError(
      426,
      "This address is for WebSocket: send an opening handshake.",
      {
        upgrade: "websocket",
        "sec-websocket-version": "13",
      },
    );
  }
  // RFC 6455 section 4.2.1: unlike an old program's request, it has to have one.
  if (!request.headers.has("host")) {
    throw new HttpError(400, "A handshake names the host: send Host.");
  }
  // The bytes of a body would be read as frames, or as another request.
  if (hasBody(request.headers)) {
    throw new HttpError(400, "A handshake has no body: send it without one.");
  }
  const { socket, response } = upgrade(request, idleTimeout);
  // Not by Deno's option, which knows only lists separated by ", ".
  if (subprotocol !== undefined) {
    response.headers.set("sec-websocket-protocol", subprotocol);
  }
  const transport = new SocketTransport(socket);
  const session = newSession(dialect, transport, at);
  // Else a Blob, which says enough where binary frames are refused.
  if (session.dialect.frameType !== "text") socket.binaryType = "arraybuffer";
  const isGone = new Promise<void>((resolve) => {
    attach(socket, transport, session, resolve);
  });
  return { session, response, isGone };
}

/** Deno has checks of its own, which reject a few unusual lists. */
function upgrade(request: Request, idleTimeout: number) {
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new HttpError(400, "This handshake is not valid.");
  }
}

/** A length of 0 is no body: Java's WebSocket sends it with each handshake. */
function hasBody(headers: Headers): boolean {
  return headers.has("transfer-encoding") ||
    (headers.get("content-length") ?? "0") !== "0";
}

/** Connects a socket with its session; `gone` is called at its end. */
function attach(
  socket: WebSocket,
  transport: SocketTransport,
  session: Session,
  gone: () => void,
): void {
  // A connection that is reset during the handshake never reports its end.
  const deadline = new Deadline(OPEN_TIMEOUT_MS, gone);
  socket.onopen = () => {
    session.opened();
    if (session.hasOpened) deadline.cancel();
  };
  socket.onmessage = session.receive;
  // `close` follows an error only sometimes and may come twice.
  socket.onerror = (event) => {
    const fault = event instanceof ErrorEvent ? event.message : "";
    session.recorder?.({ type: "failed", fault });
    session.ended();
  };
  socket.onclose = ({ code, reason, wasClean: isClean }) => {
    session.recorder?.({ type: "closed", code, reason, isClean });
    session.ended();
    transport.ended();
    deadline.cancel();
    gone();
  };
}

/** Whether a request is an opening handshake (RFC 6455 section 4.2.1). */
function asksForWebSocket(headers: Headers): boolean {
  const has = (name: string, token: string) =>
    readList(headers.get(name)?.toLowerCase() ?? "").includes(token);
  return has("upgrade", "websocket") && has("connection", "upgrade") &&
    headers.get("sec-websocket-version") === "13" &&
    /^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "");
}

/**
 * The members of a list (RFC 9110 section 5.6.1). Not by an expression such as
 * `\s*,`, which over nothing but spaces takes the square of their number.
 */
function readList(value: string): string[] {
  return value.split(",").map((member) => member.trim());
}
