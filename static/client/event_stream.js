// @ts-check
// The way down of a connection by Server-Sent Events (WHATWG HTML, section
// 9.2). Each event is passed on as a frame of its own, and the end is told
// once. Unlike a browser's EventSource, it does not reconnect by itself:
// connection.js does, from the position that was reached meanwhile.

import { LOST } from "./protocol.js";

/** @import { Down, DownHandlers } from "./http_socket.js" */

// The events that decodeFrame knows; an event without a name is a `message`.
const TYPES = [
  "message",
  "welcome",
  "delete",
  "join",
  "leave",
  "rename",
  "typing",
  "history",
  "found",
  "members",
  "rooms",
  "pong",
  "error",
];

/**
 * @param {string} url
 * @param {DownHandlers} handlers
 * @param {{ EventSource: typeof EventSource }} context
 * @returns {Down}
 */
export function openEventStream(url, handlers, { EventSource }) {
  const source = new EventSource(url);
  /** @param {number} code */
  const end = (code) => {
    source.close();
    // Deno sets its timer to ask again only after the listeners of "error" have
    // run, and it would keep a program alive for five seconds: stop that too.
    queueMicrotask(() => source.close());
    handlers.onClose(code);
  };
  for (const type of TYPES) {
    source.addEventListener(type, (event) => {
      // The server's `error` has data, the browser's own has none.
      if ("data" in event) handlers.onFrame(`[${event.data}]`);
      else end(LOST);
    });
  }
  source.addEventListener("close", ({ data }) => end(JSON.parse(data).code));
  return { close: () => source.close() };
}
