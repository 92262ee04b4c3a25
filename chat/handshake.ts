// Owns the opening handshake (RFC 6455 section 4): what makes a request one,
// the subprotocol, the dialect's session on the new socket. Never decides who
// may come in.
// Invariant: a socket that never opens is given up after a while.
import { SUBPROTOCOL } from "./protocol.ts";
import { Refusal } from "./refusal.ts";
import type { Session, Surroundings } from "./session.ts";
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

/** Whether the full dialect is asked for. Throws if only others are. */
export function readSubprotocol(headers: Headers): boolean {
  const offers = headers.get("sec-websocket-protocol");
  const isV1 = offers?.split(/\s*,\s*/).includes(SUBPROTOCOL) ?? false;
  if (offers === null || isV1) return isV1;
  throw new Refusal(
    400,
    `The only subprotocol here is ${SUBPROTOCOL}: offer that, or none.`,
  );
}

/** Answers a handshake. Throws a `Refusal` if the request is none. */
export function openSocket(
  request: Request,
  isV1: boolean,
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
  if (isV1) response.headers.set("sec-websocket-protocol", SUBPROTOCOL);
  const session = isV1
    ? new V1Session(socket, at)
    : new PlainSession(socket, at);
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
