// Owns the opening handshake (RFC 6455 section 4): what makes a request one,
// the subprotocol, the dialect's session on the new socket. Never decides who
// may come in.
// Invariant: a socket that never opens is given up after a while.
import { DRAW_SUBPROTOCOL, SUBPROTOCOL } from "./protocol.ts";
import { Refusal } from "./refusal.ts";
import { attach, type Session, type Surroundings } from "./session.ts";
import { DrawSession } from "./session_draw.ts";
import { PlainSession } from "./session_plain.ts";
import { V1Session } from "./session_v1.ts";

/** How long a handshake may take to be completed, once it was answered. */
const OPEN_TIMEOUT_MS = 10_000;

/** A session on a new socket. */
export interface Opened {
  session: Session;
  response: Response;
  /** Resolves when the socket is gone. */
  isGone: Promise<void>;
}

/** Without one, a client speaks the plain dialect. */
type Subprotocol = typeof SUBPROTOCOL | typeof DRAW_SUBPROTOCOL | undefined;

/** The subprotocol to speak. Throws if only unknown ones are offered. */
export function readSubprotocol(headers: Headers): Subprotocol {
  const offers = headers.get("sec-websocket-protocol");
  if (offers === null) return undefined;
  const offered = offers.split(/\s*,\s*/);
  if (offered.includes(SUBPROTOCOL)) return SUBPROTOCOL;
  if (offered.includes(DRAW_SUBPROTOCOL)) return DRAW_SUBPROTOCOL;
  throw new Refusal(
    400,
    `The subprotocols here are ${SUBPROTOCOL} and ${DRAW_SUBPROTOCOL}: ` +
      "offer one of them, or none.",
  );
}

function newSession(
  subprotocol: Subprotocol,
  socket: WebSocket,
  at: Surroundings,
): Session {
  switch (subprotocol) {
    case SUBPROTOCOL:
      return new V1Session(socket, at);
    case DRAW_SUBPROTOCOL:
      socket.binaryType = "arraybuffer";
      return new DrawSession(socket, at);
    case undefined:
      return new PlainSession(socket, at);
  }
}

/** Answers a handshake. Throws a `Refusal` if the request is none. */
export function openSocket(
  request: Request,
  subprotocol: Subprotocol,
  idleTimeout: number,
  at: Surroundings,
): Opened {
  if (!asksForWebSocket(request.headers)) {
    throw new Refusal(426, "Here is a WebSocket: ask for an upgrade.", {
      upgrade: "websocket",
      "sec-websocket-version": "13",
    });
  }
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout });
  // Not by Deno's option, which knows only lists with ", " between.
  if (subprotocol !== undefined) {
    response.headers.set("sec-websocket-protocol", subprotocol);
  }
  const session = newSession(subprotocol, socket, at);
  attach(socket, session);
  const isGone = new Promise<void>((resolve) => {
    // A connection that is reset during the handshake never reports its end.
    const timer = setTimeout(() => {
      if (!session.hasOpened) resolve();
    }, OPEN_TIMEOUT_MS);
    socket.addEventListener("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return { session, response, isGone };
}

/** Whether a request is an opening handshake (RFC 6455 section 4.2.1). */
function asksForWebSocket(headers: Headers): boolean {
  const has = (name: string, token: string) =>
    headers.get(name)?.toLowerCase().split(/\s*,\s*/).includes(token) ?? false;
  return has("upgrade", "websocket") && has("connection", "upgrade") &&
    headers.get("sec-websocket-version") === "13" &&
    /^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "");
}
