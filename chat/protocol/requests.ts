// The requests of `partyline.v1` that a client sends, the subprotocols, and the
// checks of everything that comes from outside. `parseRequest` throws for no
// input.
import { Buffer } from "node:buffer";
import { textOf } from "./events.ts";

/** The subprotocol of the full dialect (RFC 6455 section 1.9). */
export const SUBPROTOCOL = "partyline.v1";

/** The subprotocol of the lesson's drawing board. */
export const DRAW_SUBPROTOCOL = "partyline.draw.v1";

/**
 * Largest frame of the drawing board, in bytes. The server passes frames on
 * unread; the pages agree on the bytes: kind (1: a stroke), colour (0 to 7),
 * then the stroke's points, x and y as 16 bits each, the high byte first, from
 * 0 to 65535 over the width and the height of the board.
 */
export const MAX_DRAW_BYTES = 4 * 1024;

export const DEFAULT_ROOM = "lobby";

/** Longest `id` of a message, in characters (Unicode code points). */
export const MAX_ID_CHARS = 64;

/** How many messages a client may ask for at once. */
export const MAX_HISTORY = 200;

/** How many messages a client gets that does not say how many it wants. */
export const DEFAULT_HISTORY = 50;

/** Longest text to search for, in characters. */
export const MAX_SEARCH_CHARS = 100;

// A client of the full dialect sends one of these in a text frame.

export interface Hello {
  type: "hello";
  name?: string;
  key?: string;
  since?: { epoch: string; seq: number };
  history?: number;
}

export interface MessageRequest {
  type: "message";
  message: string;
  /** The client's own id for the message: sent again, it is stored once. */
  id: string;
  /** The `seq` of the message that this one answers. */
  replyTo?: number;
}

export interface SearchRequest {
  type: "search";
  text: string;
  before?: number;
}

type DeleteRequest = { type: "delete"; seq: number };
type HistoryRequest = { type: "history"; before: number; count?: number };
type MembersRequest = { type: "members"; after?: string };
type RenameRequest = { type: "rename"; name: string };
type PingRequest = { type: "ping"; id?: string };

export type Request =
  | Hello
  | MessageRequest
  | DeleteRequest
  | HistoryRequest
  | SearchRequest
  | MembersRequest
  | { type: "rooms" }
  | RenameRequest
  | { type: "typing" }
  | PingRequest;

/** A frame that is JSON but no request; `message` says what is wrong. */
interface Malformed {
  type: "malformed";
  message: string;
  id?: string;
}

/**
 * Reads one frame of the full dialect. Returns undefined if the frame is not a
 * JSON object at all. Unknown fields are passed over. All text in the result is
 * well-formed: JSON can hold half a surrogate pair, as an escape, which half of
 * the clients cannot read. No other input can, because it is UTF-8, a query or
 * a header.
 */
export function parseRequest(text: string): Request | Malformed | undefined {
  let value: unknown;
  try {
    // Some clients begin with a byte-order mark (RFC 8259 section 8.1).
    value = JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return undefined;
  }
  return checkRequest(value as Fields);
}

type Fields = Record<string, unknown>;

type Check<R> = (fields: Fields) => R | Malformed;

/** How the fields of each type of request are checked. */
const CHECKS: {
  [T in Request["type"]]: Check<Extract<Request, { type: T }>>;
} = {
  hello: checkHello,
  message: checkMessage,
  delete: checkDelete,
  history: checkHistory,
  search: checkSearch,
  members: checkMembers,
  rooms: () => ({ type: "rooms" }),
  rename: checkRename,
  typing: () => ({ type: "typing" }),
  ping: checkPing,
};

export const REQUEST_TYPES = Object.keys(CHECKS) as Request["type"][];

function checkRequest(fields: Fields): Request | Malformed {
  const type = REQUEST_TYPES.find((type) => type === fields.type);
  if (type !== undefined) return CHECKS[type](fields);
  const types = REQUEST_TYPES.join(", ").replace(/, (\w+)$/, " or $1");
  return malformed(`"type" must be ${types}`);
}

function checkMessage(fields: Fields): MessageRequest | Malformed {
  const id = textOf(fields.id);
  if (!isId(id)) return malformed(`"id" must be ${ID_RULE}`);
  const message = textOf(fields.message);
  if (message === undefined) {
    return malformed('"message" must be a string', id);
  }
  const { replyTo } = fields;
  if (replyTo === undefined) return { type: "message", message, id };
  if (!isSeq(replyTo)) return malformed(`"replyTo" must be ${SEQ_RULE}`, id);
  return { type: "message", message, id, replyTo };
}

function checkDelete({ seq }: Fields): DeleteRequest | Malformed {
  if (!isSeq(seq)) return malformed(`"seq" must be ${SEQ_RULE}`);
  return { type: "delete", seq };
}

function checkSearch(fields: Fields): SearchRequest | Malformed {
  const { before } = fields;
  const text = textOf(fields.text) ?? "";
  if (text === "" || exceedsChars(text, MAX_SEARCH_CHARS)) {
    return malformed(`"text" must be ${textRule(MAX_SEARCH_CHARS)}`);
  }
  if (before === undefined) return { type: "search", text };
  if (!isCount(before)) return malformed('"before" must be a seq');
  return { type: "search", text, before };
}

function checkHistory({ before, count }: Fields): HistoryRequest | Malformed {
  const type = "history";
  if (!isCount(before)) return malformed('"before" must be a seq');
  if (count === undefined) return { type, before };
  if (!isCount(count, MAX_HISTORY)) return malformed(COUNT_RULE("count"));
  return { type, before, count };
}

function checkMembers(fields: Fields): MembersRequest | Malformed {
  if (fields.after === undefined) return { type: "members" };
  const after = textOf(fields.after);
  if (after === undefined) return malformed('"after" must be a string');
  return { type: "members", after };
}

function checkRename(fields: Fields): RenameRequest | Malformed {
  const name = textOf(fields.name);
  if (name === undefined) return malformed('"name" must be a string');
  return { type: "rename", name };
}

function checkPing(fields: Fields): PingRequest | Malformed {
  if (fields.id === undefined) return { type: "ping" };
  const id = textOf(fields.id);
  return isId(id) ? { type: "ping", id } : malformed(`"id" must be ${ID_RULE}`);
}

function checkHello(fields: Fields): Hello | Malformed {
  const { name, key, since, history } = fields;
  const hello: Hello = { type: "hello" };
  if (name !== undefined) {
    const text = textOf(name);
    if (text === undefined) return malformed('"name" must be a string');
    hello.name = text;
  }
  if (key !== undefined) {
    const text = textOf(key);
    if (text === undefined) return malformed('"key" must be a string');
    hello.key = text;
  }
  if (since !== undefined) {
    const { epoch: life, seq } = Object(since);
    const epoch = textOf(life);
    if (epoch === undefined || !isCount(seq)) {
      return malformed('"since" must be {"epoch": a string, "seq": a number}');
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

const textRule = (maxChars: number) =>
  `a string of 1 to ${maxChars} characters`;

const ID_RULE = textRule(MAX_ID_CHARS);

const SEQ_RULE = "the seq of a message, a whole number of at least 1";

const COUNT_RULE = (field: string) =>
  `"${field}" must be a whole number from 0 to ${MAX_HISTORY}`;

function malformed(rule: string, id?: string): Malformed {
  const message = `Invalid request: ${rule}.`;
  return { type: "malformed", message, ...(id !== undefined && { id }) };
}

function isId(id: string | undefined): id is string {
  return id !== undefined && id !== "" && !exceedsChars(id, MAX_ID_CHARS);
}

function isCount(
  value: unknown,
  max = Number.MAX_SAFE_INTEGER,
): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 &&
    (value as number) <= max;
}

/** Whether a value can be the `seq` of a message. */
function isSeq(value: unknown): value is number {
  return isCount(value) && value > 0;
}

/** The room in an address, or undefined if no room can have that name. */
export function parseRoom(url: URL): string | undefined {
  const room = url.searchParams.get("room") ?? DEFAULT_ROOM;
  return /^[a-z0-9-]{1,32}$/.test(room) ? room : undefined;
}

/** Reads `epoch:seq`, as in the id of an event; undefined for other text. */
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
