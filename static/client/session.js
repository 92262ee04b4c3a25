// @ts-check
// The hello and the position in the room's history. Each message is passed on
// once, in the order of `seq`; the position does not move past a message that
// was not passed on.

import { decodeFrame, encodeRequest } from "./protocol.js";

/** @import { Message, Position, Request } from "./protocol.js" */
/** @import { ServerEvent, Welcome } from "./protocol.js" */
/** @import { Identity } from "./identity.js" */

/** How many messages a room new to us shows, and a page of older ones has. */
export const HISTORY_COUNT = 50;

/**
 * The connection below.
 *
 * @typedef {object} Line
 * @property {(text: string) => boolean} send false if it is not open
 * @property {() => void} restart drops the socket and opens another
 */

/**
 * The page above. `isOld` marks messages from before we came.
 *
 * @typedef {object} Handlers
 * @property {(event: ServerEvent, isOld: boolean) => void} onEvent
 * @property {(id: string) => void} onStored the message with this id is safe
 * @property {() => void} onMissed messages or deletions were missed, so
 *   that the messages shown may be deleted
 * @property {() => void} onNewLife the history that we know exists no more
 */

export class Session {
  #line;
  #handlers;
  #identity;
  #now;
  // Not remembered by the tab: after a reload the transcript is empty, and we
  // ask for the newest messages.
  /** @type {Position | null} */
  #position = null;
  /** @type {Welcome | null} null while we are not welcome */
  #welcome = null;
  // The first message of a history may have any seq up to this one.
  #mayLeapTo = 0;
  // Messages up to this seq are from before we knew of the room.
  #oldUpTo = 0;

  /**
   * @param {Line} line
   * @param {Handlers} handlers
   * @param {Identity} identity
   * @param {() => Date} now
   */
  constructor(line, handlers, identity, now = () => new Date()) {
    this.#line = line;
    this.#handlers = handlers;
    this.#identity = identity;
    this.#now = now;
  }

  /** Our name, if we know it yet. */
  get name() {
    return this.#identity.name;
  }

  /** The `author` of our own messages; null while we are not welcome. */
  get author() {
    return this.#welcome?.author ?? null;
  }

  /** The seq of the newest message that was passed on. */
  get seq() {
    return this.#position?.seq ?? 0;
  }

  /** The epoch of the history that `seq` counts; "" while we know none. */
  get epoch() {
    return this.#position?.epoch ?? "";
  }

  /** True when all messages from before we came have reached us. */
  get isCaughtUp() {
    return this.#welcome !== null && this.#position !== null &&
      this.#position.seq >= this.#welcome.seq;
  }

  /** True from the answer to our greeting until the connection is lost. */
  get isWelcome() {
    return this.#welcome !== null;
  }

  /** The connection is open: tells the server our identity and position. */
  greet() {
    const { key, name } = this.#identity;
    this.#line.send(encodeRequest({
      type: "hello",
      history: HISTORY_COUNT,
      ...(key !== null && { key }),
      ...(name !== null && { name }),
      ...(this.#position !== null && { since: this.#position }),
    }));
  }

  /** The connection is lost. */
  end() {
    this.#welcome = null;
  }

  /**
   * Sends a request. Returns false, and sends nothing, while not connected.
   *
   * @param {Request} request
   */
  request(request) {
    if (this.#welcome === null) return false;
    return this.#line.send(encodeRequest(request));
  }

  /** @param {unknown} data one frame */
  receive(data) {
    for (const event of decodeFrame(data, this.#now())) {
      if (event.type === "welcome") this.#welcomed(event);
      else if (event.type !== "message") this.#passOn(event);
      else if (!this.#heard(event)) {
        // A message before this one was lost. It comes again, with the rest.
        this.#line.restart();
        return;
      }
    }
  }

  /** @param {Welcome} welcome */
  #welcomed(welcome) {
    const { epoch, seq, recovered } = welcome;
    this.#identity.keep(welcome.key, welcome.sender);
    const known = this.#position;
    this.#oldUpTo = known === null ? seq : 0;
    // A history that ends before our position is another one, too.
    if (known !== null && (epoch !== known.epoch || seq < known.seq)) {
      this.#position = null;
      this.#handlers.onNewLife();
    } else if (known !== null && recovered !== true) {
      this.#position = null;
      this.#oldUpTo = known.seq;
      this.#handlers.onMissed();
    }
    this.#welcome = welcome;
    this.#mayLeapTo = recovered === true ? 0 : seq + 1;
    if (this.#position === null && seq === 0) this.#position = { epoch, seq };
    this.#handlers.onEvent(welcome, false);
  }

  /**
   * Returns false if messages are missing before this one.
   *
   * @param {Message} message
   */
  #heard(message) {
    if (message.id !== null) this.#handlers.onStored(message.id);
    const { seq } = message;
    const last = this.#position?.seq ?? null;
    if (last !== null && seq <= last) return true;
    const isNext = last !== null && seq === last + 1;
    if (!isNext && seq > this.#mayLeapTo) return false;
    this.#mayLeapTo = 0;
    this.#position = { epoch: this.#welcome?.epoch ?? "", seq };
    this.#handlers.onEvent(message, seq <= this.#oldUpTo);
    return true;
  }

  /** @param {Exclude<ServerEvent, Welcome | Message>} event */
  #passOn(event) {
    const { key, name } = this.#identity;
    const isOurs = event.type === "rename" && event.sender === name;
    if (isOurs && key !== null) this.#identity.keep(key, event.name);
    this.#handlers.onEvent(event, false);
  }
}
