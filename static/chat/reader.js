// @ts-check
// Knows where the reader is: at the bottom and following, or somewhere above. A
// reader who follows stays at the bottom; one who reads above is not moved,
// whatever comes or goes around the text.

// Browsers round scroll positions when the page is zoomed.
const BOTTOM_SLACK_PX = 4;
// In heights of the view: early enough that the next page is there in time.
const NEAR_VIEWS = 2;
const UPPER_PART = 1 / 3;
const KEYS_UP = new Set(["ArrowUp", "PageUp", "Home"]);

export class Reader {
  #scroller;
  #onMove;
  // Remembered, not measured: when the window shrinks, a reader who was at
  // the bottom no longer is, but wants to be.
  #isFollowing = true;
  // Where the view was when last looked at: less than that is a move up.
  #lastTop = 0;
  #owedPx = 0;
  // Of the view when last looked at.
  #size = "";
  /** Whether the bottom is where new lines come. */
  canFollow = true;

  /**
   * @param {HTMLElement} scroller
   * @param {() => void} onMove
   */
  constructor(scroller, onMove) {
    this.#scroller = scroller;
    this.#onMove = onMove;
    scroller.addEventListener("scroll", () => this.#moved());
    // Before it moves: a new line that brings us to the bottom would stop a
    // browser that scrolls smoothly before it has begun.
    scroller.addEventListener("keydown", ({ key, shiftKey }) => {
      if (KEYS_UP.has(key) || (key === " " && shiftKey)) this.#wantsUp();
    });
    scroller.addEventListener("wheel", ({ deltaY, ctrlKey }) => {
      // With Ctrl the wheel zooms.
      if (deltaY < 0 && !ctrlKey) this.#wantsUp();
    }, { passive: true });
  }

  get isFollowing() {
    return this.#isFollowing;
  }

  /** Who follows looks up only if there is nothing to scroll. */
  get isNearTop() {
    const { scrollTop, clientHeight } = this.#scroller;
    return scrollTop < (this.#isFollowing ? 1 : clientHeight * NEAR_VIEWS);
  }

  get isNearBottom() {
    return this.#belowPx < this.#scroller.clientHeight * NEAR_VIEWS;
  }

  /** True if more is lost to the reader by cutting the top than the bottom. */
  get isInUpperPart() {
    const { scrollTop, scrollHeight } = this.#scroller;
    return !this.#isFollowing && scrollTop < scrollHeight * UPPER_PART;
  }

  /** Leaves the bottom: the reader is led to another place. */
  stay() {
    this.#isFollowing = false;
  }

  /** Goes to the bottom and stays there. */
  follow() {
    this.#isFollowing = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#lastTop = this.#scroller.scrollTop;
    this.#size = this.#sizeNow;
  }

  /**
   * Makes a change in such a way that the reader does not notice.
   *
   * @param {Element | null} anchor an element that the change leaves alone
   * @param {() => void} change
   */
  keepPlace(anchor, change) {
    if (this.#isFollowing || anchor === null) {
      change();
      if (this.#isFollowing) this.follow();
      return;
    }
    const before = topOf(anchor);
    change();
    this.#scrollBy(topOf(anchor) - before);
  }

  get #sizeNow() {
    const { clientWidth, clientHeight } = this.#scroller;
    return `${clientWidth} ${clientHeight}`;
  }

  get #belowPx() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  /**
   * Browsers round scroll positions. What is lost is added the next time, or
   * the text would creep away under the reader.
   *
   * @param {number} deltaPx
   */
  #scrollBy(deltaPx) {
    const scroller = this.#scroller;
    const wanted = scroller.scrollTop + deltaPx + this.#owedPx;
    scroller.scrollTop = wanted;
    this.#owedPx = Math.max(-1, Math.min(1, wanted - scroller.scrollTop));
    this.#lastTop = scroller.scrollTop;
  }

  #wantsUp() {
    if (this.#scroller.scrollTop > 0) this.#isFollowing = false;
  }

  /**
   * Near the bottom is also who has just begun to move up, smoothly, and who
   * is told of the move that took them there before.
   *
   * @param {boolean} isUp
   */
  #hasReturned(isUp) {
    const hasMoved = this.#scroller.scrollTop !== this.#lastTop;
    return hasMoved && (!isUp || this.#belowPx < 1);
  }

  #moved() {
    const { scrollTop } = this.#scroller;
    const isResized = this.#size !== this.#sizeNow;
    const isUp = scrollTop < this.#lastTop;
    // A scroll is told of late: not being at the bottom may only mean that
    // lines came since. Only who moved up has stopped following, unless it
    // was the window that moved, being made larger or smaller.
    if (this.#belowPx > BOTTOM_SLACK_PX) {
      if (isUp && !isResized) this.#isFollowing = false;
    } else if (this.canFollow && this.#hasReturned(isUp)) {
      this.#isFollowing = true;
    }
    this.#lastTop = scrollTop;
    this.#size = this.#sizeNow;
    this.#onMove();
  }
}

/** @param {Element} element */
function topOf(element) {
  return element.getBoundingClientRect().top;
}
