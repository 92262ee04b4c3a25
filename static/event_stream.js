// @ts-check
// Owns the way down of a line that has Server-Sent Events (WHATWG HTML, section
// 9.2). It never asks again by itself, as a browser would: that is for who
// holds the line, with what it has heard meanwhile. Invariant: each event is
// passed on as a frame of its own, and the end is told once.

import { LOST } from "./protocol.js";

/** @import { Down, DownHandlers } from "./http_socket.js" */

// Those that decodeFrame knows; `message` is one without a name.
const TYPES = [
  "message",
  "welcome",
  "join",
  "leave",
  "rename",
  "typing",
  "history",
  "pong",
  "error",
];

/**
 * @param {string} url
 * @param {DownHandlers} handlers
 * @param {{ EventSource: typeof EventSource }} surroundings
 * @returns {Down}
 */
export function openEventStream(url, handlers, { EventSource }) {
  const source = new EventSource(url);
  /** @param {number} code */
  const end = (code) => {
    source.close();
    handlers.onClose(code);
  };
  for (const type of TYPES) {
    source.addEventListener(type, (event) => {
      // The server's `error` is a message, the browser's own is none.
      if ("data" in event) handlers.onFrame(`[${event.data}]`);
      else end(LOST);
    });
  }
  source.addEventListener("close", ({ data }) => end(JSON.parse(data).code));
  return { close: () => source.close() };
}
