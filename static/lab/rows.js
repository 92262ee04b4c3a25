// @ts-check
// The rows of a figure, one for each way, with a line of words above each
// drawing. When the figure's width changes, the drawings are made again.

import { WAYS } from "./ways.js";

/** @import { Result } from "./work.js" */

/**
 * The content of a figure. `words` stand beside the way's name; the labels of
 * `axis` stand below the last row, each at its part of the width.
 *
 * @typedef {object} Content
 * @property {(result: Result) => string} words
 * @property {(result: Result, all: Result[], width: number) => SVGElement} draw
 * @property {(all: Result[], width: number) => Label[]} axis
 */

/** @typedef {{ text: string, at: number }} Label at: 0 to 1 */

/**
 * @typedef {object} Row
 * @property {HTMLElement} words
 * @property {HTMLElement} drawing
 */

export class Rows {
  #container;
  #content;
  /** @type {Map<string, Row>} by the way's id */
  #rows = new Map();
  #axis = document.createElement("div");
  /** @type {Result[]} */
  #results = [];

  /**
   * @param {HTMLElement} container
   * @param {Content} content
   */
  constructor(container, content) {
    this.#container = container;
    this.#content = content;
    for (const { id, name } of WAYS) {
      const label = document.createElement("p");
      const strong = document.createElement("b");
      const words = document.createElement("span");
      const drawing = document.createElement("div");
      strong.textContent = name;
      label.append(strong, " ", words);
      drawing.className = `drawing way-${id}`;
      container.append(label, drawing);
      this.#rows.set(id, { words, drawing });
    }
    this.#axis.className = "axis";
    container.append(this.#axis);
    new ResizeObserver(() => this.show(this.#results)).observe(container);
  }

  /** @param {Result[]} results of the ways that have begun */
  show(results) {
    this.#results = results;
    const width = this.#container.clientWidth;
    if (width === 0) return;
    for (const { words, drawing } of this.#rows.values()) {
      words.textContent = "not measured yet";
      drawing.replaceChildren();
    }
    for (const result of results) {
      const row = this.#rows.get(result.way.id);
      if (row === undefined) continue;
      const { problem } = result;
      row.words.textContent = this.#content.words(result) +
        (problem === null ? "" : ` · ${problem}`);
      row.drawing.replaceChildren(this.#content.draw(result, results, width));
    }
    const labels = results.length === 0
      ? []
      : this.#content.axis(results, width);
    this.#axis.replaceChildren(...labels.map(createLabel));
  }
}

/** @param {Label} label */
function createLabel({ text, at }) {
  const label = document.createElement("span");
  label.textContent = text;
  label.style.left = `${at * 100}%`;
  return label;
}
