// @ts-check
// Owns how one line of the transcript looks as elements. It never puts it
// into the page. Invariant: what people wrote goes in as text, never as
// markup, and never into a class name or an attribute that has a meaning.

/** @import { ChatEvent } from "./protocol.js" */

/**
 * A line is an event from the server, or a note by the page itself.
 *
 * @typedef {ChatEvent | { type: "note", message: string, at: Date }} Entry
 */

// As many as style.css has .tone-N classes.
const TONES = 8;
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});
const dateAndClock = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

/**
 * The list item for one entry.
 *
 * @param {Entry} entry
 */
export function createLine(entry) {
  const line = document.createElement("li");
  line.className = `line ${entry.type}`;
  if (entry.type !== "note") line.append(createSender(entry), " ");
  if (entry.type === "message") line.classList.add(toneOf(entry.sender));
  line.append(createText(entry.message), " ");
  if (entry.type === "error") line.append(createAside("only you see this"));
  line.append(createTime(entry.at));
  return line;
}

/**
 * The class that colours a sender: the same name has the same colour on every
 * screen, without anybody agreeing on it (a 32-bit FNV-1a hash).
 *
 * @param {string} name
 */
export function toneOf(name) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return `tone-${hash % TONES}`;
}

/** @param {ChatEvent} event */
function createSender(event) {
  const sender = document.createElement("b");
  sender.className = "sender";
  sender.dir = "auto";
  sender.textContent = event.sender;
  return sender;
}

/** @param {string} message */
function createText(message) {
  const text = document.createElement("span");
  text.className = "text";
  text.dir = "auto";
  text.textContent = message;
  return text;
}

/** @param {string} words */
function createAside(words) {
  const aside = document.createElement("small");
  aside.className = "aside";
  aside.textContent = words;
  return aside;
}

/** @param {Date} at */
function createTime(at) {
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  time.title = dateAndClock.format(at);
  time.textContent = clock.format(at);
  return time;
}
