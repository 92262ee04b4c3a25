// The clients that are connected, and whether there is space for one more. A
// connection stays here until its socket is gone or given up, even if its
// session ended earlier.
import type { Incoming } from "./http/router.ts";
import type { Reopen } from "./listening.ts";
import type { Context } from "./ops/context.ts";
import { Overload } from "./ops/overload.ts";
import type { Options } from "./options.ts";
import { SUBPROTOCOL } from "./protocol/requests.ts";
import type { Hub } from "./room/hub.ts";
import type { Session, SessionContext } from "./session/session.ts";
import { EventStream } from "./transport/event_stream.ts";
import { PollPlaces } from "./transport/poll_places.ts";
import { type Agreement, openSocket } from "./transport/websocket.ts";
import {
  type HandshakeRecord,
  PLAIN,
  RequestRecord,
} from "./x_ray/handshake_record.ts";
import { XRay } from "./x_ray/x_ray.ts";

export class Connections {
  /** Each session, with a promise that resolves when its socket is gone. */
  readonly sessions = new Map<Session, Promise<void>>();
  readonly polls: PollPlaces;
  readonly xray: XRay;
  readonly overload: Overload;
  /** Whether the server is about to stop: nobody comes in any more. */
  isDraining = false;
  /** The codes that let a client in; the X-ray hides them. */
  readonly #codes: readonly string[];

  constructor(
    private readonly options: Options,
    readonly hub: Hub,
    context: Context,
    reopen: Reopen,
  ) {
    this.#codes = [options.invite, options.moderator];
    const sessions = () => this.sessions.keys();
    this.polls = new PollPlaces(options);
    this.xray = new XRay(options, hub, sessions, context);
    this.overload = new Overload(
      options,
      sessions,
      context,
      (reason) => void reopen(reason, "overloaded"),
    );
  }

  /** A sentence if nobody can come into this room now, else undefined. */
  noSpace(roomName: string, isPoll: boolean): string | undefined {
    const connected = this.sessions.size - this.polls.size;
    return this.isDraining
      ? "The server is shutting down."
      : !isPoll && connected >= this.options.maxClients
      ? "The server is full: try again later."
      : this.overload.isTight
      ? "The server is overloaded: try again later."
      : this.hub.hasSpaceFor(roomName)
      ? undefined
      : "There are too many rooms: join an existing one, or try again later.";
  }

  /** Opens a WebSocket. Throws an `HttpError` if the request asks for none. */
  openSocket(
    { request, url }: Incoming,
    agreement: Agreement,
    at: SessionContext,
  ): Response {
    // Read first: Deno shows nothing of a request that it has upgraded.
    const record = new RequestRecord(request, this.#codes, url);
    const { session, response, isGone } = openSocket(
      request,
      agreement,
      this.options.idleTimeout,
      at,
    );
    const { status, headers } = response;
    this.#add(session, isGone, {
      request: record,
      transport: "websocket",
      dialect: agreement.dialect ?? PLAIN,
      response: { status, headers },
    });
    return response;
  }

  /** Adds a session that an HTTP request began. */
  addHttp(session: Session, isGone: Promise<void>, request: Request): void {
    const isStream = session.transport instanceof EventStream;
    this.#add(session, isGone, {
      request: new RequestRecord(request, this.#codes),
      transport: isStream ? "sse" : "poll",
      dialect: SUBPROTOCOL,
      response: undefined,
    });
  }

  #add(
    session: Session,
    isGone: Promise<void>,
    handshake: HandshakeRecord,
  ): void {
    this.sessions.set(session, isGone);
    this.xray.opened(session, handshake);
    isGone.then(() => this.#forget(session));
  }

  #forget(session: Session): void {
    if (this.sessions.delete(session)) this.xray.gone(session);
  }

  /** Resolves when all sessions whose handshake was completed are gone. */
  async areGone(): Promise<void> {
    const open = [...this.sessions].filter(([session]) => session.hasOpened);
    await Promise.all(open.map(([, isGone]) => isGone));
  }

  /**
   * Gives up the connections whose session has ended, for Deno before 2.8.3,
   * which cannot cut off a WebSocket. If the client does not answer, its
   * descriptor stays open until the client goes, but its place is free.
   */
  giveUpEnded(): void {
    for (const session of this.sessions.keys()) {
      if (session.hasEnded) this.#forget(session);
    }
  }
}
