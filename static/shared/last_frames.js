// @ts-check
// Keeps the last frames of each connection that has ended, for the page that
// explains why it ended. They are in this tab's storage, for each of the last
// close codes: at most MAX_FRAMES of a connection, and the beginning of each.

import { LOST } from "../client/protocol.js";
import { startOf } from "./start_of.js";

/** @import { KeptFrame, Memory } from "./storage.js" */

/**
 * The part of a frame that is used here; all of it is in frame_list.js.
 *
 * @typedef {Pick<KeptFrame, "at" | "direction" | "kind" | "length"> & {
 *   connection: number, text: string, hex?: string,
 *   close?: { code: number, reason: string } }} Frame
 */

const MAX_FRAMES = 12;
const MAX_KEPT_FRAMES = 4 * MAX_FRAMES;
const MAX_START_CHARS = 300;

/** The value of a field "key" in JSON; its end may be missing. */
const KEY = /("key"\s*:\s*")((?:[^"\\]|\\.)*)/g;

export class LastFrames {
  #memory;
  /** @type {Frame[]} the oldest first */
  #frames = [];
  /** The code that the server gives before a connection by HTTP ends. */
  #toldCode = 0;

  /** @param {Pick<Memory, "lastFrames">} memory */
  constructor(memory) {
    this.#memory = memory;
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  hear(name, data) {
    if (name === "frame") this.#add(data);
    if (name === "closing") this.#toldCode = data.code;
    if (name === "closed") this.#closed(data);
  }

  /** @param {Frame} frame */
  #add(frame) {
    this.#frames.push(frame);
    // Frames of a connection that ends may be mixed with those of the next one.
    if (this.#frames.length > 2 * MAX_FRAMES) this.#frames.shift();
  }

  /** @param {{ connection: number, code: number }} end */
  #closed({ connection, code }) {
    const frames = this.#frames.filter((frame) =>
      frame.connection === connection
    ).slice(-MAX_FRAMES);
    const first = frames.find(({ close }) => close !== undefined)?.close;
    const endCode = first?.code ?? (this.#toldCode || code || LOST);
    this.#toldCode = 0;
    this.#frames = this.#frames.filter((frame) =>
      frame.connection !== connection
    );
    const kept = frames.map((frame) => {
      const { at, direction, kind, length, text, hex = "", close } = frame;
      const start = close === undefined
        ? startOf(hideKeys(text) || hex, MAX_START_CHARS)
        : startOf(`${close.code} ${close.reason}`, MAX_START_CHARS);
      return { code: endCode, at, direction, kind, length, start };
    });
    const others = this.#memory.lastFrames.filter(({ code }) =>
      code !== endCode
    );
    this.#memory.lastFrames = [...others, ...kept].slice(-MAX_KEPT_FRAMES);
  }
}

/**
 * Hides keys as the X-ray does, for frames that do not come from the X-ray:
 * with a key somebody else could take the place of its owner.
 *
 * @param {string} text
 */
function hideKeys(text) {
  return text.replaceAll(
    KEY,
    (_all, before, key) => before + "*".repeat(key.length),
  );
}
