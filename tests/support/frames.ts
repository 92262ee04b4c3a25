// The WebSocket frame as a client sees it (RFC 6455 section 5.2): the one
// writer of client frames and the one reader of server frames, for tests, load
// and attacks. The file imports nothing, so that a load process starts quickly.

const encoder = new TextEncoder();

const NO_MASK: readonly number[] = [0, 0, 0, 0];

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
 * A client's frame. `lengthBytes` is the size of the extended length, by
 * default the shortest.
 */
export function frame(
  opcode: number,
  payload: string | Uint8Array,
  {
    fin = true,
    reserved = 0,
    masked = true,
    mask = NO_MASK,
    lengthBytes,
  }: {
    fin?: boolean;
    reserved?: number;
    masked?: boolean;
    mask?: readonly number[];
    lengthBytes?: 0 | 2 | 8;
  } = {},
): Uint8Array<ArrayBuffer> {
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const size = body.length;
  const extra = lengthBytes ?? (size < 126 ? 0 : size < 65_536 ? 2 : 8);
  const length = extra === 0 ? size : extra === 2 ? 126 : 127;
  const from = 2 + extra + (masked ? 4 : 0);
  const bytes = new Uint8Array(from + size);
  bytes[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  bytes[1] = (masked ? 0x80 : 0) | length;
  if (extra === 2) {
    bytes[2] = size >> 8;
    bytes[3] = size;
  } else if (extra === 8) {
    new DataView(bytes.buffer).setBigUint64(2, BigInt(size));
  }
  bytes.set(body, from);
  // A mask of zeros changes nothing; load has no time to waste on it.
  if (!masked || mask === NO_MASK) return bytes;
  bytes.set(mask, 2 + extra);
  for (let i = 0; i < size; i++) bytes[from + i]! ^= mask[i % 4]!;
  return bytes;
}

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

export function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** The code of a close frame; 1005 if it has none, as browsers report it. */
export function closeCode([high, low]: Uint8Array): number {
  return high === undefined || low === undefined ? 1005 : high * 256 + low;
}
