// @ts-check
// Owns the members who talk only to make the room busy. It never measures.
// Invariant: each says at most two messages a second, and less where the
// server's limit on a connection is lower.

import { SUBPROTOCOL } from "../protocol.js";

/** What each says in a second, at most. */
export const TALK_PER_SECOND = 2;

export class Load {
  /** @type {Set<WebSocket>} */
  #sockets = new Set();
  /** @type {Map<WebSocket, ReturnType<typeof setTimeout>>} */
  #timers = new Map();

  /**
   * @param {number} count
   * @param {string} url
   */
  start(count, url) {
    for (let i = 0; i < count; i++) this.#add(url);
  }

  stop() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const socket of this.#sockets) socket.close();
    this.#timers.clear();
    this.#sockets.clear();
  }

  /** @param {string} url */
  #add(url) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#sockets.add(socket);
    let said = 0;
    socket.addEventListener("open", () => {
      socket.send('{"type":"hello","history":0}');
    });
    // The first frame is the welcome; what comes after it is not for us.
    socket.addEventListener("message", ({ data }) => {
      if (!this.#sockets.has(socket)) return;
      const { rate } = JSON.parse(data)[0].limits;
      const everyMs = talkEveryMs(rate);
      const talk = () => {
        const id = String(said++);
        const message = `Talk in the background, ${id}`;
        socket.send(JSON.stringify({ type: "message", id, message }));
        this.#timers.set(socket, setTimeout(talk, everyMs));
      };
      // Not all at the same moment.
      const timer = setTimeout(talk, Math.random() * everyMs);
      this.#timers.set(socket, timer);
    }, { once: true });
  }
}

/**
 * @param {number} rate that the server allows; 0: no limit
 */
export function talkEveryMs(rate) {
  const perSecond = rate === 0
    ? TALK_PER_SECOND
    : Math.min(TALK_PER_SECOND, rate / 2);
  return 1_000 / perSecond;
}
