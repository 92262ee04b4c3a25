// @ts-check
// Owns what close codes mean. It never touches the page.
// Invariant: the words hold for the sources that are named, and for this
// server where it gives a code a meaning of its own.

/**
 * RFC 6455 section 7.4.1; 1012 and 1013 from the IANA registry; 4000 to 4999
 * are for private use (section 7.4.2).
 *
 * @type {ReadonlyMap<number, string>}
 */
export const CLOSE_CODES = new Map([
  [1000, "Normal closure: what the connection was for is done."],
  [1001, "Going away: the server stops, or a page is left."],
  [1002, "Protocol error. Here: no hello in time, or no JSON."],
  [1003, "Data of a kind that is not accepted. Here: a binary frame."],
  [1005, "Stands for a close frame without a code. Never sent."],
  [1006, "Stands for a connection lost without a close frame. Never sent."],
  [1007, "The data does not fit its type, as text that is not UTF-8."],
  [1008, "Policy violation. Here: 50 refused messages in a row."],
  [1009, "A message too big to be taken."],
  [1010, "The client misses an extension that it needs."],
  [1011, "The server met a fault of its own."],
  [1012, "Service restart: come back soon."],
  [1013, "Try again later. Here: the client reads too slowly, too."],
  [1015, "Stands for a failed TLS handshake. Never sent."],
  [4001, "This server’s own: removed from the room."],
  [4002, "This server’s own: another connection came with the same key."],
]);

/** @param {number} code */
export function closeMeaning(code) {
  const known = CLOSE_CODES.get(code);
  if (known !== undefined) return known;
  if (code >= 4000 && code <= 4999) return "For private use.";
  if (code >= 3000 && code <= 3999) return "For registered applications.";
  return "Not defined.";
}
