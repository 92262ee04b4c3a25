// The host and the path of a request, read as they stand in the request.
// Whatever `Host` says, `readTarget` returns the path of the request line.
// Hosts and origins get one spelling, so that they can be compared. Everything
// is read in one pass.
import { HttpError } from "./http_error.ts";

/** A DNS name has up to 253 characters; then a dot, a colon, a port. */
const MAX_AUTHORITY_CHARS = 260;
const MAX_ORIGIN_CHARS = MAX_AUTHORITY_CHARS + 40;

/** A host and a port: no character that could end a string or name a user. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{0,5})?$/i;

function isAuthority(text: string): boolean {
  return text.length <= MAX_AUTHORITY_CHARS && AUTHORITY.test(text);
}

/**
 * Reads the target of a request (RFC 9112 section 3.2). Throws an `HttpError`
 * unless the host is a plain one and the path reads the same for everybody.
 *
 * Deno joins scheme, `Host` and the path of the request line to one text. So a
 * `/`, `?`, `#` or `\` in `Host` would become part of the path, and a `\` or a
 * `..` in the path would lead elsewhere than a proxy before this server saw.
 */
export function readTarget({ url: text, headers }: Request): URL {
  const host = headers.get("host");
  const scheme = /^https?:\/\//i.exec(text)?.[0];
  if (scheme === undefined) throw notUnderstood();
  const rest = text.slice(scheme.length);
  const pathAt = rest.search(/[/?#]/);
  const authority = pathAt < 0 ? rest : rest.slice(0, pathAt);
  const isPlain = isAuthority(authority) &&
    (host === null || isAuthority(host));
  const url = isPlain ? URL.parse(text) : null;
  if (url === null) throw notUnderstood();
  const [path = ""] = rest.slice(authority.length).split(/[?#]/, 1);
  if (path !== url.pathname && path !== "") throw notUnderstood();
  return url;
}

function notUnderstood(): HttpError {
  return new HttpError(
    400,
    "This address is not valid: the path must not contain \\ or .., and " +
      "Host must be a name or an address, with or without a port.",
  );
}

/**
 * A host in comparable form: in lower case, without the default port of
 * `scheme` and without the dot that may end a full name. Undefined for other
 * text.
 */
export function canonicalHost(
  host: string | null,
  scheme: string,
): string | undefined {
  if (host === null || !isAuthority(host)) return undefined;
  const url = URL.parse(`${scheme}//${host}`);
  return url === null ? undefined : hostOf(url);
}

/**
 * An origin in comparable form: `scheme://host`, or `null`, which is also the
 * origin of files (some browsers send `file://`). Undefined for other text.
 */
export function canonicalOrigin(text: string): string | undefined {
  if (text === "null" || text === "file://") return "null";
  const url = text.length <= MAX_ORIGIN_CHARS ? URL.parse(text) : null;
  if (url === null || url.host === "") return undefined;
  return `${url.protocol}//${hostOf(url)}`;
}

/** Only URLs of the web leave out default ports and fold case by themselves. */
function hostOf({ hostname, port }: URL): string {
  const name = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  return `${name.toLowerCase()}${port === "" ? "" : `:${port}`}`;
}
