// Owns what the server says about itself over HTTP: /healthz and /metrics.
// Never changes anything. Invariant: every number is read at that moment from
// where it lives; only what has happened is counted, in `Metrics`.
import type { Lobby } from "./lobby.ts";
import type { Overload } from "./overload.ts";
import type { World } from "./world.ts";

/** 200 if all is well, else 503; for whoever decides where to send clients. */
export function tellHealth(
  { metrics }: World,
  { isTight }: Overload,
  isDraining: boolean,
): Response {
  const status = isDraining ? "draining" : isTight ? "overloaded" : "ready";
  const isWell = status === "ready" && metrics.isLogWritable;
  const log = metrics.isLogWritable ? "writable" : "failing";
  return Response.json({ status, log }, {
    status: isWell ? 200 : 503,
    headers: { "cache-control": "no-store" },
  });
}

/** All metrics in the text format of Prometheus, version 0.0.4. */
export function tellMetrics(
  { metrics, memory }: World,
  { waitingBytes }: Overload,
  { rooms, nameCount }: Lobby,
  connectionCount: number,
): Response {
  const { rss, heapUsed } = memory();
  let members = 0;
  for (const room of rooms.values()) members += room.members.size;
  const text = metrics.text([
    [
      "partyline_connections",
      "Clients, by WebSocket or HTTP; those that are closing among them.",
      connectionCount,
    ],
    ["partyline_members", "Clients that are in a room.", members],
    ["partyline_rooms", "Rooms in use.", rooms.size],
    ["partyline_names", "Names of those who are here.", nameCount],
    [
      "partyline_send_buffer_bytes",
      "Bytes that wait to be sent to slow clients.",
      waitingBytes,
    ],
    [
      "partyline_log_writable",
      "1 if the log took what was last given to it, else 0.",
      Number(metrics.isLogWritable),
    ],
    ["process_resident_memory_bytes", "Memory that the process takes.", rss],
    [
      "partyline_heap_used_bytes",
      "Memory that JavaScript's objects take.",
      heapUsed,
    ],
  ]);
  return new Response(text, {
    headers: {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
      "cache-control": "no-store",
    },
  });
}

/**
 * Whether a request comes from this machine itself. One that a proxy passes on
 * does not: it names the client, or asks for another host than this machine.
 */
export function isLocal(headers: Headers, { hostname }: Deno.NetAddr): boolean {
  const isLoopback = (host: string) =>
    /^(localhost|127\.[\d.]+|\[?(::ffff:127\.[\d.]+|::1)\]?)$/.test(host);
  const host = headers.get("host")?.replace(/:\d+$/, "") ?? "";
  const isPassedOn = ["forwarded", "x-forwarded-for", "via"]
    .some((name) => headers.has(name));
  return isLoopback(hostname) && isLoopback(host) && !isPassedOn;
}
