// A small WebSocket server that does right in everything, but for the fault that it
// is started with. Each check has such a fault, so that a test can see that the check
// finds it and that no other check takes it for its own. The server is on raw TCP,
// because most faults are forbidden by every library.
import { acceptOf } from "../../chat/check/client.ts";
import { Connection, Ended, Nonsense } from "../../chat/check/connection.ts";
import {
  closeCode,
  frame,
  join,
  Opcode,
  type WireFrame,
} from "../../chat/check/frames.ts";

/** Whether the server has this fault. */
export type Has = (fault: string) => boolean;

/** For each fault the checks that find it; a "?" stands behind one that warns. */
export type Faults = Record<string, readonly string[]>;

/** What the server does with what its clients say. */
export interface App {
  /** The subprotocol to agree on, out of those that are offered. */
  subprotocol?(offered: readonly string[]): string | undefined;
  /** A client came in; `url` is the address that it asked for. */
  opened?(peer: Peer, url: URL): void;
  received(peer: Peer, payload: Uint8Array, opcode: number): void;
  gone?(peer: Peer): void;
}

export interface Mutant extends AsyncDisposable {
  readonly port: number;
  readonly url: URL;
}

/** A packet there and back takes so long to a server that is far away, in ms. */
export const FAR_MS = 120;

/** The time in which a connection is opened and a handshake comes. */
function farAway(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2 * FAR_MS));
}

/** Sends back what comes. */
export function echo(has: Has): App {
  return {
    received(peer, payload, opcode) {
      if (has("nothing comes back")) return;
      if (opcode === Opcode.binary && has("binary comes back changed")) {
        payload.reverse();
      }
      if (has("text comes in capitals")) {
        payload = payload.map((byte) => byte > 0x60 ? byte - 0x20 : byte);
      }
      if (has("text comes in pieces")) {
        peer.send(opcode, payload.subarray(0, 3));
        payload = payload.subarray(3);
      }
      const isText = has("binary comes back as text");
      peer.send(isText ? Opcode.text : opcode, payload);
    },
  };
}

/** Starts a server with this fault; without one it does right. */
export function startMutant(
  fault = "",
  newApp: (has: Has) => App = echo,
): Mutant {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const server = new Server((name) => name === fault, newApp);
  const serving = server.serve(listener);
  return {
    port,
    url: new URL(`ws://127.0.0.1:${port}/`),
    async [Symbol.asyncDispose]() {
      listener.close();
      server.close();
      await serving;
    },
  };
}

/** The fault that makes the server turn the next newcomer away has come. */
class Mishap extends Error {}

/** A head or a frame in pieces has fewer bytes at a time than any whole one. */
const MIN_CHUNK_BYTES = 5;

/** More than a check sends of a head byte by byte at its beginning. */
const HEAD_START_BYTES = 50;

/** How long a slow server takes for each frame, in ms. */
const SLOW_MS = 20;

function aMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SLOW_MS));
}

class Server {
  readonly #connections = new Set<Connection>();
  readonly #app: App;
  #turnsAway = false;
  #peers = 0;
  /** The last handshake, for the fault that they wait for each other. */
  #handshake: Promise<unknown> = Promise.resolve();

  constructor(private readonly has: Has, newApp: (has: Has) => App) {
    this.#app = newApp(has);
  }

  close(): void {
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }

  async serve(listener: Deno.Listener): Promise<void> {
    const handling: Promise<void>[] = [];
    try {
      while (true) {
        const tcp = await listener.accept();
        if (this.#turnsAway) tcp.close();
        else handling.push(this.#handle(tcp as Deno.TcpConn));
        if (this.has("one client is served at a time")) await handling.at(-1);
        this.#turnsAway = false;
      }
    } catch (error) {
      if (!isClosed(error)) throw error;
    }
    await Promise.all(handling);
  }

  async #handle(tcp: Deno.TcpConn): Promise<void> {
    tcp.setNoDelay();
    let isOpen = false;
    const connection = new Connection(
      this.#watched(
        tcp,
        (before) =>
          isOpen
            ? this.has("a frame in pieces is refused")
            : this.has("a handshake in pieces is refused") ||
              before > HEAD_START_BYTES &&
                this.has("a head that ends in pieces is refused"),
      ),
    );
    this.#connections.add(connection);
    this.#peers++;
    try {
      if (this.has("it is far away")) await farAway();
      const url = await this.#queued(() => this.#answer(connection));
      isOpen = true;
      const isFull = this.has("there are 30 places") && this.#peers > 30;
      if (url === undefined || isFull) return;
      await new Peer(connection, this.has, this.#app).run(url);
    } catch (error) {
      if (error instanceof Mishap) this.#turnsAway = true;
      else if (!(error instanceof Ended) && !isClosed(error)) throw error;
    } finally {
      this.#peers--;
      this.#connections.delete(connection);
      connection[Symbol.dispose]();
    }
  }

  /**
   * The connection, which ends when it brings a small piece while `isStrict`, which
   * is told how many bytes came before.
   */
  #watched(tcp: Deno.TcpConn, isStrict: (before: number) => boolean) {
    let before = 0;
    return {
      async read(chunk: Uint8Array) {
        const count = await tcp.read(chunk);
        if (count === null) return null;
        if (count < MIN_CHUNK_BYTES && isStrict(before)) return null;
        before += count;
        return count;
      },
      write: (data: Uint8Array) => tcp.write(data),
      closeWrite: () => tcp.closeWrite(),
      close: () => tcp.close(),
    };
  }

  #queued<T>(run: () => Promise<T>): Promise<T> {
    if (!this.has("handshakes wait for each other")) return run();
    const turn = this.#handshake.then(run);
    this.#handshake = turn.catch(() => {});
    return turn;
  }

  /** Answers a handshake; returns its address, or undefined after a refusal. */
  async #answer(connection: Connection): Promise<URL | undefined> {
    const head = await connection.readHead(Infinity);
    const request = new Handshake(head, this.has, this.#app);
    const refusal = request.refusal();
    const lines = refusal ?? await request.answer();
    if (this.has("hints come before the answer")) {
      const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
      await connection.write(hints, Infinity);
    }
    await connection.write([...lines, "", ""].join("\r\n"), Infinity);
    const isUpgraded = lines[0]?.includes(" 101 ");
    return isUpgraded ? new URL(request.path, "ws://localhost") : undefined;
  }
}

/** Whether the test closed the listener or the connection meanwhile. */
function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted;
}

/** A handshake as the server reads it (RFC 6455 section 4.2.1). */
class Handshake {
  readonly method: string;
  readonly path: string;
  readonly #version: string;
  readonly #fields: [name: string, value: string][];

  constructor(
    private readonly head: string,
    private readonly has: Has,
    private readonly app: App,
  ) {
    const [line = "", ...rest] = head.trimEnd().split("\r\n");
    [this.method = "", this.path = "", this.#version = ""] = line.split(" ");
    this.#fields = rest.map((text) => {
      const colon = text.indexOf(":");
      return [text.slice(0, colon), text.slice(colon + 1).trim()];
    });
  }

  field(name: string): string | undefined {
    const isExact = this.has("names of fields count in one case only");
    return this.#fields.find(([is]) =>
      isExact ? is === name : is.toLowerCase() === name.toLowerCase()
    )?.[1];
  }

  /** The lines of a refusal, or undefined for a handshake that is right. */
  refusal(): string[] | undefined {
    const { has } = this;
    const key = this.field("Sec-WebSocket-Key");
    const version = this.field("Sec-WebSocket-Version");
    const isOther = version !== undefined && version !== "13";
    if (isOther && !has("version 25 is accepted")) {
      const told = [
        "HTTP/1.1 426 Upgrade Required",
        "Sec-WebSocket-Version: 13",
      ];
      return has("no version is told") ? ["HTTP/1.1 400 Bad Request"] : told;
    }
    const keyBytes = atob(key ?? "").length;
    const isWrong = this.method !== "GET" && !has("POST is accepted") ||
      this.#version !== "HTTP/1.1" && !has("HTTP/1.0 is accepted") ||
      this.field("Host") === undefined && !has("no host is accepted") ||
      key === undefined && !has("no key is accepted") ||
      key !== undefined && keyBytes !== 16 && !has("a short key is accepted") ||
      version === undefined && !has("no version is accepted") ||
      !this.#upgrades() || !this.#connects() || this.#isUnusual();
    return isWrong ? ["HTTP/1.1 400 Bad Request"] : undefined;
  }

  #upgrades(): boolean {
    const value = this.field("Upgrade");
    if (value === undefined) return this.has("no Upgrade is accepted");
    return this.has("Upgrade counts in one case only")
      ? value === "websocket"
      : value.toLowerCase() === "websocket";
  }

  #connects(): boolean {
    const { has } = this;
    const value = this.field("Connection") ?? "";
    if (has("Connection counts in one case only")) {
      return /\bUpgrade\b/.test(value);
    }
    if (has("Connection has one option only")) {
      return value.toLowerCase() === "upgrade";
    }
    return /\bupgrade\b/i.test(value) || has("any Connection is accepted");
  }

  /** Whether a fault makes the server refuse a right handshake. */
  #isUnusual(): boolean {
    const names = this.#fields.map(([name]) => name.toLowerCase());
    const isLate =
      names.indexOf("upgrade") > names.indexOf("sec-websocket-key");
    return isLate && this.has("fields have an order") ||
      this.head.length > 1_000 && this.has("a head has 1,000 bytes");
  }

  /** The lines of the answer to a right handshake (RFC 6455 section 4.2.2). */
  async answer(): Promise<string[]> {
    const { has } = this;
    if (has("a handshake gets 200")) return ["HTTP/1.1 200 OK"];
    const lines = ["HTTP/1.1 101 Switching Protocols"];
    if (!has("no Upgrade is answered")) lines.push("Upgrade: websocket");
    if (!has("no Connection is answered")) lines.push("Connection: Upgrade");
    lines.push(`Sec-WebSocket-Accept: ${await this.#accept()}`);
    if (has("an extension is answered")) {
      lines.push("Sec-WebSocket-Extensions: permessage-deflate");
    }
    const subprotocol = this.#subprotocol();
    if (subprotocol !== undefined) {
      lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
    }
    return lines;
  }

  async #accept(): Promise<string> {
    const key = this.field("Sec-WebSocket-Key") ?? "";
    if (this.has("the accept value is the key")) return key;
    return this.has("the accept value is always the same")
      ? "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
      : await acceptOf(key);
  }

  #subprotocol(): string | undefined {
    const value = this.field("Sec-WebSocket-Protocol");
    if (value === undefined) {
      return this.has("a subprotocol is answered unasked") ? "chat" : undefined;
    }
    if (this.has("another subprotocol is answered")) return "chat";
    const offered = value.split(",").map((name) => name.trim());
    return this.app.subprotocol?.(offered);
  }
}

/** One client, once its handshake is answered. */
export class Peer {
  /** How the connection ended, once the app is told that the client is gone. */
  end: "lost" | "closed" | "refused" = "lost";
  /** The frames of a message that has not ended. */
  #parts: WireFrame[] = [];
  #sending: Promise<void> = Promise.resolve();
  #firstMask: Uint8Array | undefined;
  #heldPings: Uint8Array[] = [];
  #isPinged = false;

  constructor(
    private readonly connection: Connection,
    private readonly has: Has,
    private readonly app: App,
  ) {}

  /** Reads until the end of the connection. */
  async run(url: URL): Promise<void> {
    this.#greet();
    this.app.opened?.(this, url);
    try {
      while (await this.#next());
    } finally {
      this.app.gone?.(this);
      await this.#sending;
    }
  }

  /** Sends what a server may send to a client that has just come. */
  #greet(): void {
    const { has } = this;
    const opcode = has("a pong comes after the handshake")
      ? Opcode.pong
      : has("a ping comes after the handshake")
      ? Opcode.ping
      : undefined;
    if (opcode === undefined) return;
    this.write(frame(opcode, "hello", { masked: false }));
  }

  /** Sends a message; those of one peer go out one after another. */
  send(opcode: number, payload: string | Uint8Array): void {
    const { has } = this;
    if (has("an opcode is reserved")) {
      this.write(frame(3, "", { masked: false }));
    }
    if (has("an empty message comes before each other")) {
      this.write(frame(Opcode.text, "", { masked: false }));
    }
    const bytes = typeof payload === "string"
      ? new TextEncoder().encode(payload)
      : payload;
    const is = opcode === Opcode.text && has("text comes in binary frames")
      ? Opcode.binary
      : opcode;
    const how = {
      masked: has("the server masks"),
      ...has("the server masks") && { mask: [1, 2, 3, 4] },
      reserved: has("the server sets a reserved bit") ? 4 : 0,
      ...has("lengths are not the shortest") && { lengthBytes: 8 as const },
    };
    if (has("a message has no end")) {
      return this.write(frame(is, bytes, { ...how, fin: false }));
    }
    const next = has("a fragment is no continuation")
      ? is
      : has("its messages come in fragments")
      ? Opcode.continuation
      : undefined;
    if (next === undefined) return this.write(frame(is, bytes, how));
    this.write(frame(is, bytes.slice(0, 3), { ...how, fin: false }));
    this.write(frame(next, bytes.slice(3), how));
  }

  /** Sends bytes as they are, after those before. */
  write(bytes: Uint8Array): void {
    this.#sending = this.#sending
      .then(() => this.has("it answers slowly") ? aMoment() : undefined)
      .then(() => this.connection.write(bytes, Infinity))
      .catch((error) => {
        // The reader finds the end, too.
        if (!(error instanceof Ended) && !isClosed(error)) throw error;
      });
  }

  /** Sends a close frame and ends reading. */
  close(code: number): false {
    this.end = "refused";
    const payload = Uint8Array.of(code >> 8, code & 255);
    this.write(frame(Opcode.close, payload, { masked: false }));
    return false;
  }

  /** Ends the connection at once. */
  cut(): void {
    this.connection[Symbol.dispose]();
  }

  /** Resolves when all that was sent is with the kernel. */
  get sent(): Promise<void> {
    return this.#sending;
  }

  /** Reads a frame; false when the connection is over. */
  async #next(): Promise<boolean> {
    let next: WireFrame;
    try {
      next = await this.connection.readFrame(Infinity);
    } catch (error) {
      if (error instanceof Nonsense) return await this.#tooLarge();
      if (this.has("a cut frame is a mishap")) this.#stumble();
      throw error;
    }
    const { opcode } = next;
    if (this.#breaksRule(next)) return this.close(1002);
    if (opcode === Opcode.close) return await this.#closed(next.payload);
    if (opcode === Opcode.ping) return this.#pinged(next.payload);
    if (opcode === Opcode.pong) return this.#ponged();
    if (opcode > Opcode.binary) return true;
    return this.#data(next);
  }

  /** A frame longer than all that the server takes was announced. */
  async #tooLarge(): Promise<boolean> {
    const { has, connection } = this;
    const isLonger = connection.unread[2]! >= 0x80;
    if (isLonger && has("the highest bit of a length is dropped")) {
      await connection.read(14, Infinity);
      return true;
    }
    if (!isLonger && has("a large message is waited for")) {
      await connection.drain(Infinity);
    }
    if (!isLonger && has("a large message is a mishap")) throw new Mishap();
    return this.close(1009);
  }

  /** The client vanished; a fault may make the next newcomer suffer for it. */
  #stumble(): void {
    if (this.connection.unread.length > 0) throw new Mishap();
  }

  /** Whether a frame breaks a rule and must end the connection. */
  #breaksRule(
    { fin, reserved, opcode, isMasked, payload }: WireFrame,
  ): boolean {
    const { has } = this;
    const isControl = opcode >= 8;
    const kind = isControl ? "ping" : "text";
    const bit = { 4: 1, 2: 2, 1: 3 }[reserved];
    const isReserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].includes(opcode);
    return !isMasked && !has(`an unmasked ${kind} is accepted`) ||
      reserved !== 0 && !has(`reserved bit ${bit} is accepted`) ||
      isReserved && !has(`opcode ${opcode} is accepted`) ||
      isControl && !fin && !has("a fragmented ping is accepted") ||
      opcode === Opcode.ping && payload.length > 125 &&
        !has("a long ping is accepted") ||
      opcode === Opcode.close && payload.length > 125 &&
        !has("a long close frame is sent back") &&
        !this.#ignoresClose(payload) ||
      opcode === Opcode.close && payload.length === 1 &&
        !has("half a code is sent back") && !this.#ignoresClose(payload);
  }

  #ignoresClose(payload: Uint8Array): boolean {
    return payload.length === 1 && this.has("half a code is ignored");
  }

  /** A close frame came: answers it; false, because the connection is over. */
  async #closed(payload: Uint8Array): Promise<boolean> {
    const { has } = this;
    if (this.#ignoresClose(payload)) return true;
    this.end = "closed";
    if (has("a close frame is not answered")) return false;
    const isInside = this.#parts.length > 0;
    if (isInside && has("a close frame between fragments is not answered")) {
      return false;
    }
    if (payload.length > 100 && has("a long reason is not answered")) {
      return false;
    }
    this.write(frame(Opcode.close, this.#answerTo(payload), {
      masked: has("a close frame is masked"),
      reserved: has("a close frame has a reserved bit") ? 4 : 0,
    }));
    if (has("data after a close frame is read")) await this.#readOn();
    if (has("the connection stays open")) {
      await this.#sending;
      await this.connection.drain(Infinity);
    }
    return false;
  }

  /** The payload of the close frame that answers one (RFC 6455 section 5.5.1). */
  #answerTo(payload: Uint8Array): Uint8Array {
    const { has } = this;
    const bad = Uint8Array.of(1002 >> 8, 1002 & 255);
    if (payload.length < 2 || payload.length > 125) {
      if (payload.length !== 0) return payload;
      const unset = Uint8Array.of(1005 >> 8, 1005 & 255);
      return has("an empty close frame is answered with 1005")
        ? unset
        : payload;
    }
    if (has("each close frame is answered with 1000")) {
      return Uint8Array.of(1000 >> 8, 1000 & 255);
    }
    const code = closeCode(payload);
    const isCode = code >= 1000 && code < 5000 &&
      ![1004, 1005, 1006, 1015].includes(code);
    if (!isCode && !has(`${code} is sent back`)) return bad;
    if (isCode && has("a close frame has 300 bytes")) {
      return join(payload.subarray(0, 2), new Uint8Array(298));
    }
    const isText = isUtf8(payload.subarray(2));
    return isText || has("a reason that is not UTF-8 is sent back")
      ? payload
      : bad;
  }

  /** Reads what came with the close frame. */
  async #readOn(): Promise<void> {
    if (this.connection.unread.length === 0) return;
    const { payload } = await this.connection.readFrame(Infinity);
    this.app.received(this, payload, Opcode.text);
  }

  #pinged(payload: Uint8Array): boolean {
    const { has } = this;
    const isNext = this.connection.unread.length > 0;
    if (payload.length === 0 && has("an empty ping is not answered")) {
      return true;
    }
    if (this.#isPinged && has("of many pings the first is answered")) {
      return true;
    }
    this.#isPinged = isNext;
    if (this.#parts.length > 0 && has("pings wait for the end of a message")) {
      this.#heldPings.push(payload);
      return true;
    }
    const answer = has("a pong has no payload")
      ? new Uint8Array()
      : payload.subarray(0, has("a pong has 100 bytes") ? 100 : payload.length);
    this.write(frame(Opcode.pong, answer, {
      masked: has("the server masks"),
      fin: !has("a pong comes in fragments"),
    }));
    return true;
  }

  #ponged(): boolean {
    return this.has("a pong ends the connection") ? this.close(1002) : true;
  }

  /** A data frame; false when it ends the connection. */
  #data(next: WireFrame): boolean {
    const { has } = this;
    const isFirst = this.#parts.length === 0;
    if (isFirst === (next.opcode === Opcode.continuation)) {
      const fault = isFirst
        ? "a continuation of nothing is accepted"
        : "a message inside a message is accepted";
      if (!has(fault)) return this.close(1002);
      this.#parts = [];
      return true;
    }
    if (!next.fin && has("fragments are refused")) return this.close(1003);
    const isEmpty = next.payload.length === 0 && (!next.fin || !isFirst);
    if (isEmpty && has("empty fragments are refused")) return this.close(1002);
    this.#parts.push(this.#asRead(next));
    if (this.#parts.length > 10 && has("a message has 10 fragments")) {
      return this.close(1009);
    }
    return next.fin ? this.#message(isFirst) : true;
  }

  /** The frame as a server reads it that may unmask it in a wrong way. */
  #asRead(next: WireFrame): WireFrame {
    const mask = next.header.slice(-4);
    this.#firstMask ??= mask;
    const { has } = this;
    const isZero = mask.every((byte) => byte === 0);
    const other = has("the first mask is used for all")
      ? this.#firstMask
      : isZero && has("a mask of zeros is none")
      ? Uint8Array.of(1, 2, 3, 4)
      : mask;
    if (other === mask) return next;
    const payload = next.payload.map((byte, i) =>
      byte ^ mask[i % 4]! ^ other[i % 4]!
    );
    return { ...next, payload };
  }

  /** A message is whole; false when it ends the connection. */
  #message(isOneFrame: boolean): boolean {
    const { has } = this;
    const parts = this.#parts;
    this.#parts = [];
    const { opcode = Opcode.text } = parts[0] ?? {};
    let payload = parts.map((part) => part.payload).reduce(join);
    if (opcode === Opcode.text) {
      const isAccepted = isUtf8(payload) ||
        this.#acceptsText(payload, isOneFrame);
      if (!isAccepted) return this.close(1007);
      payload = this.#asText(payload, parts);
    }
    if (payload.length === 0 && has("an empty message ends the connection")) {
      return this.close(1002);
    }
    const { length } = payload;
    const isLost = has(`a message of ${length} bytes is lost`) ||
      length > 125 && has("messages over 125 bytes are lost");
    if (length > 125 && has("a long message is a fault of the server")) {
      return this.close(1011);
    }
    if (isLost) return true;
    this.app.received(this, payload, opcode);
    for (const ping of this.#heldPings.splice(0)) this.#pinged(ping);
    if (has("of two frames in a packet one is read")) this.#skipText();
    return true;
  }

  /** Drops the next text frame, if it came in the same packet. */
  #skipText(): void {
    const { unread } = this.connection;
    const [first, second = 0] = unread;
    if (first !== 0x81) return;
    this.connection.read(6 + (second & 127), Infinity);
  }

  #acceptsText(payload: Uint8Array, isOneFrame: boolean): boolean {
    const { has } = this;
    if (!isOneFrame) return has("UTF-8 is checked in single frames only");
    return has(`text with ${payload.slice(6).toHex()} is accepted`);
  }

  /** The bytes of a text as a server keeps it that may know little of UTF-8. */
  #asText(payload: Uint8Array, parts: WireFrame[]): Uint8Array {
    const { has } = this;
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (has("text is ASCII")) {
      return payload.map((byte) => byte < 0x80 ? byte : 0x3f);
    }
    return has("each fragment is a text of its own")
      ? new TextEncoder().encode(
        parts.map((part) => decode(part.payload)).join(""),
      )
      : payload;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
