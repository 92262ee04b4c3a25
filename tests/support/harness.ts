// Shared by all tests: a real server on a free port, a WebSocket client that
// can be awaited, a raw TCP client for bad frames, a deadline. Everything that
// is opened here is disposable, so that a test leaks nothing.
import type { Owner } from "../../chat/http/proxy.ts";
import { type Assets, loadAssets } from "../../chat/http/static_files.ts";
import type { Certificate } from "../../chat/http/certificate.ts";
import { LocalStore } from "../../chat/store/local.ts";
import { MemoryArchive } from "../../chat/store/memory.ts";
import { RedisStore } from "../../chat/store/redis/store.ts";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import type { Store } from "../../chat/store/store.ts";
import { defaultOptions, isRedis, type Options } from "../../chat/options.ts";
import {
  type Hello,
  type Request,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import type { WelcomeEvent } from "../../chat/protocol/events.ts";
import { Logger } from "../../chat/ops/logger.ts";
import { Metrics } from "../../chat/ops/metrics.ts";
import { serve, type Server } from "../../chat/server.ts";
import { type Context, noteStore } from "../../chat/ops/context.ts";

import { Connection, Ended } from "../../chat/check/connection.ts";
import {
  closeCode,
  frame,
  Opcode,
  type WireFrame,
} from "../../chat/check/frames.ts";

export const STATIC = new URL("../../static", import.meta.url).pathname;

/**
 * Since 2.8.3 Deno reads HTTP/1.1 with its own code, which is stricter, and not
 * always right: it refuses Java's handshake (tests/server/java_bytes_test.ts).
 */
export const hasNewHttp = isSince(2, 8, 3);

/** Deno 2.6: its HTTP/2 and its TLS clients lack features that tests need. */
export const isOldest = !isSince(2, 7, 0);

/** Only a failing test waits this long; a busy machine must not fail a test. */
const DEADLINE_MS = 30_000;

/** A program starts slowly on a busy machine. */
export const START_DEADLINE_MS = 60_000;

function isSince(...since: number[]): boolean {
  const is = Deno.version.deno.split(".").map((part) => parseInt(part));
  const at = since.findIndex((part, i) => part !== is[i]);
  return at < 0 || (is[at] ?? 0) > (since[at] ?? 0);
}

/** Fails with `what` if `promise` is not settled in time. */
export async function soon<T>(
  promise: Promise<T>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`waited ${deadlineMs} ms in vain for ${what}`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The whole numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Waits until `condition` holds, if no event tells that it does. */
export async function until(
  condition: () => boolean,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const giveUpAtMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`in vain: ${what}`);
    await pause(5);
  }
}

export interface TestServer extends AsyncDisposable, Server {
  readonly port: number;
  readonly http: string;
  readonly ws: string;
}

/** The real clock and real randomness; the operator's lines are not shown. */
export function newContext(changes: Partial<Context> = {}): Context {
  return {
    now: Date.now,
    monotonic: () => performance.now(),
    random: Math.random,
    memory: Deno.memoryUsage,
    interfaces: Deno.networkInterfaces,
    logger: new Logger("text", () => {}, Date.now),
    metrics: new Metrics(),
    ...changes,
  };
}

let assets: Assets | undefined;

export async function startServer(
  changes: Partial<Options> = {},
  context: Partial<Context> = {},
  certificate?: Certificate,
): Promise<TestServer> {
  assets ??= await loadAssets(STATIC);
  const options = defaultOptions({
    port: 0,
    data: ":memory:",
    // Deno leaks the timer of a ping that is under way when its connection ends, and
    // a busy machine takes long enough for the first pings.
    idleTimeout: 600,
    // A test without a limit for one client wants none for the room either.
    ...changes.rate === 0 && { roomRate: 0 },
    ...changes,
  });
  const outside = newContext(context);
  const store = await openStore(options, outside);
  const server = serve(options, assets, store, outside, certificate);
  const { port } = server.address;
  return {
    ...server,
    port,
    http: `http${certificate ? "s" : ""}://127.0.0.1:${port}`,
    ws: `ws${certificate ? "s" : ""}://127.0.0.1:${port}/ws`,
    async [Symbol.asyncDispose]() {
      await server.drain(2_000);
      await store.close();
    },
  };
}

function openStore(
  { data, keep, rate, redisCa, lease }: Options,
  context: Context,
): Store | Promise<Store> {
  if (!isRedis(data)) {
    const archive = data === ":memory:"
      ? new MemoryArchive(keep, context.monotonic)
      : new SqliteArchive(data, keep, { ...context, uptime: Deno.osUptime });
    return new LocalStore(archive, context);
  }
  return RedisStore.open(
    { url: data, ca: redisCa, keep, rate, leaseMs: lease * 1000 },
    {
      random: context.random,
      noteStatus: (trouble) => noteStore(context, trouble),
    },
  );
}

// deno-lint-ignore no-explicit-any -- what comes off the wire is unchecked
export type WireEvent = any;

/** Things that arrive one by one; a test can wait for the next one. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  put(item: T): void {
    const resolve = this.#waiting.shift();
    if (resolve) resolve(item);
    else this.#items.push(item);
  }

  take(what: string): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#waiting.push(resolve);
    return soon(promise, what);
  }
}

/** Deno's own WebSocket, awaitable. */
export class Client implements AsyncDisposable {
  readonly #events = new Inbox<WireEvent>();
  readonly closed: Promise<CloseEvent>;

  private constructor(readonly socket: WebSocket) {
    // A frame of the full dialect holds several events.
    socket.onmessage = ({ data }) => {
      for (const event of [JSON.parse(data)].flat()) this.#events.put(event);
    };
    this.closed = new Promise((resolve) => socket.onclose = resolve);
  }

  static async open(url: string, options: WebSocketOptions = {}) {
    const socket = new WebSocket(url, options);
    const client = new Client(socket);
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => {
        reject(new Error((event as globalThis.ErrorEvent).message));
      };
    });
    await soon(opened, `a connection to ${url}`);
    socket.onerror = null;
    return client;
  }

  /** Opens a connection of the full dialect and says hello. */
  static async join(
    url: string,
    hello: Partial<Hello> = {},
    options: WebSocketOptions = {},
  ) {
    const protocols = [SUBPROTOCOL];
    const client = await Client.open(url, { ...options, protocols });
    client.request({ type: "hello", ...hello });
    const welcome: WelcomeEvent = await client.nextOf("welcome");
    return Object.assign(client, { welcome });
  }

  send(text: string): void {
    this.socket.send(text);
  }

  request(request: Request): void {
    this.send(JSON.stringify(request));
  }

  /** The next messages up to `text`; other events are skipped. */
  async messagesUpTo(text: string): Promise<WireEvent[]> {
    const messages = [];
    while (messages.at(-1)?.message !== text) {
      messages.push(await this.nextOf("message"));
    }
    return messages;
  }

  next(): Promise<WireEvent> {
    return this.#events.take("an event");
  }

  /** The next event of that type; earlier ones are skipped. */
  async nextOf(type: string): Promise<WireEvent> {
    const passed: string[] = [];
    while (true) {
      const after = passed.length === 0 ? "" : ` after ${passed.join(", ")}`;
      const event = await this.#events.take(`the event ${type}${after}`);
      if (event.type === type) return event;
      passed.push(event.type);
    }
  }

  /** Sends `text` and returns its event, which names the client. */
  async say(text: string): Promise<WireEvent> {
    this.send(text);
    while (true) {
      const event = await this.next();
      if (event.message === text) return event;
    }
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    await soon(this.closed, "the end of a connection");
  }
}

export { Ended };

/** A bare TCP connection that can send any bytes. */
export class RawClient implements Disposable {
  private constructor(private readonly connection: Connection) {}

  /** Opens a connection; over TLS if given the certificate to trust. */
  static async open(port: number, caCert?: string): Promise<RawClient> {
    const address = {
      hostname: "127.0.0.1",
      port,
      isTls: caCert !== undefined,
      ...caCert !== undefined && { caCerts: [caCert] },
    };
    return new RawClient(await Connection.open(address, inTime()));
  }

  /** Opens a connection and makes it a WebSocket. */
  static async upgrade(
    port: number,
    path = "/ws",
    headers: Record<string, string> = {},
    caCert?: string,
  ): Promise<RawClient> {
    const client = await RawClient.open(port, caCert);
    await client.write(handshake(port, path, headers));
    const head = await client.readHead();
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    return client;
  }

  write(data: string | Uint8Array): Promise<void> {
    return this.connection.write(data, inTime());
  }

  /** The head of an HTTP answer. */
  readHead(): Promise<string> {
    return this.connection.readHead(inTime());
  }

  /** The head of an HTTP answer, with the status and the fields by name. */
  async readAnswer() {
    const head = await this.readHead();
    const field = (name: string) =>
      new RegExp(`^${name}: (.*)\r$`, "im").exec(head)?.[1];
    return { head, status: Number(head.split(" ")[1]), field };
  }

  /** The body that follows a head. */
  async readBody(length: number): Promise<string> {
    return new TextDecoder().decode(await this.read(length));
  }

  /** Ends writing; reading goes on. */
  finish(): Promise<void> {
    return this.connection.finish();
  }

  /** The next `count` bytes; throws `Ended` if there are fewer. */
  read(count: number): Promise<Uint8Array> {
    return this.connection.read(count, inTime());
  }

  /** All text until the connection ends, however it ends. */
  async readToEnd(): Promise<string> {
    let text = "";
    try {
      while (true) {
        const bytes = await this.read(this.connection.unread.length || 1);
        text += new TextDecoder().decode(bytes);
      }
    } catch (error) {
      if (error instanceof Ended) return text;
      throw error;
    }
  }

  /**
   * The next frame, or undefined at the end of the connection. Throws for a frame
   * that this server never sends: a fragment, a reserved bit, a mask.
   */
  async readFrame(): Promise<WireFrame | undefined> {
    try {
      const next = await this.connection.readFrame(inTime());
      const { fin, reserved, isMasked, header } = next;
      if (fin && reserved === 0 && !isMasked) return next;
      throw new Error(`a frame that begins with ${header.toHex()}`);
    } catch (error) {
      if (error instanceof Ended) return undefined;
      throw error;
    }
  }

  /** Reads until the connection ends; returns the close code, if any. */
  async closeCode(): Promise<number | undefined> {
    let code: number | undefined;
    while (true) {
      const next = await this.readFrame();
      if (next === undefined) return code;
      if (next.opcode !== Opcode.close) continue;
      code = closeCode(next.payload);
      await this.write(frame(Opcode.close, next.payload)).catch(() => {});
    }
  }

  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }
}

/** When a wait that begins now is in vain. */
function inTime(): number {
  return performance.now() + DEADLINE_MS;
}

/** The opening handshake (RFC 6455 section 4.1) with the RFC's sample key. */
export function handshake(
  port: number,
  path = "/ws",
  headers: Record<string, string> = {},
): string {
  return request(path, {
    Host: `127.0.0.1:${port}`,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers,
  });
}

/** The head of a request with only these fields, unlike `fetch`. */
export function request(
  path: string,
  fields: Record<string, string>,
  method = "GET",
): string {
  const lines = Object.entries(fields).map(([name, value]) =>
    `${name}: ${value}`
  );
  return [`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** An owner for a connection, in a network of its own unless one is given. */
export function newOwner(owner: Partial<Owner> = {}): Owner {
  const client = owner.network ?? crypto.randomUUID();
  const name = crypto.randomUUID();
  const common = { name, isShared: false, network: client, block: client };
  return { ...common, client, ...owner };
}
