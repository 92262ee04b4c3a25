// @ts-check
// The connections that closed in the last minute, the newest first, with the
// close code. chat/x_ray/closed_connections.ts decides how long they stay, and
// how many.

import { nameOf } from "./board.js";
import { make } from "../shared/make.js";
import { codeWords, ENDINGS } from "./closing.js";
import { formatTime } from "../shared/units.js";

/** @import { Line } from "./board.js" */
/** @import { End } from "./closing.js" */

/** @typedef {Line & { end: End & { at: number } }} ClosedLine */

export class ClosedList {
  #section;
  #list;
  #onPick;

  /**
   * @param {{ section: HTMLElement, list: HTMLElement }} parts
   * @param {(line: Line) => void} onPick
   */
  constructor({ section, list }, onPick) {
    this.#section = section;
    this.#list = list;
    this.#onPick = onPick;
  }

  get count() {
    return this.#list.childElementCount;
  }

  /** @param {ClosedLine[]} lines */
  show(lines) {
    this.#section.hidden = lines.length === 0;
    this.#list.replaceChildren(...lines.map((line) => this.#createItem(line)));
  }

  /** @param {ClosedLine} line */
  #createItem(line) {
    const { end } = line;
    const isFault = end.by === "nobody" && end.fault !== "";
    const fault = isFault ? `: ${end.fault}` : "";
    const code = end.code > 0 ? ` · ${codeWords(end)}` : "";
    const button = make(
      "button",
      { type: "button" },
      make("bdi", { className: "who" }, nameOf(line)),
      " ",
      make("time", {}, formatTime(end.at)),
      " ",
      make("span", { className: "end" }, `${ENDINGS[end.by]}${fault}${code}`),
    );
    button.addEventListener("click", () => this.#onPick(line));
    return make("li", {}, button);
  }
}
