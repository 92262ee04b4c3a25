// Owns the cutting of a server's bytes into frames (RFC 6455 section 5.2) for
// clients that do not care for what is said: only control frames are kept.
// Never reads a socket. Invariant: wherever a chunk ends, the same is found.
import { type Frame } from "../harness.ts";

const CONTROL = 8;

export class Scanner {
  /** Of the frame that begins: its head, and the payload of a control frame. */
  #begun: number[] = [];
  /** Bytes of a message that are still to be passed over. */
  #skip = 0;
  /** How many messages there were. */
  messages = 0;

  /** The control frames that end in this chunk. Their payload is ≤ 125 bytes. */
  *feed(chunk: Uint8Array): Generator<Frame> {
    for (let at = 0; at < chunk.length;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      this.#begun.push(chunk[at++] ?? 0);
      const frame = this.#take();
      if (frame !== undefined) yield frame;
    }
  }

  #take(): Frame | undefined {
    const [first = 0, second = 0] = this.#begun;
    const have = this.#begun.length;
    if (have < 2) return;
    const opcode = first & 15;
    if (opcode >= CONTROL) {
      if (have < 2 + second) return;
      const payload = Uint8Array.from(this.#begun.slice(2));
      this.#begun = [];
      return { opcode, payload };
    }
    const extraBytes = second === 126 ? 2 : second === 127 ? 8 : 0;
    if (have < 2 + extraBytes) return;
    this.#skip = extraBytes === 0
      ? second
      : this.#begun.slice(2).reduce((sum, byte) => sum * 256 + byte, 0);
    this.#begun = [];
    this.messages++;
  }
}
