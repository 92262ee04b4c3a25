// @ts-check
// Finds the elements of index.html that the page's parts need. A page that lacks
// one fails here, when it is loaded, and not later, when somebody needs it.

import { Composer } from "./composer.js";
import { byId } from "../shared/dom.js";
import { Door } from "./door.js";
import { NameForm } from "./name_form.js";
import { People } from "./people.js";
import { Status } from "./status.js";
import { Transcript } from "./transcript.js";
import { UnsentLines } from "./unsent.js";

/** @import { Handlers } from "./composer.js" */
/** @import { Members } from "../client/members.js" */
/** @import { Memory } from "../shared/storage.js" */

/**
 * @param {UnsentLines} unsent
 * @param {() => void} onLook
 */
export function createTranscript(unsent, onLook) {
  return new Transcript({
    scroller: byId("transcript", HTMLElement),
    list: byId("lines", HTMLElement),
    unsent,
    hint: byId("hint", HTMLElement),
    beginning: byId("beginning", HTMLElement),
    newMessages: byId("new-messages", HTMLButtonElement),
  }, onLook);
}

/**
 * @param {(id: string) => void} onTakeBack
 * @param {(id: string) => void} onDiscard
 */
export function createUnsentLines(onTakeBack, onDiscard) {
  const list = byId("unsent", HTMLElement);
  return new UnsentLines(list, onTakeBack, onDiscard);
}

/** @param {() => void} onTryNow */
export function createStatus(onTryNow) {
  return new Status({
    page: document.body,
    text: byId("status-text", HTMLElement),
    countdown: byId("status-countdown", HTMLElement),
    note: byId("status-note", HTMLElement),
    tryNow: byId("try-now", HTMLButtonElement),
    explanation: byId("explanation", HTMLAnchorElement),
  }, onTryNow);
}

/**
 * @param {string} room
 * @param {Memory} memory
 * @param {Handlers} handlers
 */
export function createComposer(room, memory, handlers) {
  return new Composer(
    {
      form: byId("composer", HTMLFormElement),
      box: byId("message", HTMLTextAreaElement),
      grow: byId("grow", HTMLElement),
      remaining: byId("remaining", HTMLElement),
      problem: byId("too-long", HTMLElement),
      codeOffer: byId("code-offer", HTMLElement),
      codeButton: byId("code-button", HTMLButtonElement),
      send: byId("send", HTMLButtonElement),
    },
    room,
    memory,
    handlers,
  );
}

/**
 * @param {Members} members
 * @param {() => void} askForMore
 */
export function createPeople(members, askForMore) {
  return new People(
    {
      panel: byId("people", HTMLElement),
      button: byId("people-button", HTMLElement),
      buttonCount: byId("people-count", HTMLElement),
      buttonUnit: byId("people-unit", HTMLElement),
      heading: byId("people-heading", HTMLElement),
      list: byId("people-list", HTMLElement),
      more: byId("people-more", HTMLElement),
    },
    members,
    askForMore,
  );
}

/** @param {(code: string) => void} submit */
export function createDoor(submit) {
  return new Door({
    covered: byId("main", HTMLElement),
    form: byId("door", HTMLFormElement),
    input: byId("door-input", HTMLInputElement),
    note: byId("door-note", HTMLElement),
  }, submit);
}

/** @param {(name: string) => boolean} rename */
export function createNameForm(rename) {
  return new NameForm({
    form: byId("name-form", HTMLFormElement),
    input: byId("name-input", HTMLInputElement),
    note: byId("name-note", HTMLElement),
  }, rename);
}
