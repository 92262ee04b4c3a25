// The header of a WebSocket frame (RFC 6455 section 5.2), as far as it follows
// from the direction, the opcode and the length of the payload. For a message
// in one frame, without extensions, these are the bytes that travel.

/** RFC 6455 section 11.8, without continuation, ping and pong. */
export const Opcode = { text: 1, binary: 2, close: 8 } as const;

/** As the server sees it: the client's frames come in, the server's go out. */
export type Direction = "in" | "out";

interface FrameHeader {
  /** The header's bytes without the masking key, which nobody can derive. */
  bytes: Uint8Array;
  /** How many bits hold the payload's length. */
  lengthBits: 7 | 16 | 64;
  /** A client masks what it sends, a server does not (section 5.1). */
  isMasked: boolean;
  /** Bytes of the whole header, with the masking key. */
  size: number;
}

const FIN = 0x80;
const MASK = 0x80;
const MASKING_KEY_BYTES = 4;

/** `payloadLength`: bytes, a safe integer of 0 or more. */
export function frameHeader(
  direction: Direction,
  opcode: number,
  payloadLength: number,
): FrameHeader {
  const isMasked = direction === "in";
  const maskBit = isMasked ? MASK : 0;
  const lengthBits = payloadLength < 126
    ? 7
    : payloadLength < 2 ** 16
    ? 16
    : 64;
  const bytes = new Uint8Array(lengthBits === 7 ? 2 : 2 + lengthBits / 8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FIN | opcode);
  view.setUint8(1, maskBit | (lengthBits === 7 ? payloadLength : 126));
  if (lengthBits === 16) view.setUint16(2, payloadLength);
  if (lengthBits === 64) {
    view.setUint8(1, maskBit | 127);
    view.setBigUint64(2, BigInt(payloadLength));
  }
  const size = bytes.length + (isMasked ? MASKING_KEY_BYTES : 0);
  return { bytes, lengthBits, isMasked, size };
}
