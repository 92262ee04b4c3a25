// How an error is answered: with a page for a person whose browser asked for an
// address that cannot be shown, with one plain sentence for programs and
// scripts.
import { type ErrorAnswer, HttpError } from "./http_error.ts";
import { type Assets, ERROR_PAGE, secured } from "./static_files.ts";

/** Answers with a page for a person and with a line for a program. */
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

/** Whether a browser asks for a document to show in its window. */
function isNavigation({ method, headers }: Request): boolean {
  const mode = headers.get("sec-fetch-mode") ?? "navigate";
  return method === "GET" && mode === "navigate" &&
    (headers.get("accept") ?? "").includes("text/html");
}

/** The error as a page, made from `template`. `home` is a relative address. */
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
 * The relative address of the page at `base`, seen from `pathname`. Relative,
 * because a proxy may serve everything below a path that it takes away.
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
