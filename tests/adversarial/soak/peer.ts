// One connection of a bad client: bare TCP that breaks the rules it is told to
// break and keeps the others, with few system calls. Only opening it throws;
// whatever the server does to it later is told by `drain`.
import { connect } from "node:net";
import { closeCode, frame, Opcode } from "../../../chat/check/frames.ts";
import { FrameReader } from "../../support/frame_stream.ts";
import { handshake } from "../../support/harness.ts";

const HOST = "127.0.0.1";
const CHUNK_BYTES = 16 * 1024;

export interface Manners {
  answersPings: boolean;
  answersClose: boolean;
}

export const POLITE: Manners = { answersPings: true, answersClose: true };

/** The server answered with something else than 101. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super(`refused with ${status}`);
  }
}

export class Peer {
  readonly #frames = new FrameReader();
  #messages = 0;
  #rest = new Uint8Array();

  private constructor(private readonly tcp: Deno.TcpConn) {}

  /** Rejects if the server cannot be reached. */
  static async connect(port: number): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: HOST, port }));
  }

  /** Rejects with `Refused`, or because the connection ended. */
  static async upgrade(
    port: number,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<Peer> {
    const peer = await Peer.connect(port);
    try {
      await peer.write(encode(handshake(port, path, headers)));
      await peer.#readHead();
      return peer;
    } catch (error) {
      peer.hangUp();
      throw error;
    }
  }

  async #readHead(): Promise<void> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    let length = 0;
    while (true) {
      const read = await this.tcp.read(chunk.subarray(length));
      if (read === null) throw new Error("ended in the handshake");
      length += read;
      const head = String.fromCharCode(...chunk.subarray(0, length));
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const status = Number(head.slice(9, 12));
      if (status !== 101) throw new Refused(status);
      this.#rest = chunk.slice(end + 4, length);
      return;
    }
  }

  /** Writes all of it; false if the connection is gone. */
  async write(bytes: Uint8Array): Promise<boolean> {
    try {
      let rest = bytes;
      while (rest.length > 0) {
        rest = rest.subarray(await this.tcp.write(rest));
      }
      return true;
    } catch {
      return false;
    }
  }

  send(text: string): Promise<boolean> {
    return this.write(frame(Opcode.text, text));
  }

  /** Reads until there was one message; false if the connection is gone. */
  async hear(): Promise<boolean> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    this.#scan(this.#rest, POLITE);
    this.#rest = new Uint8Array();
    try {
      while (this.#messages === 0) {
        const read = await this.tcp.read(chunk);
        if (read === null) return false;
        this.#scan(chunk.subarray(0, read), POLITE);
      }
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Reads and forgets. Resolves when the connection has ended, with the code
   * of the close frame if there was one.
   */
  async drain(manners: Manners = POLITE): Promise<number | undefined> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    let code = this.#scan(this.#rest, manners);
    this.#rest = new Uint8Array();
    try {
      while (true) {
        const read = await this.tcp.read(chunk);
        if (read === null) break;
        code = this.#scan(chunk.subarray(0, read), manners) ?? code;
      }
    } catch {
      // Reset by the server, or hung up here.
    }
    if (manners.answersClose) this.hangUp();
    return code;
  }

  /** Reads what is no WebSocket's, and forgets it, until the end. */
  async discard(): Promise<void> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    try {
      while (await this.tcp.read(chunk) !== null);
    } catch {
      // Reset by the server.
    }
    this.hangUp();
  }

  #scan(bytes: Uint8Array, manners: Manners): number | undefined {
    let code: number | undefined;
    for (const { opcode, payload } of this.#frames.read(bytes)) {
      if (opcode === Opcode.text) this.#messages++;
      if (opcode === Opcode.ping && manners.answersPings) {
        this.write(frame(Opcode.pong, payload));
      }
      if (opcode !== Opcode.close) continue;
      code = closeCode(payload);
      if (manners.answersClose) this.write(frame(Opcode.close, payload));
    }
    return code;
  }

  /** Hangs up without a close frame: FIN, or RST if something was not read. */
  hangUp(): void {
    try {
      this.tcp.close();
    } catch {
      // Closed before.
    }
  }
}

/**
 * Connects, writes `bytes` and breaks the connection off with RST, which Deno's
 * own connections cannot. Resolves when that is done, also if it failed.
 */
export function reset(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
    socket.on("connect", () => {
      if (bytes.length === 0) socket.resetAndDestroy();
      else socket.write(bytes, () => socket.resetAndDestroy());
    });
  });
}

export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
