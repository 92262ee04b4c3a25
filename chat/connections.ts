// Who is connected, and the socket on which they come in. A connection is here
// until its socket is gone or given up, also when its session ended before. When the
// server stops, or has to listen anew, every client is asked to come back at a
// moment of its own, so that they do not come all at once.
import {
  type Certificate,
  RENEW_CERTIFICATE_EVERY_MS,
} from "./http/certificate.ts";
import { HttpError } from "./http/http_error.ts";
import { Listener } from "./http/listener.ts";
import type { Incoming } from "./http/router.ts";
import type { Context } from "./ops/context.ts";
import { Overload } from "./ops/overload.ts";
import type { Options } from "./options.ts";
import type { Interruption } from "./protocol/close_codes.ts";
import { SUBPROTOCOL } from "./protocol/requests.ts";
import type { Hub } from "./room/hub.ts";
import type { Place, Session } from "./session/session.ts";
import { CutOff, EventStream } from "./transport/event_stream.ts";
import { PollPlaces } from "./transport/poll_places.ts";
import { type Agreement, openSocket } from "./transport/websocket.ts";
import {
  type HandshakeRecord,
  PLAIN,
  RequestRecord,
} from "./x_ray/handshake_record.ts";
import { XRay } from "./x_ray/x_ray.ts";

/** Clients that are asked to come back do so spread over this time. */
const RETURN_AT_EARLIEST_MS = 1_000;
const RETURN_SPREAD_MS_PER_CLIENT = 5;
const RETURN_SPREAD_MAX_MS = 60_000;

/** How long clients have to answer a close frame before they are cut off. */
const CLOSE_MS = 250;

/** So many failures of the listener in this time cut off every connection. */
const LISTENER_FAILURES = 3;
const LISTENER_FAILURES_WITHIN_MS = 10_000;
const LISTENER_CUT_EVERY_MS = 60_000;

export class Connections {
  /** Each of them, with a promise that its socket is gone. */
  readonly sessions = new Map<Session, Promise<void>>();
  readonly polls: PollPlaces;
  readonly overload: Overload;
  readonly xray: XRay;
  /** What lets somebody in here, and is shown to nobody. */
  readonly #codes: readonly string[];
  #isDraining = false;
  #listener: Listener | undefined;
  #renewTimer: ReturnType<typeof setInterval> | undefined;
  #failuresMs: number[] = [];
  #cutAtMs = -Infinity;

  constructor(
    private readonly options: Options,
    private readonly hub: Hub,
    private readonly context: Context,
  ) {
    this.#codes = [options.invite, options.moderator];
    const sessions = () => this.sessions.keys();
    this.polls = new PollPlaces(options.maxPolls);
    this.xray = new XRay(options, hub, sessions, context);
    this.overload = new Overload(
      options,
      sessions,
      context,
      (reason) => void this.reopen(reason, "overloaded"),
    );
  }

  /** Whether the server is about to stop. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Why nobody can come into this room now, if so: a sentence. */
  noSpace(roomName: string, isPoll: boolean): string | undefined {
    const connected = this.sessions.size - this.polls.size;
    return this.#isDraining
      ? "The server is shutting down."
      : !isPoll && connected >= this.options.maxClients
      ? "The server is full: try again later."
      : this.overload.isTight
      ? "The server is overloaded: try again later."
      : this.hub.hasSpaceFor(roomName)
      ? undefined
      : "There are too many rooms: join an existing one, or try again later.";
  }

  /** Listens, and returns where. Throws Deno's error if it cannot. */
  listen(
    handle: Deno.ServeHandler<Deno.NetAddr>,
    certificate: Certificate | undefined,
  ): Deno.NetAddr {
    const { host, port } = this.options;
    this.#listener = new Listener(
      (port, signal) =>
        Deno.serve({
          port,
          hostname: host,
          signal,
          ...certificate && { cert: certificate.cert, key: certificate.key },
          onListen: () => {},
          onError: (fault) => this.#answerFault(fault),
        }, handle),
      port,
      this.context.logger,
      () => this.#listenerFailed(),
    );
    this.overload.start();
    this.#renewTimer = certificate &&
      setInterval(() => this.renew(certificate), RENEW_CERTIFICATE_EVERY_MS);
    return this.#listener.address;
  }

  #answerFault(fault: unknown): Response {
    // Deno tells the end of every body, also one that was meant.
    if (!(fault instanceof CutOff)) {
      this.context.logger.fault("A request failed.", fault);
    }
    return new HttpError(500, "An error in the server: this request failed.")
      .response;
  }

  /** Reads the certificate again and, if it is new, serves with it. */
  async renew(certificate: Certificate | undefined): Promise<void> {
    if (!certificate?.renew(this.context.logger)) return;
    await this.reopen("certificate", "restarting");
  }

  /** Opens a WebSocket. Throws an `HttpError` if that was not asked for. */
  openSocket(
    { request, url }: Incoming,
    agreement: Agreement,
    at: Place,
  ): Response {
    // Once Deno took it for an upgrade it cannot be read any more.
    const record = new RequestRecord(request, this.#codes, url);
    const { session, response, isGone } = openSocket(
      request,
      agreement,
      this.options.idleTimeout,
      at,
    );
    const { status, headers } = response;
    this.#keep(session, isGone, {
      request: record,
      transport: "websocket",
      dialect: agreement.dialect ?? PLAIN,
      response: { status, headers },
    });
    return response;
  }

  /** Keeps a session that a request by HTTP began. */
  keepHttp(session: Session, isGone: Promise<void>, request: Request): void {
    const isStream = session.line instanceof EventStream;
    this.#keep(session, isGone, {
      request: new RequestRecord(request, this.#codes),
      transport: isStream ? "sse" : "poll",
      dialect: SUBPROTOCOL,
      response: undefined,
    });
  }

  #keep(
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

  /**
   * Disconnects every client, ends what Deno alone cannot end (unfinished
   * requests, endless messages), and listens anew.
   */
  async reopen(reason: string, why: Interruption): Promise<void> {
    if (this.#isDraining) return;
    const { metrics, logger } = this.context;
    metrics.reopenings.add(1, reason);
    logger.log("warn", "reopening", "All connections are closed.", { reason });
    this.#disconnectAll(why);
    await within(CLOSE_MS, this.#areGone());
    if (this.#isDraining) return;
    this.#listener?.cut();
    // Deno before 2.8.3 cuts no WebSocket. One whose client does not answer is
    // given up: it keeps its descriptor until the client goes, but no place.
    for (const session of this.sessions.keys()) {
      if (session.hasEnded) this.#forget(session);
    }
  }

  /**
   * Lets no one in any more, disconnects every client and returns when all are
   * gone, at the latest after `deadlineMs`.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    this.xray.drain();
    this.#disconnectAll("shutting_down");
    await within(deadlineMs, this.#areGone());
    // Whoever watches has seen how it ended.
    this.xray.close();
    // Only now: Deno 2.9 cuts off sockets here, also those about to close well.
    if (this.#listener) await within(CLOSE_MS, this.#listener.close());
    clearInterval(this.#renewTimer);
    this.overload.stop();
  }

  #disconnectAll(why: Interruption): void {
    const spreadMs = Math.min(
      RETURN_SPREAD_MAX_MS,
      this.sessions.size * RETURN_SPREAD_MS_PER_CLIENT,
    );
    const { random } = this.context;
    for (const session of this.sessions.keys()) {
      session.disconnect(why, RETURN_AT_EARLIEST_MS + random() * spreadMs);
    }
  }

  /** Resolves when all sessions whose handshake was completed are gone. */
  async #areGone(): Promise<void> {
    const open = [...this.sessions].filter(([session]) => session.hasOpened);
    await Promise.all(open.map(([, isGone]) => isGone));
  }

  /** Without a free descriptor nobody comes in: cuts off all who may hold one. */
  #listenerFailed(): void {
    const nowMs = performance.now();
    this.#failuresMs = this.#failuresMs.filter((atMs) =>
      nowMs - atMs < LISTENER_FAILURES_WITHIN_MS
    );
    this.#failuresMs.push(nowMs);
    if (this.#failuresMs.length < LISTENER_FAILURES) return;
    if (nowMs - this.#cutAtMs < LISTENER_CUT_EVERY_MS) return;
    this.#cutAtMs = nowMs;
    this.reopen("descriptors", "overloaded");
  }
}

/** Waits for `promise`, at the longest `deadlineMs`. */
async function within(deadlineMs: number, promise: Promise<void>) {
  const { promise: isLate, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, deadlineMs);
  await Promise.race([promise, isLate]);
  clearTimeout(timer);
}
