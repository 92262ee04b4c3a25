// @ts-check
// Wires the parts of a room: which part hears of which event. Events take one
// way, connection → session → parts; requests take one way back, parts →
// session → connection. The parts do the work.

import { basePath, socketUrl } from "../shared/address.js";
import { Backlog } from "./backlog.js";
import { Connection } from "../client/connection.js";
import { onNewDay } from "../shared/day.js";
import { byId } from "../shared/dom.js";
import * as elements from "./elements.js";
import { Heartbeat } from "../client/heartbeat.js";
import { Identity } from "../client/identity.js";
import { Members } from "../client/members.js";
import { mentions } from "./mention.js";
import { Outbox } from "../client/outbox.js";
import { takeFromAddress } from "./linked.js";
import { linkTo, shareWith } from "./panel.js";
import { Presence } from "./presence.js";
import { charactersLeft } from "../client/protocol.js";
import { disconnectReason } from "../client/http_error.js";
import { Session } from "../client/session.js";
import { sharedMemory } from "../shared/storage.js";
import { streams } from "../shared/streams.js";
import { Title } from "./title.js";
import { Typing } from "./typing.js";
import { setUpXRay } from "../x-ray/toggle.js";

/** @import { Place as Linked } from "../shared/address.js" */
/** @import { Invitation } from "../shared/invitation.js" */
/** @import { Memory } from "../shared/storage.js" */
/** @import { MessageEntry } from "./reply.js" */
/** @import { Question } from "./search.js" */
/** @import { State } from "../client/connection.js" */
/** @import { Limits, MembersPage, Message } from "../client/protocol.js" */
/** @import { Join, Leave, Rename, TypingEvent } from "../client/protocol.js" */
/** @import { ServerError, ServerEvent, Welcome } from "../client/protocol.js" */

/**
 * Joins a room, for as long as the page is open.
 *
 * @param {string} room
 * @param {Memory} tab
 * @param {Invitation} invitation
 * @param {Linked | null} linked the message to which the page's address leads
 */
export async function join(room, tab, invitation, linked) {
  const { baseURI } = document;
  const roomName = byId("room-name", HTMLElement);
  roomName.textContent = room;
  roomName.title = room;
  // Without the code: the address may be on the wall, for all to see.
  byId("socket-address", HTMLElement).textContent = socketUrl(baseURI, room);
  const shared = sharedMemory(basePath(baseURI));
  const identity = new Identity(tab, shared);
  await identity.settle();
  invitation.keep();
  const page = new RoomPage({ room, tab, shared, invitation, identity });
  page.listenToBrowser();
  setUpXRay(() => identity.key, shared, () => page.reconnect());
  page.start();
  page.leadTo(linked);
}

/**
 * The room of a page, its memory, and its identity there.
 *
 * @typedef {object} Place
 * @property {string} room
 * @property {Memory} tab
 * @property {Memory} shared
 * @property {Invitation} invitation
 * @property {Identity} identity
 */

class RoomPage {
  #place;
  #connection;
  #session;
  #heartbeat;
  #outbox;
  #view;
  #backlog;
  #members = new Members();
  #presence;
  #stream;
  #hasBeenHere = false;
  /** The seqs of messages that we asked to delete. @type {Set<number>} */
  #deletions = new Set();
  /** @type {Linked | null} a link leads there, until we know the room */
  #linked = null;

  /** @param {Place} place */
  constructor(place) {
    const { room, tab, invitation, identity } = place;
    this.#place = place;
    this.#connection = new Connection(
      () => socketUrl(document.baseURI, room, invitation.code),
      {
        onState: (state) => this.#onState(state),
        onFrame: (data) => this.#onFrame(data),
      },
    );
    this.#session = this.#createSession(identity);
    this.#heartbeat = new Heartbeat(
      () => this.#session.request({ type: "ping" }),
      () => this.#connection.restart(),
    );
    this.#outbox = new Outbox(room, tab, {
      send: ({ id, text, replyTo }) =>
        this.#session.request({
          type: "message",
          id,
          message: text,
          ...(replyTo !== undefined && { replyTo }),
        }),
      onChange: () => this.#showUnsent(),
    });
    this.#view = createView(
      place,
      this.#createActions(),
      this.#members,
    );
    this.#backlog = new Backlog(
      this.#view.transcript,
      this.#session,
      (message) => this.#entryFor(message, true),
      () => this.#sayGone(),
    );
    this.#presence = new Presence((entry) =>
      this.#view.transcript.append([entry])
    );
    this.#stream = {
      giveUp: () => {
        this.#connection.rest(true);
        this.#heartbeat.check();
      },
      takeBack: () => this.#connection.rest(false),
    };
  }

  reconnect() {
    this.#connection.restart();
  }

  /** @param {Identity} identity */
  #createSession(identity) {
    return new Session(
      {
        send: (text) => this.#connection.send(text),
        restart: () => this.#connection.restart(),
      },
      {
        onEvent: (event, isOld) => this.#onEvent(event, isOld),
        onStored: (id) => this.#outbox.stored(id),
        onMissed: () => this.#beginAnew("Some messages were missed"),
        onNewLife: () =>
          this.#beginAnew(
            "The earlier messages are gone: the history begins again",
          ),
      },
      identity,
    );
  }

  /** @returns {Actions} */
  #createActions() {
    return {
      connect: () => this.#connection.open(),
      showCode: (code) => {
        this.#place.invitation.use(code);
        this.#connection.knock();
      },
      say: (text) => this.#say(text),
      takeBack: (id) => this.#takeBack(id),
      discard: (id) => this.#discard(id),
      look: () => this.#backlog.check(),
      askForMembers: () => this.#askForMembers(),
      rename: (name) => this.#session.request({ type: "rename", name }),
      remove: (message) => this.#remove(message),
      linkTo: ({ seq }) => linkTo({ seq, epoch: this.#session.epoch }),
      seek: (seq) => this.#backlog.seek(seq),
      search: (question) =>
        this.#session.request({ type: "search", ...question }),
      askForRooms: () => this.#session.request({ type: "rooms" }),
      names: () => {
        const { name } = this.#session;
        return this.#members.names.filter((other) => other !== name);
      },
      tellTyping: () => this.#session.request({ type: "typing" }),
    };
  }

  /** Opens the connection; asks the server first if a code is right. */
  start() {
    this.#showUnsent();
    this.#view.composer.focusOnComputer();
    if (this.#place.invitation.code === "") this.#connection.open();
    else this.#connection.knock();
  }

  /** Follows events of the network, the window and the clock. */
  listenToBrowser() {
    const { identity, invitation } = this.#place;
    addEventListener("online", () => {
      this.#connection.networkIsUp();
      this.#heartbeat.check();
    });
    addEventListener("offline", () => this.#connection.networkIsDown());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.#connection.wake();
      this.#heartbeat.check();
    });
    addEventListener("hashchange", () => {
      const { isInvited, linked } = takeFromAddress(invitation);
      if (isInvited) this.#connection.knock();
      this.leadTo(linked);
    });
    addEventListener("pagehide", () => identity.giveUp());
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted && !identity.takeBack()) location.reload();
    });
    onNewDay(() => this.#view.transcript.renewTimes());
  }

  /**
   * Leads the reader to a message, as soon as the room's history is known.
   *
   * @param {Linked | null} linked
   */
  leadTo(linked) {
    this.#linked = linked ?? this.#linked;
    if (this.#linked === null || !this.#session.isCaughtUp) return;
    const { seq, epoch } = this.#linked;
    this.#linked = null;
    if (epoch === this.#session.epoch) this.#backlog.seek(seq);
    else this.#sayGone();
  }

  #sayGone() {
    this.#view.status.note(
      "This room does not have that message any more, or never had it.",
    );
  }

  /** @param {State} state */
  #onState(state) {
    if (state.name === "open") return this.#opened();
    const { status, invitationForm, transcript, nameForm, typing, search } =
      this.#view;
    status.show(state, this.#connection.endCode);
    if (state.name === "uninvited") this.#keepOut(state.why);
    else if (state.name !== "connecting") invitationForm.stopAsking();
    transcript.showHint(false);
    this.#session.end();
    this.#heartbeat.stop();
    this.#outbox.lineDown();
    this.#backlog.forget();
    this.#deletions.clear();
    this.#presence.lineDown();
    nameForm.lineDown();
    search.lineDown();
    typing.clear();
  }

  /** The status changes only when the server has answered the greeting. */
  #opened() {
    this.#session.greet();
    this.#heartbeat.start();
    if (this.#connection.kind !== "websocket") {
      return streams.add(this.#stream);
    }
    streams.remove(this.#stream);
    // The tab may have given up the stream that it had before.
    this.#connection.rest(false);
  }

  /** @param {string} why */
  #keepOut(why) {
    const { room, invitation } = this.#place;
    this.#view.invitationForm.ask(why, invitation.code);
    invitation.use("");
    shareWith(room, "");
  }

  /** @param {unknown} data */
  #onFrame(data) {
    this.#heartbeat.heard();
    this.#session.receive(data);
    if (!this.#session.isCaughtUp) return;
    this.#outbox.lineUp();
    this.leadTo(null);
  }

  /**
   * @param {ServerEvent} event
   * @param {boolean} isOld
   */
  #onEvent(event, isOld) {
    switch (event.type) {
      case "welcome":
        return this.#welcome(event);
      case "message":
        return this.#showMessage(event, isOld);
      case "history":
        return this.#backlog.answered(event);
      case "error":
        return this.#showError(event);
      case "members":
        return this.#showMembers(event);
      case "delete":
        this.#deletions.delete(event.target);
        this.#view.reply.forget(event.target);
        this.#view.notifications.forget(event.target);
        return this.#view.transcript.deleted(event.target);
      case "found":
        return this.#view.search.answered(event);
      case "rooms":
        return this.#view.roomList.answered(event);
      case "pong":
        return;
      default:
        return this.#onPresence(event);
    }
  }

  /** @param {Join | Leave | Rename | TypingEvent} event */
  #onPresence(event) {
    const { nameForm, transcript, typing } = this.#view;
    const { name } = this.#session;
    if (event.type === "typing") {
      if (event.sender !== name) typing.started(event.sender);
      return;
    }
    typing.stopped(event.sender);
    if (event.type === "join") this.#presence.came(event, name);
    if (event.type === "leave") this.#presence.left(event);
    if (event.type === "rename") {
      if (event.name === name) nameForm.show(name);
      transcript.append([event]);
    }
    this.#members.hear(event);
    this.#showPeople();
  }

  #showPeople() {
    this.#view.people.show(this.#session.name);
  }

  #askForMembers() {
    const { after } = this.#members;
    this.#session.request({ type: "members", ...(after !== "" && { after }) });
  }

  /** @param {MembersPage} event */
  #showMembers(event) {
    const { size } = this.#members;
    this.#members.hear(event);
    this.#showPeople();
    // A page of names without a new one would change nothing that people see.
    if (this.#members.size === size && event.more) this.#askForMembers();
  }

  /** @param {Welcome} event */
  #welcome(event) {
    const { composer, invitationForm, nameForm, status, transcript } =
      this.#view;
    const { room, invitation } = this.#place;
    this.#members.hear(event);
    this.#showPeople();
    nameForm.show(this.#session.name);
    composer.setLimits(event.limits);
    this.#view.roomList.show(event.listsRooms);
    this.#refuseTooLong(event.limits);
    transcript.showHint(true);
    status.show({ name: "open", kind: this.#connection.kind });
    showCarrier(this.#connection.kind === "websocket");
    shareWith(room, invitation.code);
    if (invitationForm.isOpen) {
      invitationForm.close();
      composer.focus();
    }
    if (this.#hasBeenHere) this.#note("Reconnected");
    else if (this.#place.identity.isFirstVisit) nameForm.offer();
    this.#hasBeenHere = true;
  }

  /**
   * A message written before the server told its limits may be too long. The
   * server would refuse a long message, but disconnect us for a long frame.
   *
   * @param {Limits} limits
   */
  #refuseTooLong({ frame }) {
    for (const { id, text } of this.#outbox.entries) {
      if (charactersLeft(text, { message: Infinity, frame }) >= 0) continue;
      const message = "Too long: this message was not sent.";
      this.#outbox.refused({ id, message, retryAfter: null });
    }
  }

  /**
   * @param {Message} message
   * @param {boolean} isOld
   */
  #showMessage(message, isOld) {
    const { notifications, title, transcript, typing } = this.#view;
    const entry = this.#entryFor(message, isOld);
    typing.stopped(message.sender);
    transcript.append([entry]);
    if (isOld) return;
    title.addUnread(entry.isForMe);
    if (entry.isForMe) notifications.mentioned(entry);
  }

  /** @param {ServerError} error */
  #showError(error) {
    const { nameForm, search, status, transcript } = this.#view;
    const { code, message, retryAfter } = error;
    const reason = disconnectReason(code) ??
      (this.#session.isWelcome ? null : message);
    if (reason !== null && retryAfter !== null) {
      return this.#connection.heed(reason, retryAfter);
    }
    if (!this.#session.isWelcome) return status.note(message);
    if (this.#outbox.refused(error)) {
      if (retryAfter === null) status.note("A message was not sent.");
      return;
    }
    if (search.refused(message)) return;
    if (this.#backlog.refused(code, retryAfter)) return;
    if (nameForm.refused(message)) return;
    if (!this.#isWorthShowing(error)) return;
    this.#deletions.clear();
    transcript.append([error]);
  }

  /**
   * The known history was lost, or the page missed so much that messages that
   * it shows may be deleted.
   *
   * @param {string} why
   */
  #beginAnew(why) {
    this.#view.transcript.clear();
    this.#view.reply.forget();
    this.#backlog.startAnew();
    this.#note(why);
  }

  /** @param {string} text */
  #say(text) {
    const { composer, nameForm, reply, status, transcript } = this.#view;
    if (nameForm.settle(() => composer.send())) return false;
    const isTaken = this.#outbox.add(text, reply.seq);
    if (isTaken) {
      reply.done();
      nameForm.said();
      transcript.follow();
    }
    status.note(
      isTaken
        ? ""
        : "Not sent yet: too many messages are waiting. Your text is kept.",
    );
    return isTaken;
  }

  /** @param {string} id */
  #takeBack(id) {
    const { composer, status } = this.#view;
    composer.putBack(this.#outbox.takeBack(id) ?? "");
    status.note("");
  }

  /** @param {string} id */
  #discard(id) {
    const { composer, status } = this.#view;
    this.#outbox.takeBack(id);
    composer.focus();
    status.note("");
  }

  /** @param {MessageEntry} message */
  #remove({ seq }) {
    const isAsked = this.#session.request({ type: "delete", seq });
    if (isAsked) this.#deletions.add(seq);
    return isAsked;
  }

  /**
   * An error names its request only if that was a message. An error about
   * typing too fast is not worth showing.
   *
   * @param {ServerError} error
   */
  #isWorthShowing({ code }) {
    if (this.#deletions.size > 0) return true;
    return code !== "rate_limited" && !code.startsWith("name_");
  }

  #showUnsent() {
    const { transcript } = this.#view;
    transcript.showUnsent(this.#outbox.entries, this.#session.name ?? "you");
  }

  /** @param {string} message */
  #note(message) {
    const { transcript } = this.#view;
    transcript.append([{ type: "note", message, at: new Date() }]);
  }

  /**
   * @param {Message} message
   * @param {boolean} isOld
   */
  #entryFor(message, isOld) {
    const { author, name } = this.#session;
    // Somebody else can have had our name. An older server tells no authors.
    const isMine = author === null
      ? message.sender === name
      : message.author === author;
    const isForMe = !isMine && mentions(message.message, name);
    return { ...message, isOld, isMine, isForMe };
  }
}

/**
 * The actions that the parts of the page ask for.
 *
 * @typedef {object} Actions
 * @property {() => void} connect
 * @property {(code: string) => void} showCode
 * @property {(text: string) => boolean} say false if the text has to wait
 * @property {(id: string) => void} takeBack
 * @property {(id: string) => void} discard
 * @property {() => void} look the reader may need other messages
 * @property {() => void} askForMembers
 * @property {(name: string) => boolean} rename
 * @property {(message: MessageEntry) => boolean} remove
 * @property {(message: MessageEntry) => string} linkTo
 * @property {(seq: number) => void} seek
 * @property {(question: Question) => boolean} search
 * @property {() => void} askForRooms
 * @property {() => string[]} names of the others
 * @property {() => boolean} tellTyping
 */

/**
 * The parts that a person sees.
 *
 * @param {Place} place
 * @param {Actions} actions
 * @param {Members} members
 */
function createView({ room, tab, shared }, actions, members) {
  const typingLine = byId("typing", HTMLElement);
  const typing = new Typing(actions.tellTyping, (words) => {
    typingLine.textContent = words;
  });
  const reply = elements.createReply();
  const status = elements.createStatus(actions.connect);
  elements.createMessageMenu({
    reply: (message) => reply.to(message),
    remove: actions.remove,
    linkTo: actions.linkTo,
  });
  return {
    reply,
    title: new Title(`${room} · Partyline`),
    status,
    notifications: elements.createNotifications(room, shared, {
      open: actions.seek,
      tell: (words) => status.note(words),
    }),
    invitationForm: elements.createInvitationForm(actions.showCode),
    composer: elements.createComposer(room, tab, {
      submit: actions.say,
      onWrite: () => typing.wrote(),
      names: actions.names,
    }),
    transcript: elements.createTranscript(
      elements.createUnsentLines(actions.takeBack, actions.discard),
      actions.look,
      actions.seek,
    ),
    search: elements.createSearch(actions.search, actions.seek),
    roomList: elements.createRoomList(actions.askForRooms),
    people: elements.createPeople(members, actions.askForMembers),
    nameForm: elements.createNameForm(actions.rename),
    typing,
  };
}

/** @param {boolean} isSocket */
function showCarrier(isSocket) {
  byId("by-socket", HTMLElement).hidden = !isSocket;
  byId("by-requests", HTMLElement).hidden = isSocket;
}
