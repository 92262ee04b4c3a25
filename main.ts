// Partyline's entry: reads the options, opens the store, starts the server and
// stops it when a signal comes. The process ends here, with 0 after a stop, 1 when
// it could not start, 2 when an option was wrong, and by no client's doing.
import { randomBytes } from "node:crypto";
import { type Assets, loadAssets } from "./chat/http/static_files.ts";
import { Certificate, CertificateError } from "./chat/http/certificate.ts";
import { type Archive, LocalStore } from "./chat/store/local.ts";
import { MemoryArchive } from "./chat/store/memory.ts";
import { isOpenToAll } from "./chat/store/data_file.ts";
import { SqliteArchive } from "./chat/store/sqlite.ts";
import { type Store, StoreError } from "./chat/store/store.ts";
import { Logger } from "./chat/ops/logger.ts";
import { Metrics } from "./chat/ops/metrics.ts";
import {
  helpText,
  isRedis,
  misspeltVariables,
  OptionError,
  parseOptions,
} from "./chat/options.ts";
import { Output } from "./chat/ops/output.ts";
import { serve } from "./chat/server.ts";
import { reasonOf } from "./chat/ops/system_error.ts";
import { backup, BackupError, Lender } from "./chat/backup.ts";
import { banner } from "./chat/banner.ts";
import { noteStore } from "./chat/ops/context.ts";
import config from "./deno.json" with { type: "json" };

const DRAIN_DEADLINE_MS = 3_000;
/** How long the end waits for a reader to take the last lines. */
const FLUSH_MS = 250;
/** For what a client that does not answer keeps open. */
const EXIT_MS = 250;
const FORGET_EVERY_MS = 5 * 60 * 1000;

const clocks = { now: Date.now, monotonic: () => performance.now() };

// As with npm, some write `deno task start -- --port 80`; Deno passes "--" on.
const args = Deno.args.slice(Deno.args[0] === "--" ? 1 : 0);

let lender: Lender | undefined;
if (args[0] === "check") await judgeAndEnd(args.slice(1));
if (args[0] === "backup") await copyAndEnd(args.slice(1));
const options = readOptions(args);
const errors = new Output(Deno.stderr, tellDropped);
const screen = new Output(Deno.stdout, tellDropped);
const logger = new Logger(
  options.log,
  (line) => errors.write(line),
  Date.now,
);
warnOfVariables();
const assets = await readAssets();
const certificate = openCertificate();
const metrics = new Metrics();
const store = await openStore();
const server = start();
catchUnhandledErrors();
stopOnSignal();
forgetNowAndThen();
sayHello();

function readOptions(args: string[]) {
  try {
    const options = parseOptions(args, (name) => Deno.env.get(name));
    if (options === "help") end(0, helpText());
    if (options === "version") end(0, `partyline ${config.version}`);
    options.moderator ||= randomBytes(16).toString("base64url");
    return options;
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    // A question has its mark already.
    const mark = error.message.endsWith("?") ? "" : ".";
    end(2, `partyline: ${error.message}${mark} See --help.`);
  }
}

/** A setting that is passed over in silence, such as an invitation, is missed. */
function warnOfVariables() {
  for (const { name, likely } of misspeltVariables((it) => Deno.env.get(it))) {
    const message = `${name} is not an option and was ignored: did you mean ` +
      `${likely}?`;
    logger.log("warn", "environment", message);
  }
}

/** Loaded only here: a server does not need the checks. */
async function judgeAndEnd(args: string[]): Promise<never> {
  const { check } = await import("./chat/check/command.ts");
  Deno.exit(await check(args, console.log, console.error));
}

async function copyAndEnd([copy = "", ...args]: string[]): Promise<never> {
  if (/^--?h(elp)?$/.test(copy)) end(0, helpText());
  if (copy === "" || copy.startsWith("-")) {
    end(2, "partyline: backup needs a name for the copy. See --help.");
  }
  const { data } = readOptions(args);
  const foreign = args.find((arg) => /^--(?!data(=|$))/.test(arg));
  if (foreign !== undefined) {
    end(
      2,
      `partyline: backup takes no option but --data: leave out ${foreign}.`,
    );
  }
  try {
    await backup(data, copy);
  } catch (error) {
    const isTold = error instanceof BackupError || error instanceof StoreError;
    if (!isTold) throw error;
    end(1, `partyline: ${error.message}`);
  }
  end(0, `${data} was copied to ${copy}.`);
}

async function readAssets(): Promise<Assets> {
  try {
    return await loadAssets(`${import.meta.dirname}/static`);
  } catch (error) {
    end(
      1,
      `partyline: the pages in static/ cannot be read: ${reasonOf(error)}.`,
    );
  }
}

function openCertificate(): Certificate | undefined {
  if (options.cert === "") return undefined;
  try {
    return new Certificate(options.cert, options.key, Date.now);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    end(1, `partyline: ${error.message}.`);
  }
}

async function openStore(): Promise<Store> {
  try {
    return isRedis(options.data)
      ? await openRedis()
      : new LocalStore(openArchive(), clocks);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    end(1, `partyline: ${error.message}`);
  }
}

function openArchive(): Archive {
  const { data, keep } = options;
  if (data === ":memory:") return new MemoryArchive(keep, clocks.monotonic);
  const machine = { ...clocks, uptime };
  lender = openLender();
  const archive = new SqliteArchive(data, keep, machine, lender?.address);
  lender?.start(archive);
  if (isOpenToAll(data)) {
    const message = `Every user of this machine can open ${data}, in which ` +
      `all messages are stored. To change that: chmod 600 ${data}`;
    logger.log("warn", "data", message);
  }
  return archive;
}

/** Where a machine has no loopback there is no backup, but all else. */
function openLender(): Lender | undefined {
  try {
    return new Lender(logger);
  } catch {
    return undefined;
  }
}

function uptime(): number | undefined {
  try {
    return Deno.osUptime() || undefined;
  } catch {
    return undefined;
  }
}

/** Loaded only here: a server that is alone does not need the library. */
async function openRedis(): Promise<Store> {
  const { RedisStore } = await import("./chat/store/redis/store.ts");
  const { data: url, redisCa: ca, keep, rate, lease } = options;
  return RedisStore.open({ url, ca, keep, rate, leaseMs: lease * 1000 }, {
    random: Math.random,
    noteStatus: (trouble) => noteStore({ metrics, logger }, trouble),
  });
}

function start() {
  try {
    return serve(options, assets, store, {
      ...clocks,
      random: Math.random,
      memory: Deno.memoryUsage,
      interfaces: Deno.networkInterfaces,
      logger,
      metrics,
    }, certificate);
  } catch (error) {
    end(1, `partyline: ${listenProblem(error)}.`);
  }
}

/** Why the address cannot be had, and what to do about it. */
function listenProblem(error: unknown): string {
  const { host, port } = options;
  if (error instanceof Deno.errors.AddrInUse) {
    return `port ${port} is in use. Choose another with --port`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `this program may not use port ${port}. ` +
      "Choose one from 1024 up with --port";
  }
  const reason = error instanceof Deno.errors.AddrNotAvailable
    ? "this machine does not have this address"
    : reasonOf(error);
  return `cannot listen on ${host}: ${reason}. ` +
    "Choose an address of this machine with --host, or use --lan for all";
}

/** A banner for a person, a line for a program. */
function sayHello() {
  const { hostname, port } = server.address;
  if (options.log === "json") {
    logger.log("info", "start", "The server is listening.", { hostname, port });
  } else if (!options.quiet) {
    screen.write(banner(options, server.address, Deno.networkInterfaces()));
  }
}

function sayGoodbye() {
  if (options.log === "json") {
    logger.log("info", "stop", "The server is stopping.");
  } else if (!options.quiet) {
    screen.write("Stopping. Press Ctrl-C again to stop at once.");
  }
}

/** The last net: what no handler caught is logged, and the server lives on. */
function catchUnhandledErrors() {
  addEventListener("error", (event) => {
    event.preventDefault();
    logger.fault("An error was not handled.", event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.fault("A rejected promise was not handled.", event.reason);
  });
}

/** The first signal drains, a second one ends at once. */
function stopOnSignal() {
  let isStopping = false;
  const stop = async (signal: Deno.Signal) => {
    if (isStopping) Deno.exit(130);
    isStopping = true;
    sayGoodbye();
    try {
      await server.drain(DRAIN_DEADLINE_MS);
    } finally {
      lender?.close();
      await store.close();
      await Promise.all([screen.flush(FLUSH_MS), errors.flush(FLUSH_MS)]);
      if (signal !== "SIGTERM") Deno.exit(0);
      // `deno run --watch` sends it before it starts anew, and Deno.exit would
      // end that too. A client that does not answer may keep the process.
      for (const [signal, listener] of listeners) {
        Deno.removeSignalListener(signal, listener);
      }
      Deno.unrefTimer(setTimeout(() => Deno.exit(0), EXIT_MS));
    }
  };
  // Windows has neither SIGTERM nor SIGHUP; its console sends SIGBREAK when it
  // is closed. Elsewhere a terminal that is closed sends SIGHUP.
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  const listeners = signals.map((signal) =>
    [signal, () => stop(signal)] as const
  );
  for (const [signal, listener] of listeners) {
    Deno.addSignalListener(signal, listener);
  }
}

/** The line that tells how many lines were dropped. */
function tellDropped(lines: number): string {
  const message = "Lines were dropped because nobody read them in time.";
  return logger.line("warn", "lines_dropped", message, { lines });
}

/** Drops rooms and names that nobody used for long from the store. */
function forgetNowAndThen() {
  const forget = () =>
    store.forget(server.hub.inUse).catch((error) => {
      if (!(error instanceof StoreError)) {
        return logger.fault("Old rooms and names were not deleted.", error);
      }
      logger.log(
        "warn",
        "store",
        `Old rooms and names were not deleted: ${error}`,
      );
    });
  forget();
  Deno.unrefTimer(setInterval(forget, FORGET_EVERY_MS));
}

function end(code: number, text: string): never {
  try {
    if (code === 0) console.log(text);
    else console.error(text);
  } finally {
    Deno.exit(code);
  }
}
