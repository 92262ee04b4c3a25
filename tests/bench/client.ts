// One client of the bench: its connection, what it says, and where it is in the
// room's stream. It compares what it receives with what others have parsed
// before. A client either receives the stream to the byte, or its `lose` is
// called.
import type { Dialect } from "./dialects.ts";
import { readText, type Stream, textOf } from "./stream.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import { readFrames } from "../support/frame_stream.ts";

const READ_BYTES = 64 * 1024;

/** What clients say before the stream starts: `roll <number>`, then `start`. */
export const ROLL = "roll ";
export const START = "start";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What all clients of a run share. */
export interface Room {
  readonly dialect: Dialect;
  readonly stream: Stream;
  /** Messages that a sender may have out. */
  readonly inFlight: number;
  /** Those who only listen look this often for bytes; 0: at once. */
  readonly listenMs: number;
  isSending: boolean;
  lastReadAtMs: number;
  onEcho(latencyMs: number): void;
  lose(client: Client, error: Error): void;
}

export class Client {
  /** In the stream. */
  position = 0;
  /** The latest roll call that it heard. */
  roll = 0;
  sent = 0;
  /** Where in the stream its own messages end that it has not reached yet. */
  readonly echoes: number[] = [];
  /** When its messages that are out were sent, oldest first. */
  readonly sentAtMs: number[] = [];
  hasStarted = false;
  /** Whether it may speak. */
  isWelcome: boolean;
  // Its own: reads of several clients are under way at once.
  readonly #bytes = new Uint8Array(READ_BYTES);
  /** Before the start: how many bytes wait for the rest of their frame. */
  #held = 0;

  constructor(
    readonly index: number,
    readonly isSender: boolean,
    private readonly room: Room,
    private readonly conn: Deno.TcpConn,
  ) {
    this.isWelcome = room.dialect.answer === undefined;
  }

  /** Shakes hands, then listens until the process ends. */
  async join(): Promise<void> {
    const { path, subprotocol, greeting } = this.room.dialect;
    const { port } = this.conn.remoteAddr;
    await this.#write(encoder.encode(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
        "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
        (subprotocol ? `Sec-WebSocket-Protocol: ${subprotocol}\r\n` : "") +
        "Sec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ));
    let head = "";
    while (!head.includes("\r\n\r\n")) {
      this.#held += await this.#read();
      head = decoder.decode(this.#bytes.subarray(0, this.#held));
    }
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    // Frames may already follow. The head is ASCII: a character is a byte.
    this.#discard(head.indexOf("\r\n\r\n") + 4);
    if (greeting !== undefined) await this.#write(frame(Opcode.text, greeting));
    this.#listen().catch((error) => this.room.lose(this, error));
  }

  async say(text: string, id: string): Promise<void> {
    await this.#write(
      frame(Opcode.text, this.room.dialect.wrap(text, id)),
    );
  }

  /** Sends until enough messages are out; each is a write of its own. */
  async fill(): Promise<void> {
    while (this.room.isSending && this.sentAtMs.length < this.room.inFlight) {
      const number = this.sent++;
      this.sentAtMs.push(performance.now());
      await this.say(textOf(this.index, number), `${this.index}-${number}`);
    }
  }

  async #listen(): Promise<void> {
    const { room } = this;
    // The handshake may have brought frames along.
    this.#awaitStart();
    while (true) {
      const count = await this.#read();
      room.lastReadAtMs = performance.now();
      if (this.hasStarted) {
        this.#advance(count);
      } else {
        this.#held += count;
        this.#awaitStart();
      }
      if (this.isSender) await this.fill();
      else if (room.listenMs > 0 && count < READ_BYTES) {
        await new Promise((wake) => setTimeout(wake, room.listenMs));
      }
    }
  }

  /** What comes before the start is this client's own: it is not compared. */
  #awaitStart(): void {
    const bytes = this.#bytes.subarray(0, this.#held);
    this.#discard(readFrames(bytes, (opcode, payload) => {
      const text = readText(opcode, payload);
      for (const { type, message = "" } of this.room.dialect.events(text)) {
        if (type === "error") throw new Error(`refused: ${text}`);
        if (type === this.room.dialect.answer) this.isWelcome = true;
        if (type !== "message") continue;
        if (message === START) this.hasStarted = true;
        else this.roll = Number(message.slice(ROLL.length));
      }
      return !this.hasStarted;
    }));
    if (!this.hasStarted) return;
    this.#advance(this.#held);
    this.#held = 0;
  }

  /** Goes on in the stream by the first `count` bytes of its buffer. */
  #advance(count: number): void {
    const { room, echoes, sentAtMs } = this;
    room.stream.accept(this.position, this.#bytes.subarray(0, count));
    this.position += count;
    while (echoes.length > 0 && echoes[0]! <= this.position) {
      echoes.shift();
      room.onEcho(performance.now() - sentAtMs.shift()!);
    }
  }

  async #read(): Promise<number> {
    if (this.#held === READ_BYTES) throw new Error("frame too large");
    const count = await this.conn.read(this.#bytes.subarray(this.#held));
    if (count === null) throw new Error("the server closed the connection");
    return count;
  }

  /** Moves what is held beyond `count` bytes to the front. */
  #discard(count: number): void {
    this.#bytes.copyWithin(0, count, this.#held);
    this.#held -= count;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    // A few small messages always fit, unless the server has stopped reading.
    if (await this.conn.write(bytes) !== bytes.length) {
      throw new Error("the server does not read what it sends");
    }
  }
}
