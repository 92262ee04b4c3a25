// Owns `Refusal`, the way to say over HTTP that something is not granted.
// Never decides that. Invariant: the body is one sentence for a person; what a
// program needs is in the status and the headers.

/** Thrown where a request cannot be granted; its message is the sentence. */
export class Refusal extends Error {
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
export function wrongMethod(allowed: readonly string[]): Refusal {
  const allow = allowed.join(", ");
  return new Refusal(405, `Here is only ${allow}.`, { allow });
}

/** In whole seconds (RFC 9110 section 10.2.3). */
export function retryAfter(ms: number): { "retry-after": string } {
  return { "retry-after": String(Math.ceil(ms / 1000)) };
}

/** The response for a refusal; what is none is thrown on. */
export function refuse(error: unknown): Response {
  if (error instanceof Refusal) return error.response;
  throw error;
}
