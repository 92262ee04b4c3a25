// @ts-check
// Owns the start: which room the page is for, and with which invitation. It
// never connects by itself. Invariant: with an invalid room nothing is
// connected, and the page says why.

import { basePath, roomFrom } from "./address.js";
import { byId } from "./dom.js";
import { createStatus } from "./elements.js";
import { Invitation } from "./invitation.js";
import { setUpPanel } from "./panel.js";
import { join } from "./room.js";
import { tabMemory } from "./storage.js";

const { room, asked } = roomFrom(location.search);
const tab = tabMemory(basePath(document.baseURI));
const invitation = new Invitation(tab);
invitation.takeFromAddress();
setUpPanel(room);
if (room === null) refuse(asked);
else join(room, tab, invitation);

/**
 * Says that there can be no such room, and that nothing is connected.
 *
 * @param {string} asked
 */
function refuse(asked) {
  const name = asked.length > 40 ? `${asked.slice(0, 40)}…` : asked;
  byId("room-name", HTMLElement).textContent = "no room";
  byId("problem", HTMLElement).hidden = false;
  byId("problem-text", HTMLElement).textContent =
    `“${name}” cannot be a room’s name. It takes 1 to 32 characters, ` +
    "each of them a small letter from a to z, a digit or a hyphen.";
  byId("transcript", HTMLElement).hidden = true;
  byId("message", HTMLTextAreaElement).disabled = true;
  createStatus(() => {}).show({ name: "closed" });
}
