// Tells a page that was opened as localhost how others reach this server: such
// a page cannot know by itself. Only a request of this very machine is told the
// machine's addresses; to others, and through a proxy, they are "unknown". A
// proxy may hide that it is one, but the browser behind it names the page.
// Invariant: each host that is told is one at which the server listens.
import { pageOrigin } from "./http/admission.ts";
import { isLocal, isLoopback } from "./ops/health.ts";
import { lanAddresses } from "./banner.ts";
import type { Incoming } from "./http/router.ts";
import type { Context } from "./ops/context.ts";

/** `loopback`: it listens for this computer only; `network`: for others too. */
type Reach = "loopback" | "network" | "unknown";

export function tellAddresses(
  { interfaces }: Context,
  { request: { headers }, url, peer }: Incoming,
  listening: Deno.NetAddr,
): Response {
  const { hostname, port } = listening;
  const isOpen = hostname === "0.0.0.0" || hostname === "::";
  const reach: Reach = isLocal(headers, url, peer) && isLocalPage(headers)
    ? isOpen ? "network" : "loopback"
    : "unknown";
  const hosts = reach === "network"
    ? lanAddresses(listed(interfaces)).map((address) => `${address}:${port}`)
    : [];
  return Response.json({ reach, hosts }, {
    headers: { "cache-control": "no-store" },
  });
}

/** Without the permission to see them, there are none to tell. */
function listed(interfaces: Context["interfaces"]) {
  try {
    return interfaces();
  } catch {
    return [];
  }
}

/** Whether the page that asks was opened under a name of this very machine. */
function isLocalPage(headers: Headers): boolean {
  const page = URL.parse(pageOrigin(headers) ?? "");
  return page !== null && isLoopback(page.hostname);
}
