// @ts-check
// Finds the elements of index.html that the page's parts need. A page that
// lacks one fails here, when it is loaded, and not later, when somebody needs
// it.

import { Composer } from "./composer.js";
import { byId } from "../shared/dom.js";
import { InvitationForm } from "../shared/invitation_form.js";
import { MessageMenu } from "./message_menu.js";
import { NameForm } from "./name_form.js";
import { Notifications } from "./notifications.js";
import { People } from "./people.js";
import { Reply } from "./reply.js";
import { RoomList } from "./room_list.js";
import { Search } from "./search.js";
import { Status } from "./status.js";
import { Transcript } from "./transcript.js";
import { UnsentLines } from "./unsent.js";

/** @import { Handlers } from "./composer.js" */
/** @import { Handlers as MenuHandlers } from "./message_menu.js" */
/** @import { Handlers as NotificationHandlers } from "./notifications.js" */
/** @import { Members } from "../client/members.js" */
/** @import { Memory } from "../shared/storage.js" */
/** @import { Question } from "./search.js" */

/**
 * @param {UnsentLines} unsent
 * @param {() => void} onLook
 * @param {(seq: number) => void} onSeek
 */
export function createTranscript(unsent, onLook, onSeek) {
  return new Transcript(
    {
      scroller: byId("transcript", HTMLElement),
      list: byId("lines", HTMLElement),
      unsent,
      hint: byId("hint", HTMLElement),
      beginning: byId("beginning", HTMLElement),
      newMessages: byId("new-messages", HTMLButtonElement),
    },
    onLook,
    onSeek,
  );
}

/**
 * @param {(id: string) => void} onTakeBack
 * @param {(id: string) => void} onDiscard
 */
export function createUnsentLines(onTakeBack, onDiscard) {
  const list = byId("unsent", HTMLElement);
  return new UnsentLines(list, onTakeBack, onDiscard);
}

/**
 * @param {(question: Question) => boolean} ask
 * @param {(seq: number) => void} onSeek
 */
export function createSearch(ask, onSeek) {
  byId("search", HTMLElement).hidden = false;
  return new Search({
    form: byId("search-form", HTMLFormElement),
    input: byId("search-input", HTMLInputElement),
    list: byId("search-list", HTMLElement),
    older: byId("search-older", HTMLButtonElement),
    note: byId("search-note", HTMLElement),
  }, {
    ask,
    leadTo: (seq) => {
      byId("panel", HTMLElement).hidePopover();
      onSeek(seq);
    },
  });
}

/** @param {() => void} ask */
export function createRoomList(ask) {
  return new RoomList({
    panel: byId("panel", HTMLElement),
    section: byId("room-list", HTMLElement),
    list: byId("rooms", HTMLElement),
    more: byId("rooms-more", HTMLElement),
  }, ask);
}

export function createReply() {
  return new Reply({
    bar: byId("reply-bar", HTMLElement),
    words: byId("reply-words", HTMLElement),
    cancel: byId("reply-cancel", HTMLButtonElement),
    box: byId("message", HTMLTextAreaElement),
  });
}

/**
 * @param {string} room
 * @param {Memory} memory
 * @param {NotificationHandlers} handlers
 */
export function createNotifications(room, memory, handlers) {
  return new Notifications(
    {
      offer: byId("notify-offer", HTMLElement),
      accept: byId("notify-accept", HTMLButtonElement),
      decline: byId("notify-decline", HTMLButtonElement),
      box: byId("message", HTMLTextAreaElement),
    },
    room,
    memory,
    handlers,
  );
}

/** @param {MenuHandlers} handlers */
export function createMessageMenu(handlers) {
  return new MessageMenu({
    list: byId("lines", HTMLElement),
    menu: byId("message-menu", HTMLElement),
    words: byId("message-words", HTMLElement),
    reply: byId("message-reply", HTMLButtonElement),
    copy: byId("message-copy", HTMLButtonElement),
    link: byId("message-link", HTMLButtonElement),
    remove: byId("message-delete", HTMLButtonElement),
    question: byId("message-question", HTMLElement),
    removeNow: byId("message-delete-now", HTMLButtonElement),
    keep: byId("message-keep", HTMLButtonElement),
    note: byId("message-note", HTMLElement),
  }, handlers);
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
      nameOffer: byId("name-offer", HTMLElement),
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
export function createInvitationForm(submit) {
  return new InvitationForm({
    covered: byId("main", HTMLElement),
    form: byId("invitation-form", HTMLFormElement),
    input: byId("invitation-code", HTMLInputElement),
    note: byId("invitation-note", HTMLElement),
  }, submit);
}

/** @param {(name: string) => boolean} rename */
export function createNameForm(rename) {
  return new NameForm({
    form: byId("name-form", HTMLFormElement),
    input: byId("name-input", HTMLInputElement),
    button: byId("name-button", HTMLButtonElement),
    note: byId("name-note", HTMLElement),
    home: byId("name-home", HTMLElement),
    people: byId("people", HTMLElement),
    arrival: byId("arrival", HTMLElement),
    arrivalWords: byId("arrival-words", HTMLElement),
    box: byId("message", HTMLTextAreaElement),
  }, rename);
}
