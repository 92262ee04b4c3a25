// The request that opened a connection, kept for people who watch it later. The
// record has a fixed maximum size. This file returns no codes and no keys, so
// its texts may be shown on a projector.
import { createHash } from "node:crypto";

/** How many fields and characters of a request are kept; others are counted. */
export const MAX_FIELDS = 64;
export const MAX_HEAD_CHARS = 4 * 1024;

/** Every server appends this to the client's key (RFC 6455 section 1.3). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The dialect of a connection without a subprotocol. */
export const PLAIN = "plain";

const HIDDEN = "(hidden)";

/** Proxies add fields of their own, such as X-Forwarded-Access-Token. */
const SECRET_NAME =
  /auth|cookie|jwt|partyline-key|api-key|password|secret|token/;

const SECRET_PARAMETERS = new Set(["invite", "key", "line", "moderator"]);

export interface HandshakeRecord {
  transport: "websocket" | "sse" | "poll";
  /** The subprotocol of the connection, or `PLAIN`. */
  dialect: string;
  request: RequestRecord;
  /** The answer to a handshake; undefined for other requests. */
  response: Pick<Response, "status" | "headers"> | undefined;
}

/**
 * A request, read before Deno upgrades it. The text is made when somebody
 * looks, because making it takes longer than letting a client in. Field names
 * are in lower case and sorted, as Deno returns them.
 */
export class RequestRecord {
  /** The method and the target, then one line for each field that is kept. */
  readonly #text: string;
  /** The number of fields that were not kept. */
  readonly #unread: number;
  /** Codes and keys that let a client in. */
  readonly #secrets: readonly string[];

  /**
   * `codes`: the invitation and the moderator's code. `url`: the request's, if
   * it is parsed already.
   */
  constructor(
    { method, url: text, headers }: Request,
    codes: readonly string[],
    url = new URL(text),
  ) {
    const { pathname, search, searchParams } = url;
    const target = pathname + search.slice(0, MAX_HEAD_CHARS);
    const lines = [`${method} ${target}`.slice(0, MAX_HEAD_CHARS)];
    let spaceLeft = MAX_HEAD_CHARS - (lines[0]?.length ?? 0);
    let unread = 0;
    // With `for (… of headers)` this takes five times as long.
    headers.forEach((value, name) => {
      const line = `${name}: ${SECRET_NAME.test(name) ? HIDDEN : value}`;
      if (lines.length > MAX_FIELDS || line.length > spaceLeft) {
        unread++;
        return;
      }
      spaceLeft -= line.length;
      lines.push(line);
    });
    // Joining makes a new text, which does not keep larger ones in memory.
    this.#text = lines.join("\n");
    this.#unread = unread;
    const key = (search === "" ? null : searchParams.get("key")) ??
      headers.get("partyline-key") ?? "";
    const isKept = key !== "" && key.length <= MAX_HEAD_CHARS;
    this.#secrets = isKept ? [...codes, key] : codes;
  }

  /** The request line without its version, and one line for each field. */
  get head(): string {
    return hideAll(this.#shown.join("\n"), this.#secrets);
  }

  /** The number of fields that did not fit. */
  get leftOut(): number {
    const kept = this.#text.split("\n").length;
    return this.#unread + kept - this.#shown.length;
  }

  /** The lines with secrets hidden, as many as fit. */
  get #shown(): string[] {
    const [target = "", ...fields] = this.#text.split("\n");
    const shown = [hideInTarget(target).slice(0, MAX_HEAD_CHARS)];
    let chars = shown[0]?.length ?? 0;
    for (const field of fields) {
      const at = field.indexOf(": ");
      const name = field.slice(0, at);
      const line = `${name}: ${hideInAddress(name, field.slice(at + 2))}`;
      if (chars + line.length > MAX_HEAD_CHARS) continue;
      chars += line.length;
      shown.push(line);
    }
    return shown;
  }
}

/** Shorter texts are no secrets, and hiding them would garble other text. */
const SECRET_CHARS = 8;

/** Hides secrets anywhere, because proxies put them into fields of their own. */
function hideAll(text: string, secrets: readonly string[]): string {
  return secrets.filter(({ length }) => length >= SECRET_CHARS)
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .reduce((text, secret) => text.replaceAll(secret, HIDDEN), text);
}

/** The answer to a handshake, as far as the server's API shows it. */
export function readAnswer(
  { status, headers }: Pick<Response, "status" | "headers">,
): string {
  const fields = [...headers].map(([name, value]) => `${name}: ${value}`);
  return [`${status}`, ...fields].join("\n");
}

/** The steps to the value of Sec-WebSocket-Accept (section 4.2.2, item 5.4). */
export function explainAccept(key: string) {
  const digest = createHash("sha1").update(key + GUID).digest();
  return {
    key,
    guid: GUID,
    sha1: digest.toString("hex"),
    accept: digest.toString("base64"),
  };
}

/** The value of a field in the lines of a request or an answer. */
export function fieldOf(lines: string, name: string): string | undefined {
  const line = lines.split("\n").find((line) => line.startsWith(`${name}: `));
  return line?.slice(name.length + 2);
}

function hideInAddress(name: string, value: string): string {
  // Proxies repeat the requested address in fields such as X-Original-URI.
  const isAddress = name === "referer" || /-ur[il]$/.test(name);
  if (!isAddress) return value;
  const url = URL.parse(value);
  if (url !== null) {
    return `${url.origin}${url.pathname}${hideParameters(url.search)}`;
  }
  return hideInTarget(value);
}

/** Hides secrets in a path that may be followed by a query. */
function hideInTarget(target: string): string {
  const at = target.indexOf("?");
  return at < 0
    ? target
    : target.slice(0, at) + hideParameters(target.slice(at));
}

/** Hides the values of secrets in a query ("?…" or ""), and nothing else. */
function hideParameters(search: string): string {
  const shown = search.slice(1).split("&").map((parameter) => {
    const [name = "", value] = parameter.split("=", 2);
    if (value === undefined) return parameter;
    return SECRET_PARAMETERS.has(decode(name))
      ? `${name}=${HIDDEN}`
      : parameter;
  });
  return search.slice(0, 1) + shown.join("&");
}

/** The name of a parameter as the server reads it. */
function decode(name: string): string {
  // Few names are encoded, and decoding is slow.
  if (!/[%+]/.test(name)) return name;
  const [[decoded = ""] = []] = new URLSearchParams(`${name}=`);
  return decoded;
}
