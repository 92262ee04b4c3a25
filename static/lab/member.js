// @ts-check
// One member of the lab's room, connected by any of the ways. Messages that it
// sends and receives are delayed by the same lag, in the order in which they
// came.

import { LOST } from "../client/protocol.js";
import { Meter } from "./meter.js";
import { within } from "./time.js";
import { WEBSOCKET } from "./ways.js";

/** @import { Heads } from "./heads.js" */
/** @import { Way } from "./ways.js" */
/** @import { Socket } from "../client/connection.js" */

const WELCOME_WITHIN_MS = 10_000;

/** @typedef {{ rate: number }} Limits messages a second; 0: no limit */

export class Member {
  #socket;
  #sendLagMs;
  #hearLagMs;
  #hasLeft = false;
  /** @type {PromiseWithResolvers<Limits>} */
  #welcome = Promise.withResolvers();
  /** @type {(id: string) => void} told of each message with an id */
  onMessage = () => {};
  /** @type {(why: string) => void} */
  onProblem = () => {};

  /**
   * @param {Way} way
   * @param {string} url of the WebSocket
   * @param {Meter} meter
   * @param {number} lagMs
   */
  constructor(way, url, meter, lagMs) {
    this.#sendLagMs = way.sendLagged ? lagMs : 0;
    this.#hearLagMs = way.hearLagged ? lagMs : 0;
    this.#socket = way.open(url, meter, lagMs);
    this.#listenTo(this.#socket, way.name);
  }

  /**
   * Resolves when it is in the room. Rejects if that does not work.
   *
   * @param {AbortSignal} signal
   */
  join(signal) {
    const words =
      "The connection opened, but no welcome came within 10 seconds.";
    return within(this.#welcome.promise, WELCOME_WITHIN_MS, words, signal);
  }

  /**
   * @param {string} id
   * @param {string} message
   */
  say(id, message) {
    const text = JSON.stringify({ type: "message", id, message });
    later(this.#sendLagMs, () => {
      if (!this.#hasLeft) this.#socket.send(text);
    });
  }

  leave() {
    this.#hasLeft = true;
    this.#welcome.promise.catch(() => {});
    this.#welcome.reject(new Error("left"));
    this.#socket.close();
  }

  /**
   * @param {Socket} socket
   * @param {string} name
   */
  #listenTo(socket, name) {
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ type: "hello", history: 0 }));
    });
    socket.addEventListener("message", ({ data }) => {
      later(this.#hearLagMs, () => this.#heard(JSON.parse(data)));
    });
    socket.addEventListener("close", ({ code }) => {
      const wasClosed = code >= 1_000 && code !== LOST;
      this.#failed(
        wasClosed
          ? `The server closed the connection (${code}).`
          : `${name} was cut off.`,
      );
    });
  }

  /** @param {any[]} events */
  #heard(events) {
    if (this.#hasLeft) return;
    for (const event of events) {
      if (event.type === "welcome") this.#welcome.resolve(event.limits);
      else if (event.type === "error") this.#failed(event.message);
      else if (event.type === "message" && event.id) this.onMessage(event.id);
    }
  }

  /** @param {string} why */
  #failed(why) {
    if (this.#hasLeft) return;
    this.#welcome.reject(new Error(why));
    this.onProblem(why);
  }
}

/**
 * A member that only listens, by WebSocket, and whose cost is not counted. Null
 * where that does not work: then the ways are measured without it.
 *
 * @param {string} url
 * @param {Heads} heads
 * @param {number} lagMs
 * @param {AbortSignal} signal
 * @returns {Promise<Member | null>}
 */
export async function joinWitness(url, heads, lagMs, signal) {
  const witness = new Member(WEBSOCKET, url, new Meter(heads), lagMs);
  try {
    await witness.join(signal);
    return witness;
  } catch {
    witness.leave();
    return null;
  }
}

/**
 * @param {number} ms
 * @param {() => void} act
 */
function later(ms, act) {
  if (ms === 0) act();
  else setTimeout(act, ms);
}
