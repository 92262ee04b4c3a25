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
  // The last known position of the view: a smaller one is a move up.
  #lastTop = 0;
  #owedPx = 0;
  // The last known size of the view.
  #size = "";
  /** Whether new lines come at the bottom. */
  canFollow = true;

  /**
   * @param {HTMLElement} scroller
   * @param {() => void} onMove
   */
  constructor(scroller, onMove) {
    this.#scroller = scroller;
    this.#onMove = onMove;
    scroller.addEventListener("scroll", () => this.#moved());
    // Before the view moves: a new line that brings us to the bottom would stop
    // a smooth scroll before it has begun.
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

  /** A reader who follows is near the top only if nothing can be scrolled. */
  get isNearTop() {
    const { scrollTop, clientHeight } = this.#scroller;
    return scrollTop < (this.#isFollowing ? 1 : clientHeight * NEAR_VIEWS);
  }

  get isNearBottom() {
    return this.#belowPx < this.#scroller.clientHeight * NEAR_VIEWS;
  }

  /** True if cutting the top would lose more than cutting the bottom. */
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
   * Browsers round scroll positions. The lost part is added the next time, or
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
   * A view near the bottom has not always returned there: it may have just
   * begun to move up, smoothly, or the event may be of an earlier move.
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
    // Scroll events come late: a view above the bottom may only mean that lines
    // came since. Only a move up ends following, unless the window moved the
    // view because its size changed.
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
