// @ts-check
// How an element acts in a page that assigned a message to innerHTML, as tried
// in Chromium.

/**
 * @typedef {object} Tag
 * @property {string} name in lower case
 * @property {[string, string][]} attributes names in lower case, with values
 * @property {string} [parent] the name of the element around it
 */

/** These have a src, and an error event at once if nothing loads from there. */
const LOADED = ["img", "audio", "video", "source"];
/** These have a load event. */
const LOADING = ["img", "iframe", "style", "link"];

/**
 * The effects of an element that came by innerHTML, in sentences.
 *
 * @param {Tag} tag
 * @returns {string[]} at least one
 */
export function effectsOf(tag) {
  if (tag.name === "script") {
    return ["The browser does not run a script that came by innerHTML."];
  }
  const effects = tag.attributes.flatMap((attribute) =>
    effectOf(tag, attribute) ?? []
  );
  if (tag.name === "style") {
    effects.unshift("The browser applies its rules to the whole page.");
  }
  return effects.length > 0 ? effects : ["The browser shows it in the page."];
}

/**
 * @param {Tag} tag
 * @param {[string, string]} attribute
 * @returns {string | undefined}
 */
function effectOf(tag, [key, value]) {
  const runs = `runs “${value}” as a script of this page`;
  if (key.startsWith("on")) {
    const name = key.slice(2);
    if (isAtOnce(tag, name)) return `${key}: the browser ${runs}.`;
    return name === "load" && !LOADING.includes(tag.name)
      ? `${key}: this element has no load event, so nothing happens.`
      : `${key}: the browser ${runs} when there is such an event.`;
  }
  const isScript = /^\s*javascript:/i.test(value);
  if (tag.name === "iframe") {
    if (key === "srcdoc") return `${key}: the browser runs scripts in it.`;
    if (key === "src" && isScript) return `${key}: the browser ${runs}.`;
  }
  if (["href", "action", "formaction"].includes(key) && isScript) {
    return `${key}: a click ${runs}.`;
  }
  if (key === "src" && !isScript) return `The browser requests “${value}”.`;
  if (key === "href" && tag.name === "link") {
    return `The browser requests “${value}”.`;
  }
  if (key === "action") return `What is typed in is sent to “${value}”.`;
  return undefined;
}

/**
 * Whether an event comes without anybody doing anything, as in Chromium.
 *
 * @param {Tag} tag
 * @param {string} event
 */
function isAtOnce({ name, attributes, parent }, event) {
  const has = (/** @type {string} */ key) =>
    attributes.some(([name]) => name === key);
  switch (event) {
    case "error":
      return LOADED.includes(name) && has("src");
    case "load":
      return name === "iframe" || name === "style" ||
        name === "svg" && parent === "svg";
    case "toggle":
      return name === "details" && has("open");
    case "focus":
      return has("autofocus");
    default:
      return false;
  }
}
