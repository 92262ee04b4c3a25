// @ts-check
// Owns how the opening of a connection is shown: the request, how the accept
// value is computed from its key, the answer. It never asks for anything.
// Invariant: what the server does not know is said to be unknown.

import { make } from "./make.js";

/**
 * As chat/tap.ts tells it. `head`, `answer`: lines, the first of them being
 * the method and the target, or the status.
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

/** @param {Opened} opened */
export function showHandshake(opened) {
  const [request = "", ...fields] = opened.head.split("\n");
  return make(
    "div",
    { className: "handshake" },
    make("h4", {}, "The client asks"),
    showHead(`${request} HTTP/`, fields, "sec-websocket-key"),
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
function asSeen({ leftOut }) {
  const rest = leftOut > 0 ? ` ${leftOut} more fields were not kept.` : "";
  return "As the server’s API tells it: names in small letters and in order, " +
    "without the HTTP version. What lets somebody in is hidden." + rest;
}

/**
 * @param {string} start the first line, up to the version
 * @param {string[]} fields
 * @param {string} marked the field that the accept value is about
 * @param {string} end of the first line
 */
function showHead(start, fields, marked, end = "") {
  const unknown = make("span", { className: "unknown" }, "version unknown");
  return make(
    "pre",
    { tabIndex: 0 },
    make("b", {}, start, unknown, end),
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
    step("with the RFC’s GUID behind it:", key + guid),
    step("of that the SHA-1, in hexadecimal:", sha1),
    step("and these 20 bytes in Base64:", accept),
  );
}

/** @param {string} answer */
function showAnswer(answer) {
  const [status = "", ...fields] = answer.split("\n");
  const words = status === "101" ? " 101 Switching Protocols" : ` ${status}`;
  return make(
    "div",
    {},
    showHead("HTTP/", fields, "sec-websocket-accept", words),
    make(
      "p",
      { className: "small" },
      "Deno adds a Date. From here on there is no HTTP any more: " +
        "what follows are frames (",
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
      ? "No handshake and no frames: the answer to this request stays open, " +
        "and its body is a stream of events. What goes up is a POST each."
      : "No handshake and no frames: each answer brings what is new, " +
        "and then the client asks again. What goes up is a POST each.",
  );
}
