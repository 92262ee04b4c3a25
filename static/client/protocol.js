// @ts-check
// The page's side of the wire, the dialect partyline.v1: decodes frames into
// events, and encodes requests. decodeFrame does not throw, whatever a frame
// holds, and it returns only well-formed events.

/** The subprotocol that the page asks for (RFC 6455, 1.9). */
export const SUBPROTOCOL = "partyline.v1";

/** The close codes that mean one thing only to the page. */
export const CloseCode = { restarting: 1012, removed: 4001, takenOver: 4002 };

/** The close code of a connection lost without a word (RFC 6455, 7.1.5). */
export const LOST = 1006;

// A message's frame without its text takes less.
const ENVELOPE_BYTES = 128;
// One UTF-16 unit of text takes at most so many bytes in JSON: "\u0000".
const MAX_BYTES_PER_UNIT = 6;

/** @typedef {{ epoch: string, seq: number }} Position */

/**
 * The server's limits; `message` is in characters, `frame` in bytes.
 *
 * @typedef {{ message: number, frame: number }} Limits
 */

/**
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} sender our own name
 * @property {string | null} author of our own messages; null by an older server
 * @property {string} key makes us the same person the next time; a secret
 * @property {string} epoch another one means that history was lost
 * @property {number} seq of the newest message at this moment
 * @property {boolean | null} recovered whether all since our position follows
 * @property {string[]} members at most 200 of them, us included
 * @property {number} count of all members
 * @property {Limits} limits
 * @property {boolean} listsRooms whether we may ask which rooms there are
 */

/**
 * @typedef {object} Message
 * @property {"message"} type
 * @property {number} seq counts up by one per room
 * @property {Date} at
 * @property {string} sender the name at that time
 * @property {string | null} author the person, whatever the name is now; null
 *   in the plain dialect, and where an older version stored it
 * @property {string} message
 * @property {string | null} id the sender's own
 * @property {number | null} replyTo the seq of the message that it answers
 * @property {boolean} isDeleted its author deleted it: it has no text any more
 */

/**
 * @typedef {object} Delete
 * @property {"delete"} type
 * @property {Date} at
 * @property {string} sender the person who deleted it
 * @property {number} target the seq of the message, which may come later
 */

/**
 * @typedef {object} Join
 * @property {"join"} type
 * @property {string} sender
 * @property {string[]} others some of those who came with the sender
 * @property {number} count
 */

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

/**
 * The answer to the request `search`: messages that contain the text, the
 * oldest first.
 *
 * @typedef {object} Found
 * @property {"found"} type
 * @property {string} text as asked for
 * @property {number | null} before as asked for
 * @property {Message[]} messages
 * @property {boolean} more whether older messages were not looked at
 * @property {number | null} next the `before` with which to ask for those
 */

/**
 * The answer to the request `members`: the people in the room.
 *
 * @typedef {object} MembersPage
 * @property {"members"} type
 * @property {string[]} members
 * @property {boolean} more whether there are further ones after the last
 * @property {number} count of all members
 */

/**
 * The answer to the request `rooms`: rooms with people, the fullest first.
 *
 * @typedef {object} Rooms
 * @property {"rooms"} type
 * @property {{ name: string, count: number }[]} rooms
 * @property {boolean} more whether there are further ones
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
 * @typedef {Welcome | Message | Delete | Join | Leave | Rename | TypingEvent | History
 *   | Found | MembersPage | Rooms | Pong | ServerError} ServerEvent
 */

/**
 * The requests of the page.
 *
 * @typedef {{ type: "hello", name?: string, key?: string, since?: Position,
 *     history?: number }
 *   | { type: "message", message: string, id: string, replyTo?: number }
 *   | { type: "delete", seq: number }
 *   | { type: "history", before: number, count: number }
 *   | { type: "search", text: string, before?: number }
 *   | { type: "members", after?: string }
 *   | { type: "rooms" }
 *   | { type: "rename", name: string }
 *   | { type: "typing" }
 *   | { type: "ping" }} Request
 */

/** @typedef {Record<string, unknown>} Fields */

/**
 * The events in one frame from the server. Events that are not understood are
 * left out, so that a newer server does not break an older page.
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
 * How many characters a text may still grow by, at the least; below zero, how
 * many are too many. Characters are counted as the server counts them, as
 * Unicode code points: an emoji is often one, and two UTF-16 units.
 *
 * @param {string} text
 * @param {Limits} limits
 */
export function charactersLeft(text, { message, frame }) {
  let count = 0;
  let fitting = 0;
  let bytes = ENVELOPE_BYTES;
  for (const character of text) {
    count++;
    bytes += bytesInJson(character.codePointAt(0) ?? 0);
    if (count <= message && bytes <= frame) fitting = count;
  }
  if (fitting < count) return fitting - count;
  return Math.min(
    message - count,
    Math.max(0, Math.floor((frame - bytes) / MAX_BYTES_PER_UNIT)),
  );
}

/**
 * The bytes of UTF-8 that JSON.stringify makes of a character.
 *
 * @param {number} codePoint
 */
function bytesInJson(codePoint) {
  if (codePoint === 0x22 || codePoint === 0x5c) return 2;
  // \b, \t, \n, \f and \r have a short form.
  if (codePoint < 0x20) return [8, 9, 10, 12, 13].includes(codePoint) ? 2 : 6;
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  // Half a surrogate pair is escaped.
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return 6;
  return codePoint < 0x10000 ? 3 : 4;
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
    case "delete":
      return decodeDelete(value, now);
    case "history":
      return decodeHistory(value, now);
    case "found":
      return decodeFound(value, now);
    case "members":
      return decodeMembers(value);
    case "rooms":
      return decodeRooms(value);
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
  const { author, members, count, limits, listsRooms } = rest;
  if (!isText(sender) || !isText(key) || !isText(epoch)) return null;
  if (!isCount(seq) || !isCount(count) || !isFields(limits)) return null;
  const { message, frame } = limits;
  if (!isCount(message) || !isCount(frame)) return null;
  return {
    type: "welcome",
    sender,
    author: isText(author) ? author : null,
    key,
    epoch,
    seq,
    recovered: typeof recovered === "boolean" ? recovered : null,
    members: decodeNames(members),
    count,
    limits: { message, frame },
    listsRooms: listsRooms === true,
  };
}

/**
 * @param {unknown} value
 * @param {Date} now
 * @returns {Message | null}
 */
function decodeMessage(value, now) {
  if (!isFields(value)) return null;
  const { seq, sender, author, message, id, replyTo, deleted } = value;
  if (!isCount(seq) || !isText(sender) || !isText(message)) return null;
  return {
    type: "message",
    seq,
    at: timeFrom(value["at"], now),
    sender,
    author: isText(author) ? author : null,
    message,
    id: isText(id) ? id : null,
    replyTo: isCount(replyTo) ? replyTo : null,
    isDeleted: deleted === true,
  };
}

/**
 * @param {Fields} fields
 * @param {Date} now
 * @returns {Delete | null}
 */
function decodeDelete({ at, sender, target }, now) {
  if (!isText(sender) || !isCount(target)) return null;
  return { type: "delete", at: timeFrom(at, now), sender, target };
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
 * @returns {Found | null}
 */
function decodeFound({ text, before, messages, more, next }, now) {
  if (!isText(text)) return null;
  return {
    type: "found",
    text,
    before: isCount(before) ? before : null,
    messages: decodeList(messages, (value) => decodeMessage(value, now)),
    more: more === true,
    next: isCount(next) ? next : null,
  };
}

/**
 * @param {Fields} fields
 * @returns {MembersPage | null}
 */
function decodeMembers({ members, more, count }) {
  if (!isCount(count)) return null;
  return {
    type: "members",
    members: decodeNames(members),
    more: more === true,
    count,
  };
}

/**
 * @param {Fields} fields
 * @returns {Rooms}
 */
function decodeRooms({ rooms, more }) {
  return {
    type: "rooms",
    rooms: decodeList(rooms, (room) => {
      if (!isFields(room)) return null;
      const { name, count } = room;
      return isText(name) && isCount(count) ? { name, count } : null;
    }),
    more: more === true,
  };
}

/**
 * @param {Fields} fields
 * @param {Date} now
 * @returns {ServerEvent | null}
 */
function decodePresence({ type, sender, at, ...rest }, now) {
  const { message, name, others, count } = rest;
  if (!isText(sender)) return null;
  if (type === "typing") return { type, sender };
  if (type === "join" && isCount(count)) {
    return { type, sender, others: decodeNames(others), count };
  }
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

/** @param {unknown} value */
function decodeNames(value) {
  return decodeList(value, (name) => isText(name) ? name : null);
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
