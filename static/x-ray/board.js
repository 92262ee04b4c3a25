// @ts-check
// The cards of the projector, one for each connection, ordered by room and then
// by arrival. `hear` takes the server's events. However many come, the page
// changes once per step, and only the cards that have something new.

import { mediaQuery } from "../shared/dom.js";
import { summarize } from "./glimpse.js";
import { make } from "../shared/make.js";
import { Trace } from "./trace.js";
import { counted, formatBytes, wayOf } from "../shared/units.js";

/** @import { ClosedLine, ClosedList } from "./closed_list.js" */

/**
 * A connection as chat/x_ray/x_ray.ts describes it. Bytes and frames are
 * counted from when somebody began to watch.
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
 * @property {{ code: number, reason: string } | null} closing the server closed
 *   it, and waits for the client's close frame
 * @property {{ direction: "in" | "out", bytes: number, glimpse: string }
 *   | null} last
 */

const STEP_MS = 250;
/** For people who prefer reduced motion. */
const CALM_STEP_MS = 2_000;

/** Up to FEW cards have space to be large, up to SOME for all of their text. */
const FEW = 8;
const SOME = 40;

/** What a connection without a name is called, by its dialect. */
const KINDS = new Map([
  ["partyline.draw.v1", "drawing board"],
  ["echo", "echo"],
]);

export class Board {
  #list;
  #summary;
  #closed;
  #onPick;
  /** @type {Map<number, Row>} */
  #rows = new Map();
  #count = 0;
  #isDue = false;
  #calm = mediaQuery("(prefers-reduced-motion: reduce)");
  #isRunning = false;

  /**
   * @param {{ list: HTMLElement, summary: HTMLElement, closed: ClosedList }} parts
   * @param {(line: Line) => void} onPick
   */
  constructor({ list, summary, closed }, onPick) {
    this.#list = list;
    this.#summary = summary;
    this.#closed = closed;
    this.#onPick = onPick;
  }

  /**
   * @param {{ count: number, gone: number[], lines: Line[],
   *   closed?: ClosedLine[] }} news `closed`: all of them, if there is a change
   */
  hear({ count, gone, lines, closed }) {
    this.#count = count;
    if (closed !== undefined) this.#closed.show(closed);
    for (const id of gone) {
      this.#rows.get(id)?.element.remove();
      this.#rows.delete(id);
    }
    for (const line of lines) this.#hearOf(line);
    this.#isDue = true;
    this.#start();
  }

  /** The stream begins anew, and will describe all connections again. */
  clear() {
    this.#closed.show([]);
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

  /** From the first event on, the page changes at each step. */
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
    let closing = 0;
    const closed = this.#closed.count;
    for (const row of this.#rows.values()) {
      const { into, out } = row.step();
      inBytes += into;
      outBytes += out;
      if (row.line.closing !== null) closing++;
      else rooms.add(row.line.room);
    }
    const perSecond = 1_000 / this.#stepMs;
    const rate = (/** @type {number} */ bytes) =>
      `${formatBytes(Math.round(bytes * perSecond))}/s`;
    setText(
      this.#summary,
      `${counted(this.#count - closing, "connection")} in ${
        counted(rooms.size, "room")
      } · ${rate(inBytes)} to the server · ${rate(outBytes)} to the clients` +
        (closing > 0 ? ` · ${closing} closing` : "") +
        (closed > 0 ? ` · ${closed} just closed` : "") +
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
    this.#list.dataset["rooms"] = rooms.size === 1 ? "one" : "several";
  }
}

class Row {
  #name = make("bdi", { className: "who" });
  #room = make("span", { className: "room" });
  #way = make("span", { className: "transport" });
  #bytes = make("span", { className: "bytes" });
  #waiting = make("span", { className: "waiting" });
  #last = make("span", { className: "last" });
  #end = make("span", { className: "end" });
  #trace = new Trace();
  /** The bytes that were counted at the last step. */
  #before;
  /** @type {Line | null} the connection as the page shows it */
  #shown = null;
  element;

  /**
   * @param {Line} line
   * @param {() => void} onPick
   */
  constructor(line, onPick) {
    this.line = line;
    this.#before = { in: line.in.bytes, out: line.out.bytes };
    const button = make(
      "button",
      { type: "button" },
      this.#name,
      " ",
      this.#room,
      " ",
      this.#way,
      this.#trace.element,
      make(
        "span",
        { className: "traffic" },
        this.#bytes,
        " ",
        this.#waiting,
        " ",
        this.#last,
        this.#end,
      ),
    );
    button.addEventListener("click", onPick);
    this.element = make("li", {}, button);
  }

  /** Shows the connection as it is. Returns the bytes since the last step. */
  step() {
    const { line } = this;
    const into = line.in.bytes - this.#before.in;
    const out = line.out.bytes - this.#before.out;
    this.#before = { in: line.in.bytes, out: line.out.bytes };
    this.#trace.step(out, into);
    if (line !== this.#shown) this.#show(line);
    return { into, out };
  }

  /** @param {Line} line */
  #show(line) {
    this.#shown = line;
    setText(this.#name, nameOf(line));
    setText(this.#room, line.room);
    setText(this.#way, wayOf(line));
    setText(
      this.#bytes,
      `↑ ${formatBytes(line.in.bytes)} ↓ ${formatBytes(line.out.bytes)}`,
    );
    const isPoll = line.transport === "poll";
    // Between two polls, events wait for every client.
    this.#waiting.className = isPoll ? "queued" : "waiting";
    const until = isPoll ? "for the next poll" : "to be sent";
    setText(
      this.#waiting,
      line.waiting > 0 ? `${formatBytes(line.waiting)} wait ${until}` : "",
    );
    const { last, closing } = line;
    const arrow = last?.direction === "in" ? "↑" : "↓";
    setText(
      this.#last,
      last === null || closing !== null
        ? ""
        : `${arrow} ${formatBytes(last.bytes)} ${summarize(last.glimpse)}`,
    );
    setText(
      this.#end,
      closing === null
        ? ""
        : `Closed with ${closing.code}, waiting for the client`,
    );
    this.element.classList.toggle("closing", closing !== null);
  }
}

/**
 * A connection without a name gets its number.
 *
 * @param {Pick<Line, "id" | "name" | "dialect">} line
 */
export function nameOf({ id, name, dialect }) {
  if (name !== "") return name;
  return `${KINDS.get(dialect) ?? "no name yet"}, connection ${id}`;
}

/**
 * @param {Line} a
 * @param {Line} b
 */
function comesBefore(a, b) {
  return a.room === b.room ? a.id < b.id : a.room < b.room;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
