// How a client gets into a room: after admission the connection that the client
// asked for is opened, a WebSocket, an event stream or a poll.
import type { Connections } from "./connections.ts";
import { Admission } from "./http/admission.ts";
import { type ErrorAnswer, HttpError, retryAfter } from "./http/http_error.ts";
import type { Networks, Owner } from "./http/proxy.ts";
import { byMethod, type Handler, type Incoming } from "./http/router.ts";
import type { Context } from "./ops/context.ts";
import type { Options } from "./options.ts";
import { newEchoRate } from "./session/echo.ts";
import { HistoryQueue } from "./session/history_queue.ts";
import type { SessionContext } from "./session/session.ts";
import type { Peers } from "./store/store.ts";
import { HttpRequests } from "./transport/http_requests.ts";
import {
  type Agreement,
  ECHO_AGREEMENT,
  readSubprotocol,
} from "./transport/websocket.ts";

/**
 * The room of all echo clients, so that they cannot take up the rooms of others.
 * Nobody can ask for it, because the name of no room has a slash.
 */
const ECHO_ROOM = "/echo";

/** Echo clients have at most this part of --max-clients: one in so many. */
const MAX_ECHO_SHARE = 4;

/** When a client may try again that found no place. */
const ECHO_RETRY_MS = 5_000;

/** Opens a connection into a room, for a client that was let in. */
type Opener = (incoming: Incoming, at: SessionContext) => ReturnType<Handler>;

export class Entrance {
  readonly requests: HttpRequests;
  readonly #admission: Admission;
  readonly #history = new HistoryQueue();
  readonly #echoRate = newEchoRate();

  constructor(
    private readonly options: Options,
    private readonly connections: Connections,
    private readonly context: Context,
    trusted: Networks,
    answerError: ErrorAnswer,
  ) {
    const admission = new Admission(
      options,
      trusted,
      context,
      (...room) => connections.noSpace(...room),
      answerError,
    );
    this.#admission = admission;
    this.requests = new HttpRequests({
      hub: connections.hub,
      monotonic: context.monotonic,
      polls: connections.polls,
      checkSpace: (...room) => admission.checkSpace(...room),
      keep: (...kept) => connections.addHttp(...kept),
    });
  }

  /** Admits a request, and gives it to the opener for its method. */
  letIn(openers: Record<string, Opener>): Handler {
    const methods = Object.keys(openers);
    return (incoming) =>
      this.#admission.enter(incoming, methods, (...from) => {
        const open = byMethod(openers, incoming.request);
        return open(incoming, this.#contextOf(...from));
      });
  }

  /** Opens a socket for chat or for drawing, or throws why not. */
  upgrade(incoming: Incoming, at: SessionContext): Response {
    const agreement = readSubprotocol(incoming.request.headers);
    return this.#openSocket(incoming, agreement, at);
  }

  /** Opens a socket on which every message comes back, or throws why not. */
  echo(incoming: Incoming, at: SessionContext): Response {
    const { hub } = this.connections;
    const count = hub.rooms.get(ECHO_ROOM)?.guests.size ?? 0;
    if (count >= this.options.maxClients / MAX_ECHO_SHARE) {
      throw tooManyEchoes();
    }
    return this.#openSocket(incoming, ECHO_AGREEMENT, {
      ...at,
      roomName: ECHO_ROOM,
    });
  }

  /**
   * Whether the request asks for an upgrade is looked at last: a page cannot see
   * why its handshake was refused, but it can ask the same address with `fetch`
   * and be told.
   */
  #openSocket(
    incoming: Incoming,
    agreement: Agreement,
    at: SessionContext,
  ): Response {
    this.#admission.checkSpace(at.roomName);
    return this.connections.openSocket(incoming, agreement, at);
  }

  /**
   * Begins to act for the clients of other servers, and the other way round.
   */
  joinPeers(peers: Peers): void {
    const { identities } = this.connections.hub;
    peers.join({
      supersede: (...held) => identities.supersede(...held),
      // A call that fails here is repeated when the store is back.
      rejoin: () => void identities.rejoin().catch(() => {}),
      answer: (...asked) => this.requests.answer(...asked),
    });
  }

  /** Answers at once every wrong code that still waits for its answer. */
  close(): void {
    this.#admission.close();
  }

  #contextOf(roomName: string, owner: Owner): SessionContext {
    const { context } = this;
    const { hub, overload } = this.connections;
    // Field by field, because other options are secrets.
    const { maxMessage, maxFrame, rate, burst, roomRate } = this.options;
    const limits = { maxMessage, maxFrame, rate, burst, roomRate };
    const shared = { history: this.#history, echoRate: this.#echoRate };
    const common = { hub, ...shared, overload, context };
    return { ...common, limits, roomName, owner };
  }
}

function tooManyEchoes(): HttpError {
  const message = "Too many clients use the echo: try again later.";
  return new HttpError(503, message, retryAfter(ECHO_RETRY_MS));
}
