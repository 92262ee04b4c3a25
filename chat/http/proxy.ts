// Where a request came from, for which host, and whether by TLS, even through a
// proxy. `X-Forwarded-…` is believed only from a peer in the trusted networks,
// and no header makes these functions throw.
import { BlockList, isIP } from "node:net";
import type { Incoming } from "./router.ts";

/** A set of IP addresses and networks, version 4 and 6. */
export class Networks {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** Takes addresses and CIDR blocks (RFC 4632). Throws for any other text. */
  constructor(networks: string[]) {
    this.#isEmpty = networks.length === 0;
    for (const network of networks) {
      const [, address = "", bits] = /^([^/]+)(?:\/(\d+))?$/.exec(network) ??
        [];
      const family = familyOf(address);
      if (family === undefined) throw new Error(`no network: ${network}`);
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  /** Whether an address is in one of the networks; false for any other text. */
  has(address: string): boolean {
    if (this.#isEmpty) return false;
    const family = familyOf(address);
    return family !== undefined && this.#list.check(address, family);
  }
}

/**
 * The address that a request came from, as far as it can be believed: the
 * peer's own unless the peer is trusted. Each trusted proxy appends to
 * `X-Forwarded-For` the address that it heard, so the list is read from its
 * end, and the first address that is not trusted is the client's. The client
 * can forge the entries before that. If an entry is no address, the last one
 * that was read stands.
 */
export function clientAddress(
  headers: Headers,
  peer: string,
  trusted: Networks,
): string {
  const hops = headers.get("x-forwarded-for")?.split(",") ?? [];
  let client = plain(peer);
  while (trusted.has(client)) {
    const next = hops.pop();
    const address = next === undefined ? undefined : readHop(next.trim());
    if (address === undefined) break;
    client = address;
  }
  return client;
}

/** The client behind a request, as the limits tell clients apart. */
export interface Owner {
  /**
   * The connection's address and port. A proxy opens a connection of its own
   * for each WebSocket, but not for each request: for a request that a trusted
   * proxy passed on, the client's network.
   */
  readonly name: string;
  /** Whether several clients may have the same name. */
  readonly isShared: boolean;
  /** The IPv4 address, or the IPv6 network that one machine may have. */
  readonly network: string;
  /** The larger network around that, which one organisation may have. */
  readonly block: string;
  /** The client's address, for the operator's eyes. */
  readonly client: string;
}

/**
 * The owner of this request; `isSingle` if a proxy may pass on requests of
 * others over the same connection.
 */
export function ownerOf(
  headers: Headers,
  { hostname, port }: Deno.NetAddr,
  trusted: Networks,
  isSingle: boolean,
): Owner {
  const client = clientAddress(headers, hostname, trusted);
  const { network, block } = networksOf(client);
  const isShared = isSingle && trusted.has(hostname);
  const name = isShared ? network : `${hostname} ${port}`;
  return { name, isShared, network, block, client };
}

/**
 * For IPv6 the first 64 bits, which one machine may have to itself, and the
 * first 48, which one site may have (RFC 6177); for IPv4 the address and its
 * first 24 bits.
 */
function networksOf(address: string): { network: string; block: string } {
  if (familyOf(address) !== "ipv6") {
    return { network: address, block: address.replace(/\.\d+$/, ".0/24") };
  }
  const groups = groupsOf(address).map((group) => group.toString(16));
  const first = (count: number) => `${groups.slice(0, count).join(":")}::`;
  return { network: `${first(4)}/64`, block: `${first(3)}/48` };
}

/** The eight groups of an IPv6 address, or at least the first six. */
function groupsOf(address: string): number[] {
  const [before = "", after] = address.split("::");
  const groups = before.split(":").map((group) => parseInt(group || "0", 16));
  if (after !== undefined) {
    const last = after.split(":");
    // A dotted end stands for two groups.
    const count = last.length + (after.includes(".") ? 1 : 0);
    while (groups.length < 8 - count) groups.push(0);
    groups.push(...last.map((group) => parseInt(group || "0", 16)));
  }
  return groups;
}

/**
 * The host that a request was meant for: the last value of `X-Forwarded-Host`
 * from a trusted peer, or else the host of the request's target, which is
 * `Host` unless the target names one (RFC 9112 section 3.2.2).
 */
export function requestedHost(
  { host }: URL,
  headers: Headers,
  peer: string,
  trusted: Networks,
): string {
  const forwarded = trusted.has(peer) ? headers.get("x-forwarded-host") : null;
  const last = forwarded?.split(",").at(-1)?.trim();
  return last || host;
}

/**
 * Whether the request came by TLS: to this server, or to a trusted peer that
 * says so in the last value of `X-Forwarded-Proto`.
 */
function isRequestedByTls(
  headers: Headers,
  peer: string,
  trusted: Networks,
  hasCertificate: boolean,
): boolean {
  const forwarded = trusted.has(peer) ? headers.get("x-forwarded-proto") : null;
  const last = forwarded?.split(",").at(-1)?.trim().toLowerCase();
  return last ? last === "https" : hasCertificate;
}

/** A name or an IP address, and a port; no character that ends a string. */
const HOST = /^(?:[a-z\d.-]{1,253}|\[[a-f\d:.]{2,45}\])(?::\d{1,5})?$/i;

/**
 * The WebSocket's address for a client of the same server as this request, with
 * the host as it was asked for; undefined if that is no host.
 */
export function socketAddress(
  { request: { headers }, url, peer: { hostname } }: Incoming,
  { base, allowOrigin }: { base: string; allowOrigin: string[] },
  trusted: Networks,
  hasCertificate: boolean,
): string | undefined {
  const host = requestedHost(url, headers, hostname, trusted);
  if (!HOST.test(host)) return undefined;
  // A site that is listed with https is reached so, whatever a proxy says.
  const isTls = allowOrigin.includes(`https://${host}`) ||
    isRequestedByTls(headers, hostname, trusted, hasCertificate);
  return `${isTls ? "wss" : "ws"}://${host}${base}ws`;
}

/** The longest IPv6 address, in brackets and with a port. */
const MAX_HOP_CHARS = 53;

/** An address to which some proxies add a port: `1.2.3.4:5`, `[::1]:5`. */
function readHop(text: string): string | undefined {
  if (text.length > MAX_HOP_CHARS) return undefined;
  const [, inBrackets, v4] = /^(?:\[(.+)\]|([\d.]+))(?::\d+)?$/.exec(text) ??
    [];
  const address = inBrackets ?? v4 ?? text;
  // An address with a zone (RFC 4007 section 11) is valid only on its machine.
  const isAddress = isIP(address) !== 0 && !address.includes("%");
  return isAddress ? plain(address) : undefined;
}

/** An IPv4 address without the IPv6 prefix of a socket (RFC 4291 2.5.5.2). */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  switch (isIP(address)) {
    case 4:
      return "ipv4";
    case 6:
      return "ipv6";
    default:
      return undefined;
  }
}
