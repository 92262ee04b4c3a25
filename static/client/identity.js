// @ts-check
// Our key and name, kept for this tab and, so that they outlive it, for the
// whole browser. A tab takes no key that another living tab has; a tab that
// answers is living.

import { openChannel } from "../shared/channel.js";

/** @import { KeptIdentity, Memory } from "../shared/storage.js" */

const CHANNEL = "partyline.identity";
const QUESTION = "Who lives?";
// The whole second passes only after a crash; a living tab answers within a few
// milliseconds. Tabs are asked, and do not renew a lease, because the timers of
// a hidden tab may stand still for a minute. Messages still reach it.
const ANSWER_WITHIN_MS = 1_000;
const MAX_KEPT = 16;

export class Identity {
  #tab;
  #shared;
  // One for this page, not its tab: a copy of the tab must have another.
  #holder = String(Math.random());
  #channel = openChannel(CHANNEL);
  #isFirstVisit;

  /**
   * @param {Memory} tab survives a reload; a copy of the tab has it, too
   * @param {Memory} shared by all tabs
   */
  constructor(tab, shared) {
    this.#tab = tab;
    this.#shared = shared;
    this.#isFirstVisit = this.key === null && shared.identities.length === 0;
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data === QUESTION) this.#channel?.postMessage(this.#holder);
    });
  }

  /** A secret, or null for someone new. */
  get key() {
    return this.#tab.get("key");
  }

  get name() {
    return this.#tab.get("name");
  }

  /** Whether this browser had no identity here before this page. */
  get isFirstVisit() {
    return this.#isFirstVisit;
  }

  /**
   * Finds our identity: the one that this tab had before; if another tab has
   * that or there was none, the one that was left last; else a new one.
   */
  async settle() {
    const dead = await this.#findDead();
    const kept = this.#shared.identities.map((one) =>
      dead.has(one.holder) ? { ...one, holder: "" } : one
    );
    this.#write(kept);
    const own = kept.find(({ key }) => key === this.key);
    // A copy of a tab has its unsent messages, too; the other tab sends them.
    if (own !== undefined && own.holder !== "") this.#tab.clear();
    const left = kept.find(({ holder }) => holder === "");
    if (this.key === null && left !== undefined) {
      this.#tab.set("key", left.key);
      this.#tab.set("name", left.name);
    }
    this.#put(this.#holder);
  }

  /**
   * Keeps the key and name that the server gave us. Another key than before
   * means that the server does not know the old one.
   *
   * @param {string} key
   * @param {string} name
   */
  keep(key, name) {
    this.#write(this.#shared.identities.filter(({ key }) => key !== this.key));
    this.#tab.set("key", key);
    this.#tab.set("name", name);
    this.#put(this.#holder);
  }

  /** The page is left: another tab may have the identity from now on. */
  giveUp() {
    if (this.#currentHolder === this.#holder) this.#put("");
  }

  /** The page is back. Returns false if another tab has the identity by now. */
  takeBack() {
    if (this.#currentHolder !== "") return false;
    this.#put(this.#holder);
    return true;
  }

  get #currentHolder() {
    return this.#shared.identities.find(({ key }) => key === this.key)?.holder;
  }

  /**
   * Asks the pages that have an identity; pages that do not answer are dead.
   * Where nobody can be asked, all may be alive.
   *
   * @returns {Promise<Set<string>>}
   */
  #findDead() {
    const silent = new Set(
      this.#shared.identities.map(({ holder }) => holder),
    );
    silent.delete("");
    return new Promise((resolve) => {
      if (silent.size === 0) return resolve(silent);
      const channel = openChannel(CHANNEL);
      if (channel === null) return resolve(new Set());
      const end = () => {
        channel.close();
        resolve(silent);
      };
      setTimeout(end, ANSWER_WITHIN_MS);
      channel.addEventListener("message", ({ data }) => {
        silent.delete(data);
        if (silent.size === 0) end();
      });
      channel.postMessage(QUESTION);
    });
  }

  /** @param {string} holder */
  #put(holder) {
    const { key, name } = this;
    if (key === null || name === null) return;
    const others = this.#shared.identities.filter((kept) => kept.key !== key);
    this.#write([{ key, name, holder }, ...others]);
  }

  /** @param {KeptIdentity[]} kept the last used first */
  #write(kept) {
    this.#shared.identities = kept.slice(0, MAX_KEPT);
  }
}
