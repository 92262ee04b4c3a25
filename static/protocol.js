// @ts-check
// Owns the page's side of the wire: what a frame says, how a message is put
// into one. It never touches the socket or the page. Invariant: whatever a
// frame holds, decodeFrame does not throw and returns only well-formed events.

/**
 * @typedef {object} ChatEvent
 * @property {"message" | "leave" | "error"} type
 * @property {string} sender
 * @property {string} message
 * @property {Date} at
 */

/**
 * The events in one frame from the server. What is not understood is left
 * out, so that a newer server does not break an older page.
 *
 * @param {unknown} data the frame, as WebSocket's `message` event gives it
 * @param {Date} now stands in for a time that the server did not give
 * @returns {ChatEvent[]}
 */
export function decodeFrame(data, now) {
  const value = parseJson(data);
  if (typeof value !== "object" || value === null) return [];
  const { type, sender, message, at } =
    /** @type {Record<string, unknown>} */ (value);
  if (type !== "message" && type !== "leave" && type !== "error") return [];
  if (typeof sender !== "string" || typeof message !== "string") return [];
  return [{ type, sender, message, at: parseTime(at) ?? now }];
}

/**
 * The frame that says this text. In the plain dialect it is the text itself.
 *
 * @param {string} text
 */
export function encodeMessage(text) {
  return text;
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

/** @param {unknown} at */
function parseTime(at) {
  if (typeof at !== "string") return null;
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? null : time;
}
