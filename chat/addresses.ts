// The addresses at which others reach this server. The terminal shows them, and
// a page that was opened as localhost gets them by HTTP, because it cannot know
// them by itself. Only a request from this very machine is told the machine's
// addresses; for others, and through a proxy, they are "unknown". A proxy may
// hide that it is one, but the browser behind it names the page.
// Invariant: the server listens at each host that is told.
import { pageOrigin } from "./http/admission.ts";
import { isLocal, isLoopback } from "./ops/health.ts";
import type { Incoming } from "./http/router.ts";
import type { Context } from "./ops/context.ts";

/** A network interface as the system lists it. */
export interface Interface {
  name: string;
  family: "IPv4" | "IPv6";
  address: string;
}

/** Names that containers, virtual machines and tunnels give interfaces. */
const VIRTUAL =
  /^(docker|br-|veth|virbr|vmnet|vmenet|vbox|vnic|vethernet|tun|tap|wg|utun|tailscale|zt|ppp|cni|flannel|cali|podman|lxc|lxd|bridge)/i;

const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;

/**
 * The addresses of this machine that others may reach, the likeliest first:
 * private ones (RFC 1918) of real interfaces, then other addresses of real
 * ones, then those of virtual ones; within each group IPv4 before IPv6.
 * Link-local addresses are left out: a browser cannot open them.
 */
export function lanAddresses(interfaces: Interface[]): string[] {
  const rank = ({ name, family, address }: Interface) =>
    (VIRTUAL.test(name) ? 4 : 0) + (PRIVATE.test(address) ? 0 : 2) +
    (family === "IPv4" ? 0 : 1);
  return interfaces
    .filter(({ address }) => !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address))
    .sort((a, b) => rank(a) - rank(b))
    .map(({ address }) => address);
}

/** `loopback`: the server listens for this machine only; `network`: for all. */
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

/** The machine's interfaces; none without the permission to see them. */
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
