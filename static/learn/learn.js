// @ts-check
// Starts the lesson: takes the invitation, sets up each chapter and the
// questions, marks the current chapter, and opens folded parts for printing. An
// experiment connects only when somebody presses its button.

import { basePath, roomFrom } from "../shared/address.js";
import { byId, mediaQuery } from "../shared/dom.js";
import { InvitationForm } from "../shared/invitation_form.js";
import { Invitation } from "../shared/invitation.js";
import { askWhy } from "../client/http_error.js";
import { sharedMemory, tabMemory } from "../shared/storage.js";
import { setUpBoard } from "./chapter_board.js";
import { setUpBroadcast } from "./chapter_broadcast.js";
import { setUpChoice } from "./chapter_choice.js";
import { setUpCode } from "./chapter_code.js";
import { setUpDeadlineOfWays, setUpDeadlines } from "./chapter_deadlines.js";
import { setUpDuplex } from "./chapter_duplex.js";
import { setUpHandshake } from "./chapter_handshake.js";
import { setUpLife } from "./chapter_life.js";
import { setUpTrouble } from "./chapter_trouble.js";
import { setUpWhat } from "./chapter_what.js";
import { Place } from "./place.js";
import { setUpQuestions } from "./questions.js";

const base = document.baseURI;
const memory = tabMemory(basePath(base));
const invitation = new Invitation(memory);
invitation.takeFromAddress();
const place = new Place(base, invitation);
const { room } = roomFrom(location.search);

const invitationForm = new InvitationForm({
  covered: byId("lesson", HTMLElement),
  form: byId("entry", HTMLFormElement),
  input: byId("entry-code", HTMLInputElement),
  note: byId("entry-note", HTMLElement),
}, tryCode);

/** @param {string} why */
const onUninvited = (why) => invitationForm.ask(why, invitation.code);

setUpWhat(place, onUninvited);
setUpHandshake(place, onUninvited);
setUpDuplex(place, onUninvited);
setUpChoice(place, onUninvited);
setUpBoard(place, onUninvited, `learn-${room ?? "lobby"}`.slice(0, 32));
setUpDeadlines(place, onUninvited);
setUpDeadlineOfWays(sharedMemory(basePath(base)));
setUpLife(place, onUninvited);
setUpBroadcast(place, onUninvited);
setUpTrouble(place, onUninvited);
setUpCode(place, onUninvited, base, memory);
setUpQuestions(sharedMemory(basePath(base)));
markCurrentChapter();
openListsInPrint();

/**
 * The server knows whether the code is right; asking opens no socket.
 *
 * @param {string} code
 */
async function tryCode(code) {
  invitation.use(code);
  const url = place.socket(place.freshRoom());
  const error = await askWhy(url, AbortSignal.timeout(10_000));
  if (error?.kind === "uninvited") return invitationForm.ask(error.why, code);
  invitationForm.close();
}

/** The current chapter is the one that crosses a line near the window's top. */
function markCurrentChapter() {
  const observer = new IntersectionObserver((entries) => {
    const current = entries.find(({ isIntersecting }) => isIntersecting);
    if (current === undefined) return;
    for (const link of document.querySelectorAll("#contents a")) {
      const isCurrent = link.getAttribute("href") === `#${current.target.id}`;
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-25% 0px -74% 0px" });
  for (const chapter of document.querySelectorAll("main > section")) {
    observer.observe(chapter);
  }
}

/** On paper all folded parts are open, except the choices of questions. */
function openListsInPrint() {
  /** @type {HTMLDetailsElement[]} */
  let opened = [];
  mediaQuery("print").addEventListener("change", ({ matches }) => {
    for (const details of opened) details.open = false;
    opened = matches
      ? [...document.querySelectorAll("details")]
        .filter((it) => !it.open && it.closest(".question") === null)
      : [];
    for (const details of opened) details.open = true;
  });
}
