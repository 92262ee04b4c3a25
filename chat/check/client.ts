// A WebSocket client on a bare connection: the opening handshake (RFC 6455 section
// 4.1), messages of one frame or of many, and whether the server refused what it
// was sent. It never checks more than its caller asks for, because each rule is the
// matter of one check.
import { Failure, type Target } from "./check.ts";
import {
  type Connection,
  Ended,
  latin1,
  MAX_FRAME_BYTES,
  Nonsense,
  TooLate,
} from "./connection.ts";
import { closeCode, frame, Opcode, type WireFrame } from "./frames.ts";

/** The key of the example in RFC 6455 section 1.3. */
export const SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export type Fields = [name: string, value: string][];

/** The answer to a handshake. */
export interface Answer {
  status: number;
  /** The first line. */
  line: string;
  /** The values of a field, whose name is in lower case. */
  values(name: string): string[];
}

/** A whole message, however many frames it took. */
export interface Message {
  opcode: number;
  payload: Uint8Array;
  /** In the order in which they came. */
  frames: readonly WireFrame[];
}

/** The code of an end by a fault of the server's program (RFC 6455 section 7.4.1). */
const INTERNAL_ERROR = 1011;

/** The server ended the connection; `code` is undefined without a close frame. */
export class Closed extends Ended {
  constructor(readonly code: number | undefined) {
    super(
      code === undefined
        ? "without a close frame"
        : code === INTERNAL_ERROR
        ? `code ${code}, which tells of an error in the server: look at its own ` +
          "output"
        : `code ${code}`,
    );
  }
}

/**
 * The value that proves that the key was read (RFC 6455 section 4.2.2, item 5.4 of
 * the list).
 */
export async function acceptOf(key: string): Promise<string> {
  const bytes = new TextEncoder().encode(key + GUID);
  const digest = await crypto.subtle.digest("SHA-1", bytes);
  return new Uint8Array(digest).toBase64();
}

export function randomBytes(count: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** Text that no other check sends. */
export function token(): string {
  return `check-${randomBytes(6).toHex()}`;
}

/** The fields of a right handshake, in the order of the RFC's example. */
export function handshakeFields({ url }: Target, key = SAMPLE_KEY): Fields {
  return [
    ["Host", url.host],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", "13"],
  ];
}

/** The bytes of a request for the server's address. */
export function requestText(
  { url }: Target,
  fields: Fields,
  { method = "GET", version = "HTTP/1.1" } = {},
): string {
  const lines = fields.map(([name, value]) => `${name}: ${value}`);
  const start = `${method} ${url.pathname}${url.search} ${version}`;
  return [start, ...lines, "", ""].join("\r\n");
}

/** Sends a request on a connection of its own and reads the head of the answer. */
export async function ask(
  target: Target,
  text: string,
  send = (connection: Connection, untilMs: number) =>
    connection.write(text, untilMs),
): Promise<{ connection: Connection; answer: Answer }> {
  const untilMs = soonest(target);
  const connection = await connect(target, untilMs);
  await send(connection, untilMs);
  try {
    let answer = readAnswer(await connection.readHead(untilMs));
    // RFC 9110 section 15.2: others may come before the answer itself.
    for (let i = 0; i < MAX_INTERIM && isInterim(answer); i++) {
      answer = readAnswer(await connection.readHead(untilMs));
    }
    return { connection, answer };
  } catch (error) {
    throw withBytes(error, connection.unread);
  }
}

/** Answers that may come before the one that counts. */
const MAX_INTERIM = 5;

function isInterim({ status }: Answer): boolean {
  return status >= 100 && status < 200 && status !== 101;
}

/** An end that comes too early tells which bytes came before it. */
function withBytes(error: unknown, bytes: Uint8Array): unknown {
  if (!(error instanceof Ended) || bytes.length === 0) return error;
  // An alert of TLS, of any version.
  const isTls = bytes[0] === 0x15 && bytes[1] === 3;
  const hint = isTls ? ", which is TLS: try wss: instead of ws:" : "";
  return new Ended(`after the bytes ${hex(bytes)}${hint}`, { cause: error });
}

/** A connection that ends with the check. */
export function connect(
  { address, connections }: Target,
  untilMs: number,
): Promise<Connection> {
  return connections.open(address, untilMs);
}

/** When a wait that begins now ends. */
export function soonest({ waitMs }: Target): number {
  return performance.now() + waitMs;
}

function readAnswer(head: string): Answer {
  const [line = "", ...rest] = head.split("\r\n");
  const fields = rest.map((text) => {
    const colon = text.indexOf(":");
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()];
  });
  const [version = "", status = ""] = line.split(" ", 2);
  const isHttp = version === "HTTP/1.1" || version === "HTTP/1.0";
  if (!isHttp || !/^\d{3}$/.test(status)) {
    const start = JSON.stringify(line.slice(0, 60));
    throw new Failure(
      `The answer began with ${start}. An answer of HTTP begins with ` +
        `"HTTP/1.1", a space and a status of three digits.`,
    );
  }
  return {
    status: Number(status),
    line,
    values: (name) =>
      fields.filter(([is]) => is === name).map(([, value = ""]) => value),
  };
}

/** How many bytes are sent one by one at each end, and the time between them, in ms. */
const FIRST_BYTES = 24;
const LAST_BYTES = 8;
const BETWEEN_MS = 2;

/**
 * Sends the first and the last bytes one at a time, with a pause after each, because
 * the network puts bytes together that are sent without one; and those between them
 * at once. So the end of a head is split, too.
 */
export async function trickle(
  connection: Connection,
  bytes: Uint8Array,
  untilMs: number,
): Promise<void> {
  const single = (part: Uint8Array) =>
    Array.from(part, (byte) => Uint8Array.of(byte));
  const lastAt = Math.max(FIRST_BYTES, bytes.length - LAST_BYTES);
  const pieces = [
    ...single(bytes.subarray(0, FIRST_BYTES)),
    bytes.subarray(FIRST_BYTES, lastAt),
    ...single(bytes.subarray(lastAt)),
  ];
  for (const piece of pieces) {
    await connection.write(piece, untilMs);
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
  }
}

/** The fault behind most refusals of a right handshake. */
export const PATH_HINT = "Is this the path of the WebSocket?";

export class WireClient {
  /** The texts of the messages that came last, put together, and the last one. */
  #recent = "";
  #last: string | undefined;
  /** The payloads of the pongs that came and were not waited for, as Latin-1. */
  readonly #pongs: string[] = [];
  /** The frames of a message that has not ended. */
  #parts: WireFrame[] = [];
  #partBytes = 0;
  #bytes = 0;
  /** Called for each frame that comes; what it throws is what the check finds. */
  onFrame = (_frame: WireFrame): void => {};

  private constructor(
    private readonly target: Target,
    readonly connection: Connection,
    readonly answer: Answer,
  ) {}

  /** Opens a WebSocket; any answer but 101 is a failure. */
  static async open(target: Target, more: Fields = []): Promise<WireClient> {
    const key = randomBytes(16).toBase64();
    const fields = [...handshakeFields(target, key), ...more];
    const text = requestText(target, fields);
    const { connection, answer } = await ask(target, text);
    if (answer.status !== 101) {
      throw new Failure(
        `A right handshake was answered with ${answer.line}. ` +
          `The answer must be 101 Switching Protocols. ${PATH_HINT}`,
      );
    }
    return new WireClient(target, connection, answer);
  }

  /** Sends bytes as they are. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.connection.write(bytes, soonest(this.target));
  }

  /** Sends a frame, masked with a key of its own unless it is said otherwise. */
  async send(
    opcode: number,
    payload: string | Uint8Array,
    how: Parameters<typeof frame>[2] = {},
  ): Promise<void> {
    await this.write(masked(opcode, payload, how));
  }

  async say(text: string): Promise<void> {
    await this.send(Opcode.text, text);
  }

  /** The next frame, whatever it is; throws `Closed` at the end. */
  async frame(untilMs = soonest(this.target)): Promise<WireFrame> {
    let next: WireFrame;
    try {
      next = await this.connection.readFrame(untilMs);
    } catch (error) {
      throw error instanceof Ended ? new Closed(undefined) : error;
    }
    this.onFrame(next);
    this.#bytes += next.header.length + next.payload.length;
    if (this.#bytes <= MAX_CLIENT_BYTES) return next;
    throw new Nonsense(
      `more than ${
        MAX_CLIENT_BYTES.toLocaleString("en")
      } bytes to one client, ` +
        "which had asked for far less",
    );
  }

  /**
   * The next whole message. Pings are answered and pongs collected meanwhile;
   * throws `Closed` for a close frame and at the end of the connection.
   */
  async receive(untilMs = soonest(this.target)): Promise<Message> {
    while (true) {
      const next = await this.frame(untilMs);
      const message = await this.#take(next);
      if (message) return message;
    }
  }

  /**
   * The next message whose text `isWanted`; others are passed over. That text comes
   * in text frames is the matter of one check.
   */
  async text(
    isWanted: (text: string) => boolean,
    untilMs = soonest(this.target),
  ): Promise<string> {
    while (true) {
      const { payload } = await this.receive(untilMs);
      const text = new TextDecoder().decode(payload);
      if (isWanted(text)) return text;
      this.#last = text;
      this.#recent = (this.#recent + text).slice(-MAX_RECENT_UNITS);
    }
  }

  /** Waits until a message brings this text back; what is around it may differ. */
  async comesBack(text: string): Promise<void> {
    try {
      await this.text((received) => carries(received, text));
    } catch (error) {
      throw this.notBack(error, text);
    }
  }

  /** An error that says that this text did not come back, and what came instead. */
  notBack(error: unknown, text: string): unknown {
    const what = `the text ${shown(text)} back`;
    const explained = explain(error, this.target, what);
    if (explained === error || !(explained instanceof Failure)) return error;
    return new Failure(`${explained.message}${this.whatCame(text)}`);
  }

  /** Sentences with what came last, each after a space; "" if nothing came. */
  whatCame(text: string): string {
    const [part] = this.#parts;
    const cut = carries(this.#recent, text)
      ? " It came cut into several messages, but must be one."
      : "";
    const last = this.#last === undefined
      ? ""
      : ` What came last was ${shown(this.#last)}.`;
    const open = part === undefined
      ? ""
      : ` A message began with ${
        hex(part.header)
      }, and no frame with the bit ` +
        "FIN ended it.";
    return cut + last + open;
  }

  /** Waits for a pong with this payload; others are passed over. */
  async pong(
    payload: Uint8Array,
    untilMs = soonest(this.target),
  ): Promise<void> {
    while (!this.#hasPong(payload)) await this.#take(await this.frame(untilMs));
  }

  /** Sends a ping and waits for its pong: all that was sent before has been read. */
  async ping(): Promise<void> {
    const payload = randomBytes(8);
    await this.send(Opcode.ping, payload);
    await this.pong(payload);
  }

  /**
   * Fails unless the server refuses what was sent last, by a close frame or by the
   * end of the connection. A ping follows, so that a server that goes on is found
   * at once.
   */
  async assertRefused(what: string): Promise<void> {
    const payload = randomBytes(8);
    // A server may have hung up already.
    await this.send(Opcode.ping, payload).catch(() => {});
    try {
      await this.pong(payload);
    } catch (error) {
      if (error instanceof Closed) return;
      if (!(error instanceof TooLate)) throw error;
      throw new Failure(
        `${what}. The server neither closed the connection nor went on ` +
          `within ${
            this.target.waitMs / 1000
          } s. It must close the connection.`,
      );
    }
    throw new Failure(
      `${what}. The server went on and answered a ping. ` +
        "It must close the connection.",
    );
  }

  /** The code of the close frame that comes next; messages are passed over. */
  async closeCode(): Promise<number | undefined> {
    const untilMs = soonest(this.target);
    try {
      while (true) await this.receive(untilMs);
    } catch (error) {
      if (error instanceof Closed) return error.code;
      throw error;
    }
  }

  /** Ends the connection and waits until the server has ended it, too. */
  async leave(): Promise<void> {
    await this.connection.finish().catch(() => {});
    await this.connection.drain(soonest(this.target)).catch(() => {});
  }

  /** Ends the connection without a close frame. */
  vanish(): void {
    this.connection[Symbol.dispose]();
  }

  #hasPong(payload: Uint8Array): boolean {
    const at = this.#pongs.indexOf(latin1(payload));
    if (at >= 0) this.#pongs.splice(0, at + 1);
    return at >= 0;
  }

  /** Reads a frame; returns the message that it ends, if it ends one. */
  async #take(next: WireFrame): Promise<Message | undefined> {
    const { opcode, payload } = next;
    switch (opcode) {
      case Opcode.close:
        throw new Closed(closeCode(payload));
      case Opcode.ping:
        await this.send(Opcode.pong, payload);
        return undefined;
      case Opcode.pong:
        // A server that sends pongs without end does not fill the memory.
        if (payload.length > MAX_PONG_BYTES) return undefined;
        if (this.#pongs.push(latin1(payload)) > MAX_PONGS) this.#pongs.shift();
        return undefined;
    }
    this.#parts.push(next);
    this.#partBytes += payload.length;
    const isEndless = this.#partBytes > MAX_FRAME_BYTES;
    if (isEndless || this.#parts.length > MAX_PARTS) {
      const bytes = this.#partBytes.toLocaleString("en");
      throw new Failure(
        `The server sent a message of ${bytes} bytes in ` +
          `${this.#parts.length.toLocaleString("en")} fragments, and no end ` +
          "was in sight.",
      );
    }
    if (!next.fin) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    const whole = new Uint8Array(this.#partBytes);
    this.#partBytes = 0;
    let at = 0;
    for (const part of parts) {
      whole.set(part.payload, at);
      at += part.payload.length;
    }
    const [first = next] = parts;
    return { opcode: first.opcode, payload: whole, frames: parts };
  }
}

const MAX_PONGS = 1_000;
/** More than the longest text that is awaited. */
const MAX_RECENT_UNITS = 100_000;
/** RFC 6455 section 5.5. */
const MAX_PONG_BYTES = 125;
const MAX_PARTS = 2_000;
/** Far more than a check makes a right server send to one client. */
const MAX_CLIENT_BYTES = 24 * 1024 * 1024;

/** A client's frame with a random masking key. */
export function masked(
  opcode: number,
  payload: string | Uint8Array,
  how: Parameters<typeof frame>[2] = {},
): Uint8Array<ArrayBuffer> {
  return frame(opcode, payload, { mask: [...randomBytes(4)], ...how });
}

/**
 * Whether a message has this text in it, plainly or as JSON writes it. The text is
 * written in all of these ways; the message is not read, because that of a stranger
 * may cost much.
 */
export function carries(received: string, text: string): boolean {
  const json = JSON.stringify(text).slice(1, -1);
  const forms = [text, json];
  if (NOT_ASCII.test(text)) {
    forms.push(escaped(json, false), escaped(json, true));
  }
  return forms.some((form) => received.includes(form));
}

const NOT_ASCII = /[\x7f-\uffff]/;

/** With all but ASCII as escapes (RFC 8259 section 7), as Python writes JSON. */
function escaped(json: string, isUpper: boolean): string {
  return Array.from({ length: json.length }, (_, i) => {
    const unit = json.charCodeAt(i);
    if (unit < 0x7f) return json[i];
    const hex = unit.toString(16).padStart(4, "0");
    return `\\u${isUpper ? hex.toUpperCase() : hex}`;
  }).join("");
}

/** An error that says what was expected and did not come. */
export function explain(error: unknown, target: Target, what: string): unknown {
  if (error instanceof TooLate) {
    const seconds = target.waitMs / 1000;
    return new Failure(`The server did not send ${what} within ${seconds} s.`);
  }
  if (error instanceof Closed) {
    return new Failure(
      `The server did not send ${what}, but closed the connection ` +
        `(${error.message}).`,
    );
  }
  return error;
}

/** A text in a sentence: quoted, and its beginning only. */
export function shown(text: string, characters = 40): string {
  const start = [...text.slice(0, 2 * characters)].slice(0, characters)
    .join("");
  return JSON.stringify(start) + (start === text ? "" : "…");
}

/** Bytes in a sentence: hexadecimal, and the first ones only. */
export function hex(bytes: Uint8Array): string {
  const first = Array.from(
    bytes.subarray(0, 16),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return first.join(" ") + (bytes.length > 16 ? " …" : "");
}
