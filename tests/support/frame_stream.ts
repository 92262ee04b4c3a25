// Cuts what the server sends into frames, many at a time and without copies: for load
// and attacks, which have no time for the care of chat/check/connection.ts.
import { type Frame, join } from "../../chat/check/frames.ts";

/**
 * Calls `onFrame` for each whole frame, with its opcode, its payload (a view)
 * and the offset of its end in `bytes`, until that returns false. Returns the
 * end of the last frame. Throws for frames that this server never sends: a
 * fragment, a reserved bit, a mask.
 */
export function readFrames(
  bytes: Uint8Array,
  onFrame: (opcode: number, payload: Uint8Array, end: number) => boolean | void,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (bytes.length - at >= 2) {
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    if ((first & 0xf0) !== 0x80 || second > 127) {
      throw new Error(`a frame that begins with ${first}, ${second}`);
    }
    const from = at + (second === 126 ? 4 : second === 127 ? 10 : 2);
    if (bytes.length < from) break;
    const size = second === 126
      ? view.getUint16(at + 2)
      : second === 127
      ? Number(view.getBigUint64(at + 2))
      : second;
    if (bytes.length < from + size) break;
    at = from + size;
    if (onFrame(first & 15, bytes.subarray(from, at), at) === false) break;
  }
  return at;
}

/** Cuts a stream that arrives in pieces into whole frames. */
export class FrameReader {
  #rest = new Uint8Array();

  /** The frames that end in this piece; payloads may be views of it. */
  read(piece: Uint8Array): Frame[] {
    const bytes = this.#rest.length === 0 ? piece : join(this.#rest, piece);
    const frames: Frame[] = [];
    const end = readFrames(bytes, (opcode, payload) => {
      frames.push({ opcode, payload });
    });
    // A copy, because the memory of the piece may be used again.
    this.#rest = bytes.slice(end);
    return frames;
  }
}
