// @ts-check
// The experiments of the chapter "What goes wrong": a lost connection, a full
// send buffer, markup in a message. They use rooms of their own, so that nobody
// else is disturbed.

import { byId } from "../shared/dom.js";
import { SUBPROTOCOL } from "../client/protocol.js";
import { Caller, withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { formatMs, grouped } from "../shared/units.js";
import { effectsOf } from "./inner_html.js";
import { parse } from "./markup_parser.js";
import { fill } from "./table.js";

/** @import { Place } from "./place.js" */
/** @import { Tag } from "./inner_html.js" */

const DRAW_SUBPROTOCOL = "partyline.draw.v1";
// Less than the drawing board may send at once.
const FRAMES = 100;
const FRAME_BYTES = 4_096;
const FRAMES_A_ROW = 25;
const MAX_ROWS = 10;
const EMPTY_WITHIN_MS = 10_000;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
export function setUpTrouble(place, onUninvited) {
  setUpRecovery(place, onUninvited);
  setUpBuffer(place, onUninvited);
  setUpMarkup(place, onUninvited);
  byId("origin-command", HTMLElement).textContent =
    "curl -i -H 'Origin: https://elsewhere.example' \\\n" +
    `  '${place.http("ws", "lobby")}'`;
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpRecovery(place, onUninvited) {
  const experiment = new Experiment("recovery", onUninvited);
  const table = experiment.part("table", HTMLTableElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const url = place.socket(place.freshRoom());
      const before = await open(url, SUBPROTOCOL);
      const other = await open(url);
      before.request({ type: "hello" });
      const { event: welcome } = await before.until(isWelcome);
      for (const text of ["one", "two"]) {
        other.send(text);
        await before.untilSaid(text);
      }
      before.close();
      await before.closed;
      for (const text of ["three", "four", "five"]) {
        other.send(text);
        await other.untilSaid(text);
      }
      const after = await open(url, SUBPROTOCOL);
      const { key, epoch } = welcome;
      const seq = before.heard.findLast(isMessage)?.event["seq"];
      after.request({ type: "hello", key, since: { epoch, seq } });
      const { event: welcomeBack } = await after.until(isWelcome);
      other.send("six");
      await after.untilSaid("six");
      fill(table, [
        ...listMessages(before, () => "live"),
        ...listMessages(
          after,
          (seq) => seq > welcomeBack["seq"] ? "live" : "recovered",
        ),
      ]);
      return `The client said that it had everything up to ${seq}, and got ` +
        `the rest. The welcome says recovered: ${welcomeBack["recovered"]}.`;
    }));
}

/** @param {Record<string, any>} event */
function isWelcome({ type }) {
  return type === "welcome";
}

/** @param {{ event: Record<string, any> }} heard */
function isMessage({ event }) {
  return event["type"] === "message";
}

/**
 * @param {Caller} caller
 * @param {(seq: number) => string} how
 */
function listMessages(caller, how) {
  return caller.heard.filter(isMessage).map(({ event }) => [
    event["seq"],
    event["message"],
    how(event["seq"]),
  ]);
}

/**
 * Frames of the drawing board: the server takes as many at once, reads none and
 * passes them on to nobody, because the room is empty.
 *
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpBuffer(place, onUninvited) {
  const experiment = new Experiment("buffer", onUninvited);
  const table = experiment.part("table", HTMLTableElement);
  experiment.on("run", async () => {
    const url = place.socket(place.freshRoom());
    const socket = await Caller.openSocket(url, DRAW_SUBPROTOCOL);
    try {
      const { rows, tookMs } = fillBuffer(socket);
      const sum = grouped(socket.bufferedAmount);
      const emptyMs = await watchBuffer(socket, rows);
      fill(table, rows);
      return `send() took ${sum} bytes in ${formatMs(tookMs)} and never ` +
        `waited. ${formatMs(emptyMs)} later the buffer was empty.`;
    } finally {
      socket.close(1000);
    }
  });
}

/**
 * Sends all at once: while a script runs, nothing is counted as sent.
 *
 * @param {WebSocket} socket
 */
function fillBuffer(socket) {
  const beganMs = performance.now();
  const rows = [];
  for (let i = 1; i <= FRAMES; i++) {
    socket.send(new Uint8Array(FRAME_BYTES));
    if (i % FRAMES_A_ROW !== 0) continue;
    rows.push([`after ${i} frames`, grouped(socket.bufferedAmount)]);
  }
  return { rows, tookMs: performance.now() - beganMs };
}

/**
 * Adds each new amount until nothing waits.
 *
 * @param {WebSocket} socket
 * @param {string[][]} rows
 * @returns {Promise<number>} how long that took, in ms
 */
async function watchBuffer(socket, rows) {
  const beganMs = performance.now();
  let before = socket.bufferedAmount;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve));
    const amount = socket.bufferedAmount;
    const passedMs = performance.now() - beganMs;
    const isOver = amount === 0 || passedMs > EMPTY_WITHIN_MS;
    if (isOver || amount !== before && rows.length < MAX_ROWS) {
      rows.push([`${formatMs(passedMs)} later`, grouped(amount)]);
    }
    if (amount === 0) return passedMs;
    if (isOver) throw new Error("The network did not take the frames.");
    before = amount;
  }
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpMarkup(place, onUninvited) {
  const experiment = new Experiment("markup", onUninvited);
  const sample = experiment.part("sample", HTMLSelectElement);
  const text = experiment.part("text", HTMLInputElement);
  const ways = experiment.part("ways", HTMLElement);
  const shown = experiment.part("shown", HTMLElement);
  const list = experiment.part("list", HTMLElement);
  const useSample = () => text.value = sample.value;
  sample.addEventListener("change", useSample);
  text.addEventListener("input", () => sample.value = "");
  useSample();
  experiment.on("run", () =>
    withCallers(async (open) => {
      const caller = await open(place.socket(place.freshRoom()));
      caller.send(text.value);
      const { event } = await caller.untilSaid(text.value);
      const drawn = parse(event["message"]);
      ways.hidden = false;
      shown.textContent = event["message"];
      draw(list, drawn);
      const count = shown.childElementCount;
      return `The message came back unchanged. textContent made ${count} ` +
        `elements of it; innerHTML would make ${drawn.tags.length}.`;
    }));
}

/**
 * @param {HTMLElement} list
 * @param {{ tags: Tag[], shown: string }} drawn
 */
function draw(list, { tags, shown }) {
  list.replaceChildren(...tags.map((tag) => {
    const item = document.createElement("li");
    const name = document.createElement("code");
    name.textContent = `<${tag.name}>`;
    item.append(name, ...effectsOf(tag).map(createEffect));
    return item;
  }));
  const words = document.createElement("li");
  words.textContent = shown === "" ? "No text is shown." : `Text: “${shown}”`;
  list.append(words);
}

/** @param {string} sentence */
function createEffect(sentence) {
  const effect = document.createElement("p");
  effect.textContent = sentence;
  if (/ runs /.test(sentence)) effect.className = "problem";
  return effect;
}
