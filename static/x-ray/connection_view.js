// @ts-check
// The X-ray of one connection: its handshake, its frames, the drawing of one of
// them, and the sums. `hear` takes the server's events. The view marks derived
// values, and names what the server cannot see.

import { LOST } from "../client/protocol.js";
import { codeWords, ENDINGS } from "./closing.js";
import { explainer } from "../shared/explainer.js";
import { drawFields, gridFor } from "./drawing.js";
import { fieldsOf, fromHex } from "./fields.js";
import { FrameList } from "./frame_list.js";
import { showHandshake } from "./handshake.js";
import { dumpHex } from "./hex.js";
import { make } from "../shared/make.js";
import { countBytes, counted, wayOf } from "../shared/units.js";

/** @import { Frame, Note } from "./frame_list.js" */
/** @import { End } from "./closing.js" */
/** @import { Opened } from "./handshake.js" */

const FRAME_HEADING = "The selected frame";

export class ConnectionView {
  #handshake = make("div", {}, "Not known yet.");
  #heading = make("h3", {}, FRAME_HEADING);
  #frame = make("div", { className: "selected" }, "No frame yet.");
  #way = make("p", { className: "way small" });
  #sums = make("p", { className: "sums" });
  #unseen = make("p", {});
  #list;
  /** Sums of the frames; `wire` includes their headers. */
  #frames = { count: 0, bytes: 0, wire: 0 };
  /** Sums of the messages that came and went by HTTP. */
  #messages = { count: 0, bytes: 0 };
  #isByHttp = false;
  #sumsArePlanned = false;
  /** The connection whose close frame was shown last. */
  #closeShown = 0;
  /** @type {Frame | Note | null} the selected one */
  #selected = null;
  #grid = gridFor(0);
  element;

  /** @param {HTMLElement[]} below shown below the list of frames */
  constructor(...below) {
    const list = make("div", {
      className: "frames",
      role: "listbox",
      ariaLabel: "Frames, the newest first",
    });
    const hold = make("button", {
      type: "button",
      className: "quiet-button",
    }, "Pause");
    const dropped = make("span", { className: "small" });
    this.#list = new FrameList(
      { list, hold, dropped },
      (item) => this.#select(item),
    );
    this.element = make(
      "div",
      { className: "connection-view" },
      this.#way,
      this.#sums,
      make(
        "section",
        {},
        make(
          "div",
          { className: "hold" },
          make("h3", {}, "Frames"),
          hold,
          dropped,
        ),
        list,
        ...below,
      ),
      make("section", {}, this.#heading, this.#frame),
      fold("Handshake", this.#handshake, true),
      fold("What the server cannot see", this.#unseen),
      make("p", {}, explainer("All close codes explained")),
    );
    this.#tellSums();
    new ResizeObserver(() => this.#fit()).observe(this.#frame);
  }

  /** The arrow keys go through the frames. */
  focus() {
    this.#list.focus();
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  hear(name, data) {
    switch (name) {
      case "opened":
        return this.#opened(data);
      case "frame":
        return this.#heard(data);
      case "closing":
        return this.#note(data, `Closing: ${codeWords(data)}.`, data.code);
      case "closed":
        return this.#closed(data);
      case "dropped":
        return this.#list.addDropped(data.count);
    }
  }

  /** @param {Opened} opened */
  #opened(opened) {
    const { connection, isNew, idleTimeoutSeconds } = opened;
    this.#isByHttp = opened.transport !== "websocket";
    this.#way.textContent = wayOf(opened);
    this.#tellSums();
    this.#handshake.replaceChildren(showHandshake(opened));
    this.#unseen.replaceChildren(
      `Deno’s WebSocket shows messages, not frames. So this view has no masking ` +
        `keys, fragments, reserved bits, pings or pongs. When a client has been ` +
        `silent for ${idleTimeoutSeconds / 2} seconds, Deno sends it a ping. ` +
        `After ${idleTimeoutSeconds} seconds without an answer Deno closes the ` +
        `connection. TCP, IP and TLS add bytes of their own, which are not ` +
        `counted here.`,
    );
    const words = isNew
      ? `Connection ${connection} opened.`
      : `Connection ${connection} was open before the X-ray began to watch.`;
    this.#note(opened, words);
  }

  /** @param {Frame} frame */
  #heard(frame) {
    const sum = frame.derived === undefined ? this.#messages : this.#frames;
    sum.count++;
    sum.bytes += frame.length;
    this.#frames.wire += frame.derived?.bytes ?? 0;
    if (frame.kind === "close") this.#closeShown = frame.connection;
    this.#list.add(frame);
    this.#tellSums();
  }

  /**
   * @param {End & { at: number, connection: number, isClean: boolean }} end
   */
  #closed(end) {
    const { by, code, reason, isClean, fault } = end;
    const words = [`${ENDINGS[by]}.`];
    if (code > 0) words.push(`${codeWords({ code, reason })}.`);
    if (!isClean && by !== "nobody") words.push("No close frame came back.");
    if (fault !== "") words.push(`The server says: ${fault}.`);
    this.#note(end, words.join(" "), code || LOST);
  }

  /**
   * @param {{ at: number, connection: number }} event
   * @param {string} words
   * @param {number} [code] that a page explains
   */
  #note({ at, connection }, words, code) {
    if (code === undefined) return this.#list.add({ at, words });
    // The close frame leads to the same page, and shows more.
    const isFollowed = this.#closeShown !== connection;
    this.#list.add({ at, words, code, isFollowed });
  }

  #tellSums() {
    if (this.#sumsArePlanned) return;
    this.#sumsArePlanned = true;
    requestAnimationFrame(() => {
      this.#sumsArePlanned = false;
      this.#sums.textContent = this.#sumWords().join(" ");
    });
  }

  /** The sums of both kinds: a page may have changed its transport. */
  #sumWords() {
    const { count, bytes, wire } = this.#frames;
    const words = [];
    if (count > 0 || !this.#isByHttp) {
      words.push(
        `${counted(count, "frame")}: ${countBytes(bytes)} of payload, ` +
          `${countBytes(wire)} on the wire.`,
      );
    }
    const messages = this.#messages;
    if (messages.count > 0 || this.#isByHttp) {
      words.push(
        `${counted(messages.count, "message")}: ` +
          `${
            countBytes(messages.bytes)
          } of content, without the headers of HTTP.`,
      );
    }
    return words;
  }

  /** @param {Frame | Note} item */
  #select(item) {
    this.#selected = item;
    this.#heading.textContent = "kind" in item
      ? FRAME_HEADING
      : "The selected row";
    this.#frame.replaceChildren(
      ..."kind" in item ? this.#showFrame(item) : showNote(item),
    );
  }

  /** Draws the frame again when its rows have to be longer or shorter. */
  #fit() {
    const { columns, cell } = gridFor(this.#frame.clientWidth);
    if (columns === this.#grid.columns && cell === this.#grid.cell) return;
    this.#grid = { columns, cell };
    if (this.#selected !== null) this.#select(this.#selected);
  }

  /**
   * @param {Frame} frame
   * @returns {HTMLElement[]}
   */
  #showFrame({ derived, direction, length, text, hex, isCut, close }) {
    const way = direction === "in" ? "client to server" : "server to client";
    const payload = hex ? fromHex(hex) : new TextEncoder().encode(text);
    return [
      make(
        "p",
        {},
        derived === undefined
          ? `From ${way}: ${countBytes(length)} by HTTP, so there is no frame.`
          : `From ${way}: ${countBytes(length)} of payload, ` +
            `${countBytes(derived.bytes)} on the wire.`,
      ),
      ...derived === undefined ? [] : [
        drawFields(fieldsOf(derived, length, payload), this.#grid),
        make(
          "p",
          { className: "small" },
          make("span", { className: "derived" }, "Derived:"),
          " the header follows from the kind, the length and the direction, " +
            "if the message is one frame.",
        ),
      ],
      ...close === undefined ? [] : [
        make(
          "p",
          {},
          `${codeWords(close)}. `,
          explainer(`${close.code} explained`, close.code),
        ),
      ],
      make("h4", {}, "Payload"),
      ...showPayload(text, payload, isCut),
    ];
  }
}

/**
 * The payload as text, if it is text, and as bytes.
 *
 * @param {string} text
 * @param {Uint8Array} bytes
 * @param {boolean} isCut
 */
function showPayload(text, bytes, isCut) {
  if (bytes.length === 0) return [make("p", { className: "small" }, "Empty.")];
  const more = isCut ? " …" : "";
  const dump = make(
    "pre",
    { className: "hex", tabIndex: 0 },
    dumpHex(bytes) + (isCut ? "\n…" : ""),
  );
  dump.setAttribute("aria-label", "The payload in hexadecimal");
  return text === "" ? [dump] : [
    make("pre", { className: "text", tabIndex: 0 }, text + more),
    make("h4", {}, "The same in hexadecimal, as UTF-8"),
    dump,
  ];
}

/** @param {Note} note */
function showNote({ words, code }) {
  const link = code === undefined
    ? []
    : [" ", explainer(`${code} explained`, code)];
  return [make("p", {}, words, ...link)];
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 */
function fold(title, content, open = false) {
  return make(
    "details",
    { open },
    make("summary", {}, make("h3", {}, title)),
    content,
  );
}
