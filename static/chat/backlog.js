// @ts-check
// Fetches messages that the transcript does not hold: older ones when the
// reader scrolls up, newer ones after the transcript's end was cut off. One
// request is under way at a time, and an answer is used only where it joins the
// messages that are there.

import { HISTORY_COUNT } from "../client/session.js";

/** @import { Entry } from "./line.js" */
/** @import { History, Message, Request } from "../client/protocol.js" */
/** @import { Timer } from "../client/heartbeat.js" */

const RETRY_MS = 1_000;

/**
 * The transcript, as far as it matters here.
 *
 * @typedef {object} View
 * @property {"older" | "newer" | "newest" | null} wants
 * @property {number | null} oldestSeq
 * @property {number | null} newestSeq
 * @property {(entries: Entry[]) => void} prepend
 * @property {(entries: Entry[], reachesEnd: boolean) => void} extend
 * @property {() => void} clear
 * @property {(entries: Entry[], reachesEnd: boolean) => void} replace
 * @property {(seq: number) => boolean} leadTo false if it is not there
 * @property {(words: string) => void} showBeginning
 */

/**
 * The session, as far as it matters here.
 *
 * @typedef {object} Source
 * @property {number} seq of the newest message that we know of
 * @property {boolean} isCaughtUp
 * @property {(request: Request) => boolean} request false if not connected
 */

/**
 * Replacements for tests.
 *
 * @typedef {object} Context
 * @property {(callback: () => void, delayMs: number) => Timer} setTimer
 * @property {(timer: Timer) => void} clearTimer
 */

/** @type {Context} */
const realContext = {
  setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimer: (timer) => clearTimeout(timer),
};

export class Backlog {
  #view;
  #source;
  #toEntry;
  #onGone;
  #context;
  /** @type {{ want: "older" | "newer" | "newest" | "place", before: number } | null} */
  #asked = null;
  /** @type {number | null} the message to which the reader wants to be led */
  #sought = null;
  /** @type {Timer | undefined} runs while the server wants us to wait */
  #timer = undefined;
  // The oldest seq of the room, as far as we know. The first is 1.
  #firstSeq = 1;
  // A page that is long in bytes comes shortened at its old end.
  #newerCount = HISTORY_COUNT;

  /**
   * @param {View} view
   * @param {Source} source
   * @param {(message: Message) => Entry} toEntry
   * @param {() => void} onGone the room does not have the sought message
   * @param {Partial<Context>} context
   */
  constructor(view, source, toEntry, onGone, context = {}) {
    this.#view = view;
    this.#source = source;
    this.#toEntry = toEntry;
    this.#onGone = onGone;
    this.#context = { ...realContext, ...context };
  }

  /** Asks for the messages that the reader wants, unless it has already. */
  check() {
    if (!this.#source.isCaughtUp) return;
    this.#showBeginning();
    if (this.#asked !== null || this.#timer !== undefined) return;
    if (this.#sought !== null) return this.#askForPlace(this.#sought);
    const { wants } = this.#view;
    if (wants === null || (wants === "older" && !this.#hasOlder)) return;
    const before = this.#beforeFor(wants);
    const count = wants === "newer" ? this.#newerCount : HISTORY_COUNT;
    if (this.#source.request({ type: "history", before, count })) {
      this.#asked = { want: wants, before };
    }
  }

  /**
   * Leads the reader to this message, wherever in the history it is.
   *
   * @param {number} seq
   */
  seek(seq) {
    if (this.#view.leadTo(seq)) return;
    this.#sought = seq;
    // An answer on its way would not join the messages that come now.
    this.#asked = null;
    this.check();
  }

  /** @param {number} seq */
  #askForPlace(seq) {
    const end = this.#source.seq + 1;
    const before = Math.min(end, seq + HISTORY_COUNT / 2);
    const count = HISTORY_COUNT;
    if (this.#source.request({ type: "history", before, count })) {
      this.#asked = { want: "place", before };
    }
  }

  /** @param {History} history */
  answered(history) {
    if (history.before !== this.#asked?.before) return;
    const { want } = this.#asked;
    this.#asked = null;
    if (want === "older") this.#addOlder(history);
    else if (want === "newer") this.#addNewer(history);
    else if (want === "place") this.#showPlace(history);
    else this.#showNewest(history);
    this.check();
  }

  /**
   * The server said no. Returns false if that is not about history.
   *
   * @param {string} code
   * @param {number | null} retryAfter in ms
   */
  refused(code, retryAfter) {
    if (this.#asked === null || code.startsWith("name_")) return false;
    this.forget();
    this.#timer = this.#context.setTimer(() => {
      this.#timer = undefined;
      this.check();
    }, retryAfter ?? RETRY_MS);
    return true;
  }

  /** No answer will come: the connection is lost, or the list is empty. */
  forget() {
    this.#asked = null;
    if (this.#timer !== undefined) this.#context.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  /** The history that we know exists no more. */
  startAnew() {
    this.forget();
    this.#sought = null;
    this.#firstSeq = 1;
  }

  get #hasOlder() {
    return this.#beforeFor("older") > this.#firstSeq;
  }

  /** @param {"older" | "newer" | "newest"} want */
  #beforeFor(want) {
    const { oldestSeq, newestSeq } = this.#view;
    const end = this.#source.seq + 1;
    if (want === "older") return oldestSeq ?? end;
    if (want === "newest" || newestSeq === null) return end;
    return Math.min(end, newestSeq + 1 + this.#newerCount);
  }

  /** @param {History} history */
  #addOlder({ before, messages, more }) {
    if (before !== this.#beforeFor("older")) return;
    if (!more) this.#firstSeq = messages[0]?.seq ?? before;
    this.#view.prepend(messages.map(this.#toEntry));
  }

  /** @param {History} history */
  #addNewer({ messages, more }) {
    const newest = this.#view.newestSeq ?? 0;
    const joins = (messages[0]?.seq ?? 0) <= newest + 1;
    if (!joins && more && this.#newerCount > 1) {
      this.#newerCount = Math.ceil(this.#newerCount / 2);
      return;
    }
    this.#newerCount = HISTORY_COUNT;
    this.#extend(messages.filter(({ seq }) => seq > newest));
  }

  /** @param {History} history */
  #showNewest({ messages }) {
    this.#view.clear();
    this.#extend(messages);
  }

  /** @param {History} history */
  #showPlace({ messages, more }) {
    const seq = this.#sought ?? 0;
    this.#sought = null;
    // The reader stays: another message is not the one that was sought.
    if (!messages.some((message) => message.seq === seq)) {
      return this.#onGone();
    }
    if (!more) this.#firstSeq = messages[0]?.seq ?? 1;
    const last = messages.at(-1)?.seq ?? 0;
    this.#view.replace(
      messages.map(this.#toEntry),
      last >= this.#source.seq,
    );
    this.#view.leadTo(seq);
  }

  /** @param {Message[]} messages */
  #extend(messages) {
    const last = messages.at(-1)?.seq ?? this.#source.seq;
    const reachesEnd = last >= this.#source.seq;
    this.#view.extend(messages.map(this.#toEntry), reachesEnd);
  }

  #showBeginning() {
    const isFirst = this.#firstSeq === 1;
    const words = isFirst
      ? "This is the beginning of the room."
      : "Older messages are not kept.";
    this.#view.showBeginning(this.#hasOlder ? "" : words);
  }
}
