// Owns who may come in: a page by its origin, a client by its invitation. Never
// opens a socket and never logs.
// Invariant: the code itself leaves this file in no answer, and no answer tells
// more about it than right or wrong, at a bounded rate.
import { createHash, timingSafeEqual } from "node:crypto";
import { TokenBucket } from "./limits.ts";
import { Refusal, retryAfter } from "./refusal.ts";

/** How long a wrong code waits for its answer: a second for each guess. */
const WRONG_CODE_WAIT_MS = 1_000;

/**
 * Wrong codes of all connections together. A class of thirty may mistype it
 * twice in the same moment; one who guesses, with however many connections,
 * needs six days for all codes of six digits, and has no chance with letters.
 */
const WRONG_CODES_PER_SECOND = 2;
const WRONG_CODES_BURST = 60;

/** How it is said that a code does not let in. */
export interface Refusals {
  missing(): Refusal;
  wrong(): Refusal;
  tooMany(retryAfter: { "retry-after": string }): Refusal;
}

/** The code that clients need, and what holds back those who guess it. */
export class Invitation {
  readonly #digest: Uint8Array;
  readonly #wrongCodes: TokenBucket;
  /** Ends the wait, by connection. The bucket bounds how many there are. */
  readonly #waiting = new Map<string, () => void>();
  #isClosed = false;

  constructor(
    code: string,
    private readonly now: () => number,
    private readonly refusals: Refusals = INVITATION_REFUSALS,
  ) {
    this.#digest = sha256(code);
    this.#wrongCodes = new TokenBucket(
      WRONG_CODES_PER_SECOND,
      WRONG_CODES_BURST,
      now(),
    );
  }

  /**
   * Returns undefined if the code is right, else the refusal, for a wrong code
   * after a second, or another one at once after too many wrong ones. `connection` names
   * the TCP connection. Nothing is compared while that is the answer, so
   * that it tells nothing.
   */
  check(
    code: string | undefined,
    connection: string,
  ): Refusal | Promise<Refusal> | undefined {
    if (code === undefined) {
      return this.refusals.missing();
    }
    // HTTP/2 can bring a second attempt while the first one's answer waits.
    const waitMs = this.#waiting.has(connection)
      ? WRONG_CODE_WAIT_MS
      : this.#wrongCodes.peek(this.now());
    if (waitMs > 0) return this.refusals.tooMany(retryAfter(waitMs));
    // Digests have one length, which `timingSafeEqual` needs.
    if (timingSafeEqual(sha256(code), this.#digest)) return undefined;
    this.#wrongCodes.take(this.now());
    return this.#answerLate(connection);
  }

  /** Answers at once all that wait, and from now on without a wait. */
  close(): void {
    this.#isClosed = true;
    for (const answer of this.#waiting.values()) answer();
  }

  async #answerLate(connection: string): Promise<Refusal> {
    if (!this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, WRONG_CODE_WAIT_MS);
      this.#waiting.set(connection, resolve);
      await promise;
      clearTimeout(timer);
      this.#waiting.delete(connection);
    }
    return this.refusals.wrong();
  }
}

/**
 * The code that a request brings: in the query, the only place that a browser's
 * WebSocket has for it, or as a bearer token (RFC 6750 section 2.1).
 */
export function presentedCode(headers: Headers, url: URL): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "");
  return url.searchParams.get("invite") || bearer?.[1];
}

function unauthorized(text: string, challenge: string): Refusal {
  return new Refusal(401, text, { "www-authenticate": challenge });
}

// The challenges: RFC 6750 section 3.1.
const INVITATION_REFUSALS: Refusals = {
  missing: () =>
    unauthorized(
      "An invitation is needed: open the link that you were given, " +
        "or add its code to the address as ?invite=CODE.",
      "Bearer",
    ),
  wrong: () =>
    unauthorized(
      "This invitation does not hold here: ask for the current one.",
      'Bearer error="invalid_token"',
    ),
  tooMany: (retryAfter) =>
    new Refusal(
      429,
      "Too many wrong invitations were tried here: wait a while.",
      retryAfter,
    ),
};

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/**
 * The site of the page that asks, or null for a program. A browser names it in
 * `Origin` with a handshake, but not when a page asks its own server by `fetch`
 * why that was refused; then the page sends it as `Referer` (RFC 9110 section
 * 10.1.3).
 */
export function pageOrigin(headers: Headers): string | null {
  const referer = headers.get("referer") ?? "";
  return headers.get("origin") ??
    (URL.canParse(referer) ? new URL(referer).origin : null);
}

/**
 * Whether a page of another site makes the browser ask without saying which
 * one, as by a link or an image (W3C Fetch Metadata section 2.3).
 */
export function isFromElsewhere(headers: Headers): boolean {
  return !headers.has("origin") &&
    headers.get("sec-fetch-site") === "cross-site";
}

/**
 * Whether a page may open a socket. A browser names the page's site in
 * `Origin` (RFC 6455 section 10.2); programs send none and are let in. A page
 * of this server, which is at `host`, may, unless that is a public name: such a
 * name may have been pointed here, or at the proxy before it, by a stranger
 * (DNS rebinding), so it has to be listed.
 */
export function isAllowedOrigin(
  origin: string | null,
  host: string | null,
  allowed: string[],
): boolean {
  if (origin === null || allowed.includes("*") || allowed.includes(origin)) {
    return true;
  }
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) &&
    url.host === host && isLocalName(url.hostname);
}

/**
 * Whether a request that names no page may be for this host. A page that asks
 * its own server by GET sends no `Origin`, so that of a stranger who pointed a
 * name here would pass for a program; but the name is in `Host`.
 */
export function isAllowedHost(host: string | null, allowed: string[]): boolean {
  if (host === null || allowed.includes("*")) return true;
  const url = `http://${host}`;
  return URL.canParse(url) && isLocalName(new URL(url).hostname) ||
    allowed.some((origin) => URL.parse(origin)?.host === host);
}

/** An address, or a name that no public DNS can give away. */
function isLocalName(hostname: string): boolean {
  return /^[\d.]+$|^\[|^[^.]+$|\.(localhost|local|lan|internal|home\.arpa)$/
    .test(hostname);
}
