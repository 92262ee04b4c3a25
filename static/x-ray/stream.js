// @ts-check
// Owns the line to /x-ray/events: reads the stream of Server-Sent Events, and
// opens it again when it is lost. It never knows what the events mean.
// Invariant: at most one request or one timer at a time; after close() nothing
// is heard and nothing is asked.

// The first time at once: the panel is there before our line is up again.
const SOON_MS = 200;
const RETRY_MS = 2_000;

/**
 * `refused`: the server does not show this; `why` is its sentence.
 *
 * @typedef {{ name: "connecting" | "open" | "lost" }
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
    this.close();
    const asking = new AbortController();
    this.#asking = asking;
    this.#handlers.onState({ name: "connecting" });
    this.#read(asking).catch(() => {
      if (asking === this.#asking) this.#retry({ name: "lost" });
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  /** @param {StreamState} state */
  #retry(state) {
    this.close();
    const delayMs = this.#isFresh ? SOON_MS : RETRY_MS;
    this.#isFresh = false;
    this.#timer = setTimeout(() => this.open(), delayMs);
    this.#handlers.onState(state);
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
    this.#isFresh = true;
    this.#handlers.onState({ name: "open" });
    const reader = response.body.pipeThrough(new TextDecoderStream())
      .getReader();
    const parser = new EventParser();
    for (let next; !(next = await reader.read()).done;) {
      for (const { name, data } of parser.read(next.value)) {
        if (asking !== this.#asking) return;
        this.#handlers.onEvent(name, data);
      }
    }
    if (asking === this.#asking) this.#retry({ name: "lost" });
  }
}

/** As far as this server uses them (WHATWG HTML section 9.2.6). */
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
