// @ts-check
// Shows how a connection was opened: the request, how the accept value is
// computed from its key, and the answer. The view also names what the server
// does not know.

import { make } from "../shared/make.js";

/**
 * A handshake as chat/x_ray/recorder.ts tells it. `head` and `answer` are
 * lines: the first is the method and the target, or the status; the others are
 * fields.
 *
 * @typedef {object} Opened
 * @property {number} connection
 * @property {number} at in milliseconds since 1970
 * @property {boolean} isNew
 * @property {"websocket" | "sse" | "poll"} transport
 * @property {string} dialect
 * @property {string} room
 * @property {string} name
 * @property {string} head
 * @property {number} leftOut
 * @property {string} answer
 * @property {{ key: string, guid: string, sha1: string, accept: string }
 *   | null} accept
 * @property {number} idleTimeoutSeconds
 */

const RFC = "https://www.rfc-editor.org/rfc/rfc6455";

/**
 * Every handshake with the field Upgrade has this version. HTTP/2 lacks the
 * field: there a WebSocket begins with CONNECT (RFC 8441), which Deno does not
 * take.
 */
const VERSION = "HTTP/1.1";

/** @param {Opened} opened */
export function showHandshake(opened) {
  const [request = "", ...fields] = opened.head.split("\n");
  return make(
    "div",
    { className: "handshake" },
    make("h4", {}, "The client asks"),
    showHead(
      opened.accept === null ? request : `${request} ${VERSION}`,
      fields,
      "sec-websocket-key",
    ),
    make("p", { className: "small" }, asSeen(opened)),
    ...opened.accept === null ? [withoutHandshake(opened)] : [
      make("h4", {}, "The server computes"),
      showAccept(opened.accept),
      make("h4", {}, "The server answers"),
      showAnswer(opened.answer),
    ],
  );
}

/** @param {Opened} opened */
function asSeen({ accept, leftOut }) {
  const version = accept === null
    ? ""
    : ` A handshake with the field Upgrade is ${VERSION}: HTTP/2 has no such ` +
      "field.";
  const rest = leftOut > 0 ? ` ${leftOut} more fields were not kept.` : "";
  return "Deno gives the server the field names in lower case and sorted, " +
    `and not the version of HTTP.${version} Codes and keys that let somebody in ` +
    `are hidden.${rest}`;
}

/**
 * @param {string} start the first line
 * @param {string[]} fields
 * @param {string} marked the field that the accept value is about
 */
function showHead(start, fields, marked) {
  return make(
    "pre",
    { tabIndex: 0 },
    make("b", {}, start),
    ...fields.flatMap((line) => [
      "\n",
      line.startsWith(`${marked}: `) ? make("mark", {}, line) : line,
    ]),
  );
}

/** @param {NonNullable<Opened["accept"]>} accept */
function showAccept({ key, guid, sha1, accept }) {
  const step = (/** @type {string} */ words, /** @type {string} */ value) =>
    make("li", {}, words, " ", make("code", {}, value));
  return make(
    "ol",
    { className: "steps" },
    step("The client’s key:", key),
    step("The key with the RFC’s GUID after it:", key + guid),
    step("The SHA-1 of that text, in hexadecimal:", sha1),
    step("These 20 bytes in Base64:", accept),
  );
}

/** @param {string} answer */
function showAnswer(answer) {
  const [status = "", ...fields] = answer.split("\n");
  const words = status === "101" ? "101 Switching Protocols" : status;
  return make(
    "div",
    {},
    showHead(`${VERSION} ${words}`, fields, "sec-websocket-accept"),
    make(
      "p",
      { className: "small" },
      "Deno adds the field Date. HTTP ends here: from now on both sides send " +
        "frames (",
      make("a", { href: `${RFC}#section-4.2.2` }, "RFC 6455 section 4.2.2"),
      ").",
    ),
  );
}

/** @param {Opened} opened */
function withoutHandshake({ transport }) {
  return make(
    "p",
    {},
    transport === "sse"
      ? "There is no handshake and there are no frames: the answer to this " +
        "request stays open, and its body is a stream of events. The client " +
        "sends each message with a POST."
      : "There is no handshake and there are no frames: each answer brings the " +
        "new events, and then the client asks again. The client sends each " +
        "message with a POST.",
  );
}
