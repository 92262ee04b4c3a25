// The server's report about itself over HTTP: /healthz and /metrics. Present
// numbers are read when somebody asks, from where they live; only events are
// counted, in `Metrics`.
import type { Overload } from "./overload.ts";
import type { Context } from "./context.ts";

/**
 * 200 if all is well, else 503; for a load balancer. `log` says only whether
 * the store can be written.
 */
export function tellHealth(
  { metrics }: Context,
  { isTight }: Overload,
  isDraining: boolean,
): Response {
  const log = metrics.isStoreWritable ? "writable" : "failing";
  const status = isDraining
    ? "draining"
    : isTight
    ? "overloaded"
    : metrics.isStoreWritable
    ? "ready"
    : "failing";
  return Response.json({ status, log }, {
    status: status === "ready" ? 200 : 503,
    headers: { "cache-control": "no-store" },
  });
}

/** How many there are now. */
interface Census {
  connections: number;
  members: number;
  rooms: number;
  names: number;
}

/** All metrics in the text format of Prometheus, version 0.0.4. */
export function tellMetrics(
  { metrics, memory }: Context,
  { waitingBytes }: Overload,
  { connections, members, rooms, names }: Census,
): Response {
  const { rss, heapUsed } = memory();
  const text = metrics.text([
    [
      "partyline_connections",
      "Clients by WebSocket or HTTP, including those that are closing.",
      connections,
    ],
    ["partyline_members", "Clients that are in a room.", members],
    ["partyline_rooms", "Rooms in use.", rooms],
    ["partyline_names", "Names in use.", names],
    [
      "partyline_send_buffer_bytes",
      "Bytes that wait to be sent to slow clients.",
      waitingBytes,
    ],
    [
      "partyline_log_writable",
      "1 if the last write to the store succeeded, else 0.",
      Number(metrics.isStoreWritable),
    ],
    ["process_resident_memory_bytes", "Memory used by the process.", rss],
    [
      "partyline_heap_used_bytes",
      "Memory used by JavaScript objects.",
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
 * Whether a request comes from this machine itself. A request that a proxy
 * passes on does not: it names the client, or asks for a host that is not this
 * machine. HTTP/2 names the host in the target, and may name another one in
 * `Host`.
 */
export function isLocal(
  headers: Headers,
  { host: target }: URL,
  { hostname }: Deno.NetAddr,
): boolean {
  const hosts = [target, headers.get("host") ?? target];
  const isPassedOn = ["forwarded", "x-forwarded-for", "via"]
    .some((name) => headers.has(name));
  return isLoopback(hostname) && !isPassedOn &&
    hosts.every((host) => isLoopback(host.toLowerCase().replace(/:\d+$/, "")));
}

/** Whether a host, without a port, is a loopback name or address. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|\[?(::ffff:(127\.[\d.]+|7f[\da-f]{2}:[\da-f]+)|::1)\]?)$/
    .test(host);
}
