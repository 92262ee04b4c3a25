// @ts-check
// Owns the X-ray of our own connection while its panel is open. It never opens
// or closes the panel. Invariant: after the returned function was called,
// nothing runs and nothing is asked any more.

import { ConnectionView } from "./connection_view.js";
import { make } from "./make.js";
import { Stream } from "./stream.js";

/**
 * Fills the panel's body and watches until the returned function is called.
 *
 * @param {HTMLElement} body
 * @param {() => string | null} getKey our identity's
 * @returns {() => void}
 */
export function watchOwn(body, getKey) {
  const view = new ConnectionView();
  const status = make("p", { className: "small", role: "status" });
  const stream = new Stream(() => {
    const key = getKey();
    return key === null ? null : { key };
  }, {
    onState: (state) => {
      status.textContent = state.name === "open"
        ? ""
        : state.name === "refused"
        ? state.why
        : "Connecting to the X-ray…";
    },
    onEvent: (name, data) => view.hear(name, data),
  });
  body.replaceChildren(status, view.element);
  stream.open();
  return () => {
    stream.close();
    body.replaceChildren();
  };
}
