// @ts-check
// The list of lines: a window on the room's history that knows whether it
// reaches the newest message. It holds at most maxLines, and leaves out no
// message of the history in between; when there are too many lines, the end
// that is far from the reader is cut.

/** @import { Entry } from "./line.js" */
/** @import { Entry as Unsent } from "../client/outbox.js" */
/** @import { UnsentLines } from "./unsent.js" */
import { createLine, entryOf, renewQuotes, renewTimes } from "./line.js";
import { relate } from "./neighbours.js";
import { Reader } from "./reader.js";
import { Tones } from "./tones.js";

const MAX_LINES = 2_000;

/**
 * @typedef {object} Parts
 * @property {HTMLElement} scroller
 * @property {HTMLElement} list
 * @property {UnsentLines} unsent
 * @property {HTMLElement} hint shown in a room without messages
 * @property {HTMLElement} beginning the words above the first line
 * @property {HTMLElement} newMessages the button that leads to the bottom
 */

export class Transcript {
  #parts;
  #onLook;
  #maxLines;
  #reader;
  #newCount = 0;
  #hintIsTrue = false;
  #updateIsPlanned = false;
  /** @type {Entry[]} */
  #queue = [];
  #queueHasHole = false;
  #tones = new Tones();
  /** Whether somebody went away, and nothing new has come since. */
  #awaitsNew = false;
  /** @type {{ entries: readonly Unsent[], ownName: string }} */
  #unsent = { entries: [], ownName: "" };

  /**
   * @param {Parts} parts
   * @param {() => void} onLook the view changed, and maybe `wants`
   * @param {(seq: number) => void} onSeek the reader wants to see this message
   * @param {number} maxLines
   */
  constructor(parts, onLook, onSeek, maxLines = MAX_LINES) {
    this.#parts = parts;
    this.#onLook = onLook;
    this.#maxLines = maxLines;
    this.#reader = new Reader(parts.scroller, () => this.#readerMoved());
    parts.newMessages.addEventListener("click", () => {
      this.follow();
      // The button is gone; without this the keyboard would start at the top.
      parts.scroller.focus({ preventScroll: true });
    });
    parts.list.addEventListener("click", ({ target }) => {
      const quote = target instanceof Element
        ? target.closest("[data-answered]")
        : null;
      if (quote instanceof HTMLElement) {
        onSeek(Number(quote.dataset["answered"]));
      }
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#leftAlone();
    });
    new ResizeObserver(() => this.#planUpdate()).observe(parts.scroller);
  }

  /** False while the newest lines are cut off. */
  get reachesEnd() {
    return this.#reader.canFollow;
  }

  /** @returns {number | null} */
  get oldestSeq() {
    return seqOf(this.#parts.list.querySelector("[data-seq]"));
  }

  /** @returns {number | null} */
  get newestSeq() {
    let line = this.#parts.list.lastElementChild;
    while (line !== null && seqOf(line) === null) {
      line = line.previousElementSibling;
    }
    return seqOf(line);
  }

  /**
   * The messages that the reader will soon need and that are not here.
   *
   * @returns {"older" | "newer" | "newest" | null}
   */
  get wants() {
    if (this.#queue.length > 0) return null;
    const { isFollowing, isNearBottom, isNearTop } = this.#reader;
    if (!this.reachesEnd && isFollowing) return "newest";
    if (!this.reachesEnd && isNearBottom) return "newer";
    return isNearTop ? "older" : null;
  }

  /**
   * Shows the hint until the first message.
   *
   * @param {boolean} isTrue false while we cannot know whether anyone speaks
   */
  showHint(isTrue) {
    this.#hintIsTrue = isTrue;
    this.#planUpdate();
  }

  /**
   * Adds lines at the end, in this order, at the next repaint.
   *
   * @param {Entry[]} entries
   */
  append(entries) {
    if (entries.length === 0) return;
    if (!this.#reader.isFollowing || !this.reachesEnd) this.#countNew(entries);
    if (this.#awaitsNew) this.#markFirstNew(entries);
    if (this.reachesEnd) this.#queue.push(...entries);
    // A hidden tab is not repainted, but goes on receiving.
    const surplus = this.#queue.length - this.#maxLines;
    if (surplus > 0) {
      this.#queue.splice(0, surplus);
      this.#queueHasHole = true;
    }
    this.#planUpdate();
  }

  /**
   * Adds older lines before all others.
   *
   * @param {Entry[]} entries
   */
  prepend(entries) {
    const { list } = this.#parts;
    this.#reader.keepPlace(list.firstElementChild, () => {
      const first = list.firstElementChild;
      list.prepend(...this.#createLines(entries));
      this.#relateFrom(list.firstElementChild, first);
    });
    this.#cutSurplus();
    this.#planUpdate();
  }

  /**
   * Adds lines at the end of a list whose end was cut off.
   *
   * @param {Entry[]} entries
   * @param {boolean} reachesEnd whether the list is whole again
   */
  extend(entries, reachesEnd) {
    this.#addAtEnd(entries);
    this.#reader.canFollow = reachesEnd;
    this.#cutSurplus();
    if (this.#reader.isFollowing) this.#reader.follow();
    this.#planUpdate();
  }

  /**
   * Leads the reader to a message. Returns false if it is not here.
   *
   * @param {number} seq
   */
  leadTo(seq) {
    // The line may wait for the next repaint, which a hidden tab does not get.
    if (this.#queue.length > 0) this.#update(this.#queue.splice(0));
    const line = this.#lineOf(seq);
    if (!(line instanceof HTMLElement)) return false;
    this.#reader.stay();
    line.scrollIntoView({ block: "center" });
    giveFocus(line);
    return true;
  }

  /**
   * Shows these lines in place of all that are there.
   *
   * @param {Entry[]} entries
   * @param {boolean} reachesEnd whether they are the newest
   */
  replace(entries, reachesEnd) {
    this.#queue = [];
    this.#reader.stay();
    this.#reader.canFollow = reachesEnd;
    this.#parts.list.replaceChildren();
    this.#addAtEnd(entries);
    this.#planUpdate();
  }

  /**
   * Takes the text of a deleted message away, here and in its quotes.
   *
   * @param {number} seq
   */
  deleted(seq) {
    this.#queue = this.#queue.map((entry) =>
      entry.type === "message" && entry.seq === seq ? emptied(entry) : entry
    );
    const { list } = this.#parts;
    const line = this.#lineOf(seq);
    const entry = entryOf(line);
    if (line === null || entry?.type !== "message") return;
    const gone = emptied(entry);
    // The line's button goes, too, even if it has the focus.
    const hadFocus = line.contains(document.activeElement);
    this.#reader.keepPlace(line.nextElementSibling, () => {
      const [changed] = this.#createLines([gone]);
      if (changed === undefined) return;
      line.replaceWith(changed);
      renewQuotes(list, gone);
      this.#relateFrom(changed, changed);
      if (hadFocus) giveFocus(changed);
    });
    this.#planUpdate();
  }

  /** A new day began: the lines of the day before need their date. */
  renewTimes() {
    const { list, scroller } = this.#parts;
    const { top } = scroller.getBoundingClientRect();
    const inView = [...list.children].find((line) =>
      line.getBoundingClientRect().bottom > top
    );
    this.#reader.keepPlace(inView ?? null, () => {
      renewTimes(list);
      this.#relateFrom(list.firstElementChild, null);
    });
  }

  /** Takes all lines away. */
  clear() {
    this.#queue = [];
    this.#reader.canFollow = true;
    this.#newCount = 0;
    this.#parts.list.replaceChildren();
    this.follow();
  }

  /** Goes to the newest line and stays there. */
  follow() {
    this.#reader.follow();
    this.#planUpdate();
  }

  /**
   * Shows our messages that are not stored yet, below all others.
   *
   * @param {readonly Unsent[]} entries
   * @param {string} ownName
   */
  showUnsent(entries, ownName) {
    this.#unsent = { entries, ownName };
    this.#planUpdate();
  }

  /** @param {string} words "" if the history goes on before the first line */
  showBeginning(words) {
    const { beginning, list } = this.#parts;
    const text = list.childElementCount > 0 ? words : "";
    if (beginning.textContent === text) return;
    this.#reader.keepPlace(list.firstElementChild, () => {
      beginning.textContent = text;
      beginning.hidden = text === "";
    });
  }

  /** Once per repaint, however many lines came: measuring costs a layout. */
  #planUpdate() {
    if (this.#updateIsPlanned) return;
    this.#updateIsPlanned = true;
    requestAnimationFrame(() => {
      this.#updateIsPlanned = false;
      this.#update(this.#queue.splice(0));
    });
  }

  /** @param {Entry[]} entries */
  #update(entries) {
    const { hint, list, unsent } = this.#parts;
    if (this.#queueHasHole) list.replaceChildren();
    this.#queueHasHole = false;
    this.#addAtEnd(entries);
    unsent.show(this.#unsent.entries, this.#unsent.ownName);
    const isSpokenIn = this.#unsent.entries.length > 0 ||
      list.querySelector(".message") !== null;
    hint.hidden = isSpokenIn || !this.#hintIsTrue;
    this.#cutSurplus();
    if (this.#reader.isFollowing) this.#reader.follow();
    this.#showNewCount();
    this.#onLook();
  }

  /** @param {Entry[]} entries */
  #addAtEnd(entries) {
    const { list } = this.#parts;
    const last = list.lastElementChild;
    const isOpen = last?.querySelector("details")?.open === true;
    const lines = this.#createLines(this.#foldPresence(entries));
    list.append(...lines);
    const details = lines[0]?.querySelector("details");
    // The line that somebody has opened was made anew.
    if (isOpen && !last?.isConnected && details) details.open = true;
    this.#relateFrom(lines[0] ?? null, null);
  }

  /**
   * Comings and goings that follow each other are one line, also with the last
   * line that is there.
   *
   * @param {Entry[]} entries
   */
  #foldPresence(entries) {
    const last = this.#parts.list.lastElementChild;
    const before = entryOf(last);
    /** @type {Entry[]} */
    const folded = [];
    for (const entry of entries) {
      const earlier = folded.at(-1) ?? before;
      if (entry.type !== "presence" || earlier?.type !== "presence") {
        folded.push(entry);
        continue;
      }
      const came = [...earlier.came, ...entry.came];
      const left = [...earlier.left, ...entry.left];
      if (folded.length > 0) folded.pop();
      else last?.remove();
      folded.push({ ...entry, came, left });
    }
    return folded;
  }

  /** @param {Entry[]} entries */
  #createLines(entries) {
    const tones = this.#tones;
    // An answer may come together with the message that it answers.
    const find = (/** @type {number} */ seq) =>
      entries.find((entry) => entry.type === "message" && entry.seq === seq) ??
        entryOf(this.#lineOf(seq));
    return entries.map((entry) => createLine(entry, { tones, find }));
  }

  /** @param {number} seq */
  #lineOf(seq) {
    return this.#parts.list.querySelector(`[data-seq="${seq}"]`);
  }

  /**
   * @param {Element | null} line
   * @param {Element | null} last null for all that follow
   */
  #relateFrom(line, last) {
    for (; line !== null; line = line.nextElementSibling) {
      relate(line);
      if (line === last) return;
    }
  }

  /** Messages from now on are new to the next person who looks here. */
  #leftAlone() {
    this.#awaitsNew = true;
    for (const line of this.#parts.list.querySelectorAll(".has-above")) {
      const entry = entryOf(line);
      if (entry?.type === "message") entry.isFirstNew = false;
      relate(line);
    }
  }

  /** @param {Entry[]} entries */
  #markFirstNew(entries) {
    const isNews = (/** @type {Entry} */ it) =>
      it.type === "message" && !it.isMine;
    const first = entries.find(isNews);
    if (first?.type !== "message") return;
    first.isFirstNew = true;
    this.#awaitsNew = false;
  }

  #cutSurplus() {
    const { list } = this.#parts;
    const surplus = list.childElementCount - this.#maxLines;
    if (surplus <= 0) return;
    if (this.#reader.isInUpperPart) {
      for (let i = 0; i < surplus; i++) list.lastElementChild?.remove();
      this.#reader.canFollow = false;
      return;
    }
    this.#reader.keepPlace(list.lastElementChild, () => {
      for (let i = 0; i < surplus; i++) list.firstElementChild?.remove();
      relate(list.firstElementChild);
    });
  }

  /** @param {Entry[]} entries */
  #countNew(entries) {
    this.#newCount +=
      entries.filter((entry) => entry.type === "message" && !entry.isMine)
        .length;
  }

  #readerMoved() {
    if (this.#reader.isFollowing) this.#showNewCount();
    this.#onLook();
  }

  #showNewCount() {
    const { newMessages } = this.#parts;
    if (this.#reader.isFollowing) this.#newCount = 0;
    const noun = this.#newCount === 1 ? "message" : "messages";
    newMessages.textContent = this.#newCount > 0
      ? `${this.#newCount} new ${noun} ↓`
      : "Newest messages ↓";
    const isAtEnd = this.#newCount === 0 && this.reachesEnd;
    newMessages.hidden = isAtEnd || this.#reader.isFollowing;
  }
}

/**
 * @param {Extract<Entry, { type: "message" }>} message
 * @returns {Extract<Entry, { type: "message" }>}
 */
function emptied(message) {
  return { ...message, message: "", replyTo: null, isDeleted: true };
}

/**
 * Gives the focus to a line, which the Tab key does not reach.
 *
 * @param {HTMLElement} line
 */
function giveFocus(line) {
  line.tabIndex = -1;
  line.focus({ preventScroll: true });
}

/** @param {Element | null} line */
function seqOf(line) {
  const seq = line instanceof HTMLElement ? line.dataset["seq"] : undefined;
  return seq === undefined ? null : Number(seq);
}
