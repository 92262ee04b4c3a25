// @ts-check
// Owns the chapter "Writing a client": it shows the two small clients as the
// server hands them out, and waits for the student's own to call. Invariant:
// what it hears goes into the page as text.

import { Caller } from "./caller.js";
import { Experiment } from "./experiment.js";

/** @import { Place } from "./place.js" */

const MAX_LINES = 20;

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 * @param {string} base the page's base address
 */
export function setUpCode(place, onUninvited, base) {
  const experiment = new Experiment("own-client", onUninvited);
  const commands = experiment.part("commands", HTMLElement);
  const list = experiment.part("list", HTMLElement);
  for (const name of ["client.js", "client.py"]) {
    showFile(experiment, name, base);
  }
  /** @type {Caller | null} */
  let waiting = null;
  experiment.on("run", async () => {
    waiting?.close();
    const room = place.freshRoom();
    const url = place.socket(room);
    const caller = await Caller.open(url);
    waiting = caller;
    commands.hidden = false;
    commands.textContent = `deno run --allow-net client.js '${url}'\n` +
      `node client.js '${url}'\n` +
      `python3 client.py '${url}'`;
    caller.send("The page is here and listens.");
    const { event } = await caller.untilSaid("The page is here and listens.");
    list.replaceChildren();
    /** @type {Set<string>} */
    const greeted = new Set();
    caller.listen(({ event: heard }) => {
      if (heard["sender"] === event["sender"]) return;
      const item = document.createElement("li");
      item.textContent = `${heard["sender"]}: ${heard["message"]}`;
      list.append(item);
      if (list.childElementCount > MAX_LINES) list.firstElementChild?.remove();
      if (heard["type"] !== "message" || greeted.has(heard["sender"])) return;
      greeted.add(heard["sender"]);
      caller.send(`Hello, ${heard["sender"]}!`);
      experiment.tell(`${heard["sender"]} has called.`);
    });
    return `Waiting in the room ${room}. Start your client with one of the ` +
      "lines below and say something.";
  });
}

/**
 * @param {Experiment} experiment
 * @param {string} name
 * @param {string} base
 */
async function showFile(experiment, name, base) {
  const part = experiment.part(name.replace(".", "-"), HTMLElement);
  try {
    const response = await fetch(new URL(name, base));
    if (!response.ok) return;
    part.textContent = (await response.text()).trimEnd();
    part.hidden = false;
  } catch {
    // The link above it says where the file is.
  }
}
