// @ts-check
// The projector's page: it takes the moderator's code, shows the board of all
// connections, and opens the view of one. The code does not stay in the
// address, where people in front of the projector could read it. An invitation
// in the same link is kept for the other pages of this tab.

import { basePath } from "../shared/address.js";
import { byId } from "../shared/dom.js";
import { hideFragment, Invitation } from "../shared/invitation.js";
import { tabMemory } from "../shared/storage.js";
import { Board, nameOf } from "./board.js";
import { ClosedList } from "./closed_list.js";
import { ConnectionView } from "./connection_view.js";
import { Stream } from "./stream.js";

/** @import { Line } from "./board.js" */
/** @import { StreamState } from "./stream.js" */

const KEY = "moderator";

const memory = tabMemory(basePath(document.baseURI));
const form = byId("code-form", HTMLFormElement);
const input = byId("code-input", HTMLInputElement);
const note = byId("code-note", HTMLElement);
const stage = byId("board", HTMLElement);
const status = byId("stream-status", HTMLElement);
const dialog = byId("connection", HTMLDialogElement);

let code = takeFromAddress() || memory.get(KEY) || "";
/** @type {Stream | null} the stream of the connection that is shown */
let one = null;

const board = new Board({
  list: byId("lines", HTMLElement),
  summary: byId("summary", HTMLElement),
  closed: new ClosedList({
    section: byId("closed", HTMLElement),
    list: byId("closed-lines", HTMLElement),
  }, showOne),
}, showOne);
const all = new Stream(() => ({ moderator: code }), {
  onState,
  onEvent: (_name, news) => board.hear(news),
});

/** The code from a link such as /x-ray#moderator=CODE, or "". */
function takeFromAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const found = parameters.get(KEY) ?? "";
  new Invitation(memory).takeFromAddress();
  if (found !== "") hideFragment();
  return found;
}

/** @param {StreamState} state */
function onState(state) {
  if (state.name === "refused" && state.status === 403) {
    return ask(state.why);
  }
  if (state.name === "open") {
    memory.set(KEY, code);
    board.clear();
    form.hidden = true;
    stage.hidden = false;
  }
  status.textContent = state.name === "open"
    ? ""
    : state.name === "refused"
    ? state.why
    : state.name === "lost"
    ? "The server cannot be reached. Trying again…"
    : status.textContent;
}

/** @param {string} why "" if there was no code yet */
function ask(why) {
  all.close();
  memory.set(KEY, "");
  stage.hidden = true;
  form.hidden = false;
  status.textContent = "";
  note.textContent = why;
  if (why === "") input.removeAttribute("aria-invalid");
  else input.setAttribute("aria-invalid", "true");
  input.focus();
}

/** @param {Line} line */
function showOne(line) {
  byId("connection-name", HTMLElement).textContent = `${
    nameOf(line)
  } in ${line.room}`;
  const view = new ConnectionView();
  const words = byId("connection-status", HTMLElement);
  one?.close();
  const stream = new Stream(
    () => ({ moderator: code, connection: String(line.id) }),
    {
      onEvent: (name, data) => view.hear(name, data),
      onState: (state) => {
        words.textContent = state.name === "refused" ? state.why : "";
        // A 404 will not change; the stream of a closed connection stays open.
        if (state.name === "refused" && state.status === 404) stream.close();
      },
    },
  );
  one = stream;
  byId("connection-body", HTMLElement).replaceChildren(view.element);
  stream.open();
  dialog.showModal();
  view.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = input.value.trim();
  if (typed === "") return;
  // Some people paste the whole link.
  const fragment = new URLSearchParams(typed.slice(typed.indexOf("#") + 1));
  code = fragment.get(KEY) ?? typed;
  note.textContent = "";
  all.open();
});
input.addEventListener("input", () => input.removeAttribute("aria-invalid"));
byId("connection-close", HTMLButtonElement).addEventListener(
  "click",
  () => dialog.close(),
);
dialog.addEventListener("close", () => {
  one?.close();
  one = null;
  byId("connection-body", HTMLElement).replaceChildren();
});
addEventListener("hashchange", () => {
  const found = takeFromAddress();
  if (found === "") return;
  code = found;
  all.open();
});
if (code === "") ask("");
else all.open();
