// Owns a client's end of one WebSocket, in two kinds: over bare TCP, which can
// stop reading and hang up without a word, and Deno's own. Never knows what is
// said on it. Invariant: `ended` resolves once, when nothing more is heard.
import { frame, handshake, Opcode, soon } from "../harness.ts";

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

export interface Line {
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
export class RawLine implements Line {
  readonly #ended = Promise.withResolvers<Ending>();
  readonly ended = this.#ended.promise;
  #unread = new Uint8Array();
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
  static async open({ port, path, protocol, hear }: Target): Promise<RawLine> {
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
    const line = new RawLine(tcp, hear);
    try {
      const offer = protocol ? { "Sec-WebSocket-Protocol": protocol } : {};
      line.#write(new TextEncoder().encode(handshake(port, path, offer)));
      const head = await soon(line.#head(), "a 101", HANDSHAKE_DEADLINE_MS);
      if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    } catch (error) {
      line.#hangUp();
      throw error;
    }
    line.#listen();
    return line;
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
      while (ending.code === undefined) await this.#hearFrame(ending);
    } catch (error) {
      // The connection is gone; a close frame did not come.
      ending.reason = String(error);
    }
    // The answer to a close frame is to get out first.
    await this.#written;
    this.#hangUp();
    this.#ended.resolve(ending);
  }

  async #hearFrame(ending: Ending): Promise<void> {
    const [first = 0, second = 0] = await this.#take(2);
    const extraBytes = second === 126 ? 2 : second === 127 ? 8 : 0;
    const extra = await this.#take(extraBytes);
    const length = extraBytes === 0
      ? second
      : extra.reduce((sum, byte) => sum * 256 + byte, 0);
    const payload = await this.#take(length);
    const text = () => new TextDecoder("utf-8", { fatal: true });
    switch (first) {
      case 0x80 | Opcode.text:
        return this.hear(text().decode(payload));
      case 0x80 | Opcode.ping:
        return this.#write(frame(Opcode.pong, payload));
      case 0x80 | Opcode.pong:
        return;
      case 0x80 | Opcode.close: {
        const [high = 0, low = 0] = payload;
        // No status is 1005, as a browser reports it (section 7.1.5).
        ending.code = payload.length < 2 ? 1005 : high * 256 + low;
        ending.reason = text().decode(payload.subarray(2));
        return this.#write(frame(Opcode.close, payload));
      }
      default:
        throw new Error(`a frame that begins with ${first}`);
    }
  }

  async #head(): Promise<string> {
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      head += String.fromCharCode(...await this.#take(1));
    }
    return head;
  }

  async #take(count: number): Promise<Uint8Array> {
    while (this.#unread.length < count) {
      await this.#mayRead;
      const chunk = new Uint8Array(65_536);
      const read = await this.tcp.read(chunk);
      // A read that was under way when the stall began waits with its bytes.
      await this.#mayRead;
      if (read === null) throw new Error("the connection ended");
      const joined = new Uint8Array(this.#unread.length + read);
      joined.set(this.#unread);
      joined.set(chunk.subarray(0, read), this.#unread.length);
      this.#unread = joined;
    }
    const taken = this.#unread.subarray(0, count);
    this.#unread = this.#unread.subarray(count);
    return taken;
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
export class NativeLine implements Line {
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
  static async open(target: Target): Promise<NativeLine> {
    const { port, path, protocol, hear } = target;
    const url = `ws://127.0.0.1:${port}${path}`;
    const socket = new WebSocket(url, protocol ? [protocol] : []);
    const line = new NativeLine(socket);
    socket.onmessage = ({ data }) => hear(data);
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
    return line;
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
