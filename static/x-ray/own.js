// @ts-check
// The X-ray of our own connection while its panel is open. After a call of the
// returned function, nothing runs and no request is sent.

import { basePath } from "../shared/address.js";
import { tabMemory } from "../shared/storage.js";
import { ConnectionView } from "./connection_view.js";
import { LastFrames } from "../shared/last_frames.js";
import { make } from "../shared/make.js";
import { Stream } from "./stream.js";

/**
 * Fills the panel's body and watches until the returned function is called.
 *
 * @param {HTMLElement} body
 * @param {() => string | null} getKey of our identity
 * @param {() => void} reconnect ends our connection and opens another one
 * @returns {() => void}
 */
export function watchOwn(body, getKey, reconnect) {
  // The server shows no frames from before the panel was opened.
  const again = make("button", {
    type: "button",
    className: "again quiet-button",
    hidden: true,
  }, "Connect again and watch from the start");
  again.addEventListener("click", () => {
    view.focus();
    reconnect();
  });
  const view = new ConnectionView(again);
  const lastFrames = new LastFrames(tabMemory(basePath(document.baseURI)));
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
        : state.name === "paused"
        ? "Paused: other windows of this browser use its connections. Click " +
          "in this one to continue here."
        : "Connecting to the X-ray…";
    },
    onEvent: (name, data) => {
      if (name === "superseded") {
        stream.close();
        status.textContent = data.why;
        return;
      }
      if (name === "opened") again.hidden = data.isNew;
      view.hear(name, data);
      lastFrames.hear(name, data);
    },
  });
  body.replaceChildren(status, view.element);
  stream.open();
  return () => {
    stream.close();
    body.replaceChildren();
  };
}
