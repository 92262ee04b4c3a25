// @ts-check
// How many bytes things take on the wire that a page cannot see: heads of HTTP
// messages and the framing of events, each by the rule that its comment names.
// Functions of their arguments only.

import { utf8Bytes } from "../shared/framing.js";
import { SUBPROTOCOL } from "../client/protocol.js";

const LINE_END = 2;

/**
 * A head as HTTP/1.1 writes it (RFC 9112, 2.1): the first line, the headers,
 * the empty line.
 *
 * @param {string} firstLine
 * @param {Iterable<[string, string]>} headers
 */
export function headBytes(firstLine, headers) {
  let bytes = firstLine.length + LINE_END + LINE_END;
  for (const [name, value] of headers) {
    bytes += `${name}: ${value}`.length + LINE_END;
  }
  return bytes;
}

/** @param {Response} response whose head is counted */
export function responseHeadBytes({ status, statusText, headers }) {
  return headBytes(`HTTP/1.1 ${status} ${statusText}`, headers);
}

/**
 * The bytes of an event beside its data: `id:` or `event:`, `data:`, line
 * breaks (WHATWG HTML, 9.2.5), and the size of the chunk that it comes in (RFC
 * 9112, 7.1).
 *
 * @param {string} event as JSON
 * @param {string} epoch that its id begins with
 */
export function eventFramingBytes(event, epoch) {
  const { type, seq } = JSON.parse(event);
  const field = type === "message"
    ? `id: ${epoch}:${seq}\n`
    : `event: ${type}\n`;
  const framing = utf8Bytes(`${field}data: \n\n`);
  const chunkBytes = framing + utf8Bytes(event);
  return framing + chunkBytes.toString(16).length + 2 * LINE_END;
}

// Headers that a browser sends with a handshake as with any other request.
const COMMON = new Set([
  "host",
  "user-agent",
  "accept-encoding",
  "accept-language",
  "cookie",
]);

/**
 * Both heads of an opening handshake (RFC 6455, 4.1 and 4.2.2), from the
 * headers that the server saw in another request of this browser.
 *
 * @param {string} url of the WebSocket
 * @param {string} origin
 * @param {[string, number][]} lines names of headers with their bytes
 */
export function handshakeBytes(url, origin, lines) {
  const { pathname, search } = new URL(url);
  const own = headBytes(`GET ${pathname}${search} HTTP/1.1`, [
    ["connection", "Upgrade"],
    ["pragma", "no-cache"],
    ["cache-control", "no-cache"],
    ["upgrade", "websocket"],
    ["origin", origin],
    ["sec-websocket-version", "13"],
    ["sec-websocket-key", "x".repeat(24)],
    [
      "sec-websocket-extensions",
      "permessage-deflate; client_max_window_bits",
    ],
    ["sec-websocket-protocol", SUBPROTOCOL],
  ]);
  const common = lines.filter(([name]) => COMMON.has(name))
    .reduce((sum, [, bytes]) => sum + bytes, 0);
  const down = headBytes("HTTP/1.1 101 Switching Protocols", [
    ["connection", "Upgrade"],
    ["upgrade", "websocket"],
    ["sec-websocket-accept", "x".repeat(28)],
    ["sec-websocket-protocol", SUBPROTOCOL],
    ["date", new Date(0).toUTCString()],
  ]);
  return { up: own + common, down };
}
