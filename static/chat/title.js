// @ts-check
// The document's title: the room, and how many messages came in unseen. The
// count is zero whenever the tab can be seen.

export class Title {
  #base;
  #unread = 0;
  #isCalled = false;

  /** @param {string} base */
  constructor(base) {
    this.#base = base;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#show(0);
    });
    this.#show(0);
  }

  /**
   * Counts a new message, if nobody is looking.
   *
   * @param {boolean} isForMe it speaks to us by name
   */
  addUnread(isForMe) {
    if (!document.hidden) return;
    this.#isCalled ||= isForMe;
    this.#show(this.#unread + 1);
  }

  /** @param {number} unread */
  #show(unread) {
    this.#unread = unread;
    if (unread === 0) this.#isCalled = false;
    const mark = this.#isCalled ? `@ ${unread}` : `${unread}`;
    document.title = unread > 0 ? `(${mark}) ${this.#base}` : this.#base;
  }
}
