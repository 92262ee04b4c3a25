// The events that the server sends in both dialects, and how each becomes text.
// An event is encoded here and nowhere else, so the bytes of a message are the
// same for every member and in the store.

/** The sender of the server's own messages; no client is given this name. */
export const SERVER_NAME = "server";

/** Most networks cut a connection that is silent for a minute. */
export const KEEP_ALIVE_MS = 15_000;

/**
 * Names listed in a `welcome` and in an answer to `members`. A room of more
 * people is a large one: joins of the same moment are told in one event.
 */
export const MAX_LISTED_MEMBERS = 200;

/** Rooms listed in an answer to `rooms`. */
export const MAX_LISTED_ROOMS = 200;

/** Names that the `join` of a large room lists besides its `sender`. */
export const MAX_OTHERS = 20;

// In all events `at` is ISO 8601, times are in ms, and `seq` counts up by one
// per room.

/** A message as everyone in its room gets it, its sender included. */
export interface MessageEvent {
  type: "message";
  seq: number;
  at: string;
  sender: string;
  /**
   * The public id of the sender's identity, which stays when its name changes.
   * A sender without an identity has none.
   */
  author?: string;
  message: string;
  /** The sender's own `id`, if the sender gave one. */
  id?: string;
  /** The `seq` of the message that this one answers. */
  replyTo?: number;
  /** The author deleted the message; then `message` is "". */
  deleted?: true;
}

/** A message was deleted. The event has no `seq`: older clients ignore it. */
export interface DeleteEvent {
  type: "delete";
  at: string;
  /** The person who deleted the message. */
  sender: string;
  /** The `seq` of the deleted message, which keeps it. */
  target: number;
}

/** Someone came into the room, in which `count` people are now. */
export interface JoinEvent {
  type: "join";
  at: string;
  sender: string;
  /**
   * Only in a large room: up to `MAX_OTHERS` people who came with the sender.
   * There may be more, as `count` tells.
   */
  others?: string[];
  count: number;
}

/** The text of every leave, for clients that print `message` of every frame. */
export const LEAVE_MESSAGE = "Client disconnected";

/** Someone left the room, however the connection ended. */
export interface LeaveEvent {
  type: "leave";
  at: string;
  sender: string;
  message: typeof LEAVE_MESSAGE;
  count: number;
}

/** `sender` is called `name` from now on. */
interface RenameEvent {
  type: "rename";
  at: string;
  sender: string;
  name: string;
}

interface TypingEvent {
  type: "typing";
  at: string;
  sender: string;
}

/** The answer to `hello`, and the first event of the full dialect. */
export interface WelcomeEvent {
  type: "welcome";
  /** The client's own name. */
  sender: string;
  /** The `author` of the client's own messages. */
  author: string;
  /** Reclaims this identity on a later connection; a secret. */
  key: string;
  room: string;
  /** Names this life of the room's history; another value: history was lost. */
  epoch: string;
  /** The newest message of the room now; 0 if there is none. */
  seq: number;
  /** Whether all messages after `since` follow; null without a `since`. */
  recovered: boolean | null;
  /** Up to `MAX_LISTED_MEMBERS` names, the client's own among them. */
  members: string[];
  count: number;
  limits: Limits;
  /** Whether the server answers the request `rooms`. */
  listsRooms: boolean;
}

/** The limits for a client. */
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
  /** The value from the request. */
  before: number;
  messages: MessageEvent[];
  /** Whether there are still older messages. */
  more: boolean;
}

/** The answer to `search`: the messages with the text, the oldest first. */
interface FoundEvent {
  type: "found";
  /** The value from the request, like `before`. */
  text: string;
  before?: number;
  messages: MessageEvent[];
  /** Whether there are older messages that were not searched. */
  more: boolean;
  /** If there are more: the `before` with which to search those. */
  next?: number;
}

/** The answer to `members`: who is in the room, in the order of code units. */
export interface MembersEvent {
  type: "members";
  /** The value from the request; "" for the first page. */
  after: string;
  /** Up to `MAX_LISTED_MEMBERS` names. */
  members: string[];
  /** Whether further names follow the last of these. */
  more: boolean;
  count: number;
}

/** A room with people in it, and their number. */
interface ListedRoom {
  name: string;
  count: number;
}

/** The answer to `rooms`: the rooms with the most people first. */
export interface RoomsEvent {
  type: "rooms";
  /** Up to `MAX_LISTED_ROOMS` rooms. */
  rooms: ListedRoom[];
  /** Whether there are further rooms. */
  more: boolean;
}

interface PongEvent {
  type: "pong";
  id?: string;
}

export type ErrorCode =
  /** JSON, but not a valid request. */
  | "invalid"
  | "too_long"
  | "rate_limited"
  /** More messages wait in the room than it can take. */
  | "busy"
  /** The store cannot be written or read; nothing was stored. */
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
  /** The `id` of the message that was refused. */
  id?: string;
  /** Milliseconds after which the same request may succeed. */
  retryAfter?: number;
}

export type ServerEvent =
  | MessageEvent
  | DeleteEvent
  | JoinEvent
  | LeaveEvent
  | RenameEvent
  | TypingEvent
  | WelcomeEvent
  | HistoryEvent
  | FoundEvent
  | MembersEvent
  | RoomsEvent
  | PongEvent
  | ErrorEvent;

export function encode(event: ServerEvent): string {
  return JSON.stringify(event);
}

/** Encodes a `welcome` whose members are already encoded. */
export function encodeWelcome(
  welcome: Omit<WelcomeEvent, "members">,
  members: string,
): string {
  const { count, limits, listsRooms, ...rest } = welcome;
  const [head, tail] = [rest, { count, limits, listsRooms }].map((it) =>
    JSON.stringify(it)
  );
  return `${head?.slice(0, -1)},"members":${members},${tail?.slice(1)}`;
}

/**
 * Encodes a message before its `seq` is known. The store decides the `seq` and
 * completes the text with `encodeMessage`, so a message is encoded only once.
 */
export function encodeDraft(
  draft: Omit<MessageEvent, "type" | "seq">,
): string {
  return JSON.stringify(draft).slice(1);
}

export function encodeMessage(seq: number, draft: string): string {
  return `{"type":"message","seq":${seq},${draft}`;
}

/** An encoded message after its deletion: without its text. */
export function encodeDeleted(event: string): string {
  return JSON.stringify({ ...JSON.parse(event), message: "", deleted: true });
}

/** The `seq` of an encoded event; 0 if it is not a message. */
export function seqOf(event: string): number {
  return Number(/^\{"type":"message","seq":(\d+),/.exec(event)?.[1] ?? 0);
}

/**
 * Encoded text without halves of surrogate pairs. Older versions stored a half
 * as `JSON.stringify` writes it, an escape such as \\ud83d, which many clients
 * reject. There is no other reason for such an escape; after \\\\ the same
 * letters are no escape.
 */
export function mendEncoded(json: string): string {
  if (!json.includes("\\ud")) return json;
  return json.replace(
    /\\(ud[89a-f][0-9a-f]{2}|.)/g,
    (escape, code: string) => code.length > 1 ? "\ufffd" : escape,
  );
}

/**
 * Encoded text in which the control characters from U+007F on are escaped, as those
 * before U+0020 are anyway: a client such as `curl` prints it into a terminal, which
 * may obey them.
 */
export function escapeControls(json: string): string {
  return json.replace(
    /[\x7f-\x9f]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16)}`,
  );
}

/** A well-formed string, to be stored and sent; undefined for other values. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value.toWellFormed() : undefined;
}

/** The first `maxUnits` UTF-16 units of a text, without half a pair. */
export function startOf(text: string, maxUnits: number): string {
  if (text.length <= maxUnits) return text;
  const isPair = (text.codePointAt(maxUnits - 1) ?? 0) > 0xffff;
  return text.slice(0, isPair ? maxUnits - 1 : maxUnits);
}
