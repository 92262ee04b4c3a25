// The text in the terminal at the start: a banner with the addresses that
// others can use, all of them addresses at which the server listens. The text
// is made here and printed elsewhere.
import { renderUnicodeCompact } from "uqr";
import { type Interface, lanAddresses } from "./addresses.ts";
import { isLoopback } from "./ops/health.ts";
import { isRedis, type Options } from "./options.ts";

const EVERYWHERE = ["0.0.0.0", "::"];

type Bound = Pick<Deno.NetAddr, "hostname" | "port">;

/**
 * The text that a person needs when the server has started. `bound` is the
 * address at which the server listens, `interfaces` are those of the machine.
 */
export function banner(
  options: Options,
  bound: Bound,
  interfaces: Interface[],
): string {
  const guest = fragment({ invite: options.invite });
  const own = siteAt(ownHost(options.host, bound.hostname), options, bound);
  const others = otherHosts(bound, interfaces)
    .map((host) => siteAt(host, options, bound) + guest);
  const isOneAddress = !EVERYWHERE.includes(bound.hostname) &&
    !isLoopback(bound.hostname);
  const best = isOneAddress ? own + guest : others[0];
  return [
    "Partyline is running.",
    "",
    `  Open    ${own}${guest}`,
    ...waysOfOthers(bound, others).map((way) => `  Others  ${way}`),
    `  Lesson  ${own}learn${guest}`,
    `  Lab     ${own}lab${guest}`,
    `  X-ray   ${own}x-ray${guest}`,
    `  History ${historyPlace(options.data)}`,
    "  Stop    Ctrl-C",
    "",
    // A projector may show the terminal. So the moderator's link is shown only
    // on request, and then instead of the code that everybody may scan.
    ...options.showModerator ? secretLink(own, options) : linkToScan(best),
  ].join("\n");
}

/** The pages' address, for a browser that reaches the server at `host`. */
function siteAt(host: string, { cert, base }: Options, { port }: Bound) {
  const scheme = cert === "" ? "http" : "https";
  // A URL knows which address needs brackets and which port can be left out.
  return new URL(`${scheme}://${bracketed(host)}:${port}${base}`).href;
}

function otherHosts({ hostname }: Bound, interfaces: Interface[]): string[] {
  if (!EVERYWHERE.includes(hostname)) return [];
  // IPv4 reaches [::] too, but IPv6 never reaches 0.0.0.0.
  return lanAddresses(
    hostname === "::"
      ? interfaces
      : interfaces.filter(({ family }) => family === "IPv4"),
  );
}

/** How others come in: by one of these `sites`; or why they cannot. */
function waysOfOthers({ hostname }: Bound, sites: string[]): string[] {
  if (isLoopback(hostname)) {
    return ["can join if you start the server with --lan"];
  }
  if (EVERYWHERE.includes(hostname) && sites.length === 0) {
    return ["cannot reach this machine: it is not on a network"];
  }
  return sites;
}

/** The pages that the X-ray links to need the invitation too. */
function secretLink(site: string, { moderator, invite }: Options): string[] {
  const code = fragment({ moderator, invite });
  return [`Secret, for the moderator: ${site}x-ray${code}`, ""];
}

function linkToScan(link: string | undefined): string[] {
  const code = link === undefined ? [] : [renderUnicodeCompact(link), ""];
  return [
    "The X-ray needs the moderator's code: --show-moderator prints it.",
    "",
    ...code,
  ];
}

/** The host under which this machine reaches its own server. */
function ownHost(given: string, bound: string): string {
  if (bound === "0.0.0.0" || bound === "127.0.0.1") return "localhost";
  if (bound === "::") return "::1";
  const isName = !/^[\d.]+$|:/.test(given);
  return isName ? given : bound;
}

/** Where the history is kept, without the password of a Redis. */
function historyPlace(data: string): string {
  if (data === ":memory:") return "is deleted when the server stops";
  return isRedis(data) ? `in Redis at ${new URL(data).host}` : data;
}

/** An IPv6 address in brackets, as a URL needs it (RFC 3986 section 3.2.2). */
function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Codes as a fragment, which a browser sends to no server and no log. */
function fragment(codes: Record<string, string>): string {
  const parts = Object.entries(codes).filter(([, code]) => code !== "")
    .map(([name, code]) => `${name}=${encodeURIComponent(code)}`);
  return parts.length === 0 ? "" : `#${parts.join("&")}`;
}
