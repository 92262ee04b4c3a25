// Owns what tests share: a real server on a free port, a WebSocket client that
// can be awaited, a raw TCP client for bad frames, a deadline. Asserts nothing.
// Invariant: all that is opened here is disposable, so a test leaks nothing.
import { type Assets, loadAssets } from "../chat/assets.ts";
import type { Certificate } from "../chat/certificate.ts";
import { type Log, MemoryLog } from "../chat/log.ts";
import { RedisLog } from "../chat/log_redis.ts";
import { SqliteLog } from "../chat/log_sqlite.ts";
import { defaultOptions, isRedis, type Options } from "../chat/options.ts";
import {
  type Hello,
  type Request,
  SUBPROTOCOL,
  type WelcomeEvent,
} from "../chat/protocol.ts";
import { Logger } from "../chat/logger.ts";
import { Metrics } from "../chat/metrics.ts";
import { serve, type Server } from "../chat/server.ts";
import { noteLog, type World } from "../chat/world.ts";

export const STATIC = new URL("../static", import.meta.url).pathname;

const DEADLINE_MS = 10_000;

/** A program starts slowly while a machine does much else. */
export const START_DEADLINE_MS = 60_000;

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

/** Waits until `condition` holds; for what cannot be heard of by an event. */
export async function until(
  condition: () => boolean,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const giveUpAtMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > giveUpAtMs) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface TestServer extends AsyncDisposable, Server {
  readonly port: number;
  readonly http: string;
  readonly ws: string;
}

/** The real clock and chance; the operator's lines are not shown. */
export function newWorld(changes: Partial<World> = {}): World {
  return {
    now: Date.now,
    random: Math.random,
    memory: Deno.memoryUsage,
    logger: new Logger("text", () => {}, Date.now),
    metrics: new Metrics(),
    ...changes,
  };
}

let assets: Assets | undefined;

export async function startServer(
  changes: Partial<Options> = {},
  world: Partial<World> = {},
  certificate?: Certificate,
): Promise<TestServer> {
  assets ??= await loadAssets(STATIC);
  const options = defaultOptions({ port: 0, data: ":memory:", ...changes });
  const outside = newWorld(world);
  const log = await openLog(options, outside);
  const server = serve(options, assets, log, outside, certificate);
  const { port } = server.address;
  return {
    ...server,
    port,
    http: `http${certificate ? "s" : ""}://127.0.0.1:${port}`,
    ws: `ws${certificate ? "s" : ""}://127.0.0.1:${port}/ws`,
    async [Symbol.asyncDispose]() {
      await server.drain(2_000);
      await log.close();
    },
  };
}

function openLog(
  { data, keep, redisCa, lease }: Options,
  world: World,
): Log | Promise<Log> {
  if (data === ":memory:") return new MemoryLog(keep);
  if (!isRedis(data)) return new SqliteLog(data, keep, 0);
  return RedisLog.open(
    { url: data, ca: redisCa, keep, leaseMs: lease * 1000 },
    {
      random: world.random,
      told: (trouble) => noteLog(world, trouble),
    },
  );
}

// deno-lint-ignore no-explicit-any -- what comes off the wire is unchecked
export type WireEvent = any;

/** Things that arrive one by one and can be waited for. */
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

  /** The next messages, up to the one that says `text`, all else passed over. */
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

  /** The next event of that type; those before it are passed over. */
  async nextOf(type: string): Promise<WireEvent> {
    while (true) {
      const event = await this.next();
      if (event.type === type) return event;
    }
  }

  /** Sends `text` and returns its own event, which names the client. */
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

export const Opcode = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

export interface Frame {
  opcode: number;
  payload: Uint8Array;
}

/**
 * A client's frame (RFC 6455 section 5.2). `lengthBytes` are those of the
 * extended length, by default as few as can be.
 */
export function frame(
  opcode: number,
  payload: string | Uint8Array,
  {
    fin = true,
    reserved = 0,
    masked = true,
    mask = [0, 0, 0, 0],
    lengthBytes,
  }: {
    fin?: boolean;
    reserved?: number;
    masked?: boolean;
    mask?: readonly number[];
    lengthBytes?: 0 | 2 | 8;
  } = {},
): Uint8Array<ArrayBuffer> {
  const body = typeof payload === "string"
    ? new TextEncoder().encode(payload)
    : payload;
  const fewest = body.length < 126 ? 0 : body.length < 65536 ? 2 : 8;
  const extended = new DataView(new ArrayBuffer(8));
  extended.setBigUint64(0, BigInt(body.length));
  const extra = lengthBytes ?? fewest;
  const length = extra === 0 ? body.length : extra === 2 ? 126 : 127;
  const head = [
    (fin ? 0x80 : 0) | (reserved << 4) | opcode,
    (masked ? 0x80 : 0) | length,
    ...new Uint8Array(extended.buffer, 8 - extra),
    ...(masked ? mask : []),
  ];
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(
    masked ? body.map((byte, i) => byte ^ (mask[i % 4] ?? 0)) : body,
    head.length,
  );
  return bytes;
}

/** The other side hung up. */
export class Ended extends Error {}

/** A bare TCP connection that says what it likes. */
export class RawClient implements Disposable {
  #unread = new Uint8Array();

  private constructor(private readonly tcp: Deno.TcpConn | Deno.TlsConn) {}

  /** With the certificate that it is to trust, over TLS. */
  static async open(port: number, caCert?: string): Promise<RawClient> {
    const to = { hostname: "127.0.0.1", port };
    if (caCert !== undefined) {
      return new RawClient(await Deno.connectTls({ ...to, caCerts: [caCert] }));
    }
    const tcp = await Deno.connect(to);
    // So that what is written apart arrives apart.
    tcp.setNoDelay();
    return new RawClient(tcp);
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

  async write(data: string | Uint8Array): Promise<void> {
    let rest = typeof data === "string" ? new TextEncoder().encode(data) : data;
    while (rest.length > 0) {
      rest = rest.subarray(await this.tcp.write(rest));
    }
  }

  /** The head of an HTTP answer. */
  async readHead(): Promise<string> {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      head += new TextDecoder().decode(await this.#take(1));
    }
    return head;
  }

  /** The body that follows a head. */
  async readBody(length: number): Promise<string> {
    return new TextDecoder().decode(await this.#take(length));
  }

  /** Says that nothing more will be written; reading goes on. */
  async finish(): Promise<void> {
    await this.tcp.closeWrite();
  }

  /** The next `count` bytes; throws `Ended` if there are not as many. */
  async read(count: number): Promise<Uint8Array> {
    return await this.#take(count);
  }

  /** All that comes before the connection ends, however it does. */
  async readToEnd(): Promise<string> {
    let text = "";
    try {
      while (true) {
        const bytes = await this.#take(this.#unread.length || 1);
        text += new TextDecoder().decode(bytes);
      }
    } catch (error) {
      if (error instanceof Ended) return text;
      throw error;
    }
  }

  /** The next frame, or undefined at the end of the connection. */
  async readFrame(): Promise<Frame | undefined> {
    try {
      const [first = 0, second = 0] = await this.#take(2);
      // The server sends whole, plain, unmasked frames (section 5.1).
      if ((first & 0xf0) !== 0x80 || second > 127) {
        throw new Error(`a frame that begins with ${first}, ${second}`);
      }
      const longBytes = second === 126 ? 2 : second === 127 ? 8 : 0;
      const length = longBytes === 0
        ? second
        : (await this.#take(longBytes)).reduce(
          (sum, byte) => sum * 256 + byte,
          0,
        );
      return { opcode: first & 15, payload: await this.#take(length) };
    } catch (error) {
      if (error instanceof Ended) return undefined;
      throw error;
    }
  }

  /** Reads on until the connection ends; the code of the close frame, if any. */
  async closeCode(): Promise<number | undefined> {
    let code: number | undefined;
    while (true) {
      const next = await soon(this.readFrame(), "a close frame");
      if (next === undefined) return code;
      if (next.opcode !== Opcode.close) continue;
      const [high = 0, low = 0] = next.payload;
      code = high * 256 + low;
      await this.write(frame(Opcode.close, next.payload)).catch(() => {});
    }
  }

  async #take(count: number): Promise<Uint8Array> {
    while (this.#unread.length < count) {
      const chunk = new Uint8Array(65536);
      // A reset is an end like any other.
      const reading = this.tcp.read(chunk).catch(() => null);
      const read = await soon(reading, "bytes");
      if (read === null) throw new Ended("the connection ended");
      const joined = new Uint8Array(this.#unread.length + read);
      joined.set(this.#unread);
      joined.set(chunk.subarray(0, read), this.#unread.length);
      this.#unread = joined;
    }
    const taken = this.#unread.slice(0, count);
    this.#unread = this.#unread.subarray(count);
    return taken;
  }

  [Symbol.dispose](): void {
    try {
      this.tcp.close();
    } catch {
      // Closed before.
    }
  }
}

/** The opening handshake (RFC 6455 section 4.1) with the RFC's sample key. */
export function handshake(
  port: number,
  path = "/ws",
  headers: Record<string, string> = {},
): string {
  const fields = {
    Host: `127.0.0.1:${port}`,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) =>
    `${name}: ${value}`
  );
  return [`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}
