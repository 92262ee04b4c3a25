// @ts-check
// Owns the panel with the form to change rooms and the address to share. It
// never navigates: the browser sends the form. Invariant: the address to
// share leads to the room that this page is in; an invitation code in it has
// let us in, and the panel says that it is there.

import { inviteUrl, isLoopback, tidyRoomName } from "./address.js";
import { byId } from "./dom.js";

/**
 * Makes the panel work. Without a room there is nothing to share.
 *
 * @param {string | null} room
 */
export function setUpPanel(room) {
  const roomInput = byId("room-input", HTMLInputElement);
  roomInput.addEventListener("change", () => {
    roomInput.value = tidyRoomName(roomInput.value);
  });
  if (room === null) byId("invite", HTMLElement).hidden = true;
  else setUpInvite(room);
}

/** @param {string} room */
function setUpInvite(room) {
  const address = byId("invite-address", HTMLInputElement);
  const note = byId("copy-note", HTMLElement);
  shareWith(room, "");
  byId("loopback-note", HTMLElement).hidden = !isLoopback(location.hostname);
  const copy = byId("copy-button", HTMLButtonElement);
  copy.addEventListener("click", async () => {
    note.textContent = await copyFrom(address)
      ? "Copied."
      : "Selected: now copy it with the keyboard or the menu.";
  });
  copy.disabled = false;
}

/**
 * Shows the address to share.
 *
 * @param {string} room
 * @param {string} code that lets people in, or ""
 */
export function shareWith(room, code) {
  const address = byId("invite-address", HTMLInputElement);
  address.value = inviteUrl(document.baseURI, room, code);
  byId("invite-note", HTMLElement).hidden = code === "";
}

/**
 * Copies the input's text, or at least selects it. Returns whether it copied.
 * The clipboard does not exist over plain http from another machine, which is
 * how a class uses this page; the old command still works there.
 *
 * @param {HTMLInputElement} input
 */
async function copyFrom(input) {
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}
