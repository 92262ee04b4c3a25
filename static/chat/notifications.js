// @ts-check
// Shows a notification of the system when somebody speaks to us by name while
// the tab is hidden. The browser asks a person before it shows any, so a bar
// above the message box offers them only when there would have been one, and
// nothing is asked when the page is loaded. Where there are no notifications,
// as on a page by plain http from another machine, nothing is offered.

import { quoteOf } from "./reply.js";

/** @import { Memory } from "../shared/storage.js" */
/** @import { MessageEntry } from "./reply.js" */

/** Kept in the browser when somebody does not want to be asked. */
const KEY = "notifications";

/**
 * @typedef {object} Parts
 * @property {HTMLElement} offer the words and buttons, read by a screen reader
 * @property {HTMLButtonElement} accept
 * @property {HTMLButtonElement} decline
 * @property {HTMLTextAreaElement} box the message box
 */

/**
 * @typedef {object} Handlers
 * @property {(seq: number) => void} open somebody wants to see this message
 * @property {(words: string) => void} tell
 */

export class Notifications {
  #parts;
  #room;
  #memory;
  #handlers;
  /** @type {{ seq: number, notification: Notification } | null} */
  #shown = null;

  /**
   * @param {Parts} parts
   * @param {string} room
   * @param {Memory} memory that all tabs share
   * @param {Handlers} handlers
   */
  constructor(parts, room, memory, handlers) {
    this.#parts = parts;
    this.#room = room;
    this.#memory = memory;
    this.#handlers = handlers;
    parts.accept.addEventListener("click", () => this.#askPermission());
    parts.decline.addEventListener("click", () => {
      memory.set(KEY, "declined");
      this.#endOffer();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#close();
    });
  }

  /** @param {MessageEntry} message that speaks to us by name, and is new */
  mentioned(message) {
    if (!document.hidden) return;
    const permission = findPermission();
    if (permission === "granted") this.#show(message);
    const isDeclined = this.#memory.get(KEY) !== null;
    if (permission === "default" && !isDeclined) {
      this.#parts.offer.hidden = false;
    }
  }

  /**
   * A message was deleted: its text must not stay on the screen.
   *
   * @param {number} seq
   */
  forget(seq) {
    if (this.#shown?.seq === seq) this.#close();
  }

  /** @param {MessageEntry} message */
  #show(message) {
    const { seq } = message;
    // There is one at a time: many mentions would cover the screen.
    this.#close();
    const notification = create(
      `You were mentioned in ${this.#room}`,
      quoteOf(message),
    );
    if (notification === null) return;
    this.#shown = { seq, notification };
    notification.addEventListener("click", () => {
      focus();
      notification.close();
      this.#handlers.open(seq);
    });
  }

  #close() {
    this.#shown?.notification.close();
    this.#shown = null;
  }

  async #askPermission() {
    await Notification.requestPermission();
    const permission = findPermission();
    this.#endOffer();
    if (permission === "default") return;
    this.#handlers.tell(
      permission === "granted"
        ? "You will be told of mentions while this tab is hidden."
        : "This browser does not allow notifications here.",
    );
  }

  #endOffer() {
    const { box, offer } = this.#parts;
    const hadFocus = offer.contains(document.activeElement);
    offer.hidden = true;
    if (hadFocus) box.focus();
  }
}

/**
 * Whether the browser shows notifications of this page; `default` if a person
 * has not been asked yet.
 *
 * @returns {NotificationPermission}
 */
function findPermission() {
  try {
    const { permission } = Notification;
    // Without permission create() shows nothing, but tells whether it could.
    return permission !== "default" || create("", "") ? permission : "denied";
  } catch {
    return "denied";
  }
}

/**
 * Null on Android, where a page can make no notification.
 *
 * @param {string} title
 * @param {string} body
 */
function create(title, body) {
  try {
    return new Notification(title, { body });
  } catch {
    return null;
  }
}
