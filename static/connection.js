// @ts-check
// Owns one WebSocket and the wish to have it open: when it is lost, another
// is opened, until the server says for good that it is not wanted. It never
// touches the page or reads a frame. Invariant: at most one socket and one
// timer at a time; what an older socket still says is not heard.

import { CloseCode, SUBPROTOCOL } from "./protocol.js";

/** @import { Timer } from "./heartbeat.js" */

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
// A network that swallows packets would leave us "connecting" for minutes.
const CONNECT_TIMEOUT_MS = 10_000;
// A server that accepts and hangs up at once must still see us back off.
const STABLE_AFTER_MS = 5_000;
// WebSocket.OPEN, written out so that a test's socket need not have it.
const OPEN = 1;

/**
 * `waiting`: the next attempt starts `delayMs` after this was reported.
 * `offline`: the system says that there is no network; attempts go on quietly,
 * because a server on this very computer can be reached all the same.
 * `removed`, `takenOver`: the server hung up, and only open() tries again.
 *
 * @typedef {"removed" | "takenOver"} Ending
 * @typedef {{ name: "connecting" | "open" | "offline" | Ending }
 *   | { name: "waiting", delayMs: number }} State
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
 * @property {(type: string, listener: (event: any) => void) => void
 *   } addEventListener
 */

/**
 * What a test may put in the place of the real thing.
 *
 * @typedef {object} Surroundings
 * @property {(url: string) => Socket} createSocket
 * @property {() => number} now in milliseconds
 * @property {() => number} random at least 0, less than 1
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Surroundings} */
const realSurroundings = {
  createSocket: (url) => new WebSocket(url, SUBPROTOCOL),
  now: () => performance.now(),
  random: () => Math.random(),
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

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

export class Connection {
  #url;
  #handlers;
  #surroundings;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {Timer | undefined} */
  #timer = undefined;
  #attempt = 0;
  #isWanted = false;
  #networkUp = true;
  /** @type {number | null} */
  #openedAt = null;

  /**
   * Nothing happens before open().
   *
   * @param {string} url
   * @param {Handlers} handlers
   * @param {Partial<Surroundings>} surroundings
   */
  constructor(url, handlers, surroundings = {}) {
    this.#url = url;
    this.#handlers = handlers;
    this.#surroundings = { ...realSurroundings, ...surroundings };
  }

  get isOpen() {
    return this.#socket?.readyState === OPEN;
  }

  /** Opens the line now, instead of waiting, unless it is open or opening. */
  open() {
    this.#isWanted = true;
    if (this.#socket === null) this.#connect();
  }

  /** As open(), but leaves a line alone that the server ended. */
  wake() {
    if (this.#isWanted) this.open();
  }

  /** Drops the line, which is of no use any more, and opens another soon. */
  restart() {
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

  /** Tell it when the system has a network again: it tries at once. */
  networkIsUp() {
    this.#networkUp = true;
    // An attempt made through the network of before will not succeed.
    if (this.#isWanted && !this.isOpen) this.#connect();
  }

  /** Tell it when the system has lost its network. */
  networkIsDown() {
    this.#networkUp = false;
    // TCP would not notice for minutes; what we send would go nowhere.
    this.restart();
  }

  #connect() {
    this.#drop();
    const socket = this.#surroundings.createSocket(this.#url);
    this.#socket = socket;
    this.#listenTo(socket);
    this.#startTimer(() => this.#retryLater(), CONNECT_TIMEOUT_MS);
    this.#report({ name: this.#networkUp ? "connecting" : "offline" });
  }

  /** @param {Socket} socket */
  #listenTo(socket) {
    const isCurrent = () => socket === this.#socket;
    socket.addEventListener("open", () => {
      if (isCurrent()) this.#opened();
    });
    socket.addEventListener("message", (event) => {
      if (isCurrent()) this.#handlers.onFrame(event.data);
    });
    // An "error" is always followed by a "close".
    socket.addEventListener("close", ({ code }) => {
      if (isCurrent()) this.#closed(code);
    });
  }

  /** @param {number} code */
  #closed(code) {
    const ending = ENDINGS.get(code);
    if (ending === undefined) return this.#retryLater();
    this.#isWanted = false;
    this.#drop();
    this.#report({ name: ending });
  }

  #opened() {
    this.#stopTimer();
    this.#openedAt = this.#surroundings.now();
    this.#networkUp = true;
    this.#report({ name: "open" });
  }

  #retryLater() {
    if (this.#wasStable()) this.#attempt = 0;
    this.#drop();
    const random = this.#surroundings.random();
    const delayMs = retryDelayMs(this.#attempt, random);
    this.#attempt++;
    this.#startTimer(() => this.#connect(), delayMs);
    this.#report(
      this.#networkUp ? { name: "waiting", delayMs } : { name: "offline" },
    );
  }

  #wasStable() {
    return this.#openedAt !== null &&
      this.#surroundings.now() - this.#openedAt >= STABLE_AFTER_MS;
  }

  /** Leaves no socket and no timer behind. */
  #drop() {
    this.#stopTimer();
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
    this.#timer = this.#surroundings.setTimer(callback, delayMs);
  }

  #stopTimer() {
    if (this.#timer !== undefined) this.#surroundings.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  /** @param {State} state */
  #report(state) {
    this.#handlers.onState(state);
  }
}
