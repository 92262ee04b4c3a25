// @ts-check
// The experiment of the chapter "The life of a connection": the student opens
// one, talks, and ends it or breaks a rule; each step is drawn. The page that
// explains the close code gets the last frames.

import { SUBPROTOCOL } from "../client/protocol.js";
import { basePath } from "../shared/address.js";
import { utf8Bytes } from "../shared/framing.js";
import { tabMemory } from "../shared/storage.js";
import { LastFrames } from "../shared/last_frames.js";
import { Caller } from "./caller.js";
import { hex } from "./digest.js";
import { Experiment } from "./experiment.js";
import { Sequence } from "./sequence.js";

/** @import { Frame } from "../shared/last_frames.js" */
/** @import { Sent } from "./caller.js" */
/** @import { Place } from "./place.js" */

const CLOSE_DEADLINE_MS = 10_000;
/** In the payload of a close frame the code comes before the reason. */
const CODE_BYTES = 2;
/** Too much for a frame, unless the server's operator allows more. */
const TOO_BIG = "x".repeat(70_000);

/**
 * Ways to break a rule, and their names in the diagram.
 *
 * @type {Record<string, [string, (caller: Caller) => void]>}
 */
const BREAKS = {
  "not-json": ["not JSON", (caller) => caller.send("this is not JSON")],
  binary: ["3 bytes, binary", (caller) => caller.send(new Uint8Array(3))],
  "too-big": ["70,000 bytes", (caller) => caller.send(TOO_BIG)],
};

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpLife(place, onUninvited) {
  const experiment = new Experiment("life-try", onUninvited);
  const life = new Life(
    new Sequence(
      experiment.part("figure", HTMLElement),
      experiment.part("list", HTMLElement),
    ),
  );
  const rule = experiment.part("rule", HTMLSelectElement);
  experiment.on("connect", () => life.connect(place.socket(place.freshRoom())));
  experiment.on("say", () => life.say());
  experiment.on("ping", () => life.ping());
  experiment.on("close", () => life.close());
  experiment.on("break", () => life.breakRule(rule.value));
}

/** One connection after the other, each drawn. */
class Life {
  #sequence;
  /** @type {Caller | null} */
  #caller = null;
  #isClosing = false;
  #count = 0;

  /** @param {Sequence} sequence */
  constructor(sequence) {
    this.#sequence = sequence;
  }

  /** Throws a sentence for a person if there is no connection. */
  get #connected() {
    if (this.#caller !== null) return this.#caller;
    throw new Error("You are not connected: press Connect first.");
  }

  /** @param {string} url */
  async connect(url) {
    if (this.#caller !== null) return "You are already connected.";
    const sequence = this.#sequence;
    sequence.begin();
    this.#isClosing = false;
    sequence.add("out", "GET, Upgrade");
    const caller = await Caller.open(url, SUBPROTOCOL);
    this.#caller = caller;
    handOver(caller);
    sequence.add("in", "101 Switching Protocols");
    sequence.add("note", "event: open");
    caller.listen(({ event }) => sequence.add("in", labelOf(event)));
    caller.closed.then((end) => this.#ended(end));
    caller.request({ type: "hello" });
    sequence.add("out", "hello");
    const { event } = await caller.until(({ type }) => type === "welcome");
    return `Connected as ${event["sender"]}.`;
  }

  /** @param {CloseEvent} end */
  #ended({ code, wasClean }) {
    const sequence = this.#sequence;
    if (wasClean) sequence.add("in", `close ${code}`);
    // RFC 6455 section 5.5.1: the browser answers, and tells nobody.
    const isAnswered = wasClean && !this.#isClosing;
    if (isAnswered) sequence.add("out", "close, by the browser");
    sequence.add("note", `event: close, ${code}`);
    this.#caller = null;
  }

  async say() {
    const caller = this.#connected;
    const id = String(++this.#count);
    caller.request({ type: "message", message: `word ${id}`, id });
    this.#sequence.add("out", `message ${id}`);
    await caller.until((event) =>
      event.type === "message" && event["id"] === id
    );
    return `Message ${id} came back, so the server has stored it.`;
  }

  async ping() {
    const caller = this.#connected;
    caller.request({ type: "ping", id: `ping ${++this.#count}` });
    this.#sequence.add("out", "ping");
    await caller.until((event) => event.type === "pong");
    return "The server answered the ping.";
  }

  async close() {
    const caller = this.#connected;
    this.#isClosing = true;
    caller.close();
    this.#sequence.add("out", "close 1000");
    const { code } = await caller.closed;
    return `Closed with ${code}: both sides sent a close frame.`;
  }

  /** @param {string} rule of BREAKS */
  async breakRule(rule) {
    const caller = this.#connected;
    const [label, act] = BREAKS[rule] ?? ["", () => {}];
    act(caller);
    this.#sequence.add("out", label);
    const late = new Promise((resolve) =>
      setTimeout(resolve, CLOSE_DEADLINE_MS, null)
    );
    const end = await Promise.race([caller.closed, late]);
    if (end === null) return "The server did not close the connection.";
    const { code, reason } = end;
    return { sentence: `The server closed with ${code}: ${reason}.`, code };
  }
}

/**
 * Keeps the last frames for the page about the connection's close code.
 *
 * @param {Caller} caller
 */
function handOver(caller) {
  const lastFrames = new LastFrames(tabMemory(basePath(document.baseURI)));
  /** @param {Pick<Frame, "direction" | "kind" | "length" | "text">} frame */
  const hear = (frame) =>
    lastFrames.hear("frame", { connection: 0, at: Date.now(), ...frame });
  /**
   * @param {"in" | "out"} direction as the server sees it
   * @param {Sent} data
   */
  const hearData = (direction, data) =>
    typeof data === "string"
      ? hear({ direction, kind: "text", length: utf8Bytes(data), text: data })
      : hear({
        direction,
        kind: "binary",
        length: data.length,
        text: hex(data),
      });
  caller.onSent = (data) => hearData("in", data);
  caller.socket.addEventListener("message", ({ data }) => {
    hearData("out", data);
  });
  caller.closed.then(({ code, reason, wasClean }) => {
    const length = CODE_BYTES + utf8Bytes(reason);
    const text = `${code} ${reason}`;
    if (wasClean) hear({ direction: "out", kind: "close", length, text });
    lastFrames.hear("closed", { connection: 0, code });
  });
}

/** @param {Record<string, any>} event */
function labelOf({ type, seq }) {
  return seq === undefined || type === "welcome" ? type : `${type}, seq ${seq}`;
}
