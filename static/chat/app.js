// @ts-check
// Starts the page: finds out which room it is for, and with which invitation,
// and joins. With an invalid room nothing is connected, and the page says why.

import { basePath, roomFrom } from "../shared/address.js";
import { byId } from "../shared/dom.js";
import { createStatus } from "./elements.js";
import { Invitation } from "../shared/invitation.js";
import { takeFromAddress } from "./linked.js";
import { setUpPanel } from "./panel.js";
import { join } from "./room.js";
import { tabMemory } from "../shared/storage.js";

const { room, asked } = roomFrom(location.search);
const tab = tabMemory(basePath(document.baseURI));
const invitation = new Invitation(tab);
const { linked } = takeFromAddress(invitation);
setUpPanel(room);
// Hidden until now: without scripts it would seem to connect.
byId("room-name", HTMLElement).hidden = false;
byId("panel-button", HTMLElement).hidden = false;
byId("hall", HTMLElement).hidden = false;
byId("foot", HTMLElement).hidden = false;
if (room === null) refuse(asked);
else join(room, tab, invitation, linked).catch(giveUp);

/**
 * Says that there can be no such room, and that nothing is connected.
 *
 * @param {string} asked
 */
function refuse(asked) {
  // By characters: half of one would be shown as a question mark.
  const characters = [...asked];
  const name = characters.length > 40
    ? `${characters.slice(0, 40).join("")}…`
    : asked;
  byId("room-name", HTMLElement).textContent = "no room";
  const problem = name === ""
    ? "The address asks for a room without a name."
    : `“${name}” cannot be a room’s name.`;
  showProblem(
    `${problem} A name has 1 to 32 characters, ` +
      "each of them a lower-case letter from a to z, a digit or a hyphen.",
  );
}

/**
 * The browser lacks something that this page cannot do without.
 *
 * @param {unknown} error
 */
function giveUp(error) {
  const why = error instanceof Error ? error.message : String(error);
  showProblem(`This page does not work in this browser: ${why}.`);
}

/** @param {string} sentence */
function showProblem(sentence) {
  byId("problem", HTMLElement).hidden = false;
  byId("problem-text", HTMLElement).textContent = sentence;
  byId("transcript", HTMLElement).hidden = true;
  byId("message", HTMLTextAreaElement).disabled = true;
  createStatus(() => {}).show({ name: "closed" });
}
