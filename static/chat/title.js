// @ts-check
// The document's title: the room, and how many messages came in unseen. The
// count is zero whenever the tab can be seen.

export class Title {
  #base;
  #unread = 0;

  /** @param {string} base */
  constructor(base) {
    this.#base = base;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#show(0);
    });
    this.#show(0);
  }

  /**
   * Counts new messages, if nobody is looking.
   *
   * @param {number} count
   */
  addUnread(count) {
    if (document.hidden && count > 0) this.#show(this.#unread + count);
  }

  /** @param {number} unread */
  #show(unread) {
    this.#unread = unread;
    document.title = unread > 0 ? `(${unread}) ${this.#base}` : this.#base;
  }
}
