// @ts-check
// The few words about a frame that fit on a card of the projector. A text that
// is no event of the full dialect is shown as it is.

import { startOf } from "../shared/start_of.js";

const MAX_CHARS = 64;

/** The parts that a person looks for in an event of the full dialect. */
const MESSAGE = /"message":("(?:[^"\\]|\\.)*"?)/;
const TYPE = /^\[?\{"type":"(\w+)"/;

/**
 * @param {string} text the beginning of a frame
 */
export function summarize(text) {
  const [, type] = TYPE.exec(text) ?? [];
  if (type === undefined) return shorten(text);
  const [, message] = MESSAGE.exec(text) ?? [];
  const said = message === undefined ? "" : ` ${unquote(message)}`;
  return shorten(`${type}${said}`);
}

/** @param {string} text */
function shorten(text) {
  return text.length <= MAX_CHARS ? text : `${startOf(text, MAX_CHARS)}…`;
}

/**
 * The text in a JSON string, which may end too early.
 *
 * @param {string} json
 */
function unquote(json) {
  try {
    return JSON.parse(json);
  } catch {
    return json.slice(1);
  }
}
