// Owns who a request comes from when a proxy stands between: the trusted
// networks and the reading of `X-Forwarded-…`. Never throws at a header.
// Invariant: what a peer outside the trusted networks says is not believed.
import { BlockList, isIP } from "node:net";

/** A set of IP addresses and networks, version 4 and 6. */
export class Networks {
  readonly #list = new BlockList();

  /** Of addresses and CIDR blocks (RFC 4632). Throws if one is neither. */
  constructor(networks: string[]) {
    for (const network of networks) {
      const [, address = "", bits] = /^([^/]+)(?:\/(\d+))?$/.exec(network) ??
        [];
      const family = familyOf(address);
      if (family === undefined) throw new Error(`no network: ${network}`);
      if (bits === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(bits), family);
    }
  }

  /** Whether an address is in one of them; false for what is no address. */
  has(address: string): boolean {
    const family = familyOf(address);
    return family !== undefined && this.#list.check(address, family);
  }
}

/**
 * The address that a request came from, as far as it can be believed: without
 * a trusted peer its own. Each trusted proxy appended to `X-Forwarded-For` whom
 * it heard, so the list is read from its end, and the first address that is not
 * itself trusted is the client's. What stands before that is only the client's
 * word. Where an entry is no address, the last one read stands.
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

/**
 * The host that a request was meant for: what a trusted peer says in
 * `X-Forwarded-Host`, the last of several, or else `Host`.
 */
export function requestedHost(
  headers: Headers,
  peer: string,
  trusted: Networks,
): string | null {
  const forwarded = trusted.has(peer) ? headers.get("x-forwarded-host") : null;
  const last = forwarded?.split(",").at(-1)?.trim();
  return last || headers.get("host");
}

/** An address, some proxies add a port to it: `1.2.3.4:5`, `[::1]:5`. */
function readHop(text: string): string | undefined {
  const [, inBrackets, v4] = /^(?:\[(.+)\]|([\d.]+))(?::\d+)?$/.exec(text) ??
    [];
  const address = inBrackets ?? v4 ?? text;
  // A zone (RFC 4007 section 11) means something on its own machine only.
  const isAddress = isIP(address) !== 0 && !address.includes("%");
  return isAddress ? plain(address) : undefined;
}

/** Version 4 as such, where a socket of version 6 wraps it (RFC 4291 2.5.5.2). */
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
