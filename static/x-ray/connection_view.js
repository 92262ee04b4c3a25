// @ts-check
// Owns the X-ray of one connection: its handshake, its frames, the drawing of
// one of them, the sums. It never asks for anything: hear() tells it.
// Invariant: what is shown as derived is marked so, and what the server cannot
// see is said.

import { CLOSE_CODES, closeMeaning } from "./close_codes.js";
import { drawFields } from "./drawing.js";
import { fieldsOf, fromHex } from "./fields.js";
import { FrameList } from "./frame_list.js";
import { showHandshake } from "./handshake.js";
import { make } from "./make.js";
import { countBytes } from "./units.js";

/** @import { Frame } from "./frame_list.js" */
/** @import { Opened } from "./handshake.js" */

/** @type {Record<string, string>} */
const WHO = {
  client: "The client closed",
  server: "The server closed",
  nobody: "The connection was lost",
};

export class ConnectionView {
  #handshake = make("div", {}, "Not known yet.");
  #frame = make("div", { className: "selected" }, "No frame yet.");
  #sums = make("p", { className: "sums" });
  #unseen = make("p", {});
  #list;
  #textBytes = 0;
  #wireBytes = 0;
  #frames = 0;
  #waiting = 0;
  #sumsArePlanned = false;
  element;

  constructor() {
    const list = make("ol", { className: "frames" });
    list.setAttribute("aria-label", "Frames, the newest first");
    const hold = make("button", {
      type: "button",
      className: "quiet-button",
    }, "Hold");
    const dropped = make("span", { className: "small" });
    this.#list = new FrameList(
      { list, hold, dropped },
      (frame) => this.#show(frame),
    );
    this.element = make(
      "div",
      { className: "connection-view" },
      this.#sums,
      make(
        "section",
        {},
        make("h3", {}, "Frames"),
        make("div", { className: "hold" }, hold, dropped),
        list,
      ),
      make("section", {}, make("h3", {}, "The frame selected"), this.#frame),
      fold("Handshake", this.#handshake, true),
      fold("What cannot be seen", this.#unseen),
      fold("Close codes", listCloseCodes()),
    );
    this.#tellSums();
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
        return this.#note(data.at, `Closing: ${explain(data)}`);
      case "closed":
        return this.#closed(data);
      case "dropped":
        return this.#list.addDropped(data.count);
    }
  }

  /** @param {Opened} opened */
  #opened(opened) {
    const { at, connection, isNew, idleTimeoutSeconds } = opened;
    this.#handshake.replaceChildren(showHandshake(opened));
    this.#unseen.replaceChildren(
      `Deno’s WebSocket shows messages, not frames. So masking keys, fragments, ` +
        `reserved bits, pings and pongs are not seen here. While a client is ` +
        `silent, Deno sends it a ping after ${
          idleTimeoutSeconds / 2
        } seconds ` +
        `and closes when nothing has come after ${idleTimeoutSeconds}. TCP, IP ` +
        `and TLS add bytes of their own, which are not counted here.`,
    );
    const what = isNew
      ? `Connection ${connection} opened.`
      : `Connection ${connection} was open before; seen from here on.`;
    this.#note(at, what);
  }

  /** @param {Frame} frame */
  #heard(frame) {
    this.#frames++;
    this.#textBytes += frame.length;
    this.#wireBytes += frame.derived?.bytes ?? frame.length;
    this.#list.add(frame);
    this.#waiting = frame.waiting;
    this.#tellSums();
  }

  /** @param {any} end */
  #closed({ at, by, code, reason, isClean, fault }) {
    const words = [`${WHO[by]}.`];
    if (code > 0) words.push(explain({ code, reason }));
    if (!isClean && by !== "nobody") words.push("No close frame came back.");
    if (fault !== "") words.push(`The server says: ${fault}.`);
    this.#note(at, words.join(" "));
  }

  /**
   * @param {number} at
   * @param {string} words
   */
  #note(at, words) {
    this.#list.add({ at, words });
  }

  #tellSums() {
    if (this.#sumsArePlanned) return;
    this.#sumsArePlanned = true;
    requestAnimationFrame(() => {
      this.#sumsArePlanned = false;
      this.#sums.textContent =
        `${this.#frames.toLocaleString("en")} sent or received: ` +
        `${countBytes(this.#textBytes)} of payload, ` +
        `${countBytes(this.#wireBytes)} on the wire. After the last one, ` +
        `${countBytes(this.#waiting)} in the send buffer.`;
    });
  }

  /** @param {Frame} frame */
  #show(frame) {
    const {
      derived,
      direction,
      length,
      text,
      hex = "",
      isCut,
      close,
      waiting,
    } = frame;
    const way = direction === "in" ? "client to server" : "server to client";
    /** @type {HTMLElement[]} */
    const parts = [
      make(
        "p",
        {},
        derived === undefined
          ? `From ${way}, by HTTP: ${countBytes(length)}, no frame.`
          : `From ${way}: ${countBytes(length)} of payload, ` +
            `${countBytes(derived.bytes)} on the wire. Then ` +
            `${countBytes(waiting)} in the send buffer.`,
      ),
    ];
    if (derived !== undefined) {
      const payload = hex === ""
        ? new TextEncoder().encode(text)
        : fromHex(hex);
      parts.push(
        drawFields(fieldsOf(derived, length, payload)),
        make(
          "p",
          { className: "small" },
          make("span", { className: "derived" }, "Derived:"),
          " the header follows from the kind, the length and the direction, " +
            "if the message came in one frame.",
        ),
      );
    }
    if (close !== undefined) parts.push(make("p", {}, explain(close)));
    parts.push(make("h4", {}, "Payload"));
    parts.push(
      make(
        "pre",
        { tabIndex: 0 },
        (text || hex || "(empty)") + (isCut ? " …" : ""),
      ),
    );
    this.#frame.replaceChildren(...parts);
  }
}

/** @param {{ code: number, reason: string }} close */
function explain({ code, reason }) {
  const quoted = reason === "" ? "" : ` “${reason}”`;
  return `Code ${code}${quoted}: ${closeMeaning(code)}`;
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

function listCloseCodes() {
  return make(
    "dl",
    { className: "codes" },
    ...[...CLOSE_CODES].flatMap(([code, meaning]) => [
      make("dt", {}, make("code", {}, String(code))),
      make("dd", {}, meaning),
    ]),
  );
}
