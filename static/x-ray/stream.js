// @ts-check
// The connection to /x-ray/events: it reads the stream of Server-Sent Events,
// and opens it again when the stream was lost, or given up while the tab was
// hidden. The caller knows the meaning of the events. There is at most one
// request or one timer at a time; after close() no event is passed on and no
// request is sent.

import { streams } from "../shared/streams.js";

// The first retry is soon: the panel is there before our connection is back.
const SOON_MS = 200;
const RETRY_MS = 2_000;
// A stream begins at once, unless something on the way holds it back.
const HELD_AFTER_MS = 8_000;
const HELD =
  "Something between this page and the server holds streams back, and " +
  "the X-ray needs one. Connect to the server directly, or close and open the " +
  "X-ray to try again.";

/**
 * `refused`: the server does not show this; `why` is its sentence.
 *
 * `paused`: other tabs have this browser's connections; see streams.js.
 *
 * @typedef {{ name: "connecting" | "open" | "lost" | "paused" }
 *   | { name: "refused", status: number, why: string }} StreamState
 */

/**
 * @typedef {object} Handlers
 * @property {(state: StreamState) => void} onState
 * @property {(name: string, data: any) => void} onEvent
 */

export class Stream {
  #createQuery;
  #handlers;
  /** @type {AbortController | null} */
  #asking = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer = undefined;
  #isFresh = false;

  /**
   * @param {() => Record<string, string> | null} createQuery null: not now
   * @param {Handlers} handlers
   */
  constructor(createQuery, handlers) {
    this.#createQuery = createQuery;
    this.#handlers = handlers;
  }

  open() {
    streams.add(this);
    if (!streams.areGivenUp) this.takeBack();
  }

  close() {
    streams.remove(this);
    this.#stop();
  }

  /** The tab's streams call this and takeBack(); see `Holder`. */
  giveUp() {
    this.#stop();
    this.#handlers.onState({ name: "paused" });
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  takeBack() {
    this.#stop();
    const asking = new AbortController();
    this.#asking = asking;
    this.#handlers.onState({ name: "connecting" });
    this.#timer = setTimeout(() => this.#held(), HELD_AFTER_MS);
    this.#read(asking).catch(() => {
      if (asking === this.#asking) this.#retry({ name: "lost" });
    });
  }

  /** Nothing came: the request would keep one of few connections in vain. */
  #held() {
    this.close();
    this.#handlers.onState({ name: "refused", status: 0, why: HELD });
  }

  /** @param {StreamState} state */
  #retry(state) {
    this.#stop();
    const delayMs = this.#isFresh ? SOON_MS : RETRY_MS;
    this.#isFresh = false;
    this.#timer = setTimeout(() => this.takeBack(), delayMs);
    this.#handlers.onState(state);
  }

  #begun() {
    if (this.#isFresh) return;
    this.#isFresh = true;
    clearTimeout(this.#timer);
    this.#handlers.onState({ name: "open" });
  }

  /** @param {AbortController} asking */
  async #read(asking) {
    const query = this.#createQuery();
    if (query === null) return this.#retry({ name: "connecting" });
    const url = new URL("x-ray/events", document.baseURI);
    url.search = String(new URLSearchParams(query));
    const { signal } = asking;
    const response = await fetch(url, { cache: "no-store", signal });
    if (!response.ok || response.body === null) {
      const why = (await response.text()).trim();
      if (asking !== this.#asking) return;
      const { status } = response;
      return this.#retry({ name: "refused", status, why });
    }
    const reader = response.body.pipeThrough(new TextDecoderStream())
      .getReader();
    const parser = new EventParser();
    for (let next; !(next = await reader.read()).done;) {
      if (asking === this.#asking) this.#begun();
      for (const { name, data } of parser.read(next.value)) {
        if (asking !== this.#asking) return;
        this.#handlers.onEvent(name, data);
      }
    }
    if (asking === this.#asking) this.#retry({ name: "lost" });
  }
}

/** Parses as much as this server uses (WHATWG HTML section 9.2.6). */
class EventParser {
  #text = "";

  /** @param {string} chunk */
  read(chunk) {
    const blocks = (this.#text + chunk).split("\n\n");
    this.#text = blocks.pop() ?? "";
    return blocks.flatMap((block) => {
      const [, name = "", data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ??
        [];
      return data === undefined ? [] : [{ name, data: JSON.parse(data) }];
    });
  }
}
