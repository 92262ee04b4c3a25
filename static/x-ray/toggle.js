// @ts-check
// Owns whether the X-ray's panel is open: beside the chat where there is space
// for it, else as a sheet over it. It never fills the panel. Invariant: while
// it is closed, none of the X-ray's other modules runs.

import { byId } from "../dom.js";

/** @import { Memory } from "../storage.js" */

// As in x-ray.css.
const WIDE = "(min-width: 64rem)";
const KEY = "x-ray";

/**
 * @param {() => string | null} getKey our identity's
 * @param {Memory} memory
 */
export function setUpXRay(getKey, memory) {
  const button = byId("x-ray-button", HTMLButtonElement);
  const panel = byId("x-ray", HTMLElement);
  const body = byId("x-ray-body", HTMLElement);
  const wide = matchMedia(WIDE);
  let isOpen = false;
  let stop = () => {};

  async function fill() {
    const { watchOwn } = await import("./own.js");
    stop();
    stop = isOpen ? watchOwn(body, getKey) : () => {};
  }

  function place() {
    // Without the attribute it is a part of the page like any other.
    panel.popover = wide.matches ? null : "auto";
    panel.hidden = wide.matches && !isOpen;
    if (isOpen && !wide.matches) panel.showPopover();
  }

  /** @param {boolean} willBeOpen */
  function set(willBeOpen) {
    if (isOpen === willBeOpen) return;
    isOpen = willBeOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    memory.set(KEY, isOpen ? "open" : "closed");
    if (!isOpen && panel.popover !== null) panel.hidePopover();
    place();
    if (isOpen) return fill();
    stop();
    stop = () => {};
  }

  button.addEventListener("click", () => set(!isOpen));
  button.disabled = false;
  byId("x-ray-close", HTMLButtonElement).addEventListener("click", () => {
    set(false);
    button.focus();
  });
  // The Escape key closes a sheet.
  panel.addEventListener("toggle", (event) => {
    const isClosed = /** @type {ToggleEvent} */ (event).newState === "closed";
    if (isClosed && panel.popover !== null) set(false);
  });
  wide.addEventListener("change", place);
  place();
  // A sheet would hide the chat from who comes for that.
  if (memory.get(KEY) === "open" && wide.matches) set(true);
}
