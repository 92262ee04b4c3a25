// What the terminal shows at the start: a banner with the addresses that others can
// use, and only those at which the server listens. It is made here and printed
// elsewhere.
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
 * The addresses of this machine that others may reach, the likeliest first:
 * private ones (RFC 1918) of real interfaces, then the other real ones, then
 * those of virtual ones; at each place IPv4 before IPv6. Addresses of the link
 * alone are left out: a browser cannot open them.
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

/**
 * What a person needs to know when the server has started. `bound` is the
 * address at which it listens, `interfaces` are those of the machine.
 */
export function banner(
  options: Options,
  bound: Pick<Deno.NetAddr, "hostname" | "port">,
  interfaces: Interface[],
): string {
  const { base, invite, moderator } = options;
  const scheme = options.cert === "" ? "http" : "https";
  // A URL knows where an address needs brackets and a port can be left out.
  const site = (host: string) =>
    new URL(`${scheme}://${bracketed(host)}:${bound.port}${base}`).href;
  const guest = fragment({ invite });
  const own = ownHost(options.host, bound.hostname);
  const isEverywhere = EVERYWHERE.includes(bound.hostname);
  const isLocal = /^(::ffff:)?127\.|^::1$/i.test(bound.hostname);
  // IPv4 reaches [::] too, but IPv6 never reaches 0.0.0.0.
  const reachable = bound.hostname === "::"
    ? interfaces
    : interfaces.filter(({ family }) => family === "IPv4");
  const others = isEverywhere ? lanAddresses(reachable) : [];
  const lines = [
    "Partyline is running.",
    "",
    `  Open    ${site(own)}${guest}`,
    ...others.map((address) => `  Others  ${site(address)}${guest}`),
  ];
  if (isEverywhere && others.length === 0) {
    lines.push("  Others  cannot reach this machine: it is not on a network");
  }
  if (isLocal) {
    lines.push("  Others  can join if you start the server with --lan");
  }
  lines.push(
    `  Lesson  ${site(own)}learn${guest}`,
    `  Lab     ${site(own)}lab${guest}`,
    `  X-ray   ${site(own)}x-ray${guest}`,
    `  History ${historyPlace(options.data)}`,
    "  Stop    Ctrl-C",
    "",
  );
  // A projector may show the terminal, so the code that opens everything is
  // shown only when it is asked for, and then not beside what all may scan.
  if (options.showModerator) {
    // The pages that the X-ray links to need the invitation.
    const code = fragment({ moderator, invite });
    lines.push(`Secret, for the moderator: ${site(own)}x-ray${code}`, "");
  } else {
    lines.push(
      "The X-ray needs the moderator's code: --show-moderator prints it.",
      "",
    );
    const best = isEverywhere ? others[0] : isLocal ? undefined : own;
    if (best !== undefined) {
      lines.push(renderUnicodeCompact(site(best) + guest), "");
    }
  }
  return lines.join("\n");
}

const EVERYWHERE = ["0.0.0.0", "::"];

/** The host under which this machine reaches its own server. */
function ownHost(given: string, bound: string): string {
  if (bound === "0.0.0.0" || bound === "127.0.0.1") return "localhost";
  if (bound === "::") return "::1";
  const isName = !/^[\d.]+$|:/.test(given);
  return isName ? given : bound;
}

/** Without the password that the address of a Redis may hold. */
function historyPlace(data: string): string {
  if (data === ":memory:") return "is deleted when the server stops";
  return isRedis(data) ? `in Redis at ${new URL(data).host}` : data;
}

/** As a URL needs an IPv6 address (RFC 3986 section 3.2.2). */
function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** In a fragment, because a browser sends that to no server and no log. */
function fragment(codes: Record<string, string>): string {
  const parts = Object.entries(codes).filter(([, code]) => code !== "")
    .map(([name, code]) => `${name}=${encodeURIComponent(code)}`);
  return parts.length === 0 ? "" : `#${parts.join("&")}`;
}
