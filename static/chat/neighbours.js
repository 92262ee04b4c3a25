// @ts-check
// Relates a line to the line before it: messages of one person within a few
// minutes stand together under one name. Where another day begins, or messages
// came while nobody looked, the line says so above its text.

import { entryOf } from "./line.js";

/** @import { Entry } from "./line.js" */

const GROUP_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
const dayWords = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
});

/**
 * Updates a line for the line that is before it now.
 *
 * @param {Element | null} line
 */
export function relate(line) {
  const entry = entryOf(line);
  if (line === null || entry === undefined) return;
  const before = entryOf(line.previousElementSibling);
  const words = wordsAbove(entry, before);
  const isGrouped = words === "" && isSameBreath(entry, before);
  line.classList.toggle("grouped", isGrouped);
  showAbove(line, words);
}

/**
 * @param {Element} line
 * @param {string} words
 */
function showAbove(line, words) {
  const shown = line.querySelector(":scope > .above");
  if ((shown?.textContent ?? "") === words) return;
  shown?.remove();
  line.classList.toggle("has-above", words !== "");
  if (words === "") return;
  const above = document.createElement("p");
  above.className = "above";
  above.textContent = words;
  line.prepend(above);
}

/**
 * @param {Entry} entry
 * @param {Entry | undefined} before
 */
function wordsAbove(entry, before) {
  const day = dayOf(entry.at);
  const isNewDay = before === undefined
    ? day !== dayOf(new Date())
    : day !== dayOf(before.at);
  const isFirstNew = entry.type === "message" && entry.isFirstNew === true;
  return [
    ...(isNewDay ? [dayName(entry.at)] : []),
    ...(isFirstNew ? ["New while you were away"] : []),
  ].join(" · ");
}

/**
 * @param {Entry} entry
 * @param {Entry | undefined} before
 */
function isSameBreath(entry, before) {
  return entry.type === "message" && before?.type === "message" &&
    entry.sender === before.sender && entry.author === before.author &&
    entry.at.getTime() - before.at.getTime() < GROUP_MS;
}

/** @param {Date} at */
function dayOf(at) {
  return at.toDateString();
}

/** @param {Date} at */
function dayName(at) {
  const now = Date.now();
  if (dayOf(at) === dayOf(new Date(now))) return "Today";
  if (dayOf(at) === dayOf(new Date(now - DAY_MS))) return "Yesterday";
  return dayWords.format(at);
}
