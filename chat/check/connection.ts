// A bare connection over TCP or TLS, with which the check sends any bytes and sees
// every byte that comes back. Whatever the other end does, a wait ends in time and
// memory stays bounded: bytes are read only while somebody waits for them, and a
// frame that is too long is not collected.
import { reasonOf } from "../ops/system_error.ts";
import { frameStart, readFrame, type WireFrame } from "./frames.ts";

/** The head of a request or an answer that is longer is none, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;

/** The largest frame that is collected, in bytes. */
export const MAX_FRAME_BYTES = 256 * 1024;

const CHUNK_BYTES = 64 * 1024;

/** The other end closed the connection, or it was lost. */
export class Ended extends Error {}

/** Nothing came in time. */
export class TooLate extends Error {}

/** What came is not allowed by the protocol at this place, or is too long. */
export class Nonsense extends Error {}

/** No connection can be opened; the message says why, without a full stop. */
export class NoConnection extends Error {}

/** Where to connect to. */
export interface Address {
  hostname: string;
  port: number;
  isTls: boolean;
  /** Certificates to trust besides those of the system, in PEM form. */
  caCerts?: string[];
}

function assertInTime(untilMs: number): void {
  if (performance.now() > untilMs) throw new TooLate("nothing came in time");
}

/** Settles like `promise`; throws `TooLate` at `untilMs` of `performance.now()`. */
export async function by<T>(untilMs: number, promise: Promise<T>): Promise<T> {
  if (untilMs === Infinity) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const ms = Math.max(0, untilMs - performance.now());
    timer = setTimeout(() => reject(new TooLate("nothing came in time")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A connection of TCP or TLS, or what stands for one. */
type Conn = Pick<
  Deno.TcpConn | Deno.TlsConn,
  "read" | "write" | "close" | "closeWrite"
>;

/** Opens TCP, and TLS on it; gives up and closes both when `signal` aborts. */
async function connect(
  { hostname, port, isTls, caCerts = [] }: Address,
  signal: AbortSignal,
): Promise<Conn> {
  const tcp = await Deno.connect({ hostname, port, signal });
  // Separate writes arrive separately.
  tcp.setNoDelay();
  if (!isTls) return tcp;
  const tls = await Deno.startTls(tcp, { hostname, caCerts });
  const close = () => tls.close();
  signal.addEventListener("abort", close);
  if (signal.aborted) close();
  await tls.handshake();
  signal.removeEventListener("abort", close);
  return tls;
}

/**
 * All methods that wait take `untilMs`, a time of `performance.now()`, and throw
 * `TooLate` then. They throw `Ended` when the connection is at its end.
 */
export class Connection implements Disposable {
  readonly #unread = new Bytes();
  readonly #chunk = new Uint8Array(CHUNK_BYTES);
  /** At most one read is under way; what it brings belongs to whoever waits next. */
  #reading: Promise<void> | undefined;
  receivedBytes = 0;
  /** Whether somebody waited in vain. */
  wasLate = false;
  /** The end of the writes so far: a frame is written whole before the next one. */
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly tcp: Conn) {}

  /** Throws `NoConnection` if nobody listens there, or the certificate is wrong. */
  static async open(address: Address, untilMs: number): Promise<Connection> {
    const attempt = new AbortController();
    const opening = connect(address, attempt.signal);
    try {
      return new Connection(await by(untilMs, opening));
    } catch (error) {
      attempt.abort();
      // It may have been opened in this moment.
      opening.then((tcp) => tcp.close(), () => {});
      if (error instanceof TooLate) throw error;
      throw new NoConnection(reasonOf(error), { cause: error });
    }
  }

  /** Writes all of it, after all that was to be written before. */
  async write(data: string | Uint8Array, untilMs: number): Promise<void> {
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : data;
    const before = this.#writing;
    const turn = Promise.withResolvers<void>();
    this.#writing = before.then(() => turn.promise);
    try {
      await by(untilMs, before);
      await this.#writeNow(bytes, untilMs);
    } finally {
      turn.resolve();
    }
  }

  async #writeNow(bytes: Uint8Array, untilMs: number): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      const writing = this.tcp.write(rest).catch((cause) => {
        throw new Ended("while the check was sending", { cause });
      });
      rest = rest.subarray(await this.#by(untilMs, writing));
    }
  }

  /** Ends writing; reading goes on. */
  async finish(): Promise<void> {
    await this.tcp.closeWrite();
  }

  /** The head of a request or an answer, with the empty line that ends it. */
  async readHead(untilMs: number): Promise<string> {
    let searched = 0;
    while (true) {
      const end = this.#unread.indexOf(HEAD_END, searched);
      if (end >= 0) return latin1(this.#unread.take(end + HEAD_END.length));
      searched = Math.max(0, this.#unread.length - HEAD_END.length + 1);
      if (searched > MAX_HEAD_BYTES) {
        throw new Nonsense(`a head of more than ${MAX_HEAD_BYTES} bytes`);
      }
      await this.#more(untilMs);
    }
  }

  /** The next `count` bytes. */
  async read(count: number, untilMs: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#unread.length < count) await this.#more(untilMs);
    return this.#unread.take(count);
  }

  /** The next frame; throws `Nonsense` if it has more than `MAX_FRAME_BYTES`. */
  async readFrame(untilMs: number): Promise<WireFrame> {
    while (true) {
      // Many frames may come at once, and more without end.
      assertInTime(untilMs);
      const start = frameStart(this.#unread.view);
      if (start && start.length > MAX_FRAME_BYTES) throw tooLong(start.length);
      const found = start && readFrame(this.#unread.view);
      if (found) {
        this.#unread.skip(found.header.length + found.payload.length);
        return found;
      }
      await this.#more(untilMs);
    }
  }

  /** What came and was not read yet. */
  get unread(): Uint8Array {
    return this.#unread.view;
  }

  /** Reads and drops what comes until the other end closes. */
  async drain(untilMs: number): Promise<void> {
    while (true) {
      this.#unread.skip(this.#unread.length);
      try {
        await this.#more(untilMs);
      } catch (error) {
        if (error instanceof Ended) return;
        throw error;
      }
    }
  }

  async #more(untilMs: number): Promise<void> {
    assertInTime(untilMs);
    this.#reading ??= this.#readChunk().finally(() =>
      this.#reading = undefined
    );
    // Nobody may wait for it any more when it fails.
    this.#reading.catch(() => {});
    await this.#by(untilMs, this.#reading);
  }

  async #by<T>(untilMs: number, promise: Promise<T>): Promise<T> {
    try {
      return await by(untilMs, promise);
    } catch (error) {
      if (error instanceof TooLate) this.wasLate = true;
      throw error;
    }
  }

  async #readChunk(): Promise<void> {
    // A reset is an end like any other.
    const count = await this.tcp.read(this.#chunk).catch(() => null);
    if (count === null) throw new Ended("without an answer");
    this.receivedBytes += count;
    this.#unread.push(this.#chunk.subarray(0, count));
  }

  [Symbol.dispose](): void {
    try {
      this.tcp.close();
    } catch {
      // It was closed before.
    }
  }
}

/** The connections of one check, which end with it. */
export class Connections implements Disposable {
  readonly #all: Connection[] = [];
  #isOver = false;

  /** Throws what `Connection.open` throws, and `Ended` after the end. */
  async open(address: Address, untilMs: number): Promise<Connection> {
    const connection = await Connection.open(address, untilMs);
    if (this.#isOver) {
      connection[Symbol.dispose]();
      throw new Ended("the check is over");
    }
    this.#all.push(connection);
    return connection;
  }

  get receivedBytes(): number {
    return this.#all.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
  }

  /** Whether somebody waited in vain for what should come on one of them. */
  get wereLate(): boolean {
    return this.#all.some(({ wasLate }) => wasLate);
  }

  /**
   * Ends writing on all of them and waits until the server has ended them as well,
   * so that it has forgotten these clients when others come. Returns whether it did
   * so in time.
   */
  async finish(untilMs: number): Promise<boolean> {
    this.#isOver = true;
    const finishing = this.#all.map(async (connection) => {
      // It may be closed already.
      await connection.finish().catch(() => {});
      await connection.drain(untilMs);
    });
    const ends = await Promise.allSettled(finishing);
    return ends.every(({ status }) => status === "fulfilled");
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const connection of this.#all) connection[Symbol.dispose]();
  }
}

function tooLong(length: number): Nonsense {
  return new Nonsense(
    `a frame that announces ${length.toLocaleString("en")} bytes; this check ` +
      `reads frames of up to ${MAX_FRAME_BYTES.toLocaleString("en")}`,
  );
}

const HEAD_END = new TextEncoder().encode("\r\n\r\n");

/** One character for each byte, so that nothing is lost. */
export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** Bytes that come at one end and are taken at the other. */
class Bytes {
  #bytes = new Uint8Array(CHUNK_BYTES);
  #from = 0;
  #to = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  get view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  push(piece: Uint8Array): void {
    if (this.#to + piece.length > this.#bytes.length) {
      // Half of it is free then, so that all moves together cost in proportion.
      const half = this.length + piece.length;
      const isLarge = this.#bytes.length >= 2 * half;
      const bytes = isLarge ? this.#bytes : new Uint8Array(2 * half);
      bytes.set(this.view);
      this.#to -= this.#from;
      this.#from = 0;
      this.#bytes = bytes;
    }
    this.#bytes.set(piece, this.#to);
    this.#to += piece.length;
  }

  take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.view.slice(0, count);
    this.skip(count);
    return taken;
  }

  skip(count: number): void {
    this.#from += count;
  }

  /** Where `wanted` begins at `from` or later; -1 if it is not there. */
  indexOf(wanted: Uint8Array, from: number): number {
    const { view } = this;
    for (let at = from; at + wanted.length <= view.length; at++) {
      if (wanted.every((byte, i) => view[at + i] === byte)) return at;
    }
    return -1;
  }
}
