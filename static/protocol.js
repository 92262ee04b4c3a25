// @ts-check
// Owns the page's side of the wire, the dialect partyline.v1: what a frame
// says, how a request is put into one. It never touches the socket or the
// page. Invariant: whatever a frame holds, decodeFrame does not throw and
// returns only well-formed events.

/** What the page asks for when it opens the WebSocket (RFC 6455, 1.9). */
export const SUBPROTOCOL = "partyline.v1";

/** The close codes that mean one thing only to the page. */
export const CloseCode = { restarting: 1012, removed: 4001, takenOver: 4002 };

/** What a line that is lost without a word is closed with (RFC 6455, 7.1.5). */
export const LOST = 1006;

// A message's frame without its text takes less.
const ENVELOPE_BYTES = 128;

/** @typedef {{ epoch: string, seq: number }} Position */

/**
 * What the server holds us to; `message` is in characters, `frame` in bytes.
 *
 * @typedef {{ message: number, frame: number }} Limits
 */

/**
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} sender our own name
 * @property {string} key makes us the same person the next time; a secret
 * @property {string} epoch another one means that history was lost
 * @property {number} seq of the newest message at this moment
 * @property {boolean | null} recovered whether all since our position follows
 * @property {string[]} members at most 200 of them, us included
 * @property {number} count of all members
 * @property {Limits} limits
 */

/**
 * @typedef {object} Message
 * @property {"message"} type
 * @property {number} seq counts up by one per room
 * @property {Date} at
 * @property {string} sender
 * @property {string} message
 * @property {string | null} id the sender's own
 */

/** @typedef {{ type: "join", sender: string, count: number }} Join */

/**
 * @typedef {object} Leave
 * @property {"leave"} type
 * @property {Date} at
 * @property {string} sender
 * @property {string} message
 * @property {number} count of those who remain
 */

/**
 * @typedef {object} Rename
 * @property {"rename"} type
 * @property {Date} at
 * @property {string} sender as it was
 * @property {string} name as it is now
 */

/** @typedef {{ type: "typing", sender: string }} TypingEvent */

/**
 * The answer to the request `history`: older messages, the oldest first.
 *
 * @typedef {object} History
 * @property {"history"} type
 * @property {number} before as asked for
 * @property {Message[]} messages
 * @property {boolean} more whether there are older ones still
 */

/** @typedef {{ type: "pong" }} Pong */

/**
 * @typedef {object} ServerError
 * @property {"error"} type
 * @property {Date} at
 * @property {string} sender
 * @property {string} code
 * @property {string} message a sentence for a person
 * @property {string | null} id of the message that was refused
 * @property {number | null} retryAfter ms after which the same may succeed
 */

/**
 * @typedef {Welcome | Message | Join | Leave | Rename | TypingEvent | History
 *   | Pong | ServerError} ServerEvent
 */

/**
 * What the page may say.
 *
 * @typedef {{ type: "hello", name?: string, key?: string, since?: Position,
 *     history?: number }
 *   | { type: "message", message: string, id: string }
 *   | { type: "history", before: number, count: number }
 *   | { type: "rename", name: string }
 *   | { type: "typing" }
 *   | { type: "ping" }} Request
 */

/** @typedef {Record<string, unknown>} Fields */

/**
 * The events in one frame from the server. What is not understood is left
 * out, so that a newer server does not break an older page.
 *
 * @param {unknown} data the frame, as WebSocket's `message` event gives it
 * @param {Date} now stands in for a time that the server did not give
 * @returns {ServerEvent[]}
 */
export function decodeFrame(data, now) {
  return decodeList(parseJson(data), (value) => decodeEvent(value, now));
}

/**
 * The frame that carries this request.
 *
 * @param {Request} request
 */
export function encodeRequest(request) {
  return JSON.stringify(request);
}

/**
 * The longest text, in UTF-16 units, that both limits let through: such a
 * unit takes at most six bytes in JSON, and a character at least one unit.
 *
 * @param {Limits} limits
 */
export function maxLength({ message, frame }) {
  return Math.min(message, Math.floor((frame - ENVELOPE_BYTES) / 6));
}

/**
 * @param {unknown} value
 * @param {Date} now
 * @returns {ServerEvent | null}
 */
function decodeEvent(value, now) {
  if (!isFields(value)) return null;
  switch (value["type"]) {
    case "welcome":
      return decodeWelcome(value);
    case "message":
      return decodeMessage(value, now);
    case "history":
      return decodeHistory(value, now);
    case "join":
    case "leave":
    case "rename":
    case "typing":
      return decodePresence(value, now);
    case "pong":
      return { type: "pong" };
    case "error":
      return decodeError(value, now);
    default:
      return null;
  }
}

/**
 * @param {Fields} fields
 * @returns {Welcome | null}
 */
function decodeWelcome({ sender, key, epoch, seq, recovered, ...rest }) {
  const { members, count, limits } = rest;
  if (!isText(sender) || !isText(key) || !isText(epoch)) return null;
  if (!isCount(seq) || !isCount(count) || !isFields(limits)) return null;
  const { message, frame } = limits;
  if (!isCount(message) || !isCount(frame)) return null;
  return {
    type: "welcome",
    sender,
    key,
    epoch,
    seq,
    recovered: typeof recovered === "boolean" ? recovered : null,
    members: decodeList(members, (name) => isText(name) ? name : null),
    count,
    limits: { message, frame },
  };
}

/**
 * @param {unknown} value
 * @param {Date} now
 * @returns {Message | null}
 */
function decodeMessage(value, now) {
  if (!isFields(value)) return null;
  const { seq, sender, message, id } = value;
  if (!isCount(seq) || !isText(sender) || !isText(message)) return null;
  return {
    type: "message",
    seq,
    at: timeFrom(value["at"], now),
    sender,
    message,
    id: isText(id) ? id : null,
  };
}

/**
 * @param {Fields} fields
 * @param {Date} now
 * @returns {History | null}
 */
function decodeHistory({ before, messages, more }, now) {
  if (!isCount(before)) return null;
  return {
    type: "history",
    before,
    messages: decodeList(messages, (value) => decodeMessage(value, now)),
    more: more === true,
  };
}

/**
 * @param {Fields} fields
 * @param {Date} now
 * @returns {ServerEvent | null}
 */
function decodePresence({ type, sender, message, name, count, at }, now) {
  if (!isText(sender)) return null;
  if (type === "typing") return { type, sender };
  if (type === "join" && isCount(count)) return { type, sender, count };
  const time = timeFrom(at, now);
  if (type === "rename" && isText(name)) {
    return { type, at: time, sender, name };
  }
  if (type === "leave" && isText(message) && isCount(count)) {
    return { type, at: time, sender, message, count };
  }
  return null;
}

/**
 * @param {Fields} fields
 * @param {Date} now
 * @returns {ServerError | null}
 */
function decodeError({ sender, code, message, id, retryAfter, at }, now) {
  if (!isText(sender) || !isText(code) || !isText(message)) return null;
  return {
    type: "error",
    at: timeFrom(at, now),
    sender,
    code,
    message,
    id: isText(id) ? id : null,
    retryAfter: isCount(retryAfter) ? retryAfter : null,
  };
}

/**
 * @template T
 * @param {unknown} value
 * @param {(item: unknown) => T | null} decode
 * @returns {T[]}
 */
function decodeList(value, decode) {
  if (!Array.isArray(value)) return [];
  return value.map(decode).filter((item) => item !== null);
}

/**
 * @param {unknown} data
 * @returns {unknown}
 */
function parseJson(data) {
  if (typeof data !== "string") return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

/**
 * @param {unknown} value
 * @returns {value is Fields}
 */
function isFields(value) {
  return typeof value === "object" && value !== null;
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isText(value) {
  return typeof value === "string";
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/**
 * @param {unknown} at
 * @param {Date} now
 */
function timeFrom(at, now) {
  const time = new Date(isText(at) ? at : NaN);
  return Number.isNaN(time.getTime()) ? now : time;
}
