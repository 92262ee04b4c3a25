// @ts-check
// Owns the few words about a frame that fit into a line of the projector. It
// never touches the page. Invariant: what is not understood is shown as it is;
// nothing is added but the kind of event.

const MAX_CHARS = 80;

/** Of an event of the full dialect, what a person would look for. */
const MESSAGE = /"message":("(?:[^"\\]|\\.)*"?)/;
const TYPE = /^\[?\{"type":"(\w+)"/;

/**
 * @param {string} text the beginning of a frame
 */
export function summarize(text) {
  const [, type] = TYPE.exec(text) ?? [];
  if (type === undefined) return text.slice(0, MAX_CHARS);
  const [, message] = MESSAGE.exec(text) ?? [];
  const said = message === undefined ? "" : ` ${unquote(message)}`;
  return `${type}${said}`.slice(0, MAX_CHARS);
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
