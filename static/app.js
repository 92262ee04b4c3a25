// @ts-check
// Owns the wiring: which part of the page hears of what. It never does the
// parts' work. Invariant: with an invalid room nothing is connected; with a
// valid one, every event takes one way: connection → protocol → transcript.

import { roomFrom, socketUrl } from "./address.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { byId } from "./dom.js";
import { setUpPanel } from "./panel.js";
import { decodeFrame, encodeMessage } from "./protocol.js";
import { Status } from "./status.js";
import { Title } from "./title.js";
import { Transcript } from "./transcript.js";

/** @import { State } from "./connection.js" */

const { room, asked } = roomFrom(location.search);
setUpPanel(room);
if (room === null) refuse(asked);
else join(room);

/** @param {string} room */
function join(room) {
  const url = socketUrl(document.baseURI, room);
  const roomName = byId("room-name", HTMLElement);
  roomName.textContent = room;
  roomName.title = room;
  byId("socket-address", HTMLElement).textContent = url;

  const title = new Title(`${room} · Partyline`);
  const transcript = createTranscript();
  const connection = new Connection(url, { onState, onFrame });
  const status = createStatus(() => connection.open());
  createComposer(say);
  let hasBeenOpen = false;

  /** @param {State} state */
  function onState(state) {
    status.show(state);
    if (state.name !== "open") return;
    if (hasBeenOpen) note("Reconnected");
    hasBeenOpen = true;
  }

  /** @param {unknown} data */
  function onFrame(data) {
    const events = decodeFrame(data, new Date());
    transcript.append(events);
    title.addUnread(events.filter(({ type }) => type === "message").length);
  }

  /** @param {string} text */
  function say(text) {
    const sent = connection.send(encodeMessage(text));
    if (!sent) status.explainRefusal();
    return sent;
  }

  /** @param {string} message */
  function note(message) {
    transcript.append([{ type: "note", message, at: new Date() }]);
  }

  addEventListener("online", () => connection.networkIsUp());
  addEventListener("offline", () => connection.networkIsDown());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) connection.open();
  });
  connection.open();
}

/**
 * Says that there can be no such room, and that nothing is connected.
 *
 * @param {string} asked
 */
function refuse(asked) {
  const name = asked.length > 40 ? `${asked.slice(0, 40)}…` : asked;
  byId("room-name", HTMLElement).textContent = "no room";
  byId("problem", HTMLElement).hidden = false;
  byId("problem-text", HTMLElement).textContent =
    `“${name}” cannot be a room’s name. It takes 1 to 32 characters, ` +
    "each of them a small letter from a to z, a digit or a hyphen.";
  byId("transcript", HTMLElement).hidden = true;
  byId("message", HTMLTextAreaElement).disabled = true;
  byId("send", HTMLButtonElement).disabled = true;
  createStatus(() => {}).show({ name: "closed" });
}

function createTranscript() {
  return new Transcript({
    scroller: byId("transcript", HTMLElement),
    list: byId("lines", HTMLElement),
    hint: byId("hint", HTMLElement),
    newMessages: byId("new-messages", HTMLButtonElement),
  });
}

/** @param {() => void} onTryNow */
function createStatus(onTryNow) {
  return new Status({
    page: document.body,
    text: byId("status-text", HTMLElement),
    countdown: byId("status-countdown", HTMLElement),
    note: byId("status-note", HTMLElement),
    tryNow: byId("try-now", HTMLButtonElement),
  }, onTryNow);
}

/** @param {(text: string) => boolean} say */
function createComposer(say) {
  return new Composer({
    form: byId("composer", HTMLFormElement),
    box: byId("message", HTMLTextAreaElement),
    grow: byId("grow", HTMLElement),
    remaining: byId("remaining", HTMLElement),
  }, say);
}
