// How an error is told: as a page to a person whose browser went to an address
// that cannot be shown, as one plain sentence to programs and scripts.
import { type ErrorAnswer, HttpError } from "./http_error.ts";
import { type Assets, ERROR_PAGE, secured } from "./static_files.ts";

/** A person is told by a page, a program by a line. */
export function errorAnswer(assets: Assets, base: string): ErrorAnswer {
  const page = assets.get(ERROR_PAGE)?.forms.get("identity")?.bytes;
  const template = new TextDecoder().decode(page);
  return (request, error) => {
    if (!(error instanceof HttpError)) throw error;
    if (!isNavigation(request) || !URL.canParse(request.url)) {
      return secured(error.response);
    }
    const home = homeFrom(new URL(request.url).pathname, base);
    return secured(errorPage(error, template, home));
  };
}

/** Whether a browser asks in order to show the answer in its window. */
function isNavigation({ method, headers }: Request): boolean {
  const mode = headers.get("sec-fetch-mode") ?? "navigate";
  return method === "GET" && mode === "navigate" &&
    (headers.get("accept") ?? "").includes("text/html");
}

/** The error as a page, made of `template`. `home` is a relative address. */
function errorPage(
  { status, message, headers }: HttpError,
  template: string,
  home: string,
): Response {
  const words: Record<string, string> = {
    "{TITLE}": status === 404 ? "Nothing here" : "This cannot be shown",
    "{SENTENCE}": message,
    "{HOME}": home,
    "{STATUS}": String(status),
  };
  const page = template.replaceAll(
    /\{[A-Z]+\}/g,
    (name) => escapeHtml(words[name] ?? name),
  );
  return new Response(page, {
    status,
    headers: {
      ...headers,
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store, no-transform",
    },
  });
}

/**
 * The way from an address to the page at `base`. Relative, because a proxy may
 * serve all below a path that it takes away.
 */
export function homeFrom(pathname: string, base: string): string {
  const isBelow = pathname.startsWith(base);
  const below = isBelow ? pathname.slice(base.length) : pathname.slice(1);
  const up = "../".repeat(below.split("/").length - 1);
  return (isBelow ? up : up + base.slice(1)) || "./";
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}
