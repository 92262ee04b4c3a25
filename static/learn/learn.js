// @ts-check
// Owns the start of the lesson: the invitation, the chapters, the printed form.
// It never connects by itself. Invariant: nothing is asked of the server but by
// somebody who presses a button.

import { basePath, roomFrom } from "../address.js";
import { byId } from "../dom.js";
import { Door } from "../door.js";
import { Invitation } from "../invitation.js";
import { askWhy } from "../refusal.js";
import { tabMemory } from "../storage.js";
import { setUpBoard } from "./chapter_board.js";
import { setUpBroadcast } from "./chapter_broadcast.js";
import { setUpChoice } from "./chapter_choice.js";
import { setUpCode } from "./chapter_code.js";
import { setUpDeadlines } from "./chapter_deadlines.js";
import { setUpDuplex } from "./chapter_duplex.js";
import { setUpHandshake } from "./chapter_handshake.js";
import { setUpLife } from "./chapter_life.js";
import { setUpTrouble } from "./chapter_trouble.js";
import { setUpWhat } from "./chapter_what.js";
import { Place } from "./place.js";

const base = document.baseURI;
const invitation = new Invitation(tabMemory(basePath(base)));
invitation.takeFromAddress();
const place = new Place(base, invitation);
const { room } = roomFrom(location.search);

const door = new Door({
  covered: byId("lesson", HTMLElement),
  form: byId("entry", HTMLFormElement),
  input: byId("entry-code", HTMLInputElement),
  note: byId("entry-note", HTMLElement),
}, tryCode);

/** @param {string} why */
const onUninvited = (why) => door.ask(why, invitation.code);

setUpWhat(place, onUninvited);
setUpHandshake(place, onUninvited);
setUpDuplex(place, onUninvited);
setUpChoice(place, onUninvited);
setUpBoard(place, onUninvited, room ?? "lobby");
setUpDeadlines(place, onUninvited);
setUpLife(place, onUninvited);
setUpBroadcast(place, onUninvited);
setUpTrouble(place, onUninvited);
setUpCode(place, onUninvited, base);
openAnswersInPrint();

/**
 * The server knows whether the code is right; it opens no socket for that.
 *
 * @param {string} code
 */
async function tryCode(code) {
  invitation.use(code);
  const url = place.socket(place.freshRoom());
  const refusal = await askWhy(url, AbortSignal.timeout(10_000));
  if (refusal?.kind === "uninvited") return door.ask(refusal.why, code);
  door.close();
}

/** What is folded on the screen is open on paper. */
function openAnswersInPrint() {
  /** @type {HTMLDetailsElement[]} */
  let opened = [];
  matchMedia("print").addEventListener("change", ({ matches }) => {
    for (const details of opened) details.open = false;
    opened = matches
      ? [...document.querySelectorAll("details")].filter(({ open }) => !open)
      : [];
    for (const details of opened) details.open = true;
  });
}
