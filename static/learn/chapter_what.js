// @ts-check
// The experiments of the chapter "What it is": one message to the server and
// back, and the bytes that its text takes.

import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { frameHeaderBytes, utf8Bytes } from "../shared/framing.js";
import { fill } from "./table.js";
import { addUp, hex, unitsOf } from "./utf8.js";

/** @import { Place } from "./place.js" */
/** @import { Unit } from "./utf8.js" */

/** More characters than this are counted, but not drawn. */
const MAX_DRAWN = 60;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpWhat(place, onUninvited) {
  const experiment = new Experiment("what-try", onUninvited);
  const text = experiment.part("text", HTMLInputElement);
  const table = experiment.part("table", HTMLTableElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const caller = await open(place.socket(place.freshRoom()));
      caller.send(text.value);
      const { event, bytes } = await caller.untilSaid(text.value);
      const sent = utf8Bytes(text.value);
      fill(table, [
        ["to the server", sent, frameHeaderBytes(sent, true)],
        ["to the page", bytes, frameHeaderBytes(bytes, false)],
      ]);
      const count = [...text.value].length;
      return `${count} characters went out and came back. The server calls ` +
        `this connection ${event.sender}.`;
    }));
  setUpBytes(experiment, text);
}

/**
 * Draws the bytes of the text in the field, also while somebody types.
 *
 * @param {Experiment} experiment
 * @param {HTMLInputElement} text
 */
function setUpBytes(experiment, text) {
  const sum = experiment.part("sum", HTMLElement);
  const list = experiment.part("units", HTMLElement);
  const show = () => {
    const units = unitsOf(text.value);
    sum.textContent = addUp(units) +
      (units.length > MAX_DRAWN
        ? ` The first ${MAX_DRAWN} characters are drawn.`
        : "");
    list.replaceChildren(...units.slice(0, MAX_DRAWN).map(createItem));
  };
  text.addEventListener("input", show);
  show();
}

/** @param {Unit} unit */
function createItem({ character, codePoint, bytes }) {
  const item = document.createElement("li");
  const shown = document.createElement("b");
  const number = document.createElement("span");
  const inHex = document.createElement("code");
  item.className = `bytes-${bytes.length}`;
  shown.textContent = character === " " ? "space" : character;
  number.textContent = `U+${hex(codePoint, 4)}`;
  inHex.textContent = bytes.map((byte) => hex(byte, 2)).join(" ");
  item.append(shown, number, inHex);
  return item;
}
