// @ts-check
// Searches the room's kept messages. The server looks through some of them at a
// time, from the newest back. The page asks on by itself for a while, and after
// that when the button is pressed. Each result leads to its place in the
// transcript.

import { quoteOf } from "./reply.js";

/** @import { Found, Message } from "../client/protocol.js" */

/** Results that the list holds; beyond that a longer text finds better. */
const MAX_RESULTS = 200;

/** How often the server is asked for one press of a button. */
const STEPS = 8;

/** Between two requests: messages need a share of the allowed rate, too. */
const PAUSE_MS = 150;

const when = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});

/**
 * @typedef {object} Parts
 * @property {HTMLFormElement} form
 * @property {HTMLInputElement} input
 * @property {HTMLElement} list
 * @property {HTMLButtonElement} older goes on
 * @property {HTMLElement} note the outcome, also for a screen reader
 */

/** @typedef {{ text: string, before?: number }} Question */

/**
 * @typedef {object} Handlers
 * @property {(question: Question) => boolean} ask false while not connected
 * @property {(seq: number) => void} leadTo
 */

export class Search {
  #parts;
  #handlers;
  /** @type {Question | null} the server's question now */
  #asked = null;
  #text = "";
  #stepsLeft = 0;
  #next = 0;
  #count = 0;

  /**
   * @param {Parts} parts
   * @param {Handlers} handlers
   */
  constructor(parts, handlers) {
    this.#parts = parts;
    this.#handlers = handlers;
    const { form, input, list, older } = parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin(input.value.trim());
    });
    older.addEventListener(
      "click",
      () => this.#search({ text: this.#text, before: this.#next }),
    );
    list.addEventListener("click", ({ target }) => {
      const result = target instanceof Element
        ? target.closest("button")
        : null;
      if (result !== null) handlers.leadTo(Number(result.dataset["found"]));
    });
  }

  /** @param {Found} found */
  answered({ text, before, messages, next }) {
    const { list, older } = this.#parts;
    if (this.#asked?.text !== text) return;
    if ((this.#asked.before ?? null) !== before) return;
    const space = MAX_RESULTS - this.#count;
    const newest = messages.toReversed().slice(0, space);
    this.#count += newest.length;
    list.append(...newest.map(createResult));
    const isFull = messages.length > space;
    this.#next = next ?? 0;
    if (next !== null && !isFull && --this.#stepsLeft > 0) {
      return this.#goOn({ text, before: next });
    }
    this.#asked = null;
    older.hidden = next === null || isFull;
    this.#say(countOf(this.#count, isFull, next !== null));
  }

  /** @param {Question} question */
  #goOn(question) {
    this.#asked = question;
    setTimeout(() => {
      // By now the connection may be lost, or another text searched.
      if (this.#asked === question) this.#ask(question);
    }, PAUSE_MS);
  }

  /**
   * The server said no. Returns false if there was no search.
   *
   * @param {string} reason
   */
  refused(reason) {
    if (this.#asked === null) return false;
    this.#asked = null;
    this.#parts.older.hidden = this.#next === 0;
    this.#say(reason);
    return true;
  }

  /** The connection is lost: no answer will come. */
  lineDown() {
    this.refused("The connection was lost. Search again when it is back.");
  }

  /** @param {string} text */
  #begin(text) {
    if (text === "") return;
    const { list, older } = this.#parts;
    this.#text = text;
    this.#count = 0;
    this.#next = 0;
    list.replaceChildren();
    older.hidden = true;
    this.#search({ text });
  }

  /** @param {Question} question */
  #search(question) {
    this.#stepsLeft = STEPS;
    this.#ask(question);
  }

  /** @param {Question} question */
  #ask(question) {
    const isAsked = this.#handlers.ask(question);
    this.#asked = isAsked ? question : null;
    this.#say(
      isAsked
        ? "Searching…"
        : "Not connected: search when the connection is back.",
    );
  }

  /** @param {string} words */
  #say(words) {
    this.#parts.note.textContent = words;
  }
}

/**
 * @param {number} count
 * @param {boolean} isFull
 * @param {boolean} hasOlder
 */
function countOf(count, isFull, hasOlder) {
  if (isFull) return `The newest ${count} are shown: search for a longer text.`;
  const words = count === 0
    ? "Nothing found"
    : `${count} ${count === 1 ? "message" : "messages"} found`;
  return hasOlder ? `${words} in the newer messages.` : `${words}.`;
}

/** @param {Message} message */
function createResult(message) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const time = document.createElement("time");
  button.type = "button";
  button.className = "found quiet-button";
  button.dataset["found"] = String(message.seq);
  time.dateTime = message.at.toISOString();
  time.textContent = when.format(message.at);
  const words = document.createElement("bdi");
  words.textContent = quoteOf(message);
  button.append(words, " ", time);
  item.append(button);
  return item;
}
