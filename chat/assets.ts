// Owns the page's files: read once, kept in memory with their compressed
// forms, served by look-up. Never touches the disk after `loadAssets`.
// Invariant: a path that is not a file of the folder is never answered, and
// each form of a file has a strong ETag of its own (RFC 9110 section 8.8.3).
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { eTag, ifNoneMatch } from "@std/http/etag";
import { acceptsEncodings } from "@std/http/negotiation";
import { extname, join } from "@std/path";

const contentTypes: Record<string, string> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".py": "text/plain; charset=utf-8",
  ".svg": "image/svg+xml",
};

interface Form {
  bytes: Uint8Array<ArrayBuffer>;
  etag: string;
}

interface Asset {
  contentType: string;
  /** By content coding, the preferred one first; `identity` is always there. */
  forms: Map<string, Form>;
}

export type Assets = ReadonlyMap<string, Asset>;

/** Reads a folder and what is below it. Throws if a file's type is unknown. */
export async function loadAssets(
  folder: string,
  path = "/",
  assets = new Map<string, Asset>(),
): Promise<Assets> {
  for await (const entry of Deno.readDir(folder)) {
    const file = join(folder, entry.name);
    if (entry.isDirectory) {
      await loadAssets(file, `${path}${entry.name}/`, assets);
      continue;
    }
    const contentType = contentTypes[extname(entry.name)];
    if (contentType === undefined) {
      throw new Error(`no content type known for ${path}${entry.name}`);
    }
    const bytes = await Deno.readFile(file);
    const name = entry.name.replace(/^index\.html$|\.html$/, "");
    assets.set(path + name, { contentType, forms: await makeForms(bytes) });
  }
  return assets;
}

/** The best one (11) saves a tenth more and makes each start a second later. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

async function makeForms(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Map<string, Form>> {
  const forms = new Map<string, Form>();
  const codings = [
    ["br", new Uint8Array(brotliCompressSync(bytes, BROTLI))],
    ["gzip", new Uint8Array(gzipSync(bytes, { level: 9 }))],
    ["identity", bytes],
  ] as const;
  for (const [coding, bytes] of codings) {
    forms.set(coding, { bytes, etag: await eTag(bytes) });
  }
  return forms;
}

/** Answers a request for a file; undefined if there is none at that path. */
export function serveAsset(
  assets: Assets,
  request: Request,
  path: string,
): Response | undefined {
  const asset = assets.get(path);
  if (asset === undefined) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response(`${path} can only be read: use GET or HEAD.\n`, {
      status: 405,
      headers: { allow: "GET, HEAD" },
    });
  }
  const [coding, form] = chooseForm(asset, request);
  const headers = new Headers({
    "content-type": asset.contentType,
    // Kept by the browser, but asked for again each time: a new version is
    // seen at once. `no-transform` keeps Deno from compressing on its own.
    "cache-control": "no-cache, no-transform",
    etag: form.etag,
    vary: "Accept-Encoding",
  });
  if (!ifNoneMatch(request.headers.get("if-none-match"), form.etag)) {
    return new Response(null, { status: 304, headers });
  }
  if (coding !== "identity") headers.set("content-encoding", coding);
  headers.set("content-length", String(form.bytes.length));
  const body = request.method === "HEAD" ? null : form.bytes;
  return new Response(body, { headers });
}

function chooseForm(asset: Asset, request: Request): [string, Form] {
  const codings = [...asset.forms.keys()];
  // Without the header any coding may be sent, but only `identity` is safe.
  const accepted = request.headers.has("accept-encoding")
    ? acceptsEncodings(request, ...codings) ?? "identity"
    : "identity";
  const form = asset.forms.get(accepted);
  if (form === undefined) throw new Error(`no form for ${accepted}`);
  return [accepted, form];
}
