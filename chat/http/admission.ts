// Admission: a page needs an allowed origin, a client the invitation, and both
// need space. No answer contains the code, or tells more about a code than
// right or wrong. The right code is let in at once, always.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context } from "../ops/context.ts";
import { parseRoom } from "../protocol/requests.ts";
import {
  type ErrorAnswer,
  HttpError,
  retryAfter,
  wrongMethod,
} from "./http_error.ts";
import { type Networks, type Owner, ownerOf, requestedHost } from "./proxy.ts";
import type { Incoming } from "./router.ts";
import { canonicalHost, canonicalOrigin } from "./target.ts";

/** When a client that found no space may try again. */
const RETRY_MS = 5_000;

/** Refusals for origin, invitation or space; not for a malformed request. */
const NOTABLE_STATUS = new Set([401, 403, 429, 503]);

/** The paths of WebSockets: each has a connection and an origin of its own. */
const SOCKETS: ReadonlySet<string> = new Set(["/ws", "/echo"]);

interface Rules {
  /** The invitation's code, which clients need; "" for none. */
  invite: string;
  allowOrigin: string[];
}

/** Decides which requests may open a connection into a room. */
export class Admission {
  readonly #invitation: AccessCode | undefined;

  constructor(
    private readonly rules: Rules,
    private readonly trusted: Networks,
    private readonly context: Context,
    /** A sentence if nobody can be let into this room now, else undefined. */
    private readonly noSpace: (
      roomName: string,
      isPoll: boolean,
    ) => string | undefined,
    private readonly answerError: ErrorAnswer,
  ) {
    this.#invitation = rules.invite === ""
      ? undefined
      : new AccessCode(rules.invite);
  }

  /** Lets a client in by `open`, or answers why not; logs and counts both. */
  async enter(
    incoming: Incoming,
    methods: readonly string[],
    open: (
      roomName: string,
      owner: Owner,
    ) => Response | Promise<Response>,
  ): Promise<Response> {
    const { request, path, peer } = incoming;
    const { allowOrigin } = this.rules;
    const origin = request.headers.get("origin");
    const permission = preflight(request, methods, allowOrigin);
    if (permission !== undefined) {
      allowReading(permission, origin, allowOrigin);
      return permission;
    }
    const isSingle = !SOCKETS.has(path);
    const owner = ownerOf(request.headers, peer, this.trusted, isSingle);
    const response = await this.#check(incoming, methods)
      .then((roomName) => open(roomName, owner))
      .catch((error) => this.answerError(request, error));
    const { status } = response;
    // No page reads the answer to an upgrade, and Deno needs it unchanged.
    if (status !== 101) allowReading(response, origin, allowOrigin);
    const { metrics, logger } = this.context;
    metrics.handshakes.add(1, `${status}`);
    if (NOTABLE_STATUS.has(status)) {
      const message = "A client was refused.";
      logger.log("info", "refusal", message, {
        status,
        client: owner.client,
      });
    }
    return response;
  }

  /** Returns the name of the room, or throws why a client may not come in. */
  async #check(
    { request, url, path, peer }: Incoming,
    methods: readonly string[],
  ): Promise<string> {
    const { headers, method } = request;
    if (!methods.includes(method)) throw wrongMethod(methods);
    const roomName = parseRoom(url);
    if (roomName === undefined) {
      throw new HttpError(
        400,
        "A room's name has 1 to 32 characters: a to z, 0 to 9 and -.",
      );
    }
    const { allowOrigin } = this.rules;
    const origin = pageOrigin(headers);
    const host = requestedHost(url, headers, peer.hostname, this.trusted);
    const isAllowed = origin === null && !SOCKETS.has(path)
      ? isAllowedHost(host, allowOrigin)
      : isAllowedOrigin(origin, host, allowOrigin);
    if (!isAllowed || isFromElsewhere(headers)) {
      throw new HttpError(
        403,
        "This server accepts no connection from a page of another address. " +
          "Its operator can allow the address with --allow-origin.",
      );
    }
    if (isSilentBrowser(headers)) {
      throw new HttpError(
        403,
        "The browser did not say which page sent this request. " +
          "To chat, open this server's own page.",
      );
    }
    const code = presentedCode(headers, url);
    const problem = await this.#invitation?.check(code);
    if (problem !== undefined) throw problem;
    return roomName;
  }

  /** Throws if one more client cannot come into this room. */
  checkSpace(roomName: string, isPoll = false): void {
    const problem = this.noSpace(roomName, isPoll);
    if (problem === undefined) return;
    throw new HttpError(503, problem, retryAfter(RETRY_MS));
  }

  /** Answers at once every wrong code that still waits for its answer. */
  close(): void {
    this.#invitation?.close();
  }
}

/** How long the answer to a wrong code waits. */
const WRONG_CODE_WAIT_MS = 1_000;

/**
 * Answers that wait at the same time; a further wrong code is answered at once
 * with another error. A class of thirty may mistype its code twice in the same
 * second. The wait is for people who mistype and for programs that try again
 * without end; the length of the code keeps out those who guess.
 */
export const MAX_WRONG_CODES_WAITING = 60;

/** The errors for a code that does not let a client in. */
interface CodeErrors {
  missing(): HttpError;
  wrong(): HttpError;
  tooMany(retryAfter: { "retry-after": string }): HttpError;
}

/**
 * A code that a request has to bring: the invitation's or the moderator's.
 * Wrong codes never delay the right one.
 */
export class AccessCode {
  readonly #digest: Uint8Array;
  /** Each function ends the wait of one answer. */
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(
    code: string,
    private readonly errors: CodeErrors = INVITATION_ERRORS,
  ) {
    this.#digest = sha256(code);
  }

  /**
   * Returns undefined at once if the code is right, else an error: after a
   * second for a wrong code, or at once while too many answers wait.
   */
  check(code: string | undefined): HttpError | Promise<HttpError> | undefined {
    if (code === undefined) return this.errors.missing();
    // Digests have equal lengths, as `timingSafeEqual` requires.
    if (timingSafeEqual(sha256(code), this.#digest)) return undefined;
    if (this.#isClosed) return this.errors.wrong();
    if (this.#waiting.size >= MAX_WRONG_CODES_WAITING) {
      return this.errors.tooMany(retryAfter(WRONG_CODE_WAIT_MS));
    }
    return this.#answerLate();
  }

  /** Answers at once all that wait; from now on no answer waits. */
  close(): void {
    this.#isClosed = true;
    for (const answer of this.#waiting) answer();
  }

  async #answerLate(): Promise<HttpError> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WRONG_CODE_WAIT_MS);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    return this.errors.wrong();
  }
}

/**
 * The code in a request: in the query, the only place that a browser's
 * WebSocket has for it, or as a bearer token (RFC 6750 section 2.1).
 */
export function presentedCode(headers: Headers, url: URL): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "");
  return url.searchParams.get("invite") || bearer?.[1];
}

function unauthorized(text: string, challenge: string): HttpError {
  return new HttpError(401, text, { "www-authenticate": challenge });
}

// The challenges: RFC 6750 section 3.1.
const INVITATION_ERRORS: CodeErrors = {
  missing: () =>
    unauthorized(
      "This server asks for an invitation: open the link that you were given, " +
        "or add its code to the address as ?invite=CODE.",
      "Bearer",
    ),
  wrong: () =>
    unauthorized(
      "This invitation code is wrong: check it, or ask for the current one.",
      'Bearer error="invalid_token"',
    ),
  tooMany: (retryAfter) =>
    new HttpError(
      429,
      "This invitation code is wrong, and too many others are wrong too: " +
        "check it, and try again later.",
      retryAfter,
    ),
};

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/**
 * The site of the page that sends the request, or null for a program. A browser
 * names it in `Origin` with a handshake, but not when a page asks its own
 * server by GET; then it is in `Referer` (RFC 9110 section 10.1.3), which this
 * server's pages send to this server alone.
 */
export function pageOrigin(headers: Headers): string | null {
  const origin = headers.get("origin");
  if (origin !== null) return origin;
  // Scheme, nothing, host: the rest may be as long as a request can be.
  const site = headers.get("referer")?.split("/", 3).join("/") ?? "";
  const isSite = site.includes("://") && canonicalOrigin(site) !== undefined;
  return isSite ? site : null;
}

/**
 * Whether a page of another site makes the browser send this request without
 * naming the site, as by a link, a frame or an image (W3C Fetch Metadata
 * section 2.3). An address that a person types (`none`) does not count.
 */
function isFromElsewhere(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site");
  return !headers.has("origin") && site !== null &&
    site !== "same-origin" && site !== "none";
}

/**
 * Whether a browser sends this request and does not say for which page. To a
 * server in the local network, by plain http, browsers send no
 * `Sec-Fetch-Site`, and a stranger's page can suppress its `Referer`; so an
 * image or a frame there would pass for a program. But every browser says that
 * it is one: no page can change `User-Agent` or leave out `Accept-Language`
 * where it may not read the answer (Fetch standard, no-CORS-safelisted header
 * names). Some programs, such as PowerShell, send the first of the two, others
 * the second.
 */
function isSilentBrowser(headers: Headers): boolean {
  return pageOrigin(headers) === null && !headers.has("sec-fetch-site") &&
    headers.has("accept-language") &&
    /^Mozilla\//.test(headers.get("user-agent") ?? "");
}

/**
 * Whether a page may open a socket. A browser names the page's site in `Origin`
 * (RFC 6455 section 10.2); programs send none and are let in. A page of this
 * server, which is at `host`, is let in unless that is a public name: a
 * stranger may have pointed such a name here, or at the proxy before it (DNS
 * rebinding), so the operator has to list it.
 */
function isAllowedOrigin(
  origin: string | null,
  host: string | null,
  allowed: string[],
): boolean {
  if (origin === null || isListed(origin, allowed)) return true;
  const [scheme, own] = canonicalOrigin(origin)?.split("//") ?? [];
  return (scheme === "http:" || scheme === "https:") && own !== undefined &&
    own === canonicalHost(host, scheme) && isLocalName(own);
}

/** Whether the operator listed this site, or all. */
function isListed(origin: string, allowed: string[]): boolean {
  return allowed.includes("*") ||
    allowed.includes(canonicalOrigin(origin) ?? "");
}

/**
 * Whether a request that names no page may be for this host. A page that asks
 * its own server by GET sends no `Origin`, so the page of a stranger who
 * pointed a name here would pass for a program; but the name is in `Host`.
 */
function isAllowedHost(host: string | null, allowed: string[]): boolean {
  if (host === null || allowed.includes("*")) return true;
  return isLocalName(canonicalHost(host, "http:") ?? "") ||
    ["http:", "https:"].some((scheme) =>
      allowed.includes(`${scheme}//${canonicalHost(host, scheme)}`)
    );
}

/** Whether a canonical host is one that no public DNS can point elsewhere. */
function isLocalName(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return /^[\d.]+$|^\[|^[^.]+$|\.(localhost|local|lan|internal|home\.arpa)$/
    .test(name);
}

/** Headers for which a page of another site needs a preflight. */
const ASKED_FIELDS = "authorization, content-type, last-event-id, " +
  "partyline-key";

/** How long a browser may remember a preflight, in seconds. */
const PREFLIGHT_SECONDS = 600;

/**
 * Answers a preflight, which a browser sends before a listed site's page may
 * send a request that a plain link could not (Fetch standard, CORS). Undefined
 * for every other request.
 */
function preflight(
  { method, headers }: Request,
  methods: readonly string[],
  allowed: string[],
): Response | undefined {
  const origin = headers.get("origin");
  if (method !== "OPTIONS" || origin === null) return undefined;
  if (!isListed(origin, allowed)) return undefined;
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": methods.join(", "),
      "access-control-allow-headers": ASKED_FIELDS,
      "access-control-max-age": `${PREFLIGHT_SECONDS}`,
    },
  });
}

/** Lets a page of a listed site read an answer, even a refusal. */
function allowReading(
  { headers }: Response,
  origin: string | null,
  allowed: string[],
): void {
  headers.append("vary", "origin");
  if (origin === null || !isListed(origin, allowed)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", "retry-after");
}
