// The WebSocket frame (RFC 6455 section 5.2), written and read for both ends: the
// check sends what a library refuses to send, and sees what a library hides. Tests,
// load and attacks use it, too. The file imports nothing, so that a load process
// starts quickly.

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
 * A client's frame, or with `masked: false` a server's. `lengthBytes` is the size of
 * the extended length, by default the shortest. `length` is the length that the
 * header names, if it is not that of the payload.
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
    length: named,
  }: {
    fin?: boolean;
    reserved?: number;
    masked?: boolean;
    mask?: readonly number[];
    lengthBytes?: 0 | 2 | 8;
    length?: bigint;
  } = {},
): Uint8Array<ArrayBuffer> {
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const size = body.length;
  const told = named ?? size;
  const extra = lengthBytes ?? (told < 126 ? 0 : told < 65_536 ? 2 : 8);
  const length = extra === 0 ? Number(told) : extra === 2 ? 126 : 127;
  const from = 2 + extra + (masked ? 4 : 0);
  const bytes = new Uint8Array(from + size);
  bytes[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  bytes[1] = (masked ? 0x80 : 0) | length;
  if (extra === 2) {
    new DataView(bytes.buffer).setUint16(2, Number(told));
  } else if (extra === 8) {
    new DataView(bytes.buffer).setBigUint64(2, BigInt(told));
  }
  bytes.set(body, from);
  // A mask of zeros changes nothing; load has no time to waste on it.
  if (!masked || mask === NO_MASK) return bytes;
  bytes.set(mask, 2 + extra);
  for (let i = 0; i < size; i++) bytes[from + i]! ^= mask[i % 4]!;
  return bytes;
}

/** A frame as it came: nothing of it is checked. */
export interface WireFrame extends Frame {
  fin: boolean;
  /** The three reserved bits as a number: RSV1 is 4. */
  reserved: number;
  isMasked: boolean;
  /** Unmasked. */
  payload: Uint8Array;
  /** All bytes before the payload, with the masking key. */
  header: Uint8Array;
}

/** What the first bytes of a frame tell. */
interface FrameStart {
  /** Where the payload begins. */
  from: number;
  /** Bytes of the payload. */
  length: number;
}

/** The size of the frame that begins these bytes, if its header is whole. */
export function frameStart(bytes: Uint8Array): FrameStart | undefined {
  const [, second] = bytes;
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  const from = 2 + extra + (second & 0x80 ? 4 : 0);
  if (bytes.length < from) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = extra === 2
    ? view.getUint16(2)
    : extra === 8
    ? Number(view.getBigUint64(2))
    : short;
  return { from, length };
}

/** The frame that these bytes begin with, or undefined while it is not whole. */
export function readFrame(bytes: Uint8Array): WireFrame | undefined {
  const start = frameStart(bytes);
  if (!start || bytes.length < start.from + start.length) return undefined;
  const { from, length } = start;
  const [first = 0, second = 0] = bytes;
  const header = bytes.slice(0, from);
  const payload = bytes.slice(from, from + length);
  const isMasked = second >= 0x80;
  if (isMasked) {
    const mask = header.subarray(-4);
    for (let i = 0; i < length; i++) payload[i]! ^= mask[i % 4]!;
  }
  return {
    fin: first >= 0x80,
    reserved: first >> 4 & 7,
    opcode: first & 15,
    isMasked,
    payload,
    header,
  };
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
