// Finds the handler for a request: by its path below the base path, then by its
// method. If a handler throws an `HttpError`, that is the answer.
import {
  type ErrorAnswer,
  HttpError,
  redirectInto,
  wrongMethod,
} from "./http_error.ts";
import { readTarget } from "./target.ts";

/** A request as the server received it. */
export interface Incoming {
  request: Request;
  url: URL;
  /** The path below the base path; begins with a slash. */
  path: string;
  peer: Deno.NetAddr;
}

export type Handler = (incoming: Incoming) => Response | Promise<Response>;

/**
 * The entry for the request's method. Throws an `HttpError` if there is none.
 */
export function byMethod<T>(those: Record<string, T>, { method }: Request): T {
  // Not by a look-up: every object has a `toString`, and so may a method.
  const found = Object.entries(those).find(([name]) => name === method);
  if (found === undefined) throw wrongMethod(Object.keys(those));
  return found[1];
}

/** A handler for each of these methods, and for no other. */
export function methods(handlers: Record<string, Handler>): Handler {
  return (incoming) => byMethod(handlers, incoming.request)(incoming);
}

/** Answers requests by these routes below `base`, other ones by `otherwise`. */
export function router(
  base: string,
  routes: Record<string, Handler>,
  otherwise: Handler,
  answerError: ErrorAnswer,
): Deno.ServeHandler<Deno.NetAddr> {
  const handlers = new Map(Object.entries(routes));

  function route(request: Request, peer: Deno.NetAddr) {
    const url = readTarget(request);
    if (`${url.pathname}/` === base) throw redirectInto(base, url.search);
    if (!url.pathname.startsWith(base)) {
      throw new HttpError(
        404,
        `There is nothing here: this server is below ${base}.`,
      );
    }
    const path = url.pathname.slice(base.length - 1);
    const handle = handlers.get(path) ?? otherwise;
    return handle({ request, url, path, peer });
  }

  async function answer(request: Request, peer: Deno.NetAddr) {
    try {
      return await route(request, peer);
    } catch (error) {
      return answerError(request, error);
    }
  }

  return async (request, { remoteAddr }) => {
    const response = await answer(request, remoteAddr);
    endAfterChunks(request, response);
    return response;
  };
}

/**
 * Deno before 2.8.3 accepts a request that has a length as well as chunks, and
 * hides the length. If a proxy goes by the length, the bytes that follow may be
 * another client's (RFC 9112 section 6.1): so the connection ends here.
 */
function endAfterChunks(request: Request, response: Response): void {
  if (request.headers.has("transfer-encoding")) {
    response.headers.set("connection", "close");
  }
}
