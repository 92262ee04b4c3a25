// @ts-check
// Draws the sequence diagram of one connection: two lifelines, and an arrow for
// each message or event between them. A list says the same in words.

import { formatMs } from "../shared/units.js";
import { makeSvg } from "../shared/svg.js";
import { show, write } from "./picture.js";

/**
 * `out`: from the page to the server; `in`: the other way; `note`: something
 * that the page learned without a message.
 *
 * @typedef {{ kind: "out" | "in" | "note", label: string, atMs: number }} Step
 */

const ROW_EM = 2.4;
const HEAD_EM = 2;
const HEAD_LENGTH_EM = 0.5;

/** @type {Record<Step["kind"], string>} */
const WORDS = { out: "page → server", in: "server → page", note: "page" };

export class Sequence {
  /** @type {Step[]} */
  #steps = [];
  #beganMs = 0;
  #place;
  #list;

  /**
   * @param {HTMLElement} place of the picture
   * @param {HTMLElement} list of the sentences
   */
  constructor(place, list) {
    this.#place = place;
    this.#list = list;
  }

  /** Starts anew. */
  begin() {
    this.#steps = [];
    this.#beganMs = performance.now();
  }

  /**
   * @param {Step["kind"]} kind
   * @param {string} label
   */
  add(kind, label) {
    const atMs = performance.now() - this.#beganMs;
    this.#steps.push({ kind, label, atMs });
    this.#show();
  }

  #show() {
    const steps = this.#steps;
    this.#list.replaceChildren(...steps.map(({ kind, label, atMs }) => {
      const item = document.createElement("li");
      item.textContent = `${WORDS[kind]}: ${label} (${formatMs(atMs)})`;
      return item;
    }));
    const height = HEAD_EM + steps.length * ROW_EM + 0.5;
    const label = `Sequence diagram of ${steps.length} steps; ` +
      "the list below says the same.";
    show(this.#place, height, label, (width) => {
      const [page, server] = [1.2, width - 1.6];
      return [
        write(0, 1, "page"),
        write(width, 1, "server", "end"),
        ...[page, server].map((x) =>
          makeSvg("line", { x1: x, x2: x, y1: 1.5, y2: height, class: "lane" })
        ),
        ...steps.flatMap((step, i) =>
          drawStep(step, HEAD_EM + (i + 1) * ROW_EM - 0.5, page, server)
        ),
      ];
    });
  }
}

/**
 * @param {Step} step
 * @param {number} y
 * @param {number} page
 * @param {number} server
 */
function drawStep({ kind, label, atMs }, y, page, server) {
  const words = write(page + 0.9, y - 0.45, label);
  const time = write(server - 0.7, y - 0.45, formatMs(atMs), "number end");
  if (kind === "note") {
    const dot = makeSvg("circle", {
      cx: page,
      cy: y - 0.8,
      r: 0.3,
      class: "dot",
    });
    return [dot, words, time];
  }
  const [from, to] = kind === "out" ? [page, server] : [server, page];
  const back = to - Math.sign(to - from) * HEAD_LENGTH_EM;
  return [
    words,
    time,
    makeSvg("line", { x1: from, x2: to, y1: y, y2: y, class: `arrow ${kind}` }),
    makeSvg("path", {
      d: `M${back} ${y - 0.3} L${to} ${y} L${back} ${y + 0.3}`,
      class: `arrow ${kind}`,
    }),
  ];
}
