// @ts-check
// Owns how one line of the transcript looks as elements. It never puts it
// into the page. Invariant: what people wrote goes in as text, never as
// markup, and never into a class name or an attribute that has a meaning.

/** @import { Leave, Message, Rename, ServerError } from "./protocol.js" */
/** @import { Entry as Unsent } from "./outbox.js" */

/**
 * A note is written by the page itself.
 *
 * @typedef {{ type: "note", message: string, at: Date }} Note
 */

/**
 * What becomes a line. `isOld`: said before we came; no voice reads it aloud.
 *
 * @typedef {(Message & { isMine: boolean, isOld: boolean })
 *   | Leave | Rename | ServerError | Note} Entry
 */

// As many as style.css has .tone-N classes.
const TONES = 8;
const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
});
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
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
  const line = createItem(entry.type);
  if (entry.type !== "note") line.append(createSender(entry.sender), " ");
  if (entry.type === "message") markMessage(line, entry);
  if (entry.type === "rename") line.append(createRename(entry.name), " ");
  else line.append(createText(entry.message), " ");
  if (entry.type === "error") line.append(createAside("only you see this"));
  line.append(createTime(entry.at));
  return line;
}

/**
 * The list item for a message of ours that is not stored yet.
 *
 * @param {Unsent} unsent
 * @param {string} ownName
 */
export function createUnsentLine({ text, problem, isRefused }, ownName) {
  const line = createItem(isRefused ? "message refused" : "message pending");
  line.append(createSender(ownName), " ", createText(text), " ");
  if (!isRefused) line.append(createState("sending…"));
  if (problem !== null) {
    const outlook = isRefused ? "" : " The page tries again.";
    line.append(createAside(problem + outlook));
  }
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

/**
 * @param {HTMLElement} line
 * @param {Extract<Entry, { type: "message" }>} message
 */
function markMessage(line, { sender, seq, isMine, isOld }) {
  line.classList.add(toneOf(sender));
  line.dataset["seq"] = String(seq);
  if (isOld) line.ariaLive = "off";
  if (!isMine) return;
  line.classList.add("mine");
  const you = document.createElement("span");
  you.className = "for-voices";
  you.textContent = "(you)";
  line.append(you, " ");
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
  const isToday = at.toDateString() === new Date().toDateString();
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  time.title = dateAndClock.format(at);
  time.textContent = (isToday ? clock : dayAndClock).format(at);
  return time;
}
