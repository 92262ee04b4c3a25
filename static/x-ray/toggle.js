// @ts-check
// Opens and closes the X-ray's panel in the chat page. The panel is beside the
// transcript or between it and the message box (see chat.css), so that people
// can write and watch at the same time. While the panel is closed, none of the
// X-ray's other modules runs.

import { byId } from "../shared/dom.js";

/** @import { Memory } from "../shared/storage.js" */

const KEY = "x-ray";

/**
 * @param {() => string | null} getKey of our identity
 * @param {Memory} memory
 * @param {() => void} reconnect ends our connection and opens another one
 */
export function setUpXRay(getKey, memory, reconnect) {
  const button = byId("x-ray-button", HTMLButtonElement);
  const panel = byId("x-ray", HTMLElement);
  const body = byId("x-ray-body", HTMLElement);
  let isOpen = false;
  let stop = () => {};

  async function fill() {
    const { watchOwn } = await import("./own.js");
    stop();
    stop = isOpen ? watchOwn(body, getKey, reconnect) : () => {};
  }

  /** @param {boolean} willBeOpen */
  function set(willBeOpen) {
    isOpen = willBeOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    memory.set(KEY, isOpen ? "open" : "closed");
    panel.hidden = !isOpen;
    if (isOpen) return fill();
    stop();
    stop = () => {};
  }

  function close() {
    set(false);
    button.focus();
  }

  button.addEventListener("click", () => set(!isOpen));
  button.disabled = false;
  byId("x-ray-close", HTMLButtonElement).addEventListener("click", close);
  panel.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") close();
  });
  if (memory.get(KEY) === "open") set(true);
}
