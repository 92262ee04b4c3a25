// @ts-check
// How many bytes the heads of this browser's requests take. The server's mirror
// is asked once for each kind of request, and the handshake is derived. No
// count includes the path, which differs from request to request.

import { handshakeBytes, responseHeadBytes } from "./bytes.js";

/**
 * Bytes without the path, and without the key where there is one.
 *
 * @typedef {object} Heads
 * @property {number} pollUp of a GET
 * @property {number} postUp of a POST
 * @property {{ up: number, down: number }} stream of an EventSource
 * @property {{ up: number, down: number }} handshake with its path; derived
 */

/** @typedef {{ bytes: number, lines: [string, number][] }} Echo */

/**
 * Asks the mirror. Rejects if it does not answer.
 *
 * @param {string} base the page's base address
 * @param {string} socketUrl
 * @param {AbortSignal} signal
 * @returns {Promise<Heads>}
 */
export async function measureHeads(base, socketUrl, signal) {
  const url = new URL("lab/echo", base);
  // The requests of long_poll.js, poster.js and event_stream.js.
  const poll = await ask(url, { cache: "no-store", redirect: "error", signal });
  const post = await ask(url, {
    method: "POST",
    cache: "no-store",
    redirect: "error",
    headers: { "content-type": "application/json", "partyline-key": "" },
    // The usual length, for the digits of its Content-Length.
    body: "x".repeat(100),
    signal,
  });
  const accept = "text/event-stream";
  const like = await fetch(url, { headers: { accept }, signal });
  await like.arrayBuffer();
  return {
    pollUp: poll.bytes - url.pathname.length,
    postUp: post.bytes - url.pathname.length,
    stream: {
      up: await askAsStream(url) - url.pathname.length,
      down: responseHeadBytes(like),
    },
    handshake: handshakeBytes(socketUrl, url.origin, poll.lines),
  };
}

/**
 * @param {URL} url
 * @param {RequestInit} init
 * @returns {Promise<Echo>}
 */
async function ask(url, init) {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return await response.json();
}

/**
 * The bytes of the head that a browser's EventSource sends.
 *
 * @param {URL} url
 * @returns {Promise<number>}
 */
function askAsStream(url) {
  const source = new EventSource(url);
  return new Promise((resolve, reject) => {
    source.addEventListener("message", ({ data }) => {
      source.close();
      resolve(JSON.parse(data).bytes);
    });
    source.addEventListener("error", () => {
      source.close();
      reject(new Error("no stream"));
    });
  });
}
