// Owns what travels on the wire: event types, their encoding, close codes, and
// the checks of what comes from outside. Never touches a socket.
// Invariant: an event becomes text here and nowhere else.
import { Buffer } from "node:buffer";

/** A message as everyone in its room gets it, its sender included. */
export interface MessageEvent {
  type: "message";
  /** Counts up by one per room. */
  seq: number;
  /** When the server took it, as ISO 8601. */
  at: string;
  sender: string;
  message: string;
}

/** Someone left the room, in whatever way the connection ended. */
export interface LeaveEvent {
  type: "leave";
  at: string;
  sender: string;
  message: "Client disconnected";
}

/** Tells one client what went wrong; `message` is a sentence for a person. */
export interface ErrorEvent {
  type: "error";
  sender: "server";
  message: string;
}

export type ServerEvent = MessageEvent | LeaveEvent | ErrorEvent;

/** Close codes in use (RFC 6455 section 7.4.1; 1013 from the IANA registry). */
export const CloseCode = {
  shuttingDown: 1001,
  binaryFrame: 1003,
  policy: 1008,
  tooLarge: 1009,
  serverFault: 1011,
  tryAgainLater: 1013,
} as const;

/** The name that no client is given: it marks the server's own words. */
export const SERVER_NAME = "server";

export const DEFAULT_ROOM = "lobby";

export function encode(event: ServerEvent): string {
  return JSON.stringify(event);
}

/** The room an address asks for, or undefined if it cannot be a room's name. */
export function parseRoom(url: URL): string | undefined {
  const room = url.searchParams.get("room") ?? DEFAULT_ROOM;
  return /^[a-z0-9-]{1,32}$/.test(room) ? room : undefined;
}

/** Whether `text`, encoded as UTF-8, takes more than `maxBytes`. */
export function exceedsBytes(text: string, maxBytes: number): boolean {
  // A UTF-16 unit takes at most three bytes, so short text needs no count.
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

/** Whether `text` has more than `maxChars` characters (Unicode code points). */
export function exceedsChars(text: string, maxChars: number): boolean {
  if (text.length <= maxChars) return false;
  if (text.length > maxChars * 2) return true;
  return [...text].length > maxChars;
}
