// The lab's mirror: how many bytes the head of a request took, which a page
// cannot see by itself. It counts the head as the server saw it, written as
// HTTP/1.1 (RFC 9112 sections 3 and 5), reads no body and shows no values: what
// a proxy added is not for the page.
import type { Incoming } from "./http/router.ts";
import { EVENT_STREAM_HEADERS } from "./transport/event_stream.ts";

const LINE_END = 2;

/**
 * `GET` or `POST /lab/echo`: the bytes of each line of the request's head, as
 * JSON, or as an event for an `EventSource`.
 */
export function echo({ request, url }: Incoming): Response {
  const { method, headers } = request;
  const start = `${method} ${url.pathname}${url.search} HTTP/1.1`;
  const lines: [string, number][] = [["", start.length + LINE_END]];
  for (const [name, value] of headers) {
    // A browser's own headers are ASCII; other bytes come as one unit each.
    lines.push([name, `${name}: ${value}`.length + LINE_END]);
  }
  const bytes = lines.reduce((sum, [, count]) => sum + count, LINE_END);
  const body = JSON.stringify({ bytes, lines });
  if (headers.get("accept")?.startsWith("text/event-stream")) {
    const event = `data: ${body}\n\n`;
    return new Response(event, { headers: EVENT_STREAM_HEADERS });
  }
  return new Response(`${body}\n`, {
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store, no-transform",
    },
  });
}
