// @ts-check
// Reads a message as HTML, with the browser's own parser and into a document
// that is never shown: nothing in such a document is loaded or run (HTML
// Standard, DOMParser: scripting is disabled).

/** @import { Tag } from "./inner_html.js" */

/** A message may be long; its first tags show enough. */
const MAX_READ = 2_000;
/**
 * Chromium reports these to the console as violations of the policy, also from
 * a document like this. So they have other names there: an attribute gets a
 * longer one, and a style that of an old element that is read in the same way.
 */
const ATTRIBUTE = /\b(?=on[a-z]|style\s*=)/gi;
const MASK = "masked-";
const STYLE = /(?<=<\/?)style(?=[\s/>])/gi;
const STYLE_MASK = "noembed";

/**
 * The elements that a browser would make of a message, and the text that it
 * would show.
 *
 * @param {string} text
 * @returns {{ tags: Tag[], shown: string }}
 */
export function parse(text) {
  const masked = text.slice(0, MAX_READ).replace(ATTRIBUTE, MASK)
    .replace(STYLE, STYLE_MASK);
  const html = `<!DOCTYPE html><body>${masked}`;
  const { body } = new DOMParser().parseFromString(html, "text/html");
  const tags = [...body.querySelectorAll("*")].map((element) => ({
    name: unmask(element.localName),
    attributes: [...element.attributes].map((
      { name, value },
    ) => /** @type {[string, string]} */ ([
      unmask(name.toLowerCase()),
      unmask(value),
    ])),
    parent: element.parentElement?.localName ?? "",
  }));
  for (const it of body.querySelectorAll(`${STYLE_MASK}, script`)) it.remove();
  return { tags, shown: unmask(body.textContent ?? "").trim() };
}

/** @param {string} text */
function unmask(text) {
  return text.replaceAll(MASK, "").replaceAll(STYLE_MASK, "style");
}
