// @ts-check
// Owns one socket and the wish to have it open: when it is lost, another is
// opened, until the server says for good that it is not wanted. It never
// touches the page or reads a frame. Invariant: at most one socket or question
// and one timer at a time; what an older one still says is not heard; nothing
// but open() comes before the time that the server asked us to wait.

import { createEventSocket, createPollSocket } from "./http_socket.js";
import { Ladder } from "./ladder.js";
import { CloseCode, LOST, SUBPROTOCOL } from "./protocol.js";
import { askWhy, whyClosed } from "./refusal.js";

/** @import { Kind } from "./ladder.js" */
/** @import { Refusal } from "./refusal.js" */
/** @import { Timer } from "./heartbeat.js" */

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
// A network that swallows packets would leave us "connecting" for minutes.
const CONNECT_TIMEOUT_MS = 10_000;
// Something on the way may collect a stream, to pass it on when it has ended.
const MUTE_AFTER_MS = 5_000;
// Who asks us to stay away for a day gets a visitor every ten minutes.
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
 * @property {(type: string, listener: (event: any) => void) => void
 *   } addEventListener
 */

/**
 * What a test may put in the place of the real thing.
 *
 * @typedef {object} Surroundings
 * @property {(kind: Kind, url: string) => Socket} createSocket
 * @property {(url: string, signal: AbortSignal) => Promise<Refusal | null>
 *   } askWhy never rejects
 * @property {() => number} now in milliseconds
 * @property {() => number} random at least 0, less than 1
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Surroundings} */
const realSurroundings = {
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
  #surroundings;
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
   * @param {() => string} createUrl called for every attempt
   * @param {Handlers} handlers
   * @param {Partial<Surroundings>} surroundings
   */
  constructor(createUrl, handlers, surroundings = {}) {
    this.#createUrl = createUrl;
    this.#handlers = handlers;
    this.#surroundings = { ...realSurroundings, ...surroundings };
  }

  get isOpen() {
    return this.#socket?.readyState === OPEN;
  }

  /** What the line is made of. */
  get kind() {
    return this.#kind;
  }

  /** Opens the line now, instead of waiting, unless it is open or opening. */
  open() {
    this.#isWanted = true;
    if (this.#socket === null && this.#asking === null) this.#connect();
  }

  /**
   * The address is another one now: tries it at once, unless the line is open.
   * It asks first whether we would be let in: the server counts a wrong
   * invitation then once, and not both with the socket and with the question.
   */
  knock() {
    this.#isWanted = true;
    this.#asksFirst = true;
    if (!this.isOpen) this.#connect();
  }

  /** As open(), but does as the server said: stays away, for now or for good. */
  wake() {
    if (this.#isWanted && this.#wishMs === 0) this.open();
  }

  /**
   * The server told us how long to stay away once the line is lost, which it
   * soon will be.
   *
   * @param {string} why
   * @param {number} retryAfterMs
   */
  heed(why, retryAfterMs) {
    const waitMs = Math.min(retryAfterMs, MAX_WISH_MS);
    this.#stayAway(why, waitMs);
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
    if (!this.#isWanted || this.isOpen) return;
    // An attempt made through the network of before will not succeed, and
    // those that failed say nothing about this one.
    this.#attempt = 0;
    this.#ladder.forget();
    if (this.#wishMs === 0) this.#connect();
    else this.#retryLater();
  }

  /** Tell it when the system has lost its network. */
  networkIsDown() {
    this.#networkUp = false;
    // TCP would not notice for minutes; what we send would go nowhere.
    this.restart();
  }

  #connect() {
    this.#drop();
    this.#url = this.#createUrl();
    this.#kind = this.#ladder.next(this.#surroundings.now());
    // Lines of HTTP open by themselves, so the server has to be asked before.
    if (this.#asksFirst || this.#kind !== "websocket") this.#askFirst();
    else this.#createSocket();
    this.#report({ name: this.#networkUp ? "connecting" : "offline" });
  }

  #createSocket() {
    const socket = this.#surroundings.createSocket(this.#kind, this.#url);
    this.#socket = socket;
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
    const ending = ENDINGS.get(code);
    if (ending !== undefined) this.#end({ name: ending });
    else if (this.#openedAt === null) this.#askWhy();
    else if (this.#isMute && this.#ladder.mute(this.#kind)) this.#connect();
    else this.#retryLater(whyClosed(code));
  }

  /** @param {State} state */
  #end(state) {
    this.#isWanted = false;
    this.#drop();
    this.#report(state);
  }

  #opened() {
    this.#stopTimer();
    this.#openedAt = this.#surroundings.now();
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
    const refusal = await this.#ask();
    if (refusal === undefined) return;
    if (refusal?.kind !== "blocked") return this.#refused(refusal);
    this.#asksFirst = false;
    this.#drop();
    this.#createSocket();
  }

  /** Finds out why the WebSocket did not open. */
  async #askWhy() {
    const refusal = await this.#ask();
    if (refusal === undefined) return;
    if (refusal?.kind !== "blocked") {
      this.#ladder.forget();
      return this.#refused(refusal);
    }
    const nowMs = this.#surroundings.now();
    if (!this.#ladder.blocked(nowMs)) return this.#retryLater();
    this.#drop();
    this.#kind = this.#ladder.next(nowMs);
    this.#createSocket();
  }

  /**
   * What the server says to the same request without an upgrade; null if it
   * says nothing, undefined if nobody wants to know any more.
   */
  async #ask() {
    this.#drop();
    const asking = new AbortController();
    this.#asking = asking;
    this.#startTimer(() => this.#retryLater(), CONNECT_TIMEOUT_MS);
    const refusal = await this.#surroundings.askWhy(this.#url, asking.signal);
    return asking === this.#asking ? refusal : undefined;
  }

  /** @param {Refusal | null} refusal */
  #refused(refusal) {
    if (refusal === null) return this.#retryLater();
    const { kind, why, retryAfterMs } = refusal;
    if (kind === "uninvited") return this.#end({ name: "uninvited", why });
    if (kind === "final") return this.#end({ name: "refused", why });
    const waitMs = Math.min(retryAfterMs, MAX_WISH_MS);
    this.#stayAway(why, spreadMs(waitMs, this.#surroundings.random()));
    this.#retryLater(why);
  }

  /**
   * @param {string} why
   * @param {number} waitMs
   */
  #stayAway(why, waitMs) {
    this.#wish = { why, untilMs: this.#surroundings.now() + waitMs };
  }

  /** @param {string | null} why */
  #retryLater(why = null) {
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

  /** A wish stands for the first step of the backoff; later ones come on top. */
  #nextDelayMs() {
    const random = this.#surroundings.random();
    const stepMs = retryDelayMs(this.#attempt, random);
    const wishMs = this.#wishMs;
    return wishMs > 0 && this.#attempt === 0 ? wishMs : wishMs + stepMs;
  }

  /** How long the server still wants us to stay away. */
  get #wishMs() {
    const untilMs = this.#wish?.untilMs ?? 0;
    return Math.max(0, untilMs - this.#surroundings.now());
  }

  #wasStable() {
    return this.#openedAt !== null &&
      this.#surroundings.now() - this.#openedAt >= STABLE_AFTER_MS;
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
