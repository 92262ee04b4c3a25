// The few frames of HTTP/2 (RFC 9113) that bad clients need: Deno speaks it
// without TLS to a client that begins with its preface. The frames made here are
// well-formed, so that what the server does about them is its own decision.
import { encode } from "./peer.ts";

const Type = { headers: 1, reset: 3, settings: 4 } as const;
const END_STREAM_AND_HEADERS = 5;
const INITIAL_WINDOW_SIZE = 4;
const CANCEL = 8;

/** Section 4.1; `payload` is shorter than 64 KiB. */
function frame(
  type: number,
  flags: number,
  stream: number,
  payload: number[],
): number[] {
  const { length } = payload;
  const id = [stream >>> 24, stream >>> 16, stream >>> 8, stream];
  return [
    ...[0, length >> 8, length & 255, type, flags],
    ...id.map((byte) => byte & 255),
    ...payload,
  ];
}

/** The preface and the settings; a window of 0 lets no answer out. */
export function begin(windowBytes: number): Uint8Array {
  const settings = [
    0,
    INITIAL_WINDOW_SIZE,
    0,
    0,
    windowBytes >> 8,
    windowBytes & 255,
  ];
  return Uint8Array.from([
    ...encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ...frame(Type.settings, 0, 0, settings),
  ]);
}

/** GET of a path shorter than 127 characters, as HPACK writes it (RFC 7541). */
export function get(stream: number, path: string): number[] {
  return frame(Type.headers, END_STREAM_AND_HEADERS, stream, [
    0x82, // :method GET
    0x86, // :scheme http
    ...[0x04, path.length, ...encode(path)],
    ...[0x01, 1, ...encode("x")], // :authority
  ]);
}

/** The end of a stream before its answer. */
export function reset(stream: number): number[] {
  return frame(Type.reset, 0, stream, [0, 0, 0, CANCEL]);
}
