// Owns the WebSocket frame as a client sees it (RFC 6455, section 5.2): writes
// masked frames, cuts what a server sends into frames. Never reads a socket.
// Invariant: only whole frames are handed over, by view and without a copy.

const TEXT_HEAD = 0x81;
const CLOSE_HEAD = 0x88;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text frame. Its mask is zero: the server unmasks it all the same. */
export function textFrame(text: string): Uint8Array {
  const payload = encoder.encode(text);
  const size = payload.length;
  const length = size < 126
    ? [0x80 | size]
    : [0x80 | 126, size >> 8, size & 0xff];
  const bytes = new Uint8Array(1 + length.length + 4 + size);
  bytes[0] = TEXT_HEAD;
  bytes.set(length, 1);
  bytes.set(payload, bytes.length - size);
  return bytes;
}

/** The text of a server's frame; throws on any other kind of frame. */
export function readText(head: number, payload: Uint8Array): string {
  if (head === TEXT_HEAD) return decoder.decode(payload);
  if (head === CLOSE_HEAD) {
    const code = (payload[0] ?? 0) << 8 | (payload[1] ?? 0);
    const reason = decoder.decode(payload.subarray(2));
    throw new Error(`closed by the server with ${code} ${reason}`);
  }
  // Pings would come to each client at another place in the stream, so every
  // server is told to send none.
  throw new Error(`unexpected frame with head 0x${head.toString(16)}`);
}

/**
 * Calls `onFrame` for each whole frame with its head, its payload and where in
 * `bytes` it ends, until that returns false. Returns the end of the last one.
 */
export function readFrames(
  bytes: Uint8Array,
  onFrame: (head: number, payload: Uint8Array, end: number) => boolean | void,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (bytes.length - at >= 2) {
    let from = at + 2;
    let size = bytes[at + 1]!;
    if (size === 126) {
      if (bytes.length < at + 4) break;
      size = view.getUint16(at + 2);
      from = at + 4;
    } else if (size === 127) {
      if (bytes.length < at + 10) break;
      size = Number(view.getBigUint64(at + 2));
      from = at + 10;
    } else if (size > 127) {
      throw new Error("the server sent a masked frame");
    }
    if (bytes.length < from + size) break;
    const head = bytes[at]!;
    at = from + size;
    if (onFrame(head, bytes.subarray(from, at), at) === false) break;
  }
  return at;
}
