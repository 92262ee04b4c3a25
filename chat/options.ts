// Every setting with its default and unit, and how it is read from flags and
// from PARTYLINE_… variables. One row of `settings` describes a setting
// completely: parser, help text and defaults are read from it.
import { parseArgs } from "node:util";
import { Networks } from "./http/proxy.ts";
import { canonicalOrigin } from "./http/target.ts";
import { editDistance } from "./ops/edit_distance.ts";

/** The settings. Each is described, with its unit, in `settings`. */
export interface Options {
  port: number;
  host: string;
  lan: boolean;
  allowOrigin: string[];
  /** Empty if everyone may come in. Must not appear in a message or a log. */
  invite: string;
  /** The code to watch all connections; if empty, one is made at the start. */
  moderator: string;
  /** Prints the link with that code, where a projector may show it. */
  showModerator: boolean;
  /** Whether clients may ask which rooms have people in them. */
  listRooms: boolean;
  /** The path of the site; begins and ends with a slash. */
  base: string;
  /** IP addresses and CIDR blocks (RFC 4632). */
  trustProxy: string[];
  /** A file, `:memory:`, or the address of a Redis. */
  data: string;
  /** Certificates to trust besides those of the system. */
  redisCa: string;
  lease: number;
  keep: number;
  rate: number;
  burst: number;
  roomRate: number;
  /** KiB of history per second. */
  historyRate: number;
  maxMessage: number;
  maxFrame: number;
  sendLimit: number;
  maxClients: number;
  maxPolls: number;
  maxRooms: number;
  idleTimeout: number;
  cert: string;
  key: string;
  maxMemory: number;
  publicMetrics: boolean;
  log: "text" | "json";
  quiet: boolean;
}

interface Setting {
  default: Options[keyof Options];
  /** The placeholder for the value in the help text. */
  value?: string;
  /** The only values that are allowed; without it all are. */
  choices?: readonly string[];
  help: string;
  min?: number;
  max?: number;
  /** Reads a text, or each item of a list. Throws `OptionError`. */
  read?: (text: string, source: string) => string;
}

const settings: { [K in keyof Options]: Setting & { default: Options[K] } } = {
  port: {
    default: 8000,
    value: "N",
    help: "TCP port; 0 for any free one",
    min: 0,
    max: 65535,
  },
  host: {
    default: "127.0.0.1",
    value: "ADDRESS",
    help: "address to listen on",
  },
  lan: {
    default: false,
    help: "open to the local network: listen on 0.0.0.0",
  },
  allowOrigin: {
    default: [],
    value: "ORIGIN,…",
    help: "other sites whose pages may connect; * for all",
    read: readOrigin,
  },
  invite: {
    default: "",
    value: "CODE",
    help: "code that clients need; 12 to 64 characters",
    read: readInvite,
  },
  moderator: {
    default: "",
    value: "CODE",
    help: "code that opens /x-ray; 12 to 64 characters (random)",
    read: readInvite,
  },
  showModerator: {
    default: false,
    help: "print the moderator's link, and no QR code",
  },
  listRooms: {
    default: false,
    help: "tell everyone which rooms have people in them",
  },
  base: {
    default: "/",
    value: "PATH",
    help: "path under which everything is served",
    read: readBase,
  },
  trustProxy: {
    default: [],
    value: "ADDRESS,…",
    help: "proxies to trust for X-Forwarded-…; addresses, CIDR",
    read: readNetwork,
  },
  data: {
    default: "partyline.db",
    value: "FILE",
    help: "history: a file, :memory: or redis:…",
    read: readData,
  },
  redisCa: {
    default: "",
    value: "FILE",
    help: "certificates to trust for rediss://, in PEM form",
  },
  lease: {
    default: 15,
    value: "SECONDS",
    help: "time until a silent server counts as lost",
    min: 2,
    max: 3_600,
  },
  keep: {
    default: 10_000,
    value: "N",
    help: "messages kept for each room",
    min: 1,
    max: 10_000_000,
  },
  rate: {
    default: 10,
    value: "N",
    help: "messages per second per client; 0: no limit",
    min: 0,
    max: 1_000_000,
  },
  burst: {
    default: 20,
    value: "N",
    help: "messages at once over --rate; 10 for newcomers",
    min: 1,
    max: 1_000_000,
  },
  roomRate: {
    default: 200,
    value: "N",
    help: "messages per second in one room; 0: no limit",
    min: 0,
    max: 1_000_000,
  },
  historyRate: {
    default: 1024,
    value: "KIB",
    help: "history per second per client; 0: no limit",
    min: 0,
    max: 1024 * 1024,
  },
  maxMessage: {
    default: 4_000,
    value: "CHARS",
    help: "longest message, in characters",
    min: 1,
    max: 1_000_000,
  },
  maxFrame: {
    default: 64 * 1024,
    value: "BYTES",
    help: "largest frame; larger ones end the connection",
    min: 125,
    max: 16 * 1024 * 1024,
  },
  sendLimit: {
    default: 1024 * 1024,
    value: "BYTES",
    help: "data that may wait for a slow client",
    min: 64 * 1024,
    max: 1024 * 1024 * 1024,
  },
  maxClients: {
    default: 10_000,
    value: "N",
    help: "connections at the same time",
    min: 1,
    max: 1_000_000,
  },
  maxPolls: {
    default: 10_000,
    value: "N",
    help: "polling clients at the same time",
    min: 1,
    max: 1_000_000,
  },
  maxRooms: {
    default: 1_000,
    value: "N",
    help: "rooms at the same time",
    min: 1,
    max: 1_000_000,
  },
  idleTimeout: {
    default: 30,
    value: "SECONDS",
    help: "silence, even to pings, that ends a connection",
    min: 2,
    max: 86_400,
  },
  cert: {
    default: "",
    value: "FILE",
    help: "certificate in PEM form: serve https and wss",
  },
  key: {
    default: "",
    value: "FILE",
    help: "private key of --cert, in PEM form",
  },
  maxMemory: {
    default: 1024,
    value: "MIB",
    help: "memory limit; above it all connections close",
    min: 128,
    max: 1024 * 1024,
  },
  publicMetrics: {
    default: false,
    help: "show /metrics to everyone, not only this machine",
  },
  log: {
    default: "text",
    value: "FORMAT",
    choices: ["text", "json"],
    help: "format of the log: text or json",
  },
  quiet: { default: false, help: "print no banner" },
};

const keys = Object.keys(settings) as (keyof Options)[];

const ENV_PREFIX = "PARTYLINE_";

/** A setting that cannot be used; the message names it and says what can be. */
export class OptionError extends Error {
  override name = "OptionError";
}

/** All defaults, with these changes. */
export function defaultOptions(changes: Partial<Options> = {}): Options {
  const defaults = keys.map((key) => [key, settings[key].default]);
  return { ...Object.fromEntries(defaults), ...changes };
}

/** The text that was given for each option, and where it was given. */
type Given = Map<keyof Options, { text: string; source: string }>;

/**
 * Reads the command line and, for what it leaves open, the environment.
 * Returns "help" or "version" when one of them is asked for.
 * Throws `OptionError` on anything unknown or malformed.
 */
export function parseOptions(
  args: string[],
  env: (name: string) => string | undefined,
): Options | "help" | "version" {
  const given = givenByEnvironment(env);
  for (const token of tokensOf(args)) {
    if (token.kind === "positional") {
      // All that comes after "--" is taken for a value.
      const what = token.value.startsWith("-")
        ? "comes after --, where no options can be"
        : "is not an option: options start with --";
      throw new OptionError(`${quoted(token.value)} ${what}`);
    }
    if (token.kind === "option-terminator") continue;
    if (token.name === "help" || token.name === "version") return token.name;
    addFlag(given, token);
  }
  const options: Partial<Options> = Object.fromEntries(
    [...given].map(([key, { text, source }]) => [key, read(key, text, source)]),
  );
  const [lan, host] = [given.get("lan"), given.get("host")];
  if (options.lan && host) {
    throw new OptionError(
      `${lan?.source} and ${host.source} cannot be used together: the first ` +
        "listens on all addresses, the second on one",
    );
  }
  return checkTogether(defaultOptions(options));
}

function givenByEnvironment(env: (name: string) => string | undefined): Given {
  const given: Given = new Map();
  for (const key of keys) {
    const text = env(envName(key));
    // Set but empty counts as not set: shells and compose files leave it out
    // so.
    if (text) given.set(key, { text, source: envName(key) });
  }
  return given;
}

function tokensOf(args: string[]) {
  return parseArgs({
    args,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...keys.map((key) => [flagName(key), { type: flagType(key) }]),
      ["help", { type: "boolean", short: "h" }],
      ["version", { type: "boolean", short: "V" }],
    ]),
  }).tokens;
}

type Token = ReturnType<typeof tokensOf>[number];

/** A flag replaces a variable; a list grows with each flag. */
function addFlag(given: Given, token: Token & { kind: "option" }): void {
  const key = keys.find((key) => flagName(key) === token.name);
  if (key === undefined) throw unknownFlag(token);
  const source = `--${flagName(key)}`;
  // A flag without a value is followed by nothing or by the next flag.
  const text = token.value ?? (flagType(key) === "boolean" ? "true" : "");
  const isNextFlag = token.inlineValue === false && /^--./.test(text);
  if (isNextFlag) throw new OptionError(`${source} needs a value`);
  const isRepeatedList = Array.isArray(settings[key].default) &&
    given.get(key)?.source === source;
  const before = isRepeatedList ? `${given.get(key)?.text},` : "";
  given.set(key, { text: before + text, source });
}

function unknownFlag({ name, rawName }: Token & { kind: "option" }) {
  const likely = closestFlag(name);
  const hint = likely === undefined ? "" : `: did you mean --${likely}?`;
  return new OptionError(`unknown option ${rawName}${hint}`);
}

/**
 * Variables of the environment whose name is an option's with a typing error,
 * each with the name that was probably meant. A program that may read
 * `PARTYLINE_*` alone can ask for one name, but cannot list the names that are
 * set.
 */
export function misspeltVariables(
  env: (name: string) => string | undefined,
): { name: string; likely: string }[] {
  const known = new Set(keys.map(envName));
  const found = new Map<string, string>();
  for (const likely of known) {
    for (const slip of slipsOf(likely.slice(ENV_PREFIX.length))) {
      const name = `${ENV_PREFIX}${slip}`;
      if (!known.has(name) && env(name)) found.set(name, likely);
    }
  }
  return [...found].map(([name, likely]) => ({ name, likely }));
}

/** A word with one character left out, doubled or swapped, or an added S. */
function slipsOf(word: string): string[] {
  const slips = [`${word}S`];
  for (let at = 0; at < word.length; at++) {
    const before = word.slice(0, at);
    const char = word.charAt(at);
    const rest = word.slice(at + 1);
    slips.push(
      before + rest,
      before + char + char + rest,
      before + rest.charAt(0) + char + rest.slice(1),
    );
  }
  return slips;
}

function read(key: keyof Options, text: string, source: string): unknown {
  const { default: byDefault, choices, min = 0, max = 0 } = settings[key];
  const readText = settings[key].read ?? ((text: string) => text);
  if (typeof byDefault === "boolean") {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    if (/^(false|0|no|off|)$/i.test(text)) return false;
    throw new OptionError(`${source} must be yes or no, not "${text}"`);
  }
  if (text === "") throw new OptionError(`${source} needs a value`);
  if (choices && !choices.includes(text)) {
    throw new OptionError(
      `${source} must be ${choices.join(" or ")}, not ${quoted(text)}`,
    );
  }
  if (typeof byDefault === "number") {
    const number = /^\d+$/.test(text) ? Number(text) : NaN;
    if (number >= min && number <= max) return number;
    throw new OptionError(
      `${source} takes a whole number from ${min} to ${max}, not "${text}"`,
    );
  }
  if (Array.isArray(byDefault)) {
    const items = text.split(",").map((item) => item.trim());
    if (items.includes("")) {
      throw new OptionError(`${source} has an extra comma: "${text}"`);
    }
    return items.map((item) => readText(item, source));
  }
  return readText(text, source);
}

/** The text as it was given, without a password. */
function quoted(text: string): string {
  return `"${text.replace(/\/\/.*@/, "//…@")}"`;
}

/** Whether the history is in a Redis, which other servers may share. */
export function isRedis(data: string): boolean {
  return /^rediss?:/i.test(data);
}

/** An address may contain a password, so the error does not repeat it. */
function readData(text: string, source: string): string {
  if (text !== ":memory:" && /^:memory:$/i.test(text)) {
    throw new OptionError(
      `${source} must be a file, or :memory: in lower case`,
    );
  }
  if (!isRedis(text) && !/^\w+:\/\/.*@/.test(text)) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWhole = url?.hostname && /^\/?\d*$/.test(url.pathname) &&
    !url.search;
  if (isRedis(text) && isWhole) return url.href;
  throw new OptionError(
    `${source} takes redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT, ` +
      "with /NUMBER for another database",
  );
}

/**
 * An origin as browsers write it (RFC 6454 section 6.2), or `*`. A text that no
 * origin could match is an error.
 */
function readOrigin(text: string, source: string): string {
  if (text === "*") return text;
  const problem = originProblem(text);
  const origin = canonicalOrigin(text);
  if (problem === undefined && origin !== undefined) return origin;
  throw new OptionError(
    `${source} takes origins such as https://example.org, not "${text}"` +
      (problem === undefined ? "" : `: ${problem}`),
  );
}

function originProblem(text: string): string | undefined {
  if (text.includes("*")) {
    return "patterns are not supported; list each origin, or use * for all";
  }
  if (text === "null" || text === "file://") return undefined;
  if (!text.includes("://")) {
    return "an origin begins with a scheme, such as https://";
  }
  if (/^wss?:/i.test(text)) {
    return "a page's origin begins with http:// or https://";
  }
  const url = URL.parse(text);
  const hasMore = url !== null &&
    (url.pathname.length > 1 || `${url.search}${url.hash}${url.username}`);
  return hasMore
    ? "an origin is a scheme and a host, with no path after it"
    : undefined;
}

/** A code that fits a link and a header. The error does not repeat it. */
function readInvite(text: string, source: string): string {
  if (/^[!-~]{12,64}$/.test(text)) return text;
  throw new OptionError(
    `${source} takes 12 to 64 ASCII characters without spaces: only a long ` +
      "code cannot be guessed",
  );
}

/** Unreserved characters only (RFC 3986 section 2.3): nothing to decode. */
function readBase(text: string, source: string): string {
  const inner = text.replace(/^\/|\/$/g, "");
  if (inner === "") return "/";
  const isSegment = (part: string) => /^(?!\.\.?$)[\w.~-]+$/.test(part);
  if (inner.split("/").every(isSegment)) return `/${inner}/`;
  throw new OptionError(
    `${source} takes a path such as /chat/, of letters, digits, -, ., _ ` +
      `and ~, not "${text}"`,
  );
}

function readNetwork(text: string, source: string): string {
  try {
    new Networks([text]);
    return text;
  } catch {
    throw new OptionError(
      `${source} takes IP addresses and CIDR blocks such as 10.0.0.0/8, ` +
        `not "${text}"`,
    );
  }
}

/** Characters of JSON that one character may need, as \u0000 does. */
const MAX_ESCAPE = 6;

function checkTogether(options: Options): Options {
  const { maxMessage, maxFrame, sendLimit, invite, moderator } = options;
  if (maxMessage * MAX_ESCAPE > sendLimit) {
    throw new OptionError(
      `--send-limit must be at least ${MAX_ESCAPE} times --max-message: ` +
        `they are ${sendLimit} and ${maxMessage}`,
    );
  }
  if (maxFrame < maxMessage) {
    throw new OptionError(
      "--max-frame must be at least --max-message, or the longest messages " +
        `do not fit into a frame: they are ${maxFrame} and ${maxMessage}`,
    );
  }
  if (invite !== "" && invite === moderator) {
    throw new OptionError(
      "--invite and --moderator must differ, or every guest can watch all " +
        "connections",
    );
  }
  if (options.showModerator && (options.quiet || options.log === "json")) {
    throw new OptionError(
      "--show-moderator prints the link in the banner, which --quiet and " +
        "--log json leave out: remove one of these options",
    );
  }
  if (options.redisCa !== "" && !/^rediss:/i.test(options.data)) {
    throw new OptionError("--redis-ca can only be used with --data rediss://…");
  }
  if ((options.cert === "") !== (options.key === "")) {
    throw new OptionError("--cert and --key belong together: give both");
  }
  return options.lan ? { ...options, host: "0.0.0.0" } : options;
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = keys.map((key) => {
    const { default: byDefault, value, help } = settings[key];
    const flag = `--${flagName(key)}${value ? ` ${value}` : ""}`;
    const isPlain = typeof byDefault === "boolean" || byDefault === "" ||
      Array.isArray(byDefault);
    return [flag, isPlain ? help : `${help} (${byDefault})`] as const;
  });
  rows.push(["--version", "print the version"], ["--help", "print this text"]);
  const width = Math.max(...rows.map(([flag]) => flag.length)) + 2;
  return [
    "Partyline: a chat server for people who learn and teach WebSocket.",
    "",
    "Usage: partyline [options]",
    "       partyline backup COPY [--data FILE]    copy the history",
    "       partyline check URL [options]          judge a WebSocket server",
    "",
    ...rows.map(([flag, help]) => `  ${flag.padEnd(width)}${help}`),
    "",
    `Each option can also be set in the environment: ${
      envName("maxClients")
    }=50.`,
  ].join("\n");
}

function flagName(key: keyof Options): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Longer names are no typing error, and cost more to compare. */
const MAX_SLIP_CHARS = 32;

/** The option that was probably meant: at most a third of its name differs. */
function closestFlag(name: string): string | undefined {
  if (name.length > MAX_SLIP_CHARS) return undefined;
  const [best] = [...keys.map(flagName), "help", "version"]
    .map((flag) => ({ flag, slips: editDistance(name, flag) }))
    .filter(({ flag, slips }) => slips <= Math.ceil(flag.length / 3))
    .sort((a, b) => a.slips - b.slips);
  return best?.flag;
}

function envName(key: keyof Options): string {
  return ENV_PREFIX + flagName(key).replaceAll("-", "_").toUpperCase();
}

function flagType(key: keyof Options): "boolean" | "string" {
  return typeof settings[key].default === "boolean" ? "boolean" : "string";
}
