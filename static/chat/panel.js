// @ts-check
// The panel with the form to change rooms, and with the address of this room to
// share, as text and as a QR code. The browser sends the form by itself. An
// invitation code in the address is one that let this page in, and the panel
// says that the code is there. The server tells a page that was opened as
// localhost the address that others can use.

import {
  inviteUrl,
  isLoopback,
  messageUrl,
  roomNameProblem,
  socketUrl,
  tidyRoomName,
} from "../shared/address.js";
import { copyText } from "../shared/clipboard.js";
import { byId } from "../shared/dom.js";
import { drawQrCode } from "./qr_code.js";

/** @import { Place } from "../shared/address.js" */

/** @typedef {"loopback" | "network" | "unknown"} Reach */

/** @type {Record<Reach, string>} said where others cannot use the address */
const REACH_WORDS = {
  loopback: "Only this computer can open this address. To let others in, " +
    "stop Partyline and start it again with --lan.",
  network:
    "Only this computer can open this address, as it is in no network now.",
  unknown: "Only this computer can open this address. Others need the " +
    "computer’s address in the network instead.",
};

let base = document.baseURI;
/** Not asked by `:popover-open`: a browser without popovers throws at that. */
let isOpen = false;
let shared = { room: "", code: "" };

/**
 * Makes the panel work. Without a room there is nothing to share.
 *
 * @param {string | null} room
 */
export function setUpPanel(room) {
  const roomInput = byId("room-input", HTMLInputElement);
  const roomNote = byId("room-note", HTMLElement);
  roomInput.addEventListener("change", () => {
    roomInput.value = tidyRoomName(roomInput.value);
  });
  roomInput.addEventListener("input", () => {
    const problem = roomNameProblem(tidyRoomName(roomInput.value));
    // With a problem the browser does not send the form.
    roomInput.setCustomValidity(problem);
    roomNote.textContent = problem;
  });
  if (room !== null) setUpInvite(room);
}

/** @param {string} room */
function setUpInvite(room) {
  const address = byId("invite-address", HTMLInputElement);
  byId("invite", HTMLElement).hidden = false;
  shareWith(room, "");
  const isLocal = isLoopback(location.hostname);
  if (isLocal) findReach();
  byId("panel", HTMLElement).addEventListener("toggle", (event) => {
    const { newState } = /** @type {ToggleEvent} */ (event);
    isOpen = newState === "open";
    if (!isOpen) return;
    showQrCode();
    // Where the computer is may change while the page is open.
    if (isLocal) findReach();
  });
  setUpCopy(address, "copy-button", "copy-note");
  const forPrograms = byId("program-address", HTMLInputElement);
  setUpCopy(forPrograms, "program-copy", "program-note");
}

/**
 * @param {HTMLInputElement} address
 * @param {string} buttonId
 * @param {string} noteId
 */
function setUpCopy(address, buttonId, noteId) {
  const copy = byId(buttonId, HTMLButtonElement);
  const note = byId(noteId, HTMLElement);
  copy.addEventListener("click", async () => {
    const isCopied = await copyText(address.value);
    if (!isCopied) address.select();
    note.textContent = isCopied
      ? "Copied."
      : "Selected: now copy the address with the keyboard or the menu.";
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
  shared = { room, code };
  showAddress();
  byId("invite-note", HTMLElement).hidden = code === "";
}

/**
 * The address that leads others to a message here.
 *
 * @param {Place} place
 */
export function linkTo(place) {
  return messageUrl(inviteUrl(base, shared.room, shared.code), place);
}

function showAddress() {
  const { room, code } = shared;
  const address = inviteUrl(base, room, code);
  byId("invite-address", HTMLInputElement).value = address;
  byId("program-address", HTMLInputElement).value = socketUrl(base, room, code);
  if (isOpen) showQrCode();
}

/** The QR code of the address that is shown, if others can use the address. */
async function showQrCode() {
  const place = byId("invite-code", HTMLElement);
  const { value: address } = byId("invite-address", HTMLInputElement);
  // A phone that scans an address of this computer alone would find nothing.
  if (isLoopback(new URL(address).hostname)) return place.replaceChildren();
  try {
    const code = await drawQrCode(address);
    // The address may be another one by now, and then another call draws it.
    if (byId("invite-address", HTMLInputElement).value !== address) return;
    place.replaceChildren(code);
  } catch {
    // The address itself is there to be copied.
    place.replaceChildren();
  }
}

/** Others cannot open this computer's localhost: asks for another address. */
async function findReach() {
  const { reach, hosts } = await askReach();
  const [host] = hosts;
  const url = new URL(document.baseURI);
  if (host !== undefined) url.host = host;
  base = url.href;
  showAddress();
  byId("reach-note", HTMLElement).textContent = host !== undefined
    ? ""
    : REACH_WORDS[reach];
}

/** @returns {Promise<{ reach: Reach, hosts: string[] }>} */
async function askReach() {
  try {
    const response = await fetch("addresses", { cache: "no-store" });
    return await response.json();
  } catch {
    return { reach: "unknown", hosts: [] };
  }
}
