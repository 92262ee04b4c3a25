// @ts-check
// Owns the making of SVG elements. It never knows what they show. Invariant:
// what goes in is numbers and text, never markup.

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} attributes
 * @param {(SVGElement | string)[]} children
 * @returns {SVGElementTagNameMap[Name]}
 */
export function svg(name, attributes = {}, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) {
    element.setAttribute(attribute, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * A drawing of so many pixels. No voice reads it: what it shows is also said
 * in words beside it.
 *
 * @param {number} width
 * @param {number} height
 * @param {SVGElement[]} children
 */
export function drawing(width, height, children) {
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    "aria-hidden": "true",
  }, children);
}
