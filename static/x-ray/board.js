// @ts-check
// Owns the projector's lines, one for each connection, in the order of room
// and arrival. It never asks for anything: hear() tells it. Invariant: the page
// changes once per step, however much happens, and only where something did.

import { summarize } from "./glimpse.js";
import { make } from "./make.js";
import { Trace } from "./trace.js";
import { formatBytes } from "./units.js";

/**
 * As chat/xray.ts tells it; bytes and frames since somebody watches.
 *
 * @typedef {object} Line
 * @property {number} id
 * @property {string} name
 * @property {string} room
 * @property {"websocket" | "sse" | "poll"} transport
 * @property {string} dialect
 * @property {{ frames: number, bytes: number }} in
 * @property {{ frames: number, bytes: number }} out
 * @property {number} waiting
 * @property {{ direction: "in" | "out", bytes: number, glimpse: string }
 *   | null} last
 */

const STEP_MS = 250;
/** For who wants little to move. */
const CALM_STEP_MS = 2_000;

/** Up to so many connections there is space for all, or for most of a line. */
const FEW = 12;
const SOME = 40;

/** @type {Record<string, string>} */
const TRANSPORTS = { sse: "SSE", poll: "long poll" };

export class Board {
  #list;
  #summary;
  #onPick;
  /** @type {Map<number, Row>} */
  #rows = new Map();
  #count = 0;
  #isDue = false;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #isRunning = false;

  /**
   * @param {{ list: HTMLElement, summary: HTMLElement }} parts
   * @param {(line: Line) => void} onPick
   */
  constructor({ list, summary }, onPick) {
    this.#list = list;
    this.#summary = summary;
    this.#onPick = onPick;
  }

  /** @param {{ count: number, gone: number[], lines: Line[] }} news */
  hear({ count, gone, lines }) {
    this.#count = count;
    for (const id of gone) {
      this.#rows.get(id)?.element.remove();
      this.#rows.delete(id);
    }
    for (const line of lines) this.#hearOf(line);
    this.#isDue = true;
    this.#start();
  }

  /** The stream begins anew, and will tell all again. */
  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  /** @param {Line} line */
  #hearOf(line) {
    const known = this.#rows.get(line.id);
    if (known !== undefined) {
      known.line = line;
      return;
    }
    const row = new Row(line, () => this.#onPick(row.line));
    this.#rows.set(line.id, row);
    const next = [...this.#rows.values()].find((other) =>
      other.element.isConnected && comesBefore(line, other.line)
    );
    this.#list.insertBefore(row.element, next?.element ?? null);
  }

  /** From the first news on, a picture at each step. */
  #start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const step = () => {
      this.#step();
      setTimeout(() => requestAnimationFrame(step), this.#stepMs);
    };
    requestAnimationFrame(step);
  }

  get #stepMs() {
    return this.#calm.matches ? CALM_STEP_MS : STEP_MS;
  }

  #step() {
    let inBytes = 0;
    let outBytes = 0;
    const rooms = new Set();
    for (const row of this.#rows.values()) {
      const { into, out } = row.step();
      inBytes += into;
      outBytes += out;
      rooms.add(row.line.room);
    }
    const perSecond = 1_000 / this.#stepMs;
    const rate = (/** @type {number} */ bytes) =>
      `${formatBytes(Math.round(bytes * perSecond))}/s`;
    setText(
      this.#summary,
      `${counted(this.#count, "connection")} in ${
        counted(rooms.size, "room")
      } · ${rate(inBytes)} to the server · ${rate(outBytes)} to the clients` +
        (this.#rows.size < this.#count ? ` · ${this.#rows.size} shown` : ""),
    );
    if (!this.#isDue) return;
    this.#isDue = false;
    const size = this.#rows.size;
    this.#list.dataset["density"] = size <= FEW
      ? "few"
      : size <= SOME
      ? "some"
      : "many";
  }
}

class Row {
  #name = make("bdi", { className: "who" });
  #room = make("span", { className: "room" });
  #dialect = make("span", { className: "dialect" });
  #bytes = make("span", { className: "bytes" });
  #waiting = make("span", { className: "waiting" });
  #last = make("span", { className: "last" });
  #trace = new Trace();
  #told;
  /** @type {Line | null} the one that is in the page */
  #shown = null;
  element;

  /**
   * @param {Line} line
   * @param {() => void} onPick
   */
  constructor(line, onPick) {
    this.line = line;
    this.#told = { in: line.in.bytes, out: line.out.bytes };
    const button = make(
      "button",
      { type: "button" },
      this.#name,
      " ",
      this.#room,
      " ",
      this.#dialect,
      this.#trace.element,
      this.#bytes,
      " ",
      this.#waiting,
      " ",
      this.#last,
    );
    button.addEventListener("click", onPick);
    this.element = make("li", {}, button);
  }

  /** Shows the line as it is now. Returns the bytes since the last step. */
  step() {
    const { line } = this;
    const into = line.in.bytes - this.#told.in;
    const out = line.out.bytes - this.#told.out;
    this.#told = { in: line.in.bytes, out: line.out.bytes };
    this.#trace.step(out, into);
    if (line !== this.#shown) this.#show(line);
    return { into, out };
  }

  /** @param {Line} line */
  #show(line) {
    this.#shown = line;
    setText(this.#name, line.name || "no name yet");
    setText(this.#room, line.room);
    const over = TRANSPORTS[line.transport];
    setText(this.#dialect, over === undefined ? line.dialect : `by ${over}`);
    setText(
      this.#bytes,
      `↑ ${formatBytes(line.in.bytes)} ↓ ${formatBytes(line.out.bytes)}`,
    );
    const isWaiting = line.waiting > 0;
    setText(
      this.#waiting,
      isWaiting ? `${formatBytes(line.waiting)} wait` : "",
    );
    const { last } = line;
    const arrow = last?.direction === "in" ? "↑" : "↓";
    setText(
      this.#last,
      last === null
        ? ""
        : `${arrow} ${formatBytes(last.bytes)} ${summarize(last.glimpse)}`,
    );
  }
}

/**
 * @param {Line} a
 * @param {Line} b
 */
function comesBefore(a, b) {
  return a.room === b.room ? a.id < b.id : a.room < b.room;
}

/**
 * @param {number} count
 * @param {string} what
 */
function counted(count, what) {
  return `${count.toLocaleString("en")} ${count === 1 ? what : `${what}s`}`;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
