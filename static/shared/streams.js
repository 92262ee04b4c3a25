// @ts-check
// Shares the connections among the tabs of one browser. By HTTP/1.1 a browser
// opens six to a host, for all tabs together, and a stream keeps one for as
// long as it lasts: six tabs with a stream each would leave none to load the
// seventh.
//
// Each tab tells the others how many streams it has when it is shown and when
// that number changes. A hidden tab adds its own streams to those of the tabs
// that have told since it was last shown. It gives its own up as soon as the
// sum is more than MAX_STREAMS, and takes them back when it is shown. So no tab
// leads: of two tabs, the one that was seen longer ago counts the other.
// Invariant: the streams of the hidden tabs and of the visible one that was
// shown last are at most MAX_STREAMS, or all belong to that one. Of windows
// side by side, the one with the focus counts as shown; the others keep up to
// MAX_VISIBLE_STREAMS.

import { openChannel } from "./channel.js";

const CHANNEL = "partyline.streams";
// One tab has up to two. The rest is for other windows, and to load pages.
const MAX_STREAMS = 3;
const MAX_VISIBLE_STREAMS = 4;

/**
 * A part of the page that keeps a connection.
 *
 * @typedef {{ giveUp: () => void, takeBack: () => void }} Holder
 */

class Streams {
  #tab = String(Math.random());
  #channel = openChannel(CHANNEL);
  /** @type {Set<Holder>} */
  #holders = new Set();
  /** @type {Map<string, number>} by tab that told since we were shown */
  #others = new Map();
  #areGivenUp = false;

  constructor() {
    this.#channel?.addEventListener("message", ({ data }) => this.#heard(data));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#check();
      else this.#shown();
    });
    addEventListener("focus", () => this.#shown());
    addEventListener("pagehide", () => this.#tell(0));
  }

  /** Whether this tab has to do without streams until it is shown. */
  get areGivenUp() {
    return this.#areGivenUp;
  }

  /**
   * Counts a stream, and makes it give up if this tab has none now.
   *
   * @param {Holder} holder
   */
  add(holder) {
    if (this.#holders.has(holder)) return;
    this.#holders.add(holder);
    if (this.#areGivenUp) return holder.giveUp();
    this.#tell(this.#holders.size);
    this.#check();
  }

  /** @param {Holder} holder */
  remove(holder) {
    const wasCounted = this.#holders.delete(holder);
    if (wasCounted && !this.#areGivenUp) this.#tell(this.#holders.size);
  }

  #shown() {
    this.#others.clear();
    const wereGivenUp = this.#areGivenUp;
    this.#areGivenUp = false;
    if (this.#holders.size > 0) this.#tell(this.#holders.size);
    if (!wereGivenUp) return;
    for (const holder of [...this.#holders]) holder.takeBack();
  }

  /** @param {unknown} data from any script of this origin */
  #heard(data) {
    const { tab, count } = /** @type {any} */ (data ?? {});
    if (typeof tab !== "string" || !Number.isInteger(count)) return;
    if (count > 0) this.#others.set(tab, count);
    else this.#others.delete(tab);
    this.#check();
  }

  #check() {
    const areMine = this.#holders.size > 0 && !this.#areGivenUp;
    if (!areMine) return;
    let count = this.#holders.size;
    for (const theirs of this.#others.values()) count += theirs;
    const max = document.hidden ? MAX_STREAMS : MAX_VISIBLE_STREAMS;
    if (this.#others.size === 0 && !document.hidden || count <= max) return;
    this.#areGivenUp = true;
    for (const holder of [...this.#holders]) holder.giveUp();
    this.#tell(0);
  }

  /** @param {number} count */
  #tell(count) {
    this.#channel?.postMessage({ tab: this.#tab, count });
  }
}

/** The streams of this page. */
export const streams = new Streams();
