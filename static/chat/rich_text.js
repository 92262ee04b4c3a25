// @ts-check
// Makes the elements of a message's text. People's words become text nodes; the
// elements and attributes are a fixed few, whatever a message says.

import { copyText } from "../shared/clipboard.js";
import { parseMarkup } from "./markup.js";

/** @import { Block, Inline } from "./markup.js" */

/** How long the button says that the code was copied. */
const COPIED_MS = 2_000;

/**
 * @param {string} message
 * @returns {HTMLElement}
 */
export function createRichText(message) {
  const text = document.createElement("div");
  text.className = "text";
  const [first, ...others] = parseMarkup(message);
  if (first?.kind === "paragraph" && others.length === 0) {
    text.append(...first.parts.map(createInline));
  } else if (first !== undefined) {
    const blocks = [first, ...others];
    text.append(...blocks.map(createBlock));
    const hasCode = blocks.some(({ kind }) => kind === "code");
    text.classList.toggle("has-code", hasCode);
  }
  // Set last: with it, the browser reads all nodes again for each one added.
  text.dir = "auto";
  return text;
}

/** @param {Block} block */
function createBlock(block) {
  switch (block.kind) {
    case "paragraph":
      return createWith("p", block.parts);
    case "quote":
      return createWith("blockquote", block.parts);
    case "list":
      return createList(block);
    case "code":
      return createCode(block);
  }
}

/** @param {Extract<Block, { kind: "list" }>} list */
function createList({ first, items }) {
  const list = document.createElement(first === null ? "ul" : "ol");
  if (list instanceof HTMLOListElement) list.start = first ?? 1;
  list.append(...items.map((parts) => createWith("li", parts)));
  return list;
}

/** @param {Extract<Block, { kind: "code" }>} block */
function createCode({ text: code, language }) {
  const figure = document.createElement("div");
  figure.className = "code-block";
  const pre = document.createElement("pre");
  pre.dir = "ltr";
  // So that the keyboard can scroll it sideways.
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.ariaLabel = language === "" ? "Code" : `Code: ${language}`;
  pre.append(...showControls(code));
  figure.append(createCopyButton(code), pre);
  return figure;
}

/**
 * Characters that turn the direction of the text are shown by their numbers:
 * they could make code look like other code.
 *
 * @param {string} code
 */
function showControls(code) {
  return code.split(/([\u202a-\u202e\u2066-\u2069])/).map((part, i) => {
    if (i % 2 === 0) return document.createTextNode(part);
    const control = document.createElement("mark");
    control.textContent = `U+${part.charCodeAt(0).toString(16).toUpperCase()}`;
    return control;
  });
}

/** @param {string} code */
function createCopyButton(code) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code quiet-button";
  button.textContent = "Copy";
  button.ariaLabel = "Copy this code";
  button.addEventListener("click", async () => {
    button.textContent = await copyText(code) ? "Copied" : "Not copied";
    setTimeout(() => button.textContent = "Copy", COPIED_MS);
  });
  return button;
}

/**
 * @param {"p" | "blockquote" | "li" | "strong" | "em"} name
 * @param {Inline[]} parts
 */
function createWith(name, parts) {
  const element = document.createElement(name);
  element.append(...parts.map(createInline));
  return element;
}

/**
 * @param {Inline} part
 * @returns {Node}
 */
function createInline(part) {
  switch (part.kind) {
    case "text":
      return document.createTextNode(part.text);
    case "strong":
      return createWith("strong", part.parts);
    case "emphasis":
      return createWith("em", part.parts);
    case "code": {
      const code = document.createElement("code");
      code.dir = "ltr";
      code.append(...showControls(part.text));
      return code;
    }
    case "link":
      return createLink(part.text);
  }
}

/** @param {string} address */
function createLink(address) {
  const link = document.createElement("a");
  link.dir = "ltr";
  link.href = address;
  link.target = "_blank";
  // The other site is not told where the link was, and cannot reach this page.
  link.rel = "noopener noreferrer";
  link.textContent = address;
  return link;
}
