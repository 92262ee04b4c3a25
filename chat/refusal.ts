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

/** The response for a refusal; what is none is thrown on. */
export function refuse(error: unknown): Response {
  if (error instanceof Refusal) return error.response;
  throw error;
}
