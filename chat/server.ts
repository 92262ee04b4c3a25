// Owns the HTTP side: routes, the order of the doors, the upgrade, farewells.
// Never knows what is said in a room.
// Invariant: a connection that got past the doors is in `connections` until its
// socket is gone, also when its session ended long before.
import { type Assets, serveAsset } from "./assets.ts";
import { type Certificate, CertificateError } from "./certificate.ts";
import {
  Invitation,
  isAllowedHost,
  isAllowedOrigin,
  isFromElsewhere,
  pageOrigin,
  presentedCode,
} from "./doors.ts";
import { echo } from "./echo.ts";
import { openSocket, readSubprotocol } from "./handshake.ts";
import { type Opening, PLAIN, readAnswer, readRequest } from "./opening.ts";
import type { Options } from "./options.ts";
import type { Log } from "./log.ts";
import { isShared } from "./log_shared.ts";
import { Listener } from "./listener.ts";
import { Lobby } from "./lobby.ts";
import { Overload } from "./overload.ts";
import { clientAddress, Networks, requestedHost } from "./proxy.ts";
import { parseRoom, SUBPROTOCOL } from "./protocol.ts";
import { Refusal, refuse, retryAfter, wrongMethod } from "./refusal.ts";
import type { Farewell, Session, Surroundings } from "./session.ts";
import { CutOff, EventStream } from "./sse.ts";
import { isLocal, tellHealth, tellMetrics } from "./status.ts";
import { Transports } from "./transports.ts";
import type { World } from "./world.ts";
import { XRay } from "./xray.ts";

export interface Server {
  /** Where it listens; the port is the real one if 0 was asked for. */
  readonly address: Deno.NetAddr;
  readonly lobby: Lobby;
  /** Everyone past the doors, with a promise that the socket is gone. */
  readonly connections: ReadonlyMap<Session, Promise<void>>;
  /** Reads the certificate again and, if it is new, serves with it. */
  renewCertificate(): Promise<void>;
  /** The watch over memory and what waits; for tests. */
  readonly overload: Overload;
  /**
   * Closes every client with a hint to come back, ends what Deno alone cannot
   * end (unfinished requests, endless messages), and listens anew.
   */
  reopen(reason: string, farewell: Farewell): Promise<void>;
  /**
   * Lets no one in any more, closes every client with 1001 and returns when
   * all are gone, at the latest after `deadlineMs`.
   */
  drain(deadlineMs: number): Promise<void>;
}

const RETRY_MS = 5_000;

/** Origin, invitation and lack of space; not what a client got wrong. */
const NOTABLE_REFUSALS = new Set([401, 403, 429, 503]);

/** Clients asked to come back are spread over so much time. */
const RETURN_AT_EARLIEST_MS = 1_000;
const RETURN_SPREAD_MS_PER_CLIENT = 5;
const RETURN_SPREAD_MAX_MS = 60_000;

/** How long clients have to answer a farewell before they are cut off. */
const FAREWELL_MS = 250;

const RENEW_CERTIFICATE_EVERY_MS = 10_000;

/** When the listener failed so often in a row, what hogs it is cut off. */
const LISTENER_FAILURES = 3;
const LISTENER_FAILURES_WITHIN_MS = 10_000;
const LISTENER_CUT_EVERY_MS = 60_000;

/** The ways into a room. */
const METHODS = {
  "/ws": ["GET"],
  "/events": ["GET"],
  "/messages": ["GET", "POST"],
};
type Entrance = keyof typeof METHODS;

const securityHeaders = Object.entries({
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
});

/** Starts to listen. Throws Deno's error if the address cannot be had. */
export function serve(
  options: Options,
  assets: Assets,
  log: Log,
  world: World,
  certificate?: Certificate,
): Server {
  // A quarter, so that a turn alone never makes a member look slow.
  const lobby = new Lobby(
    { maxRooms: options.maxRooms, maxTurnChars: options.sendLimit / 4 },
    log,
    world,
  );
  const connections = new Map<Session, Promise<void>>();
  const overload = new Overload(
    options,
    () => connections.keys(),
    world,
    (reason) => void reopen(reason, "overloaded"),
  );
  const invitation = options.invite === ""
    ? undefined
    : new Invitation(options.invite, world.now);
  const trusted = new Networks(options.trustProxy);
  const shared = isShared(log) ? log : undefined;
  const transports = new Transports({
    lobby,
    checkSpace,
    keep: keepByHttp,
    surroundings,
    ask: (...asked) => shared?.ask(...asked) ?? Promise.reject(),
  });
  shared?.join({
    giveWay: (identity, hold) => lobby.giveWay(identity, hold),
    // What fails here is done again when the log is back.
    rejoin: () => void lobby.rejoin().catch(() => {}),
    answer: (question) => transports.answer(question),
  });
  const xray = new XRay(options, lobby, () => connections.keys(), world);
  let isDraining = false;

  async function handle(
    request: Request,
    { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    try {
      return await route(request, remoteAddr);
    } catch (error) {
      return refuse(error);
    }
  }

  function route(
    request: Request,
    peer: Deno.NetAddr,
  ): Response | Promise<Response> {
    if (!URL.canParse(request.url)) {
      throw new Refusal(400, "This request could not be understood.");
    }
    const url = new URL(request.url);
    const { base } = options;
    if (`${url.pathname}/` === base) throw redirectInto(base, url.search);
    if (!url.pathname.startsWith(base)) {
      throw new Refusal(404, `There is nothing here: all is below ${base}.`);
    }
    const path = url.pathname.slice(base.length - 1);
    switch (path) {
      case "/ws":
      case "/events":
      case "/messages":
        return enter(request, url, peer, path);
      case "/x-ray/events":
        return xray.events(request, url, nameOf(peer));
      case "/healthz":
        return tellHealth(world, overload, isDraining);
      case "/lab/echo":
        return echo(request, url);
      case "/metrics":
        return metrics(request.headers, peer);
      default:
        return file(request, path, url.pathname);
    }
  }

  function file(request: Request, path: string, asked: string): Response {
    const response = serveAsset(assets, request, path) ??
      new Refusal(404, `There is nothing at ${asked}.`).response;
    for (const [name, value] of securityHeaders) {
      response.headers.set(name, value);
    }
    return response;
  }

  function metrics(headers: Headers, peer: Deno.NetAddr): Response {
    if (options.publicMetrics || isLocal(headers, peer)) {
      return tellMetrics(world, overload, lobby, connections.size);
    }
    throw new Refusal(
      403,
      "Metrics are for this machine only. " +
        "The server's operator can show them with --public-metrics.",
    );
  }

  /** Lets a client in, or throws why not, and notes both. */
  async function enter(
    request: Request,
    url: URL,
    peer: Deno.NetAddr,
    path: Entrance,
  ): Promise<Response> {
    const client = clientAddress(request.headers, peer.hostname, trusted);
    const response = await connect(request, url, peer, client, path)
      .catch(refuse);
    const { status } = response;
    world.metrics.handshakes.add(1, `${status}`);
    if (NOTABLE_REFUSALS.has(status)) {
      const message = "A client was not let in.";
      world.logger.log("info", "refusal", message, { status, client });
    }
    return response;
  }

  /** The doors, in their order; then what the path is for. */
  async function connect(
    request: Request,
    url: URL,
    peer: Deno.NetAddr,
    client: string,
    path: Entrance,
  ): Promise<Response> {
    const { headers, method } = request;
    const allowed = METHODS[path];
    if (!allowed.includes(method)) throw wrongMethod(allowed);
    const roomName = parseRoom(url);
    if (roomName === undefined) {
      throw new Refusal(
        400,
        "A room's name has 1 to 32 characters: a to z, 0 to 9 and -.",
      );
    }
    const origin = pageOrigin(headers);
    const host = requestedHost(headers, peer.hostname, trusted);
    const isAllowed = origin === null && path !== "/ws"
      ? isAllowedHost(host, options.allowOrigin)
      : isAllowedOrigin(origin, host, options.allowOrigin);
    if (!isAllowed || isFromElsewhere(headers)) {
      throw new Refusal(
        403,
        "This page's address is not one that may connect here. " +
          "The server's operator can allow it with --allow-origin.",
      );
    }
    const code = presentedCode(headers, url);
    const refused = await invitation?.check(code, nameOf(peer));
    if (refused !== undefined) throw refused;
    const at = surroundings(roomName, client);
    switch (path) {
      case "/ws":
        return upgrade(request, at);
      case "/events":
        return transports.events(request, url, at);
      case "/messages":
        return method === "GET"
          ? transports.poll(request, url, at)
          : transports.post(request, url, at);
    }
  }

  function surroundings(roomName: string, client: string): Surroundings {
    return { lobby, roomName, limits: options, overload, world, client };
  }

  /**
   * Opens a socket, or throws why not. Whether an upgrade was asked for is
   * looked at last: a page cannot see why its handshake was refused, but it can
   * ask the same address with `fetch` and be told.
   */
  function upgrade(request: Request, at: Surroundings): Response {
    const subprotocol = readSubprotocol(request.headers);
    checkSpace(at.roomName);
    // Once Deno took it for an upgrade it cannot be read any more.
    const asked = readRequest(request);
    const { session, response, isGone } = openSocket(
      request,
      subprotocol,
      options.idleTimeout,
      at,
    );
    keep(session, isGone, {
      ...asked,
      transport: "websocket",
      dialect: subprotocol ?? PLAIN,
      answer: readAnswer(response),
    });
    return response;
  }

  function keepByHttp(
    session: Session,
    isGone: Promise<void>,
    request: Request,
  ): void {
    const isStream = session.line instanceof EventStream;
    keep(session, isGone, {
      ...readRequest(request),
      transport: isStream ? "sse" : "poll",
      dialect: SUBPROTOCOL,
      answer: "",
    });
  }

  function keep(
    session: Session,
    isGone: Promise<void>,
    opening: Opening,
  ): void {
    connections.set(session, isGone);
    xray.opened(session, opening);
    isGone.then(() => {
      connections.delete(session);
      xray.gone(session);
    });
  }

  function checkSpace(roomName: string): void {
    const problem = isDraining
      ? "The server is shutting down."
      : connections.size >= options.maxClients
      ? "The server is full: try again later."
      : overload.isTight
      ? "The server is overloaded: try again later."
      : lobby.hasSpaceFor(roomName)
      ? undefined
      : "There are too many rooms: join an existing one or come later.";
    if (problem === undefined) return;
    throw new Refusal(503, problem, retryAfter(RETRY_MS));
  }

  const listener = new Listener(
    (port, signal) =>
      Deno.serve({
        port,
        hostname: options.host,
        signal,
        ...certificate && { cert: certificate.cert, key: certificate.key },
        onListen: () => {},
        onError: (fault) => {
          // Deno tells the end of every body, also one that was meant.
          if (!(fault instanceof CutOff)) {
            world.logger.fault("A request failed.", fault);
          }
          return new Refusal(500, "The server failed at this request.")
            .response;
        },
      }, handle),
    options.port,
    world.logger,
    onListenerFailure,
  );
  overload.start();
  const renewTimer = certificate &&
    setInterval(renewCertificate, RENEW_CERTIFICATE_EVERY_MS);

  async function renewCertificate(): Promise<void> {
    try {
      if (!certificate?.reload()) return;
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      const message = `The old certificate stays in use: ${error.message}.`;
      return world.logger.log("error", "certificate", message);
    }
    world.logger.log("info", "certificate", "There is a new certificate.");
    await reopen("certificate", "restarting");
  }

  let failuresMs: number[] = [];
  let cutAtMs = -Infinity;

  /** Without a free descriptor nobody comes in: end what may hold them. */
  function onListenerFailure(): void {
    const nowMs = performance.now();
    failuresMs = failuresMs.filter((atMs) =>
      nowMs - atMs < LISTENER_FAILURES_WITHIN_MS
    );
    failuresMs.push(nowMs);
    if (failuresMs.length < LISTENER_FAILURES) return;
    if (nowMs - cutAtMs < LISTENER_CUT_EVERY_MS) return;
    cutAtMs = nowMs;
    reopen("descriptors", "overloaded");
  }

  function bidFarewell(why: Farewell): void {
    const spreadMs = Math.min(
      RETURN_SPREAD_MAX_MS,
      connections.size * RETURN_SPREAD_MS_PER_CLIENT,
    );
    for (const session of connections.keys()) {
      session.dismiss(why, RETURN_AT_EARLIEST_MS + world.random() * spreadMs);
    }
  }

  /** Resolves when all that ever opened are gone. */
  async function areGone(): Promise<void> {
    const open = [...connections].filter(([session]) => session.hasOpened);
    await Promise.all(open.map(([, isGone]) => isGone));
  }

  async function reopen(reason: string, farewell: Farewell): Promise<void> {
    if (isDraining) return;
    const { metrics, logger } = world;
    metrics.reopenings.add(1, reason);
    logger.log("warn", "reopening", "All connections are closed.", { reason });
    bidFarewell(farewell);
    await within(FAREWELL_MS, areGone());
    if (!isDraining) listener.cut();
  }

  async function drain(deadlineMs: number): Promise<void> {
    isDraining = true;
    invitation?.close();
    xray.close();
    bidFarewell("shutting_down");
    await within(deadlineMs, areGone());
    // Only now: Deno 2.9 cuts off sockets here, also those about to close well.
    await within(FAREWELL_MS, listener.close());
    clearInterval(renewTimer);
    overload.stop();
  }

  return {
    address: listener.address,
    lobby,
    connections,
    renewCertificate,
    overload,
    reopen,
    drain,
  };
}

/** The TCP connection that a request came on. */
function nameOf({ hostname, port }: Deno.NetAddr): string {
  return `${hostname} ${port}`;
}

/** Waits for `promise`, at the longest `deadlineMs`. */
async function within(deadlineMs: number, promise: Promise<void>) {
  const { promise: isLate, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, deadlineMs);
  await Promise.race([promise, isLate]);
  clearTimeout(timer);
}

/**
 * Adds the slash that was left out. Relative to the address that was asked for,
 * which a proxy may have under another name (RFC 9110 section 10.2.2).
 */
function redirectInto(base: string, search: string): Refusal {
  const location = `${base.split("/").at(-2)}/${search}`;
  return new Refusal(308, `The address is ${base}.`, { location });
}
