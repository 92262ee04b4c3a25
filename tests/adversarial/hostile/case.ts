// The form of a case: what a bad client writes and what must come of it, as
// plain data. A case has one end only, so that "anything goes" cannot be written
// down.
import type { Options } from "../../../chat/options.ts";
import { frame, Opcode } from "../../../chat/check/frames.ts";

/** The connection goes on; the client hangs up in the end. */
export const GOES_ON = "goes on";
/** The server ends it without a close frame. */
export const IS_CUT = "is cut";
/** The client hangs up after the last byte and waits for nothing. */
export const HANGS_UP = "hangs up";

/** The client says that it will write no more; the server hangs up. */
export const FINISHES = "is finished and cut";

/** The server sends a close frame, then ends the connection. */
export function closes(code?: number, reason = ""): string {
  return `closes with ${code ?? "no code"}${reason && `: ${reason}`}`;
}

export interface Case {
  /** A clause about the client: "a ping of 126 bytes". */
  what: string;
  /** What it breaks or tries: a section of an RFC, or a subprotocol's rules. */
  rule: string;
  /** Each is written by itself. */
  send: readonly Uint8Array[];
  /** How many bytes to write at a time, if not all. */
  chop?: number;
  /** Messages that reach the room, in order. */
  says?: readonly string[];
  /** What it gets back in pongs, as Latin-1. */
  pongs?: readonly string[];
  /** What the server tells it alone: the type of an event, or an error's code. */
  told?: readonly string[];
  ends: string;
  dialect?: "plain" | "partyline.v1";
  /** It sends its bytes instead of a first message or a hello. */
  isEarly?: boolean;
  /** It does not answer the server's close frame, and stays. */
  isStubborn?: boolean;
  options?: Partial<Options>;
}

export const text = (payload: string | Uint8Array, how = {}) =>
  frame(Opcode.text, payload, how);
export const begin = (payload: string | Uint8Array) =>
  frame(Opcode.text, payload, { fin: false });
export const middle = (payload: string | Uint8Array) =>
  frame(Opcode.continuation, payload, { fin: false });
export const end = (payload: string | Uint8Array) =>
  frame(Opcode.continuation, payload);
export const ping = (payload: string | Uint8Array = "") =>
  frame(Opcode.ping, payload);
export const pong = (payload: string | Uint8Array = "") =>
  frame(Opcode.pong, payload);

/** A close frame; `reason` as it is, so that it can be what it must not. */
export function close(
  code?: number,
  reason: string | Uint8Array = "",
): Uint8Array {
  if (code === undefined) return frame(Opcode.close, "");
  const bytes = typeof reason === "string"
    ? new TextEncoder().encode(reason)
    : reason;
  return frame(
    Opcode.close,
    Uint8Array.of(code >> 8, code & 255, ...bytes),
  );
}

/** Bytes written as hexadecimal digits, spaces passed over. */
export const hex = (digits: string) =>
  Uint8Array.fromHex(digits.replaceAll(" ", ""));

/** Bytes in one write. */
export const joined = (...parts: Uint8Array[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

export const x = (count: number) => "x".repeat(count);

export const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
