// This server's one connection to Redis. A lost connection is opened again; a
// connection on which Redis is silent counts as lost. A command is sent at most
// once, and is answered or rejected; none is sent on a new connection before
// `begin` is done.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient } from "@redis/client";
import { StoreError } from "../store.ts";
import { type ScriptName, scriptsFor } from "./scripts.ts";
import { reasonOf } from "../../ops/system_error.ts";

/** How long Redis may be silent before the connection counts as lost. */
const SILENCE_MS = 4_000;

const CONNECT_TIMEOUT_MS = 4_000;
const WATCH_EVERY_MS = 500;

/** The wait before a next attempt, at first and at most; a third is random. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

/** Redis cannot be asked now, or did not answer. */
export class ConnectionError extends StoreError {
  override name = "ConnectionError";
}

type Client = ReturnType<typeof newClient>;

/** Runs a script; `values` are its ARGV. */
export type Run = (script: ScriptName, ...values: Value[]) => Promise<unknown>;
type Value = string | number;

/** Receives the texts published on one channel. May not throw. */
type Listener = (text: string) => void;

/** The functions that a connection calls. */
interface ConnectionHandlers {
  /**
   * Prepares a new connection, before anything is heard over it. `runId` names
   * the Redis process. If it rejects, the connection is opened again.
   */
  begin(run: Run, runId: string): Promise<void>;
  /** The connection is ready, for the first time or again. */
  ready(): void;
  /** The channels to follow, and the listener of each. */
  channels(): Iterable<[channel: string, listener: Listener]>;
  /** The connection was lost or could not be opened; it is tried again. */
  lost(error: StoreError): void;
}

export class RedisConnection {
  #client: Client | undefined;
  #isReady = false;
  #isClosed = false;
  #ready = Promise.withResolvers<void>();
  #retryMs = RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #watchTimer: ReturnType<typeof setInterval> | undefined;
  /** Names this server to the scripts, which obey its newest connection. */
  readonly #id = randomBytes(9).toString("base64url");
  #connections = 0;
  /** Why the connection that is being opened cannot be used. */
  #fault: Error | undefined;
  #pending = 0;
  /** Runs of the watch since the last answer. */
  #silentLooks = 0;
  #lostAtMs = -Infinity;
  readonly #shas = new Map<ScriptName, string>();
  /** Channels with an unsubscribe under way, for which a subscribe waits. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** The address without user and password. */
  readonly #address: string;

  /** Throws a `StoreError` if the file `ca` cannot be read. */
  constructor(
    private readonly url: string,
    private readonly ca: string,
    private readonly handlers: ConnectionHandlers,
    private readonly random: () => number,
  ) {
    this.#address = new URL(url).host;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Opens the first connection. Throws a `StoreError` if that fails. */
  async open(): Promise<void> {
    this.#watchTimer = setInterval(() => this.#watch(), WATCH_EVERY_MS);
    try {
      await this.#connect();
    } catch (error) {
      this.close();
      throw this.#explain(error);
    }
  }

  /** Runs a script. If Redis is away, rejects at once: a `ConnectionError`. */
  async run(script: ScriptName, ...values: Value[]): Promise<unknown> {
    const client = this.#isReady ? this.#client : undefined;
    if (client === undefined) {
      throw this.#explain(new Error("it is not connected"));
    }
    this.#expectAnswer();
    try {
      return await client.sendCommand(this.#command(script, values));
    } catch (error) {
      throw this.#failureOf(client, error);
    } finally {
      this.#noteAnswer();
    }
  }

  #command(script: ScriptName, values: Value[]): string[] {
    const sha = this.#shas.get(script) ?? "";
    const connection = `${this.#id} ${this.#connections}`;
    return ["EVALSHA", sha, "0", ...values.map(String), connection];
  }

  /** Waits until Redis can be asked, at most `waitMs`. Says if it can. */
  async isReadyWithin(waitMs: number): Promise<boolean> {
    if (this.#isReady || this.#isClosed || waitMs <= 0) return this.#isReady;
    const { promise: isLate, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([this.#ready.promise, isLate]);
    clearTimeout(timer);
    return this.#isReady;
  }

  /** For how many ms Redis has been away; 0 if it is not. */
  get awayMs(): number {
    return this.#isReady ? 0 : performance.now() - this.#lostAtMs;
  }

  /** Follows a channel, unless it is not wanted any more by then. */
  async follow(
    channel: string,
    listener: Listener,
    isWanted: () => boolean,
  ): Promise<void> {
    while (this.#leaving.has(channel)) await this.#leaving.get(channel);
    if (!isWanted()) return;
    await this.#attempt((client) => client.subscribe(channel, listener));
  }

  /** Leaves a channel. If that fails, it is gone with the connection. */
  unfollow(channel: string): void {
    const leaving = this.#attempt((client) => client.unsubscribe(channel))
      .catch(() => {})
      .then(() => {
        const isLast = this.#leaving.get(channel) === leaving;
        if (isLast) this.#leaving.delete(channel);
      });
    this.#leaving.set(channel, leaving);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#watchTimer);
    clearTimeout(this.#retryTimer);
    this.#isReady = false;
    this.#client?.destroy();
    this.#client = undefined;
    this.#ready.resolve();
  }

  async #connect(): Promise<void> {
    const client = newClient(this.url, this.ca);
    this.#client = client;
    this.#connections++;
    this.#fault = undefined;
    client.on("error", (error: Error) => this.#lose(client, error));
    try {
      await this.#attempt((client) => client.connect());
      const info = await this.#attempt((client) => client.info("server"));
      const scripts = scriptsFor(databaseOf(this.url));
      for (const [name, text] of Object.entries(scripts)) {
        const load = ["SCRIPT", "LOAD", text];
        const sha = await this.#attempt((client) => client.sendCommand(load));
        this.#shas.set(name as ScriptName, `${sha}`);
      }
      const runId = /^run_id:(\w+)/m.exec(`${info}`)?.[1] ?? "";
      const run: Run = (script, ...values) =>
        this.#attempt((client) =>
          client.sendCommand(this.#command(script, values))
        );
      await this.handlers.begin(run, runId);
      for (const [channel, listener] of this.handlers.channels()) {
        await this.#attempt((client) => client.subscribe(channel, listener));
      }
    } catch (error) {
      this.#drop(client);
      throw this.#fault ?? error;
    }
    // The connection may have been lost again meanwhile.
    if (this.#client !== client) throw new Error("the connection was lost");
    this.#isReady = true;
    this.#retryMs = RETRY_MS;
    this.#ready.resolve();
    this.handlers.ready();
  }

  /** Runs a command on the newest connection, ready or not. */
  async #attempt<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client;
    if (client === undefined) {
      throw this.#explain(new Error("it is not connected"));
    }
    this.#expectAnswer();
    try {
      return await ask(client);
    } catch (error) {
      throw this.#failureOf(client, error);
    } finally {
      this.#noteAnswer();
    }
  }

  #expectAnswer(): void {
    if (this.#pending++ === 0) this.#silentLooks = 0;
  }

  #noteAnswer(): void {
    this.#pending--;
    this.#silentLooks = 0;
  }

  /** Says in plain words why a command failed; drops a useless connection. */
  #failureOf(client: Client, error: unknown): StoreError {
    // The address may lead to another, usable Redis by now: connect again.
    const isWrongOne = /^(READONLY|NOSCRIPT|LOADING|MASTERDOWN)/
      .test((error as Error).message);
    if (isWrongOne) this.#lose(client, error as Error);
    const isLost = isWrongOne || this.#client !== client;
    return isLost
      ? this.#explain(error)
      : new StoreError(this.#explain(error).message);
  }

  /** Answers come in order: none at all for a while means a dead line. */
  #watch(): void {
    if (this.#client === undefined || this.#pending === 0) return;
    // Not by a clock: while this program does not run, it reads no answers.
    this.#silentLooks++;
    if (this.#silentLooks * WATCH_EVERY_MS > SILENCE_MS) {
      const why = this.#isReady ? "it does not answer" : NO_FIRST_ANSWER;
      this.#lose(this.#client, new Error(why));
    }
  }

  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    client.destroy();
  }

  #lose(client: Client, error: Error): void {
    if (this.#client !== client) return;
    this.#drop(client);
    this.#fault = error;
    if (!this.#isReady || this.#isClosed) return;
    this.#isReady = false;
    this.#ready = Promise.withResolvers();
    this.#lostAtMs = performance.now();
    this.handlers.lost(this.#explain(error));
    this.#retry();
  }

  #retry(): void {
    if (this.#isClosed) return;
    const waitMs = this.#retryMs * (1 - this.random() / 3);
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
    this.#retryTimer = setTimeout(() => {
      this.#connect().catch((error) => {
        if (!this.#isClosed) this.handlers.lost(this.#explain(error));
        this.#retry();
      });
    }, waitMs);
  }

  #explain(error: unknown): ConnectionError {
    if (error instanceof ConnectionError) return error;
    const { message } = error as Error;
    if (error instanceof StoreError) return new ConnectionError(message);
    const because = Object.entries(reasons)
      .find(([part]) => message.includes(part))?.[1] ??
      message.replace(/^NEWER /, "");
    return new ConnectionError(`Redis at ${this.#address}: ${because}.`);
  }
}

/** The number of the database in the address of a Redis. */
export function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1) || "0";
}

function newClient(url: string, ca: string) {
  const isSecure = url.startsWith("rediss:");
  const trust = isSecure && ca !== "" ? { ca: readTrusted(ca) } : {};
  return createClient(
    {
      url,
      // Publishes and answers on one connection come in the order of Redis.
      RESP: 3,
      disableOfflineQueue: true,
      disableClientInfo: true,
      // `#watch` notices silence. A timer for each command would cost a third
      // as much as the command and live for seconds after the answer.
      commandOptions: { timeout: 0 },
      maintNotifications: "disabled",
      socket: {
        reconnectStrategy: false,
        connectTimeout: CONNECT_TIMEOUT_MS,
        ...isSecure && { tls: true, ...trust },
      },
    } as Parameters<typeof createClient>[0],
  );
}

function readTrusted(file: string): string {
  try {
    // Editors on Windows begin a file with a byte-order mark.
    return readFileSync(file, "utf8").replace(/^\ufeff/, "");
  } catch (error) {
    throw new ConnectionError(
      `The file ${file} of --redis-ca cannot be read: ${reasonOf(error)}.`,
    );
  }
}

const NO_FIRST_ANSWER =
  "it does not answer: if it uses TLS, begin with rediss://";
const NOT_TRUSTED = "its certificate is not trusted: see --redis-ca";

/** Messages of Redis and the client, and what they mean to an operator. */
const reasons: Record<string, string> = {
  ECONNREFUSED: "nothing listens there: start it, or correct --data",
  ENOTFOUND: "there is no such host: correct --data",
  EAI_AGAIN: "its name cannot be looked up now",
  UNREACH: "the network has no route to it",
  ECONNRESET: "it closed the connection",
  "Socket closed unexpectedly": "it closed the connection",
  "Connection timeout": NO_FIRST_ANSWER,
  "Unknown RESP type": "this is not Redis: correct the port in --data",
  WRONGPASS: "the user or the password is wrong",
  NOAUTH: "it needs a password: redis://:PASSWORD@HOST",
  "called without any password": "it has no password: leave it out",
  "URI malformed": "write % in the user and the password as %25",
  "DB index": "it has no database with that number",
  "can't access at least one of the keys":
    "this user may not use the keys partyline:*",
  "unknown command": "it is too old: Redis 6.2 or newer is needed",
  // As Deno 2.9 and as Deno 2.6 say it.
  "wrong version number": "it does not use TLS: begin with redis://",
  InvalidContentType: "it does not use TLS: begin with redis://",
  "self-signed certificate": NOT_TRUSTED,
  "unable to get": NOT_TRUSTED,
  "unable to verify": NOT_TRUSTED,
  UnknownIssuer: NOT_TRUSTED,
  altnames: "its certificate is for another name",
  NotValidForName: "its certificate is for another name",
  OOM: "its memory is used up",
  MISCONF: "it cannot write to its disk",
  LOADING: "it is still reading its data",
  READONLY: "it is a replica",
  NOSCRIPT: "it has lost its scripts",
};
