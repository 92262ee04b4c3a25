// @ts-check
// Owns how the lesson makes SVG: elements with attributes, and a picture that
// is as wide as its place, with type as large as the page's. It never knows
// what is drawn. Invariant: colours come from classes, as in all of the page.

const NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
export function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Puts a picture into its place. Lengths are in em, so that what is drawn
 * grows with the page's type and fits a phone.
 *
 * @param {HTMLElement} place
 * @param {number} height in em
 * @param {string} label what a voice says of it
 * @param {(width: number) => Node[]} paint gets the width in em
 */
export function show(place, height, label, paint) {
  place.hidden = false;
  const emPx = parseFloat(getComputedStyle(place).fontSize);
  const width = Math.max(16, place.clientWidth / emPx);
  const picture = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label,
  }, ...paint(width));
  place.replaceChildren(picture);
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} className
 */
export function write(x, y, text, className = "") {
  return draw("text", { x, y, class: className }, text);
}
