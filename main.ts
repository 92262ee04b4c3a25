// Partyline's entry: options, page, log, server, signals, drain. Never handles a
// request or a message itself.
// Invariant: the process ends here, with 0 after a stop, 1 when it could not
// start, 2 when an option was wrong, and by no client's doing.
import { randomBytes } from "node:crypto";
import { loadAssets } from "./chat/assets.ts";
import { Certificate, CertificateError } from "./chat/certificate.ts";
import { type Log, LogError, MemoryLog } from "./chat/log.ts";
import { SqliteLog } from "./chat/log_sqlite.ts";
import { Logger } from "./chat/logger.ts";
import { Metrics } from "./chat/metrics.ts";
import {
  helpText,
  isRedis,
  OptionError,
  parseOptions,
} from "./chat/options.ts";
import { serve } from "./chat/server.ts";
import { banner } from "./chat/terminal.ts";
import { noteLog } from "./chat/world.ts";
import config from "./deno.json" with { type: "json" };

const DRAIN_DEADLINE_MS = 3_000;
const FORGET_EVERY_MS = 5 * 60 * 1000;

const options = readOptions();
const logger = new Logger(options.log, console.error, Date.now);
const assets = await loadAssets(`${import.meta.dirname}/static`);
const certificate = openCertificate();
const metrics = new Metrics();
const log = await openLog();
const server = start();
keepAlive();
stopOnSignal();
forgetNowAndThen();
sayHello();

function readOptions() {
  try {
    const options = parseOptions(Deno.args, (name) => Deno.env.get(name));
    if (options === "help") end(0, helpText());
    if (options === "version") end(0, `partyline ${config.version}`);
    options.moderator ||= randomBytes(16).toString("base64url");
    return options;
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    end(2, `partyline: ${error.message}. See --help.`);
  }
}

function openCertificate(): Certificate | undefined {
  if (options.cert === "") return undefined;
  try {
    return new Certificate(options.cert, options.key, Date.now);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    end(1, `partyline: ${error.message}`);
  }
}

async function openLog(): Promise<Log> {
  try {
    const { data, keep } = options;
    if (data === ":memory:") return new MemoryLog(keep);
    if (isRedis(data)) return await openRedis();
    return new SqliteLog(data, keep, Date.now() - Deno.osUptime() * 1000);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    end(1, `partyline: ${error.message}`);
  }
}

/** Loaded only here: who has one server pays nothing for it. */
async function openRedis(): Promise<Log> {
  const { RedisLog } = await import("./chat/log_redis.ts");
  const { data: url, redisCa: ca, keep, lease } = options;
  return RedisLog.open({ url, ca, keep, leaseMs: lease * 1000 }, {
    random: Math.random,
    told: (trouble) => noteLog({ metrics, logger }, trouble),
  });
}

function start() {
  const { host, port } = options;
  try {
    return serve(options, assets, log, {
      now: Date.now,
      random: Math.random,
      memory: Deno.memoryUsage,
      logger,
      metrics,
    }, certificate);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      end(1, `partyline: port ${port} is in use. Choose another with --port.`);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      end(
        1,
        `partyline: port ${port} may not be used. Choose one with --port.`,
      );
    }
    if (error instanceof Error) {
      end(1, `partyline: cannot listen on ${host}: ${error.message}`);
    }
    throw error;
  }
}

/** A banner for a person, a line for a program. */
function sayHello() {
  const { hostname, port } = server.address;
  if (options.log === "json") {
    logger.log("info", "start", "The server listens.", { hostname, port });
  } else if (!options.quiet) {
    const isOpen = options.host === "0.0.0.0";
    const interfaces = isOpen ? Deno.networkInterfaces() : [];
    console.log(banner(options, port, interfaces));
  }
}

function sayGoodbye() {
  if (options.log === "json") {
    logger.log("info", "stop", "The server stops.");
  } else if (!options.quiet) {
    console.log("Stopping. Ctrl-C again ends at once.");
  }
}

/** The last net: what no handler caught is logged, and the server lives on. */
function keepAlive() {
  addEventListener("error", (event) => {
    event.preventDefault();
    logger.fault("An error was not handled.", event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.fault("A rejection was not handled.", event.reason);
  });
}

/** The first signal drains, a second one ends at once. */
function stopOnSignal() {
  let isStopping = false;
  const stop = async () => {
    if (isStopping) Deno.exit(130);
    isStopping = true;
    sayGoodbye();
    try {
      await server.drain(DRAIN_DEADLINE_MS);
    } finally {
      await log.close();
      Deno.exit(0);
    }
  };
  Deno.addSignalListener("SIGINT", stop);
  // Windows has no SIGTERM; its console sends SIGBREAK when it is closed.
  const other = Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM";
  Deno.addSignalListener(other, stop);
}

/** What nobody used for long leaves the log. */
function forgetNowAndThen() {
  const forget = () =>
    log.forget(Date.now(), server.lobby.inUse)
      .catch((error) => logger.fault("Nothing was forgotten.", error));
  forget();
  setInterval(forget, FORGET_EVERY_MS);
}

function end(code: number, text: string): never {
  if (code === 0) console.log(text);
  else console.error(text);
  Deno.exit(code);
}
