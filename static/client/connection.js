// @ts-check
// Keeps one connection to the server open: when it is lost, another one is
// opened, until the server says for good that this client is not wanted. There
// is at most one socket, or one question to the server, and one timer at a
// time. Events of an older socket are ignored. Only open() connects before the
// time that the server asked us to wait is over.

import { createEventSocket, createPollSocket } from "./http_socket.js";
import { Ladder } from "./ladder.js";
import { CloseCode, LOST, SUBPROTOCOL } from "./protocol.js";
import { askWhy, whyClosed } from "./http_error.js";

/** @import { Kind } from "./ladder.js" */
/** @import { HttpError } from "./http_error.js" */
/** @import { Timer } from "./heartbeat.js" */

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
// A network that swallows packets would leave us "connecting" for minutes.
const CONNECT_TIMEOUT_MS = 10_000;
// Something on the way may collect a stream, to pass it on when it has ended.
const MUTE_AFTER_MS = 5_000;
// A server that asks us to stay away for a day is tried every ten minutes.
const MAX_WISH_MS = 600_000;
// A server that accepts and hangs up at once must still see us back off.
const STABLE_AFTER_MS = 5_000;
// WebSocket.OPEN, written out so that a test's socket need not have it.
const OPEN = 1;

/**
 * `waiting`: the next attempt starts `delayMs` after this was reported.
 * `offline`: the system says that there is no network; attempts go on quietly,
 * because a server on this very computer can be reached all the same.
 * `removed`, `takenOver`: the server hung up, and only open() tries again.
 * `refused`, `uninvited`: it does not let us in, and only open() tries again.
 * `why` is a sentence for a person.
 *
 * @typedef {"removed" | "takenOver"} Ending
 * @typedef {{ name: "open" }
 *   | { name: "connecting" | "offline" | Ending }
 *   | { name: "waiting", delayMs: number, why: string | null }
 *   | { name: "refused" | "uninvited", why: string }} State
 */

/** @type {Map<number, Ending>} */
const ENDINGS = new Map([
  [CloseCode.removed, "removed"],
  [CloseCode.takenOver, "takenOver"],
]);

/**
 * @typedef {object} Handlers
 * @property {(state: State) => void} onState
 * @property {(data: unknown) => void} onFrame
 */

/**
 * The part of a WebSocket that is used here.
 *
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {(text: string) => void} send
 * @property {() => void} close
 * @property {(isResting: boolean) => void} [rest]
 * @property {(type: string, listener: (event: any) => void) => void
 *   } addEventListener
 */

/**
 * Replacements for tests.
 *
 * @typedef {object} Context
 * @property {(kind: Kind, url: string) => Socket} createSocket
 * @property {(url: string, signal: AbortSignal) => Promise<HttpError | null>
 *   } askWhy never rejects
 * @property {() => number} now in milliseconds
 * @property {() => number} random at least 0, less than 1
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Context} */
const realContext = {
  createSocket,
  askWhy,
  now: () => performance.now(),
  random: () => Math.random(),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

/**
 * @param {Kind} kind
 * @param {string} url of the WebSocket
 * @returns {Socket}
 */
function createSocket(kind, url) {
  switch (kind) {
    case "websocket":
      return new WebSocket(url, SUBPROTOCOL);
    case "sse":
      return createEventSocket(url);
    case "poll":
      return createPollSocket(url);
  }
}

/**
 * How long to wait before attempt number `attempt` (from 0), in milliseconds:
 * exponential backoff with full jitter. The jitter keeps a whole class from
 * coming back in the same instant when the server restarts.
 *
 * @param {number} attempt
 * @param {number} random at least 0, less than 1
 */
export function retryDelayMs(attempt, random) {
  return random * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
}

/**
 * How long to stay away, in milliseconds, when the server tells everyone the
 * same time: never less, and up to half as much again.
 *
 * @param {number} retryAfterMs
 * @param {number} random at least 0, less than 1
 */
export function spreadMs(retryAfterMs, random) {
  return retryAfterMs * (1 + random / 2);
}

export class Connection {
  #createUrl;
  #url = "";
  #handlers;
  #context;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {AbortController | null} while we ask why a socket did not open */
  #asking = null;
  #asksFirst = false;
  /** @type {{ why: string, untilMs: number } | null} the server's last one */
  #wish = null;
  #ladder = new Ladder();
  /** @type {Kind} of the socket, or of the one that is to be opened */
  #kind = "websocket";
  #isMute = true;
  #isResting = false;
  /** @type {Timer | undefined} */
  #timer = undefined;
  #attempt = 0;
  #isWanted = false;
  #networkUp = true;
  /** @type {number | null} */
  #openedAt = null;
  /** @type {number | null} */
  #endCode = null;

  /**
   * Nothing happens before open().
   *
   * @param {() => string} createUrl called for every attempt
   * @param {Handlers} handlers
   * @param {Partial<Context>} context
   */
  constructor(createUrl, handlers, context = {}) {
    this.#createUrl = createUrl;
    this.#handlers = handlers;
    this.#context = { ...realContext, ...context };
  }

  get isOpen() {
    return this.#socket?.readyState === OPEN;
  }

  /** The kind of the connection. */
  get kind() {
    return this.#kind;
  }

  /**
   * Why the last connection ended: a close code, or the status of HTTP with
   * which the handshake was refused since. Null before the first end.
   */
  get endCode() {
    return this.#endCode;
  }

  /** Connects now, instead of later, unless a socket is open or opening. */
  open() {
    this.#isWanted = true;
    if (this.#socket === null && this.#asking === null) this.#connect();
  }

  /**
   * Connects at once to an address that has changed, unless the connection is
   * open. The server is asked first whether it would let us in, so that it
   * counts a wrong invitation once, not both with the socket and with the
   * question.
   */
  knock() {
    this.#isWanted = true;
    this.#asksFirst = true;
    if (!this.isOpen) this.#connect();
  }

  /** As open(), but obeys a server that wants us away, for now or for good. */
  wake() {
    if (this.#isWanted && this.#wishMs === 0) this.open();
  }

  /**
   * The server told us how long to stay away once the connection is lost, which
   * will be soon.
   *
   * @param {string} why
   * @param {number} retryAfterMs
   */
  heed(why, retryAfterMs) {
    const waitMs = Math.min(retryAfterMs, MAX_WISH_MS);
    this.#stayAway(why, waitMs);
  }

  /**
   * While it rests, a connection by HTTP keeps none of the browser's few TCP
   * connections and asks every few seconds. From the first rest on it is made of
   * polls, because a change back and forth would have to catch up each time. A
   * request that waits is answered first; a ping brings that about.
   *
   * @param {boolean} isResting
   */
  rest(isResting) {
    this.#isResting = isResting;
    if (isResting) this.#ladder.avoidStreams();
    this.#socket?.rest?.(isResting);
    const isUnderWay = this.#socket !== null || this.#asking !== null;
    if (isResting && this.#kind === "sse" && isUnderWay) this.#connect();
  }

  /** Drops a connection that is of no use any more, and opens another soon. */
  restart() {
    this.#noteEnd(LOST);
    if (this.#isWanted) this.#retryLater();
  }

  /**
   * Sends one text frame. Returns false, and sends nothing, when not open.
   *
   * @param {string} text
   */
  send(text) {
    if (this.#socket === null || !this.isOpen) return false;
    this.#socket.send(text);
    return true;
  }

  /** Call this when the system has a network again. Connects at once. */
  networkIsUp() {
    this.#networkUp = true;
    if (!this.#isWanted || this.isOpen) return;
    // An attempt through the old network will not succeed, and those that
    // failed say nothing about the new one.
    this.#attempt = 0;
    this.#ladder.forget();
    if (this.#wishMs === 0) this.#connect();
    else this.#retryLater();
  }

  /** Call this when the system has lost its network. */
  networkIsDown() {
    this.#networkUp = false;
    // TCP would not notice for minutes; our messages would go nowhere.
    this.restart();
  }

  #connect() {
    this.#drop();
    this.#url = this.#createUrl();
    this.#kind = this.#ladder.next(this.#context.now());
    // An HTTP socket opens without the server, so the server is asked first.
    if (this.#asksFirst || this.#kind !== "websocket") this.#askFirst();
    else this.#createSocket();
    this.#report({ name: this.#networkUp ? "connecting" : "offline" });
  }

  #createSocket() {
    /** @type {Socket} */
    let socket;
    try {
      socket = this.#context.createSocket(this.#kind, this.#url);
    } catch {
      // The browser lacks this kind, or does not allow it.
      this.#askWhy();
      return;
    }
    this.#socket = socket;
    socket.rest?.(this.#isResting);
    this.#isMute = true;
    this.#listenTo(socket);
    this.#startTimer(() => this.#askWhy(), CONNECT_TIMEOUT_MS);
  }

  /** @param {Socket} socket */
  #listenTo(socket) {
    const isCurrent = () => socket === this.#socket;
    socket.addEventListener("open", () => {
      if (isCurrent()) this.#opened();
    });
    socket.addEventListener("message", (event) => {
      if (isCurrent()) this.#heard(event.data);
    });
    // An "error" is always followed by a "close".
    socket.addEventListener("close", ({ code }) => {
      if (isCurrent()) this.#closed(code);
    });
  }

  /** @param {number} code */
  #closed(code) {
    this.#noteEnd(code);
    const ending = ENDINGS.get(code);
    if (ending !== undefined) this.#end({ name: ending });
    else if (this.#openedAt === null) this.#askWhy();
    else if (this.#isMute && this.#ladder.mute(this.#kind)) this.#connect();
    else this.#retryLater();
  }

  /**
   * The end of an open connection stays the reason, also when the attempts
   * after it come to nothing.
   *
   * @param {number} code
   */
  #noteEnd(code) {
    if (this.#openedAt !== null || this.#endCode === null) this.#endCode = code;
  }

  /** @param {State} state */
  #end(state) {
    this.#isWanted = false;
    this.#drop();
    this.#report(state);
  }

  #opened() {
    this.#stopTimer();
    this.#openedAt = this.#context.now();
    this.#networkUp = true;
    this.#wish = null;
    if (this.#kind === "websocket") this.#ladder.forget();
    if (this.#kind === "sse") {
      this.#startTimer(() => this.#closed(LOST), MUTE_AFTER_MS);
    }
    this.#report({ name: "open" });
  }

  /** @param {unknown} data */
  #heard(data) {
    if (this.#isMute) this.#stopTimer();
    this.#isMute = false;
    this.#handlers.onFrame(data);
  }

  /** Finds out whether a socket would be let in, before one is opened. */
  async #askFirst() {
    const error = await this.#ask();
    if (error === undefined) return;
    if (error?.kind !== "blocked") return this.#refused(error);
    this.#asksFirst = false;
    this.#drop();
    this.#createSocket();
  }

  /** Finds out why the WebSocket did not open. */
  async #askWhy() {
    const error = await this.#ask();
    if (error === undefined) return;
    if (error?.kind !== "blocked") {
      this.#ladder.forget();
      return this.#refused(error);
    }
    const nowMs = this.#context.now();
    if (!this.#ladder.blocked(nowMs)) return this.#retryLater();
    this.#drop();
    this.#kind = this.#ladder.next(nowMs);
    this.#createSocket();
  }

  /**
   * The server's answer to the same request without an upgrade; null if there
   * is none, undefined if nobody wants to know any more.
   */
  async #ask() {
    this.#drop();
    const asking = new AbortController();
    this.#asking = asking;
    this.#startTimer(() => this.#retryLater(), CONNECT_TIMEOUT_MS);
    const error = await this.#context.askWhy(this.#url, asking.signal);
    return asking === this.#asking ? error : undefined;
  }

  /** @param {HttpError | null} error */
  #refused(error) {
    if (error === null) {
      this.#noteEnd(LOST);
      return this.#retryLater();
    }
    this.#endCode = error.status;
    const { kind, why, retryAfterMs } = error;
    if (kind === "uninvited") return this.#end({ name: "uninvited", why });
    if (kind === "final") return this.#end({ name: "refused", why });
    const waitMs = Math.min(retryAfterMs, MAX_WISH_MS);
    this.#stayAway(why, spreadMs(waitMs, this.#context.random()));
    this.#retryLater(why);
  }

  /**
   * @param {string} why
   * @param {number} waitMs
   */
  #stayAway(why, waitMs) {
    this.#wish = { why, untilMs: this.#context.now() + waitMs };
  }

  /** @param {string | null} why */
  #retryLater(why = whyClosed(this.#endCode ?? LOST)) {
    if (this.#wasStable()) this.#attempt = 0;
    this.#drop();
    const delayMs = this.#nextDelayMs();
    const reason = this.#wishMs > 0 ? this.#wish?.why ?? why : why;
    this.#attempt++;
    this.#startTimer(() => this.#connect(), delayMs);
    this.#report(
      this.#networkUp
        ? { name: "waiting", delayMs, why: reason }
        : { name: "offline" },
    );
  }

  /** The server's wish is the first backoff step; later steps add to it. */
  #nextDelayMs() {
    const random = this.#context.random();
    const stepMs = retryDelayMs(this.#attempt, random);
    const wishMs = this.#wishMs;
    return wishMs > 0 && this.#attempt === 0 ? wishMs : wishMs + stepMs;
  }

  /** How long the server still wants us to stay away. */
  get #wishMs() {
    const untilMs = this.#wish?.untilMs ?? 0;
    return Math.max(0, untilMs - this.#context.now());
  }

  #wasStable() {
    return this.#openedAt !== null &&
      this.#context.now() - this.#openedAt >= STABLE_AFTER_MS;
  }

  /** Leaves no socket, no question and no timer behind. */
  #drop() {
    this.#stopTimer();
    this.#asking?.abort();
    this.#asking = null;
    const socket = this.#socket;
    this.#socket = null;
    this.#openedAt = null;
    socket?.close();
  }

  /**
   * @param {() => void} callback
   * @param {number} delayMs
   */
  #startTimer(callback, delayMs) {
    this.#timer = this.#context.setTimer(callback, delayMs);
  }

  #stopTimer() {
    if (this.#timer !== undefined) this.#context.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  /** @param {State} state */
  #report(state) {
    this.#handlers.onState(state);
  }
}
