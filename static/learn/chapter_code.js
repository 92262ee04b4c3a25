// @ts-check
// The end of the chapter "Writing your own": shows a client in the language
// that the student picks, with the address of a room in which this page then
// waits for it. The client's messages go into the page as text.

import { Caller } from "./caller.js";
import { Experiment } from "./experiment.js";

/** @import { Place } from "./place.js" */
/** @import { Memory } from "../shared/storage.js" */

const MAX_LINES = 20;
const GREETING = "The page is listening.";
const ROOM_KEY = "own-client-room";
const DEFAULT_ADDRESS = "ws://localhost:8000/ws";

/**
 * @param {Place} place
 * @param {(why: string) => void} onUninvited
 * @param {string} base the page's base address
 * @param {Memory} memory of this tab, so that a saved client finds its room
 */
export function setUpCode(place, onUninvited, base, memory) {
  const experiment = new Experiment("own-client", onUninvited);
  const language = experiment.part("language", HTMLSelectElement);
  const room = memory.get(ROOM_KEY) ?? place.freshRoom();
  memory.set(ROOM_KEY, room);
  const show = () =>
    showClient(
      experiment,
      new URL(`examples/${language.value}`, base),
      place.socket(room),
    );
  language.addEventListener("change", show);
  show();
  /** @type {Caller | null} */
  let waiting = null;
  experiment.on("run", async () => {
    waiting?.close();
    waiting = await Caller.open(place.socket(room));
    await greetClients(waiting, experiment);
    await show(); // The invitation may have come since.
    return `Waiting in the room ${room}. Start your client and say something.`;
  });
}

/**
 * Lists messages of others in the room, and greets each sender once.
 *
 * @param {Caller} caller
 * @param {Experiment} experiment
 */
async function greetClients(caller, experiment) {
  const list = experiment.part("list", HTMLElement);
  caller.send(GREETING);
  const { event: own } = await caller.untilSaid(GREETING);
  list.replaceChildren();
  /** @type {Set<string>} */
  const greeted = new Set();
  caller.listen(({ event: { type, sender, message } }) => {
    if (sender === own["sender"]) return;
    const item = document.createElement("li");
    item.textContent = `${sender}: ${message}`;
    list.append(item);
    if (list.childElementCount > MAX_LINES) list.firstElementChild?.remove();
    if (type === "leave" && greeted.has(sender)) {
      experiment.tell(`${sender} was connected and has left.`);
    }
    if (type !== "message" || greeted.has(sender)) return;
    greeted.add(sender);
    caller.send(`Hello, ${sender}!`);
    experiment.tell(`${sender} is connected.`);
  });
}

/**
 * @param {Experiment} experiment
 * @param {URL} file
 * @param {string} address of the room
 */
async function showClient(experiment, file, address) {
  const language = experiment.part("language", HTMLSelectElement);
  const link = experiment.part("file", HTMLAnchorElement);
  const text = await read(file);
  const name = file.pathname.split("/").at(-1) ?? "";
  // Another language may have been picked meanwhile.
  if (text === null || name !== language.value) return;
  const code = text.replaceAll(DEFAULT_ADDRESS, address);
  experiment.part("code", HTMLElement).textContent = code.trimEnd();
  experiment.part("commands", HTMLElement).textContent = commandsIn(text);
  link.textContent = name;
  link.download = name;
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([code]));
  experiment.part("shown", HTMLElement).hidden = false;
}

/** @param {URL} file */
async function read(file) {
  try {
    const response = await fetch(file);
    return response.ok ? await response.text() : null;
  } catch {
    return null; // The page still links to the examples.
  }
}

/**
 * The commands that run a client: the indented lines of the comment at its top.
 *
 * @param {string} code
 */
function commandsIn(code) {
  const [header = ""] = code.split(/\n(?!#|\/\/)/);
  return [...header.matchAll(/^(?:#|\/\/)(?: {3}|\t)(.+)$/gm)]
    .map(([, command = ""]) => command.replace(" [ADDRESS]", "")).join("\n");
}
