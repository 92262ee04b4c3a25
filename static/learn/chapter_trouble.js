// @ts-check
// Owns the experiments of the chapter "What goes wrong": a lost connection, a
// full send buffer, markup in a message. Invariant: nobody but this page is
// troubled, and what somebody wrote goes into the page as text.

import { byId } from "../dom.js";
import { SUBPROTOCOL } from "../protocol.js";
import { withCallers } from "./caller.js";
import { Experiment } from "./experiment.js";
import { utf8Bytes } from "../framing.js";
import { fill } from "./table.js";

/** @import { Caller } from "./caller.js" */
/** @import { Place } from "./place.js" */

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
          (seq) => seq > welcomeBack["seq"] ? "live" : "caught up on",
        ),
      ]);
      return `recovered: ${welcomeBack["recovered"]}. The page told the ` +
        `server that it had everything up to ${seq}, and got the rest.`;
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
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpBuffer(place, onUninvited) {
  const experiment = new Experiment("buffer", onUninvited);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const caller = await open(place.socket(place.freshRoom()));
      const texts = [1, 2, 3, 4, 5].map((i) => `${i} `.repeat(250));
      for (const text of texts) caller.send(text);
      // Read at once: while a script runs, nothing is counted as sent.
      const waiting = caller.socket.bufferedAmount;
      const sum = texts.reduce((sum, text) => sum + utf8Bytes(text), 0);
      await Promise.all(texts.map((text) => caller.untilSaid(text)));
      const left = caller.socket.bufferedAmount;
      return `${sum} bytes were given to send(), which returned at once; ` +
        `${waiting} bytes waited then, and ${left} now.`;
    }));
}

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 */
function setUpMarkup(place, onUninvited) {
  const experiment = new Experiment("markup", onUninvited);
  const text = experiment.part("text", HTMLInputElement);
  const shown = experiment.part("shown", HTMLElement);
  experiment.on("run", () =>
    withCallers(async (open) => {
      const caller = await open(place.socket(place.freshRoom()));
      caller.send(text.value);
      const { event } = await caller.untilSaid(text.value);
      shown.hidden = false;
      shown.textContent = `${event["sender"]}: ${event["message"]}`;
      const count = shown.childElementCount;
      return `The message came back unchanged and stands below as text; ` +
        `it made ${count} elements.`;
    }));
}
