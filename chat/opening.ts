// Owns what is remembered of the request that opened a connection, for those
// who watch it later: bounded, and without what lets somebody in.
// Never decides anything. Invariant: no code and no key leaves this file in
// clear, so what it returns may be shown on a wall.
import { createHash } from "node:crypto";

/** What is kept of a request; the rest is counted. */
export const MAX_FIELDS = 64;
export const MAX_HEAD_CHARS = 4 * 1024;

/** What every server adds to a client's key (RFC 6455 section 1.3). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The dialect of who agreed on no subprotocol. */
export const PLAIN = "plain";

const HIDDEN = "(hidden)";

const SECRET_FIELDS = new Set([
  "authorization",
  "cookie",
  "partyline-key",
  "proxy-authorization",
]);

const SECRET_PARAMETERS = new Set(["invite", "key", "line", "moderator"]);

export interface Opening {
  transport: "websocket" | "sse" | "poll";
  /** The subprotocol that was agreed on, or `PLAIN`. */
  dialect: string;
  /** The request line without its version, and the fields: a line each. */
  head: string;
  /** Fields that did not fit. */
  leftOut: number;
  /** The status and the fields of the answer to a handshake, else "". */
  answer: string;
}

/**
 * Reads a request, before Deno takes it for an upgrade. Names of fields are in
 * lower case and in order, as Deno has them.
 */
export function readRequest({ method, url, headers }: Request): {
  head: string;
  leftOut: number;
} {
  const { pathname, search } = new URL(url);
  const target = `${pathname}${hideParameters(search)}`;
  const lines = [`${method} ${target}`.slice(0, MAX_HEAD_CHARS)];
  let chars = lines[0]?.length ?? 0;
  let leftOut = 0;
  for (const [name, value] of headers) {
    const line = `${name}: ${show(name, value)}`;
    const isTooMuch = lines.length > MAX_FIELDS ||
      chars + line.length > MAX_HEAD_CHARS;
    if (isTooMuch) {
      leftOut++;
      continue;
    }
    chars += line.length;
    lines.push(line);
  }
  // Joined, the text is one piece: it holds on to no larger one.
  return { head: lines.join("\n"), leftOut };
}

/** The answer to a handshake, as far as the server's API tells it. */
export function readAnswer({ status, headers }: Response): string {
  const fields = [...headers].map(([name, value]) => `${name}: ${value}`);
  return [`${status}`, ...fields].join("\n");
}

/** How the value of Sec-WebSocket-Accept is made (section 4.2.2, item 5.4). */
export function explainAccept(key: string) {
  const digest = createHash("sha1").update(key + GUID).digest();
  return {
    key,
    guid: GUID,
    sha1: digest.toString("hex"),
    accept: digest.toString("base64"),
  };
}

/** The value of a field in a head or an answer. */
export function fieldOf(lines: string, name: string): string | undefined {
  const line = lines.split("\n").find((line) => line.startsWith(`${name}: `));
  return line?.slice(name.length + 2);
}

function show(name: string, value: string): string {
  if (SECRET_FIELDS.has(name)) return HIDDEN;
  if (name !== "referer" || !URL.canParse(value)) return value;
  const { origin, pathname, search } = new URL(value);
  return `${origin}${pathname}${hideParameters(search)}`;
}

/** Leaves a query as it was written, but for the values of secrets. */
function hideParameters(search: string): string {
  return search.replace(/([?&])([^=&]*)=[^&]*/g, (all, before, name) => {
    const [[key = ""] = []] = new URLSearchParams(name);
    return SECRET_PARAMETERS.has(key) ? `${before}${name}=${HIDDEN}` : all;
  });
}
