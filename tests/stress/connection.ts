// A client's end of one WebSocket, in two kinds: over bare TCP, which can stop
// reading and hang up without a word, and Deno's own. `ended` resolves once,
// when nothing more is heard.
import {
  closeCode,
  type Frame,
  frame,
  Opcode,
} from "../../chat/check/frames.ts";
import { FrameReader } from "../support/frame_stream.ts";
import { handshake, soon } from "../support/harness.ts";

const HANDSHAKE_DEADLINE_MS = 15_000;

/** How a connection ended; `code` is undefined if no close frame came. */
export interface Ending {
  code: number | undefined;
  reason: string;
}

/** Where to connect to and who listens. */
export interface Target {
  port: number;
  path: string;
  protocol?: string;
  hear: (text: string) => void;
}

export interface Connection {
  readonly ended: Promise<Ending>;
  send(text: string): void;
  /** Starts the closing handshake. */
  close(): void;
  /** Hangs up without a close frame, after half of `text` if it is given. */
  drop(text?: string): void;
  /** Reads nothing until `resume`. */
  stall(): void;
  resume(): void;
}

/** A WebSocket client (RFC 6455) on bare TCP. */
export class RawConnection implements Connection {
  readonly #ended = Promise.withResolvers<Ending>();
  readonly ended = this.#ended.promise;
  readonly #reader = new FrameReader();
  #unheard: Frame[] = [];
  readonly #chunk = new Uint8Array(65_536);
  /** All that was given to `#write` so far, when it is settled. */
  #written = Promise.resolve();
  /** Pending while nothing is to be read. */
  #mayRead = Promise.resolve();
  #resume = () => {};

  private constructor(
    private readonly tcp: Deno.TcpConn,
    private readonly hear: (text: string) => void,
  ) {}

  /** Rejects if the server cannot be reached or does not upgrade. */
  static async open(
    { port, path, protocol, hear }: Target,
  ): Promise<RawConnection> {
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
    const connection = new RawConnection(tcp, hear);
    try {
      const offer = protocol ? { "Sec-WebSocket-Protocol": protocol } : {};
      connection.#write(new TextEncoder().encode(handshake(port, path, offer)));
      await soon(connection.#upgraded(), "a 101", HANDSHAKE_DEADLINE_MS);
    } catch (error) {
      connection.#hangUp();
      throw error;
    }
    connection.#listen();
    return connection;
  }

  send(text: string): void {
    this.#write(frame(Opcode.text, text));
  }

  close(): void {
    this.#write(frame(Opcode.close, Uint8Array.of(1000 >> 8, 1000 & 255)));
    this.resume();
  }

  drop(text?: string): void {
    if (text !== undefined) {
      const whole = frame(Opcode.text, text);
      this.#write(whole.subarray(0, whole.length >> 1));
      this.#written.then(() => this.#hangUp());
    } else this.#hangUp();
    this.resume();
  }

  stall(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#mayRead = promise;
    this.#resume = resolve;
  }

  resume(): void {
    this.#resume();
  }

  async #listen(): Promise<void> {
    const ending: Ending = { code: undefined, reason: "" };
    try {
      while (ending.code === undefined) {
        this.#hearFrame(await this.#nextFrame(), ending);
      }
    } catch (error) {
      // The connection is gone; a close frame did not come.
      ending.reason = String(error);
    }
    // The answer to a close frame is to get out first.
    await this.#written;
    this.#hangUp();
    this.#ended.resolve(ending);
  }

  #hearFrame({ opcode, payload }: Frame, ending: Ending): void {
    const decode = (bytes: Uint8Array) =>
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    switch (opcode) {
      case Opcode.text:
        return this.hear(decode(payload));
      case Opcode.ping:
        return this.#write(frame(Opcode.pong, payload));
      case Opcode.pong:
        return;
      case Opcode.close:
        ending.code = closeCode(payload);
        ending.reason = decode(payload.subarray(2));
        return this.#write(frame(Opcode.close, payload));
      default:
        throw new Error(`a frame of opcode ${opcode}`);
    }
  }

  /** Reads the answer to the handshake, and what came with it. */
  async #upgraded(): Promise<void> {
    let head = "";
    while (!head.includes("\r\n\r\n")) {
      head += String.fromCharCode(...await this.#read());
    }
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    const rest = head.slice(head.indexOf("\r\n\r\n") + 4);
    const bytes = Uint8Array.from(rest, (char) => char.charCodeAt(0));
    this.#unheard = this.#reader.read(bytes);
  }

  async #nextFrame(): Promise<Frame> {
    while (true) {
      const next = this.#unheard.shift();
      if (next !== undefined) return next;
      this.#unheard = this.#reader.read(await this.#read());
    }
  }

  /** What came; it stands until the next read. */
  async #read(): Promise<Uint8Array> {
    await this.#mayRead;
    const read = await this.tcp.read(this.#chunk);
    // A read that was under way when the stall began waits with its bytes.
    await this.#mayRead;
    if (read === null) throw new Error("the connection ended");
    return this.#chunk.subarray(0, read);
  }

  #write(bytes: Uint8Array): void {
    this.#written = this.#written.then(async () => {
      let rest = bytes;
      while (rest.length > 0) {
        rest = rest.subarray(await this.tcp.write(rest));
      }
      // Whoever reads hears of the end; a write into nothing is no fault.
    }).catch(() => {});
  }

  #hangUp(): void {
    try {
      this.tcp.close();
    } catch {
      // Closed before.
    }
  }
}

/** Deno's WebSocket. It can neither stall nor hang up: it closes instead. */
export class NativeConnection implements Connection {
  readonly #ended = Promise.withResolvers<Ending>();
  readonly ended = this.#ended.promise;

  private constructor(private readonly socket: WebSocket) {
    // A lost connection is 1006 in browsers and 0 in Deno.
    socket.onclose = ({ code, reason }) => {
      const isLost = code === 0 || code === 1006;
      this.#ended.resolve({ code: isLost ? undefined : code, reason });
    };
  }

  /** Rejects if the server cannot be reached or does not upgrade. */
  static async open(target: Target): Promise<NativeConnection> {
    const { port, path, protocol, hear } = target;
    const url = `ws://127.0.0.1:${port}${path}`;
    const socket = new WebSocket(url, protocol ? [protocol] : []);
    const connection = new NativeConnection(socket);
    socket.onmessage = ({ data }) => {
      // Deno 2.8.2 tells a message without data, which no server can send, when
      // one was on its way while the socket failed to close.
      if (data !== null) hear(data);
    };
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => {
        reject(new Error((event as globalThis.ErrorEvent).message));
      };
    });
    try {
      await soon(opened, "an open WebSocket", HANDSHAKE_DEADLINE_MS);
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.onerror = null;
    return connection;
  }

  send(text: string): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  close(): void {
    this.socket.close(1000);
  }

  drop(): void {
    this.close();
  }

  stall(): void {}

  resume(): void {}
}
