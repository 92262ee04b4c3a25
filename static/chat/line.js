// @ts-check
// Makes the elements of one line of the transcript. People's words go in as
// text, never as markup, and never into a class name or an attribute that has a
// meaning.

import { quoteOf } from "./reply.js";
import { createRichText } from "./rich_text.js";

/** @import { Message, Rename, ServerError } from "../client/protocol.js" */
/** @import { Entry as PresenceEntry } from "./presence.js" */
/** @import { Tones } from "./tones.js" */
/** @import { Entry as Unsent } from "../client/outbox.js" */

/**
 * A note is written by the page itself.
 *
 * @typedef {{ type: "note", message: string, at: Date }} Note
 */

/**
 * An entry becomes a line. `isOld`: said before we came; no screen reader
 * speaks it. `isForMe`: it has our name after an "@". `isFirstNew`: the first
 * that came while nobody looked.
 *
 * @typedef {(Message & { isMine: boolean, isOld: boolean, isForMe: boolean,
 *     isFirstNew?: boolean })
 *   | PresenceEntry | Rename | ServerError | Note} Entry
 */

/**
 * Facts about the other lines that a line needs.
 *
 * @typedef {object} Others
 * @property {Tones} tones
 * @property {(seq: number) => Entry | undefined} find
 */

/** The message of every leave on the wire, too. */
const LEAVE_WORDS = "Client disconnected";
/** A line of comings and goings lists so many names, and counts the others. */
const MAX_NAMES = 200;
/** @type {WeakMap<Element, Entry>} the entry that each line was made of */
const entries = new WeakMap();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
});
const dateAndClock = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

/**
 * The entry of a line; undefined if the line is none of the transcript's.
 *
 * @param {Element | null} line
 */
export function entryOf(line) {
  return line === null ? undefined : entries.get(line);
}

/**
 * The list item for one entry.
 *
 * @param {Entry} entry
 * @param {Others} others
 */
export function createLine(entry, { tones, find }) {
  const line = createItem(entry.type);
  entries.set(line, entry);
  if ("sender" in entry) line.append(createSender(entry.sender), " ");
  else if (entry.type === "presence") nameOne(line, entry);
  if (entry.type === "message") markMessage(line, entry, tones);
  if (entry.type === "rename") tones.rename(entry.sender, entry.name);
  // Nothing is left of a deleted answer, also not the quote.
  if (
    entry.type === "message" && entry.replyTo !== null && !entry.isDeleted
  ) {
    line.classList.add("answer");
    line.append(createQuote(entry.replyTo, find(entry.replyTo)), " ");
  }
  line.append(createWords(entry), " ");
  if (entry.type === "error") line.append(createAside("only you see this"));
  line.append(createTime(entry.at));
  if (entry.type === "message" && !entry.isDeleted) {
    line.append(" ", createMenuButton());
  }
  return line;
}

/**
 * Renews the quotes of this message after it changed.
 *
 * @param {Element} list
 * @param {Extract<Entry, { type: "message" }>} message
 */
export function renewQuotes(list, message) {
  const { seq } = message;
  for (const quote of list.querySelectorAll(`[data-answered="${seq}"]`)) {
    quote.replaceWith(createQuote(seq, message));
  }
}

/**
 * The list item for a message of ours that is not stored yet.
 *
 * @param {Unsent} unsent
 * @param {string} ownName
 */
export function createUnsentLine({ text, problem, isRefused }, ownName) {
  const line = createItem(isRefused ? "message refused" : "message pending");
  line.append(createSender(ownName), " ", createRichText(text), " ");
  if (!isRefused) line.append(createState("sending…"));
  if (problem !== null) {
    const outlook = isRefused ? "" : " The page tries again.";
    line.append(createAside(problem + outlook));
  }
  return line;
}

/**
 * @param {HTMLElement} line
 * @param {Extract<Entry, { type: "message" }>} message
 * @param {Tones} tones
 */
function markMessage(line, message, tones) {
  const { sender, author, seq, isMine, isOld, isForMe, isDeleted } = message;
  line.classList.add(tones.of(sender, author));
  line.classList.toggle("for-me", isForMe);
  line.classList.toggle("deleted", isDeleted);
  line.dataset["seq"] = String(seq);
  if (isOld) line.ariaLive = "off";
  if (!isMine) {
    if (!tones.isNamesake(sender, author)) return;
    line.append(createAside("another person with this name"), " ");
    return;
  }
  line.classList.add("mine");
  const you = document.createElement("span");
  you.className = "for-voices";
  you.textContent = "(you)";
  line.append(you, " ");
}

/** @param {Entry} entry */
function createWords(entry) {
  if (entry.type === "rename") return createRename(entry.name);
  if (entry.type === "message") {
    if (entry.isDeleted) return createText("This message was deleted.");
    return createRichText(entry.message);
  }
  if (entry.type === "presence") return createPresence(entry);
  return createText(entry.message);
}

/**
 * A button that leads to the answered message, and quotes it if it is here.
 *
 * @param {number} seq
 * @param {Entry | undefined} answered
 */
function createQuote(seq, answered) {
  const quote = document.createElement("button");
  quote.type = "button";
  quote.className = "quote";
  quote.dir = "auto";
  quote.dataset["answered"] = String(seq);
  const isHere = answered?.type === "message";
  quote.textContent = isHere ? quoteOf(answered) : "an earlier message";
  const before = document.createElement("span");
  before.className = "for-voices";
  before.textContent = "In reply to ";
  quote.prepend(before);
  return quote;
}

function createMenuButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "line-menu quiet-button";
  button.tabIndex = -1;
  button.ariaHasPopup = "dialog";
  button.ariaLabel = "Actions";
  return button;
}

/** @param {string} className */
function createItem(className) {
  const item = document.createElement("li");
  item.className = `line ${className}`;
  return item;
}

/** @param {string} name */
function createSender(name) {
  const sender = document.createElement("b");
  sender.className = "sender";
  sender.dir = "auto";
  sender.textContent = name;
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

/**
 * One person's name stands in a sender's place; several people are counted.
 *
 * @param {HTMLElement} line
 * @param {PresenceEntry} entry
 */
function nameOne(line, { came, left }) {
  const [name, ...others] = [...came, ...left];
  if (name === undefined || others.length > 0) return;
  line.append(createSender(name), " ");
}

/**
 * Comings and goings, in one line that opens to the names.
 *
 * @param {PresenceEntry} entry
 */
function createPresence({ came, left }) {
  if (came.length + left.length === 1) {
    return createText(left.length === 1 ? LEAVE_WORDS : "came in");
  }
  const details = document.createElement("details");
  details.className = "text";
  const summary = document.createElement("summary");
  const parts = [countOf(came, "came in"), countOf(left, "left")];
  summary.textContent = parts.filter((part) => part !== "").join(", ");
  details.append(summary);
  if (came.length > 0) details.append(createNames("Came in", came));
  if (left.length > 0) details.append(createNames("Left", left));
  return details;
}

/**
 * @param {string} verb
 * @param {string[]} names
 */
function createNames(verb, names) {
  const list = document.createElement("p");
  const more = names.length - MAX_NAMES;
  list.append(
    `${verb}: `,
    ...names.slice(0, MAX_NAMES).flatMap(nameInList),
    more > 0 ? ` and ${more} more` : "",
  );
  return list;
}

/**
 * @param {string[]} names
 * @param {string} verb
 */
function countOf({ length }, verb) {
  if (length === 0) return "";
  return `${length} ${length === 1 ? "person" : "people"} ${verb}`;
}

/**
 * @param {string} name
 * @param {number} index
 */
function nameInList(name, index) {
  const words = document.createElement("bdi");
  words.textContent = name;
  return index === 0 ? [words] : [", ", words];
}

/** @param {string} newName */
function createRename(newName) {
  const text = document.createElement("span");
  const name = document.createElement("b");
  text.className = "text";
  name.dir = "auto";
  name.textContent = newName;
  text.append("is now called ", name);
  return text;
}

/** @param {string} words */
function createState(words) {
  const state = document.createElement("small");
  state.className = "state";
  state.textContent = words;
  return state;
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
  time.textContent = timeWords(at);
  return time;
}

/**
 * Writes the lines' times anew, with the date if that is not today.
 *
 * @param {HTMLElement} list
 */
export function renewTimes(list) {
  for (const time of list.querySelectorAll("time")) {
    time.textContent = timeWords(new Date(time.dateTime));
  }
}

/** @param {Date} at */
function timeWords(at) {
  const isToday = at.toDateString() === new Date().toDateString();
  const time = clock.format(at);
  return isToday ? time : `${day.format(at)}, ${time}`;
}
