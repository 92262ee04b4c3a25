// Owns what the terminal shows: the start-up banner, with the addresses that
// others can use. Never prints by itself and never asks the system.
// Invariant: the banner names only addresses at which the server listens.
import { renderUnicodeCompact } from "uqr";
import { isRedis, type Options } from "./options.ts";

/** A network interface as the system lists it. */
export interface Interface {
  name: string;
  family: "IPv4" | "IPv6";
  address: string;
}

/** Names that containers, virtual machines and tunnels give their interfaces. */
const VIRTUAL =
  /^(docker|br-|veth|virbr|vmnet|vmenet|vbox|vnic|vethernet|tun|tap|wg|utun|tailscale|zt|ppp|cni|flannel|cali|podman|lxc|lxd|bridge)/i;

const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;

/**
 * The IPv4 addresses at which others may reach this machine, the likeliest
 * first: private addresses (RFC 1918) of real interfaces, then the other real
 * ones, then those of virtual ones.
 */
export function lanAddresses(interfaces: Interface[]): string[] {
  const rank = ({ name, address }: Interface) =>
    (VIRTUAL.test(name) ? 2 : 0) + (PRIVATE.test(address) ? 0 : 1);
  return interfaces
    .filter(({ family, address }) =>
      family === "IPv4" && !/^(127|169\.254)\./.test(address)
    )
    .sort((a, b) => rank(a) - rank(b))
    .map(({ address }) => address);
}

/** What a person needs to know when the server has started. */
export function banner(
  options: Options,
  port: number,
  interfaces: Interface[],
): string {
  const isEverywhere = options.host === "0.0.0.0";
  const isLocal = /^(localhost|127\.|::1$)/.test(options.host);
  const own = isEverywhere || isLocal ? "localhost" : options.host;
  const { base, invite, moderator } = options;
  const scheme = options.cert === "" ? "http" : "https";
  const site = (host: string) =>
    `${scheme}://${bracketed(host)}:${port}${base}`;
  const link = (host: string) => site(host) + fragment("invite", invite);
  const lines = ["Partyline is on the air.", "", `  Open    ${link(own)}`];
  const others = isEverywhere ? lanAddresses(interfaces) : [];
  for (const address of others) lines.push(`  Others  ${link(address)}`);
  if (isEverywhere && others.length === 0) {
    lines.push("  Others  cannot reach this machine: it is on no network");
  }
  if (isLocal) {
    lines.push("  Invite  start with --lan to let others on your network in");
  }
  if (moderator !== "") {
    const code = fragment("moderator", moderator);
    lines.push(`  X-ray   ${site(own)}x-ray${code}`);
  }
  lines.push(`  History ${historyPlace(options.data)}`, "  Stop    Ctrl-C", "");
  const [best] = others;
  if (best !== undefined) lines.push(renderUnicodeCompact(link(best)), "");
  return lines.join("\n");
}

/** Without the password that the address of a Redis may hold. */
function historyPlace(data: string): string {
  if (data === ":memory:") return "is forgotten at the end";
  return isRedis(data) ? `in Redis at ${new URL(data).host}` : data;
}

/** As a URL needs an IPv6 address (RFC 3986 section 3.2.2). */
function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** In a fragment, because a browser sends that to no server and no log. */
function fragment(name: string, code: string): string {
  return code === "" ? "" : `#${name}=${encodeURIComponent(code)}`;
}
