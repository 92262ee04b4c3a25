// @ts-check
// Chooses which kind of connection is tried next: a WebSocket where one is
// possible, otherwise Server-Sent Events, otherwise long polling. A WebSocket
// is given up only when two attempts in a row were found to be blocked, and it
// is tried again after a while. The time comes in as an argument.

/** @typedef {"websocket" | "sse" | "poll"} Kind */

// Where a handshake is swallowed, an attempt takes ten seconds.
const WEBSOCKET_AGAIN_AFTER_MS = 300_000;

export class Ladder {
  #isSuspected = false;
  /** @type {number | null} when WebSocket was last found blocked for sure */
  #blockedAtMs = null;
  /** @type {"sse" | "poll"} */
  #fallback = "sse";
  #hasStreams = true;

  /**
   * The kind of the next attempt.
   *
   * @param {number} nowMs
   * @returns {Kind}
   */
  next(nowMs) {
    if (this.#blockedAtMs === null) return "websocket";
    const isOver = nowMs - this.#blockedAtMs >= WEBSOCKET_AGAIN_AFTER_MS;
    return isOver ? "websocket" : this.#fallback;
  }

  /**
   * A WebSocket did not open, though the server would have accepted it. Returns
   * false for the first time, which may be a coincidence: the server started
   * just before it was asked.
   *
   * @param {number} nowMs
   */
  blocked(nowMs) {
    const isCertain = this.#isSuspected;
    this.#isSuspected = true;
    if (!isCertain) return false;
    this.#blockedAtMs = nowMs;
    this.#fallback = this.#hasStreams ? "sse" : "poll";
    return true;
  }

  /**
   * A connection of this kind opened, and nothing came. Returns true if another
   * kind is to be tried at once.
   *
   * @param {Kind} kind
   */
  mute(kind) {
    if (kind !== "sse") return false;
    this.#fallback = "poll";
    return true;
  }

  /** Chooses no streams from now on: each would keep one of few connections. */
  avoidStreams() {
    this.#hasStreams = false;
    this.#fallback = "poll";
  }

  /** Forgets all: a WebSocket opened, or the network is another one. */
  forget() {
    this.#isSuspected = false;
    this.#blockedAtMs = null;
  }
}
