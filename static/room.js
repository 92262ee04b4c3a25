// @ts-check
// Owns the wiring of a room's parts: which of them hears of what. It never
// does the parts' work. Invariant: what comes takes one way, connection →
// session → parts; what goes takes one way back, parts → session → connection.

import { basePath, socketUrl } from "./address.js";
import { Backlog } from "./backlog.js";
import { Connection } from "./connection.js";
import { byId } from "./dom.js";
import * as elements from "./elements.js";
import { Heartbeat } from "./heartbeat.js";
import { Identity } from "./identity.js";
import { Members } from "./members.js";
import { Outbox } from "./outbox.js";
import { shareWith } from "./panel.js";
import { maxLength } from "./protocol.js";
import { farewell } from "./refusal.js";
import { Session } from "./session.js";
import { sharedMemory } from "./storage.js";
import { Title } from "./title.js";
import { Typing } from "./typing.js";
import { setUpXRay } from "./x-ray/toggle.js";

/** @import { Invitation } from "./invitation.js" */
/** @import { Memory } from "./storage.js" */
/** @import { State } from "./connection.js" */
/** @import { Message, ServerError, ServerEvent } from "./protocol.js" */
/** @import { Welcome } from "./protocol.js" */

/**
 * Joins a room, for as long as the page is open.
 *
 * @param {string} room
 * @param {Memory} tab
 * @param {Invitation} invitation
 */
export async function join(room, tab, invitation) {
  const { baseURI } = document;
  const roomName = byId("room-name", HTMLElement);
  roomName.textContent = room;
  roomName.title = room;
  // Without the code: this may be on the wall, for all to see.
  byId("socket-address", HTMLElement).textContent = socketUrl(baseURI, room);
  const shared = sharedMemory(basePath(baseURI));
  const identity = new Identity(tab, shared);
  await identity.settle();
  invitation.keep();

  const connection = new Connection(
    () => socketUrl(baseURI, room, invitation.code),
    { onState, onFrame },
  );
  const session = new Session(
    {
      send: (text) => connection.send(text),
      restart: () => connection.restart(),
    },
    { onEvent, onStored: (id) => outbox.stored(id), onMissed, onNewLife },
    identity,
  );
  const heartbeat = new Heartbeat(
    () => session.request({ type: "ping" }),
    () => connection.restart(),
  );
  const outbox = new Outbox(room, tab, {
    send: ({ id, text }) =>
      session.request({ type: "message", id, message: text }),
    onChange: showUnsent,
  });

  const title = new Title(`${room} · Partyline`);
  const status = elements.createStatus(() => connection.open());
  const door = elements.createDoor((code) => {
    invitation.use(code);
    connection.knock();
  });
  const composer = elements.createComposer(room, tab, {
    submit: say,
    onWrite: () => typing.wrote(),
  });
  const unsentLines = elements.createUnsentLines(takeBack, discard);
  const transcript = elements.createTranscript(
    unsentLines,
    () => backlog.check(),
  );
  const backlog = new Backlog(
    transcript,
    session,
    (message) => entryFor(message, true),
  );
  const members = new Members();
  const people = elements.createPeople(members);
  const nameForm = elements.createNameForm((name) =>
    session.request({ type: "rename", name })
  );
  const typingLine = byId("typing", HTMLElement);
  const typing = new Typing(
    () => session.request({ type: "typing" }),
    (words) => {
      typingLine.textContent = words;
    },
  );
  let hasBeenHere = false;

  /** @param {State} state */
  function onState(state) {
    if (state.name === "open") {
      // The status says so only when the server has answered.
      session.greet();
      return heartbeat.start();
    }
    status.show(state);
    if (state.name === "uninvited") keepOut(state.why);
    else if (state.name !== "connecting") door.stopAsking();
    transcript.showHint(false);
    session.end();
    heartbeat.stop();
    outbox.lineDown();
    backlog.forget();
    nameForm.lineDown();
    typing.clear();
  }

  /** @param {string} why */
  function keepOut(why) {
    door.ask(why, invitation.code);
    invitation.use("");
    shareWith(room, "");
  }

  /** @param {unknown} data */
  function onFrame(data) {
    heartbeat.heard();
    session.receive(data);
    if (session.isCaughtUp) outbox.lineUp();
  }

  /**
   * @param {ServerEvent} event
   * @param {boolean} isOld
   */
  function onEvent(event, isOld) {
    switch (event.type) {
      case "welcome":
        return welcome(event);
      case "message":
        return showMessage(event, isOld);
      case "history":
        return backlog.answered(event);
      case "error":
        return showError(event);
      case "typing":
        if (event.sender !== session.name) typing.started(event.sender);
        return;
      case "rename":
        if (event.name === session.name) nameForm.show(session.name);
        typing.stopped(event.sender);
        transcript.append([event]);
        break;
      case "leave":
        typing.stopped(event.sender);
        transcript.append([event]);
        break;
      case "pong":
        return;
    }
    members.hear(event);
    people.show(session.name);
  }

  /** @param {Welcome} event */
  function welcome(event) {
    members.hear(event);
    people.show(session.name);
    nameForm.show(session.name);
    composer.setMaxLength(maxLength(event.limits));
    transcript.showHint(true);
    status.show({ name: "open", kind: connection.kind });
    showCarrier();
    shareWith(room, invitation.code);
    if (door.isOpen) {
      door.close();
      composer.focus();
    }
    if (hasBeenHere) note("Reconnected");
    hasBeenHere = true;
  }

  function showCarrier() {
    const isSocket = connection.kind === "websocket";
    byId("by-socket", HTMLElement).hidden = !isSocket;
    byId("by-requests", HTMLElement).hidden = isSocket;
  }

  /**
   * @param {Message} message
   * @param {boolean} isOld
   */
  function showMessage(message, isOld) {
    typing.stopped(message.sender);
    transcript.append([entryFor(message, isOld)]);
    if (!isOld) title.addUnread(1);
  }

  /** @param {ServerError} error */
  function showError(error) {
    const { code, message, retryAfter } = error;
    const goodbye = farewell(code) ?? (session.isWelcome ? null : message);
    if (goodbye !== null && retryAfter !== null) {
      return connection.heed(goodbye, retryAfter);
    }
    if (!session.isWelcome) return status.note(message);
    if (outbox.refused(error)) {
      if (retryAfter === null) status.note("A message was not sent.");
      return;
    }
    if (backlog.refused(code, retryAfter)) return;
    if (nameForm.refused(message)) return;
    // That we type, or wished for a name, is not worth an error.
    if (code === "rate_limited" || code.startsWith("name_")) return;
    transcript.append([error]);
  }

  function onMissed() {
    note("Some messages were missed");
  }

  function onNewLife() {
    transcript.clear();
    backlog.startAnew();
    note("The earlier messages are gone: the line begins anew");
  }

  /** @param {string} text */
  function say(text) {
    const isTaken = outbox.add(text);
    if (isTaken) transcript.follow();
    status.note(
      isTaken ? "" : "Not sent yet: too many wait. Your text is kept.",
    );
    return isTaken;
  }

  /** @param {string} id */
  function takeBack(id) {
    composer.putBack(outbox.takeBack(id) ?? "");
    status.note("");
  }

  /** @param {string} id */
  function discard(id) {
    outbox.takeBack(id);
    composer.focus();
    status.note("");
  }

  function showUnsent() {
    transcript.showUnsent(outbox.entries, session.name ?? "you");
  }

  /** @param {string} message */
  function note(message) {
    transcript.append([{ type: "note", message, at: new Date() }]);
  }

  /**
   * @param {Message} message
   * @param {boolean} isOld
   */
  function entryFor(message, isOld) {
    return { ...message, isOld, isMine: message.sender === session.name };
  }

  addEventListener("online", () => {
    connection.networkIsUp();
    heartbeat.check();
  });
  addEventListener("offline", () => connection.networkIsDown());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    connection.wake();
    heartbeat.check();
  });
  addEventListener("hashchange", () => {
    if (invitation.takeFromAddress()) connection.knock();
  });
  addEventListener("pagehide", () => identity.giveUp());
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && !identity.takeBack()) location.reload();
  });
  showUnsent();
  setUpXRay(() => identity.key, shared);
  if (invitation.code === "") connection.open();
  else connection.knock();
}
