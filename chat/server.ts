// A server, made of its parts: the table of routes says which path is for what.
// How a client gets into a room is in entrance.ts; how connections end when the
// server stops, in shutdown.ts.
import { tellAddresses } from "./addresses.ts";
import { Connections } from "./connections.ts";
import { Entrance } from "./entrance.ts";
import type { Certificate } from "./http/certificate.ts";
import { errorAnswer } from "./http/error_page.ts";
import { HttpError } from "./http/http_error.ts";
import { Networks, ownerOf, socketAddress } from "./http/proxy.ts";
import { type Handler, type Incoming, methods, router } from "./http/router.ts";
import { answerFile, type Assets } from "./http/static_files.ts";
import { echo } from "./lab_echo.ts";
import { Listening, type Reopen } from "./listening.ts";
import type { Context } from "./ops/context.ts";
import { isLocal, tellHealth, tellMetrics } from "./ops/health.ts";
import type { Options } from "./options.ts";
import { Hub } from "./room/hub.ts";
import type { Session } from "./session/session.ts";
import { Shutdown } from "./shutdown.ts";
import type { Store } from "./store/store.ts";

export type Server = ReturnType<typeof serve>;

/** Starts to listen. Throws Deno's error if the address cannot be had. */
export function serve(
  options: Options,
  assets: Assets,
  store: Store,
  context: Context,
  certificate?: Certificate,
) {
  const answerError = errorAnswer(assets, options.base);
  const trusted = new Networks(options.trustProxy);
  const reopen: Reopen = (...why) => shutdown.reopen(...why);
  const hub = new Hub(options, store, context);
  const connections = new Connections(options, hub, context, reopen);
  const entrance = new Entrance(
    options,
    connections,
    context,
    trusted,
    answerError,
  );
  if (store.peers) entrance.joinPeers(store.peers);
  const parts = { options, context, trusted, connections, entrance };
  const routes = routesOf(parts, () => listening.address);
  const file = fileOf(assets, options, trusted, certificate !== undefined);
  const route = router(options.base, routes, file, answerError);
  const listening = new Listening(
    options,
    route,
    certificate,
    context,
    reopen,
  );
  const shutdown = new Shutdown(connections, entrance, listening, context);
  connections.overload.start();
  return {
    /**
     * Where the server listens; the port is the real one if 0 was asked for.
     */
    address: listening.address,
    hub,
    /** All connections, each with a promise that its socket is gone. */
    connections: connections.sessions as ReadonlyMap<Session, Promise<void>>,
    /** Watches memory and waiting bytes; here for tests. */
    overload: connections.overload,
    renewCertificate: () => listening.renew(),
    reopen,
    drain: (deadlineMs: number) => shutdown.drain(deadlineMs),
  };
}

interface Parts {
  options: Options;
  context: Context;
  trusted: Networks;
  connections: Connections;
  entrance: Entrance;
}

/** The handler of each path; every other path is for a file. */
function routesOf(
  parts: Parts,
  address: () => Deno.NetAddr,
): Record<string, Handler> {
  const { context, trusted, connections, entrance } = parts;
  const { requests } = entrance;
  const { overload, xray } = connections;
  return {
    "/ws": entrance.letIn({
      GET: (incoming, at) => entrance.upgrade(incoming, at),
    }),
    "/echo": entrance.letIn({
      GET: (incoming, at) => entrance.echo(incoming, at),
    }),
    "/events": entrance.letIn({
      GET: ({ request, url }, at) => requests.events(request, url, at),
    }),
    "/messages": entrance.letIn({
      GET: ({ request, url }, at) => requests.poll(request, url, at),
      POST: ({ request, url }, at) => requests.post(request, url, at),
    }),
    "/x-ray/events": methods({
      GET: ({ request: { headers }, url, peer }) =>
        xray.events(url, ownerOf(headers, peer, trusted, true)),
    }),
    "/lab/echo": methods({ GET: echo, POST: echo }),
    "/healthz": () => tellHealth(context, overload, connections.isDraining),
    "/metrics": (incoming) => metrics(parts, incoming),
    "/addresses": (incoming) => tellAddresses(context, incoming, address()),
  };
}

/** The metrics, for a reader who is allowed to see them. */
function metrics(
  { options, context, connections: { sessions, hub, overload } }: Parts,
  { request: { headers }, url, peer }: Incoming,
): Response {
  if (options.publicMetrics || isLocal(headers, url, peer)) {
    const census = { connections: sessions.size, ...hub.census };
    return tellMetrics(context, overload, census);
  }
  throw new HttpError(
    403,
    "Only the server's own machine can read the metrics. " +
      "The server's operator can show them with --public-metrics.",
  );
}

function fileOf(
  assets: Assets,
  options: Options,
  trusted: Networks,
  isTls: boolean,
): Handler {
  return (incoming) =>
    answerFile(
      assets,
      incoming,
      socketAddress(incoming, options, trusted, isTls),
    );
}
