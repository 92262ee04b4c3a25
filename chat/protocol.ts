// Owns what travels on the wire: the events of both dialects, how they are
// written and read, close codes, the checks of what comes from outside. Never
// touches a socket. Invariant: an event becomes text here and nowhere else,
// and whatever a client sends, `parseRequest` does not throw.
import { Buffer } from "node:buffer";

/** The subprotocol of the full dialect (RFC 6455 section 1.9). */
export const SUBPROTOCOL = "partyline.v1";

/** The subprotocol of the lesson's drawing board. */
export const DRAW_SUBPROTOCOL = "partyline.draw.v1";

/**
 * Largest frame of the drawing board. It is passed on as it came; how its
 * bytes are read is between the pages: kind (1: a stroke), colour (0 to 7),
 * then the stroke's points, x and y as 16 bits each, the high byte first, from
 * 0 to 65535 over the width and the height of the board.
 */
export const MAX_DRAW_BYTES = 4 * 1024;

/** The name that no client is given: it marks the server's own words. */
export const SERVER_NAME = "server";

export const DEFAULT_ROOM = "lobby";

/** Most networks cut a line that is silent for a minute. */
export const KEEP_ALIVE_MS = 15_000;

/** Longest `id` of a message, in characters (Unicode code points). */
export const MAX_ID_CHARS = 64;
/** How many messages a client may ask for at once. */
export const MAX_HISTORY = 200;
/** How many it gets when it does not say. */
export const DEFAULT_HISTORY = 50;
/** Names listed in a `welcome`; of a larger room only the count is told. */
export const MAX_LISTED_MEMBERS = 200;

// What the server sends. `at` is ISO 8601, times are ms, `seq` counts up by
// one per room.

/** A message as everyone in its room gets it, its sender included. */
export interface MessageEvent {
  type: "message";
  seq: number;
  at: string;
  sender: string;
  message: string;
  /** The sender's own `id`, if it gave one. */
  id?: string;
}

/** Someone came into the room. `count` is how many are in it now. */
export interface JoinEvent {
  type: "join";
  at: string;
  sender: string;
  count: number;
}

/** Someone left the room, in whatever way the connection ended. */
export interface LeaveEvent {
  type: "leave";
  at: string;
  sender: string;
  message: "Client disconnected";
  count: number;
}

/** `sender` is called `name` from now on. */
export interface RenameEvent {
  type: "rename";
  at: string;
  sender: string;
  name: string;
}

export interface TypingEvent {
  type: "typing";
  at: string;
  sender: string;
}

/** The answer to `hello`, and the first event of the full dialect. */
export interface WelcomeEvent {
  type: "welcome";
  /** The client's own name. */
  sender: string;
  /** Reclaims this identity on a later connection; a secret. */
  key: string;
  room: string;
  /** Names the life of the room's log; another one means history was lost. */
  epoch: string;
  /** The newest message of the room at this moment; 0 if there is none. */
  seq: number;
  /** Whether all after `since` follows; null when no `since` was given. */
  recovered: boolean | null;
  /** Up to `MAX_LISTED_MEMBERS` names, the client's own among them. */
  members: string[];
  count: number;
  limits: Limits;
}

/** What the server holds a client to. */
export interface Limits {
  /** Characters of one message. */
  message: number;
  /** Bytes of one frame. */
  frame: number;
  /** Messages per second; 0 for no limit. */
  rate: number;
  burst: number;
}

/** The answer to `history`: older messages, the oldest first. */
export interface HistoryEvent {
  type: "history";
  /** As asked for. */
  before: number;
  messages: MessageEvent[];
  /** Whether there are older ones still. */
  more: boolean;
}

export interface PongEvent {
  type: "pong";
  id?: string;
}

export type ErrorCode =
  /** JSON, but not a request that can be understood. */
  | "invalid"
  | "too_long"
  | "rate_limited"
  /** The room has more waiting than it can take. */
  | "busy"
  /** The log cannot be written or read; nothing was stored. */
  | "log_unavailable"
  | "name_invalid"
  | "name_taken"
  /** The connection is about to be closed; come back after `retryAfter`. */
  | "shutting_down"
  | "restarting"
  | "overloaded";

/** Tells one client what went wrong; `message` is a sentence for a person. */
export interface ErrorEvent {
  type: "error";
  sender: typeof SERVER_NAME;
  code: ErrorCode;
  message: string;
  /** Of the message that was refused. */
  id?: string;
  /** Milliseconds after which the same may succeed. */
  retryAfter?: number;
}

export type ServerEvent =
  | MessageEvent
  | JoinEvent
  | LeaveEvent
  | RenameEvent
  | TypingEvent
  | WelcomeEvent
  | HistoryEvent
  | PongEvent
  | ErrorEvent;

// What a client of the full dialect sends: one of these in a text frame.

export interface Hello {
  type: "hello";
  name?: string;
  key?: string;
  since?: { epoch: string; seq: number };
  history?: number;
}

export type Request =
  | Hello
  | { type: "message"; message: string; id: string }
  | { type: "history"; before: number; count?: number }
  | { type: "rename"; name: string }
  | { type: "typing" }
  | { type: "ping"; id?: string };

/** A frame that is JSON but no request; `message` says what is wrong with it. */
export interface Malformed {
  type: "malformed";
  message: string;
  id?: string;
}

/**
 * Close codes in use (RFC 6455 section 7.4.1; 1012 and 1013 from the IANA
 * registry; the 4000s are private use, section 7.4.2).
 */
export const CloseCode = {
  shuttingDown: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  policy: 1008,
  tooLarge: 1009,
  serverFault: 1011,
  restarting: 1012,
  tryAgainLater: 1013,
  takenOver: 4002,
} as const;

export function encode(event: ServerEvent): string {
  return JSON.stringify(event);
}

/**
 * Encodes a message before its `seq` is known. Only the log knows the `seq`,
 * and completes the text with `encodeMessage`; so it is encoded once.
 */
export function encodeDraft(
  draft: Omit<MessageEvent, "type" | "seq">,
): string {
  return JSON.stringify(draft).slice(1);
}

export function encodeMessage(seq: number, draft: string): string {
  return `{"type":"message","seq":${seq},${draft}`;
}

/** The `seq` of an encoded event; 0 if it is not a message. */
export function seqOf(event: string): number {
  return Number(/^\{"type":"message","seq":(\d+),/.exec(event)?.[1] ?? 0);
}

/** Encodes a `HistoryEvent` whose messages are encoded already. */
export function encodeHistory(
  before: number,
  messages: readonly string[],
  more: boolean,
): string {
  return `{"type":"history","before":${before},"more":${more},` +
    `"messages":[${messages.join(",")}]}`;
}

/** The frame of the full dialect that carries these encoded events. */
export function encodeFrame(events: readonly string[]): string {
  return `[${events.join(",")}]`;
}

/**
 * Reads one frame of the full dialect. Returns undefined if it is not a JSON
 * object at all. Fields that are not known are passed over.
 */
export function parseRequest(text: string): Request | Malformed | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return undefined;
  }
  return checkRequest(value as Record<string, unknown>);
}

function checkRequest(fields: Record<string, unknown>): Request | Malformed {
  const { type, id } = fields;
  switch (type) {
    case "message":
      if (!isId(id)) return malformed(`"id" is ${ID_RULE}`);
      if (typeof fields.message !== "string") {
        return malformed('"message" is a string', id);
      }
      return { type, message: fields.message, id };
    case "hello":
      return checkHello(fields);
    case "history": {
      const { before, count } = fields;
      if (!isCount(before)) return malformed('"before" is a seq');
      if (count === undefined) return { type, before };
      if (!isCount(count, MAX_HISTORY)) return malformed(COUNT_RULE("count"));
      return { type, before, count };
    }
    case "rename":
      if (typeof fields.name !== "string") {
        return malformed('"name" is a string');
      }
      return { type, name: fields.name };
    case "typing":
      return { type };
    case "ping":
      if (id === undefined) return { type };
      return isId(id) ? { type, id } : malformed(`"id" is ${ID_RULE}`);
    default:
      return malformed(
        '"type" is one of hello, message, history, rename, typing and ping',
      );
  }
}

function checkHello(fields: Record<string, unknown>): Hello | Malformed {
  const { name, key, since, history } = fields;
  const hello: Hello = { type: "hello" };
  if (name !== undefined) {
    if (typeof name !== "string") return malformed('"name" is a string');
    hello.name = name;
  }
  if (key !== undefined) {
    if (typeof key !== "string") return malformed('"key" is a string');
    hello.key = key;
  }
  if (since !== undefined) {
    const { epoch, seq } = Object(since);
    if (typeof epoch !== "string" || !isCount(seq)) {
      return malformed('"since" is {"epoch": a string, "seq": a number}');
    }
    hello.since = { epoch, seq };
  }
  if (history !== undefined) {
    if (!isCount(history, MAX_HISTORY)) {
      return malformed(COUNT_RULE("history"));
    }
    hello.history = history;
  }
  return hello;
}

const ID_RULE = `a string of 1 to ${MAX_ID_CHARS} characters`;
const COUNT_RULE = (field: string) =>
  `"${field}" is a whole number from 0 to ${MAX_HISTORY}`;

function malformed(rule: string, id?: string): Malformed {
  const message = `Not understood: ${rule}.`;
  return { type: "malformed", message, ...(id !== undefined && { id }) };
}

function isId(id: unknown): id is string {
  return typeof id === "string" && id !== "" &&
    !exceedsChars(id, MAX_ID_CHARS);
}

function isCount(
  value: unknown,
  max = Number.MAX_SAFE_INTEGER,
): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 &&
    (value as number) <= max;
}

/** The room an address asks for, or undefined if it cannot be a room's name. */
export function parseRoom(url: URL): string | undefined {
  const room = url.searchParams.get("room") ?? DEFAULT_ROOM;
  return /^[a-z0-9-]{1,32}$/.test(room) ? room : undefined;
}

/** Reads `epoch:seq`, as an event's id has it; undefined if it is neither. */
export function readSince(
  text: string,
): { epoch: string; seq: number } | undefined {
  const [, epoch, seq] = /^(.+):(\d{1,15})$/.exec(text) ?? [];
  return epoch === undefined ? undefined : { epoch, seq: Number(seq) };
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
