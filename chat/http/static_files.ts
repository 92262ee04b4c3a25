// The page's files: read once, compressed when first asked for, kept in memory,
// served by look-up. Only files of the folder are answered, and each form of a
// file has a strong ETag of its own (RFC 9110 section 8.8.3).
import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { acceptsEncodings } from "@std/http/negotiation";
import { extname, join } from "@std/path";
import { HttpError, redirectInto } from "./http_error.ts";
import type { Incoming } from "./router.ts";

/** For programs in any language: a browser shows them and runs nothing. */
const TEXT = "text/plain; charset=utf-8";

const contentTypes: Record<string, string> = {
  ".c": TEXT,
  ".cjs": TEXT,
  ".cpp": TEXT,
  ".css": "text/css; charset=utf-8",
  ".go": TEXT,
  ".html": "text/html; charset=utf-8",
  ".java": TEXT,
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".mjs": TEXT,
  ".pl": TEXT,
  ".py": TEXT,
  ".rb": TEXT,
  ".svg": "image/svg+xml",
};

/** The file of the error page, with gaps to fill in. */
export const ERROR_PAGE = "/not-found";

/** Clients to download, and the server's address in these files on the disk. */
const CLIENTS = ["/client.js", "/client.py"];
const CLIENT_ADDRESS = "ws://localhost:8000/ws";

interface Form {
  bytes: Uint8Array<ArrayBuffer>;
  etag: string;
}

interface Asset {
  contentType: string;
  /**
   * The forms by content coding, each once it was asked for; `identity` always.
   */
  forms: Map<string, Form>;
}

export type Assets = ReadonlyMap<string, Asset>;

/** Libraries for the pages, each under the name by which the code imports it. */
const LIBRARIES = ["uqr"];

/**
 * Reads the files of a folder and of those below it, and the libraries, which are
 * served from /lib/. Throws if a file's type is unknown.
 */
export async function loadAssets(folder: string): Promise<Assets> {
  const assets = new Map<string, Asset>();
  await loadFolder(folder, "/", assets);
  for (const name of LIBRARIES) {
    const module = new URL(import.meta.resolve(name));
    assets.set(`/lib/${name}.js`, await loadFile(module, ".js"));
  }
  return assets;
}

async function loadFolder(
  folder: string,
  path: string,
  assets: Map<string, Asset>,
): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    const file = join(folder, entry.name);
    if (entry.isDirectory) {
      await loadFolder(file, `${path}${entry.name}/`, assets);
      continue;
    }
    const name = entry.name.replace(/^index\.html$|\.html$/, "");
    assets.set(path + name, await loadFile(file, extname(entry.name)));
  }
}

async function loadFile(file: string | URL, ending: string): Promise<Asset> {
  const contentType = contentTypes[ending];
  if (contentType === undefined) {
    throw new Error(`no content type known for ${file}`);
  }
  const bytes = await Deno.readFile(file);
  return { contentType, forms: new Map([["identity", newForm(bytes)]]) };
}

/**
 * The best quality (11) saves a tenth more, but takes a second for all files.
 */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

/**
 * The preferred coding first. Files are not compressed at the start, because
 * that would take longer than everything else; and not asynchronously, because
 * Deno's asynchronous zlib functions compress before they return.
 */
const codings: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  br: (bytes) => brotliCompressSync(bytes, BROTLI),
  gzip: (bytes) => gzipSync(bytes, { level: 9 }),
  identity: (bytes) => bytes,
};

function newForm(bytes: Uint8Array<ArrayBuffer>): Form {
  return { bytes, etag: makeETag(bytes) };
}

function makeETag(bytes: Uint8Array): string {
  return `"${createHash("sha256").update(bytes).digest("base64url")}"`;
}

const securityHeaders = Object.entries({
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
});

/** Restricts a page to its own scripts and styles. */
export function secured(response: Response): Response {
  for (const [name, value] of securityHeaders) {
    response.headers.set(name, value);
  }
  return response;
}

/**
 * Answers a request for a file. Throws an `HttpError` if there is no such file,
 * if it is a folder's page, whose links need the missing slash, or if the path
 * has the file's ending on the disk.
 */
export function answerFile(
  assets: Assets,
  { request, path, url }: Incoming,
  address: string | undefined,
): Response {
  // An error, not the page: some clients wait in vain if they cannot read a
  // whole page.
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
    throw new HttpError(
      404,
      `There is no WebSocket at ${url.pathname}: its path ends in /ws.`,
    );
  }
  const location = sectionOf(path);
  if (location !== undefined) {
    throw new HttpError(302, `This is explained at ${location}.`, { location });
  }
  const response = path === ERROR_PAGE
    ? undefined
    : serveAsset(assets, request, path, address);
  if (response !== undefined) return secured(response);
  const page = /\/([^/]+)\.html$/.exec(path)?.[1];
  if (page !== undefined && assets.has(path.slice(0, -".html".length))) {
    const location = `${page}${url.search}`;
    throw new HttpError(308, `The address ends in /${page}.`, { location });
  }
  if (assets.has(`${path}/`)) {
    throw redirectInto(`${url.pathname}/`, url.search);
  }
  const hint = LIKE_A_WEBSOCKET.test(path) ? " The WebSocket is at /ws." : "";
  throw new HttpError(404, `There is nothing at ${url.pathname}.${hint}`);
}

/** Below the base path: what people type instead of /ws. */
const LIKE_A_WEBSOCKET = /^\/(ws|web-?socket|socket)/i;

/**
 * The section of the page about closes that explains a code: /close/1009 leads
 * there, even without JavaScript. Relative, because a proxy may have the page
 * under another path. Undefined for every other path.
 */
function sectionOf(path: string): string | undefined {
  const code = /^\/close\/(\d{3,4})$/.exec(path)?.[1];
  return code && `./#${code}`;
}

/**
 * Answers a request for a file; undefined if there is none at that path.
 * Clients to download get `address`, or the default without it.
 */
export function serveAsset(
  assets: Assets,
  request: Request,
  path: string,
  address = CLIENT_ADDRESS,
): Response | undefined {
  const asset = assets.get(path);
  if (asset === undefined) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(`${path} can only be read: use GET or HEAD.\n`, {
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
  }
  if (CLIENTS.includes(path)) return serveClient(asset, request, address);
  const [coding, form] = chooseForm(asset, request);
  const headers = new Headers({
    "content-type": asset.contentType,
    // The browser keeps the file but asks again each time, so a new version is
    // seen at once. `no-transform` keeps Deno from compressing by itself.
    "cache-control": "no-cache, no-transform",
    etag: form.etag,
    vary: "Accept-Encoding",
  });
  if (isKnown(form, request.headers.get("if-none-match"))) {
    return new Response(null, { status: 304, headers });
  }
  if (coding !== "identity") headers.set("content-encoding", coding);
  headers.set("content-length", String(form.bytes.length));
  const body = request.method === "HEAD" ? null : form.bytes;
  return new Response(body, { headers });
}

/** No cache keeps this answer, because it differs with the request's host. */
function serveClient(
  asset: Asset,
  request: Request,
  address: string,
): Response {
  const code = new TextDecoder().decode(asset.forms.get("identity")?.bytes);
  const bytes = new TextEncoder().encode(
    code.replace(CLIENT_ADDRESS, () => address),
  );
  const body = request.method === "HEAD" ? null : bytes;
  return new Response(body, {
    headers: {
      "content-type": asset.contentType,
      "content-length": String(bytes.length),
      "cache-control": "no-store, no-transform",
    },
  });
}

/** Longer than any sensible list of tags or codings, in characters. */
const MAX_LIST_CHARS = 1024;

/**
 * Whether the client has this form already (RFC 9110 section 13.1.2). No ETag
 * of this server contains a comma.
 */
function isKnown({ etag }: Form, tags: string | null): boolean {
  if (tags === null || tags.length > MAX_LIST_CHARS) return false;
  return tags.split(",").map((tag) => tag.trim())
    .some((tag) => tag === "*" || tag === etag || tag === `W/${etag}`);
}

function chooseForm(asset: Asset, request: Request): [string, Form] {
  const accept = request.headers.get("accept-encoding");
  // Without the header every coding is allowed, but only `identity` is safe.
  const accepted = accept !== null && accept.length <= MAX_LIST_CHARS
    ? acceptsEncodings(request, ...Object.keys(codings)) ?? "identity"
    : "identity";
  const made = asset.forms.get(accepted);
  if (made !== undefined) return [accepted, made];
  const whole = asset.forms.get("identity")?.bytes;
  const compress = codings[accepted];
  if (whole === undefined || compress === undefined) {
    throw new Error(`no form for ${accepted}`);
  }
  const form = newForm(new Uint8Array(compress(whole)));
  asset.forms.set(accepted, form);
  return [accepted, form];
}
