// Owns `Options`: every setting with its default and unit, and the reading of
// them from flags and from PARTYLINE_… variables. Never prints and never exits.
// Invariant: one row of `settings` is the whole truth about a setting; the
// parser, the help text and the defaults are read from it.
import { parseArgs } from "node:util";
import { Networks } from "./proxy.ts";

/** What a user can set. Each is described, with its unit, in `settings`. */
export interface Options {
  port: number;
  host: string;
  lan: boolean;
  allowOrigin: string[];
  /** Empty if everyone may come in. Never to be shown in a message or a log. */
  invite: string;
  /** Lets whoever has it watch all connections; empty: made at the start. */
  moderator: string;
  /** A path that begins and ends with a slash. */
  base: string;
  /** IP addresses and CIDR blocks. */
  trustProxy: string[];
  /** A file, `:memory:`, or the address of a Redis. */
  data: string;
  /** Certificates to trust besides those of the system. */
  redisCa: string;
  lease: number;
  keep: number;
  rate: number;
  burst: number;
  maxMessage: number;
  maxFrame: number;
  sendLimit: number;
  maxClients: number;
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
  /** What stands for the value in the help text. */
  value?: string;
  /** If only these will do. */
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
    help: "TCP port; 0 takes a free one",
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
    help: "who comes in needs this code; 6 to 64 characters",
    read: readInvite,
  },
  moderator: {
    default: "",
    value: "CODE",
    help: "who watches all connections needs it (random)",
    read: readInvite,
  },
  base: {
    default: "/",
    value: "PATH",
    help: "path below which all is served",
    read: readBase,
  },
  trustProxy: {
    default: [],
    value: "ADDRESS,…",
    help: "proxies, also as CIDR, whose X-Forwarded-… holds",
    read: readNetwork,
  },
  data: {
    default: "partyline.db",
    value: "FILE",
    help: "where history lives; :memory:, redis:…",
    read: readData,
  },
  redisCa: {
    default: "",
    value: "FILE",
    help: "who certifies a rediss:// server, in PEM form",
  },
  lease: {
    default: 15,
    value: "SECONDS",
    help: "until a server silent on Redis counts as dead",
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
    help: "messages at once before --rate counts",
    min: 1,
    max: 1_000_000,
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
    help: "largest frame; a larger one ends the client",
    min: 125,
    max: 16 * 1024 * 1024,
  },
  sendLimit: {
    default: 1024 * 1024,
    value: "BYTES",
    help: "may wait for a slow client; more ends it",
    min: 64 * 1024,
    max: 1024 * 1024 * 1024,
  },
  maxClients: {
    default: 10_000,
    value: "N",
    help: "connections at a time",
    min: 1,
    max: 1_000_000,
  },
  maxRooms: {
    default: 1_000,
    value: "N",
    help: "rooms at a time",
    min: 1,
    max: 1_000_000,
  },
  idleTimeout: {
    default: 30,
    value: "SECONDS",
    help: "until a client that answers no ping is let go",
    min: 2,
    max: 86_400,
  },
  cert: {
    default: "",
    value: "FILE",
    help: "certificate in PEM form: serve https and wss",
  },
  key: { default: "", value: "FILE", help: "its private key in PEM form" },
  maxMemory: {
    default: 1024,
    value: "MIB",
    help: "memory to use; more ends all connections",
    min: 128,
    max: 1024 * 1024,
  },
  publicMetrics: {
    default: false,
    help: "answer /metrics to everyone, not only here",
  },
  log: {
    default: "text",
    value: "FORMAT",
    choices: ["text", "json"],
    help: "the operator's lines: text or json",
  },
  quiet: { default: false, help: "print no banner" },
};

const keys = Object.keys(settings) as (keyof Options)[];

/** A setting that cannot be used; the message names it and says what would do. */
export class OptionError extends Error {
  override name = "OptionError";
}

/** All defaults, changed where `changes` says so. */
export function defaultOptions(changes: Partial<Options> = {}): Options {
  const defaults = keys.map((key) => [key, settings[key].default]);
  return { ...Object.fromEntries(defaults), ...changes };
}

/**
 * Reads the command line and, for what it leaves open, the environment.
 * Returns "help" or "version" when one of them is asked for.
 * Throws `OptionError` on anything unknown or malformed.
 */
export function parseOptions(
  args: string[],
  env: (name: string) => string | undefined,
): Options | "help" | "version" {
  const given = new Map<keyof Options, { text: string; source: string }>();
  for (const key of keys) {
    const text = env(envName(key));
    if (text !== undefined) given.set(key, { text, source: envName(key) });
  }
  const { tokens } = parseArgs({
    args,
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...keys.map((key) => [flagName(key), { type: flagType(key) }]),
      ["help", { type: "boolean", short: "h" }],
      ["version", { type: "boolean", short: "V" }],
    ]),
  });
  for (const token of tokens) {
    if (token.kind === "positional") {
      throw new OptionError(
        `unexpected ${quoted(token.value)}: options start with --`,
      );
    }
    if (token.kind === "option-terminator") continue;
    if (token.name === "help" || token.name === "version") return token.name;
    // Where the log is, or how it is written: both were called so.
    const isLogAddress = token.name === "log" && isRedis(token.value ?? "");
    const name = isLogAddress ? "data" : token.name;
    const key = keys.find((key) => flagName(key) === name);
    if (key === undefined) {
      throw new OptionError(`unknown option ${token.rawName}`);
    }
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
  const options = Object.fromEntries(
    [...given].map(([key, { text, source }]) => [key, read(key, text, source)]),
  );
  return checkTogether(defaultOptions(options));
}

function read(key: keyof Options, text: string, source: string): unknown {
  const { default: byDefault, choices, min = 0, max = 0 } = settings[key];
  const readText = settings[key].read ?? ((text: string) => text);
  if (typeof byDefault === "boolean") {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    if (/^(false|0|no|off|)$/i.test(text)) return false;
    throw new OptionError(`${source} is yes or no, not "${text}"`);
  }
  if (text === "") throw new OptionError(`${source} needs a value`);
  if (choices && !choices.includes(text)) {
    throw new OptionError(
      `${source} is ${choices.join(" or ")}, not ${quoted(text)}`,
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
    return text.split(",").map((item) => readText(item.trim(), source));
  }
  return readText(text, source);
}

/** As it was given, but for a password that may be in it. */
function quoted(text: string): string {
  return `"${text.replace(/\/\/.*@/, "//…@")}"`;
}

/** Whether history lives in a Redis, which other servers may share. */
export function isRedis(data: string): boolean {
  return /^rediss?:/i.test(data);
}

/** A password may be in it, so the error does not repeat it. */
function readData(text: string, source: string): string {
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

/** An origin as browsers write it (RFC 6454 section 6.2), or `*`, or `null`. */
function readOrigin(text: string, source: string): string {
  if (text === "*" || text === "null") return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && url.origin !== "null" &&
    url.href === `${url.origin}/`;
  if (isOrigin) return url.origin;
  throw new OptionError(
    `${source} takes origins such as https://example.org, not "${text}"`,
  );
}

/** A code that fits a link and a header. The error does not repeat it. */
function readInvite(text: string, source: string): string {
  if (/^[!-~]{6,64}$/.test(text)) return text;
  throw new OptionError(
    `${source} takes 6 to 64 characters of ASCII without spaces`,
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

/** Characters of JSON that one character may take, as \u0000 does. */
const MAX_ESCAPE = 6;

function checkTogether(options: Options): Options {
  if (options.maxMessage * MAX_ESCAPE > options.sendLimit) {
    throw new OptionError(
      `--send-limit must be at least ${MAX_ESCAPE} times --max-message`,
    );
  }
  if ((options.cert === "") !== (options.key === "")) {
    throw new OptionError("--cert and --key belong together: give both");
  }
  if (!options.lan) return options;
  if (options.host !== settings.host.default) {
    throw new OptionError("--lan and --host exclude each other: give one");
  }
  return { ...options, host: "0.0.0.0" };
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
    "",
    ...rows.map(([flag, help]) => `  ${flag.padEnd(width)}${help}`),
    "",
    `Each option is also read from the environment: ${
      envName("maxClients")
    }=50.`,
  ].join("\n");
}

function flagName(key: keyof Options): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function envName(key: keyof Options): string {
  return `PARTYLINE_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
}

function flagType(key: keyof Options): "boolean" | "string" {
  return typeof settings[key].default === "boolean" ? "boolean" : "string";
}
