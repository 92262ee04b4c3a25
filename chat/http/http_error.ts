// An HTTP answer to a request that cannot be granted: a status, one sentence
// for a person in the body, and headers for a program.

/** Thrown when a request cannot be granted; the message is the sentence. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }

  get response(): Response {
    const { status, headers } = this;
    return new Response(`${this.message}\n`, { status, headers });
  }
}

/** A request with a method that is not one of the `allowed`. */
export function wrongMethod(allowed: readonly string[]): HttpError {
  const allow = allowed.join(", ");
  return new HttpError(405, `This address accepts only ${allow}.`, { allow });
}

/**
 * Adds the missing slash. The location is relative to the requested address,
 * which a proxy may have under another name (RFC 9110 section 10.2.2).
 */
export function redirectInto(path: string, search: string): HttpError {
  const location = `${path.split("/").at(-2)}/${search}`;
  return new HttpError(308, `The address is ${path}.`, { location });
}

/**
 * The header for a time to wait, in whole seconds (RFC 9110 section 10.2.3).
 */
export function retryAfter(ms: number): { "retry-after": string } {
  return { "retry-after": String(Math.ceil(ms / 1000)) };
}

/** The response for an `HttpError`; throws every other error. */
export function errorResponse(error: unknown): Response {
  if (error instanceof HttpError) return error.response;
  throw error;
}

/** Answers a request that was not granted; throws every other error. */
export type ErrorAnswer = (request: Request, error: unknown) => Response;
