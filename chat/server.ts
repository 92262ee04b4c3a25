// Makes a server of its parts: the table says which path is for what. Who may come
// in is decided in http/admission.ts; who is connected, and what becomes of them
// when the server stops, in connections.ts.
import { tellAddresses } from "./addresses.ts";
import { Connections } from "./connections.ts";
import { Admission } from "./http/admission.ts";
import type { Certificate } from "./http/certificate.ts";
import { errorAnswer } from "./http/error_page.ts";
import { HttpError } from "./http/http_error.ts";
import { Networks, type Owner, socketAddress } from "./http/proxy.ts";
import {
  byMethod,
  type Handler,
  type Incoming,
  methods,
  router,
} from "./http/router.ts";
import { answerFile, type Assets } from "./http/static_files.ts";
import { echo } from "./lab_echo.ts";
import type { Context } from "./ops/context.ts";
import { isLocal, tellHealth, tellMetrics } from "./ops/health.ts";
import type { Options } from "./options.ts";
import type { Interruption } from "./protocol/close_codes.ts";
import { Hub } from "./room/hub.ts";
import type { Place, Session } from "./session/session.ts";
import type { Store } from "./store/store.ts";
import { HttpRequests } from "./transport/http_requests.ts";
import { readSubprotocol } from "./transport/websocket.ts";

export type Server = ReturnType<typeof serve>;

/** What opens a way into a room, for a client that was let in. */
type Opener = (incoming: Incoming, at: Place) => ReturnType<Handler>;

/** Starts to listen. Throws Deno's error if the address cannot be had. */
export function serve(
  options: Options,
  assets: Assets,
  store: Store,
  context: Context,
  certificate?: Certificate,
) {
  const hub = new Hub(options, store, context);
  const connections = new Connections(options, hub, context);
  const { overload, xray } = connections;
  const answerError = errorAnswer(assets, options.base);
  const trusted = new Networks(options.trustProxy);
  const admission = new Admission(
    options,
    trusted,
    context,
    (...room) => connections.noSpace(...room),
    answerError,
  );
  const requests = new HttpRequests({
    hub,
    monotonic: context.monotonic,
    polls: connections.polls,
    checkSpace: (...args) => admission.checkSpace(...args),
    keep: (...kept) => connections.keepHttp(...kept),
  });
  store.peers?.join({
    supersede: (...held) => hub.identities.supersede(...held),
    // What fails here is done again when the store is back.
    rejoin: () => void hub.identities.rejoin().catch(() => {}),
    answer: (question) => requests.answer(question),
  });

  /** What each path is for; every other path is for a file. */
  const routes: Record<string, Handler> = {
    "/ws": entrance({ GET: upgrade }),
    "/events": entrance({
      GET: ({ request, url }, at) => requests.events(request, url, at),
    }),
    "/messages": entrance({
      GET: ({ request, url }, at) => requests.poll(request, url, at),
      POST: ({ request, url }, at) => requests.post(request, url, at),
    }),
    "/x-ray/events": methods({
      GET: ({ url }) => xray.events(url),
    }),
    "/lab/echo": methods({ GET: echo, POST: echo }),
    "/healthz": () => tellHealth(context, overload, connections.isDraining),
    "/metrics": metrics,
    "/addresses": (incoming) => tellAddresses(context, incoming, address),
  };

  /** Lets in what may come in, to what its method is for. */
  function entrance(openers: Record<string, Opener>): Handler {
    return (incoming) =>
      admission.enter(incoming, Object.keys(openers), (...from) => {
        const open = byMethod(openers, incoming.request);
        return open(incoming, placeOf(...from));
      });
  }

  /**
   * Opens a socket, or throws why not. Whether an upgrade was asked for is
   * looked at last: a page cannot see why its handshake was refused, but it can
   * ask the same address with `fetch` and be told.
   */
  function upgrade(incoming: Incoming, at: Place): Response {
    const agreement = readSubprotocol(incoming.request.headers);
    admission.checkSpace(at.roomName);
    return connections.openSocket(incoming, agreement, at);
  }

  function metrics({ request: { headers }, url, peer }: Incoming): Response {
    if (options.publicMetrics || isLocal(headers, url, peer)) {
      return tellMetrics(context, overload, {
        connections: connections.sessions.size,
        ...hub.census,
      });
    }
    throw new HttpError(
      403,
      "Only the server's own machine can read the metrics. " +
        "The server's operator can show them with --public-metrics.",
    );
  }

  function placeOf(roomName: string, owner: Owner): Place {
    const common = { hub, limits: options, overload, context };
    return { ...common, roomName, owner };
  }

  const isTls = certificate !== undefined;
  const file: Handler = (incoming) => {
    const socket = socketAddress(incoming, options, trusted, isTls);
    return answerFile(assets, incoming, socket);
  };
  const handle = router(options.base, routes, file, answerError);
  const address = connections.listen(handle, certificate);
  return {
    /** Where it listens; the port is the real one if 0 was asked for. */
    address,
    hub,
    /** Everyone who was let in, with a promise that the socket is gone. */
    connections: connections.sessions as ReadonlyMap<Session, Promise<void>>,
    /** The watch over memory and what waits; for tests. */
    overload,
    renewCertificate: () => connections.renew(certificate),
    reopen: (reason: string, why: Interruption) =>
      connections.reopen(reason, why),
    drain(deadlineMs: number): Promise<void> {
      admission.close();
      return connections.drain(deadlineMs);
    },
  };
}
