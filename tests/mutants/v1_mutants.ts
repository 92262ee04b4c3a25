// A small chat server of `partyline.v1` that does right in all that the checks try,
// but for the fault that it is started with. It keeps everything in memory and
// answers each request at once.
import type { ErrorCode } from "../../chat/protocol/events.ts";
import { Opcode } from "../../chat/check/frames.ts";
import type { App, Faults, Has, Peer } from "./mutant.ts";

export const V1_FAULTS: Faults = {
  "no subprotocol is agreed on": ["v1-subprotocol"],
  "only the first subprotocol is read": ["v1-subprotocol-among-others"],
  "a join comes before the welcome": ["v1-welcome"],
  "a welcome has no key": ["v1-welcome"],
  "the welcome's room is lobby": ["v1-welcome-fields"],
  "a welcome has no members": ["v1-welcome-fields"],
  "the count is 0": ["v1-welcome-fields"],
  "a welcome has no limits": ["v1-welcome-fields"],
  "the members are only oneself": ["v1-members"],
  "each connection has an epoch": ["v1-epoch"],
  "recovered is false at first": ["v1-recovered-null"],
  "the key brings nobody back": ["v1-key"],
  "everyone has one name": ["v1-key"],
  "any key is accepted": ["v1-key-unknown"],
  "two connections share a key": ["v1-key-taken-over"],
  "an older connection ends with 1000": ["v1-key-taken-over"],
  "a pong has no id": ["v1-ping"],
  "a ping is not answered": ["v1-ping"],
  "the author gets nothing": ["v1-acknowledged"],
  "the author gets no id": ["v1-acknowledged"],
  "seq is a string": ["v1-acknowledged"],
  "a time is a number": ["v1-message-fields"],
  "the sender is the key": ["v1-message-fields"],
  "texts are trimmed": ["v1-message-fields"],
  "markup is escaped": ["v1-message-fields"],
  "a person has no author": ["v1-author"],
  "everyone has one author": ["v1-author"],
  "messages have no author": ["v1-author"],
  "others get nothing": ["v1-message-to-all"],
  "others get another time": ["v1-message-to-all"],
  "others get a message twice": ["v1-message-to-all"],
  "seq goes up by two": ["v1-seq"],
  "UTF-16 units are counted": ["v1-longest-message"],
  "unknown fields are refused": ["v1-unknown-fields"],
  "what comes before the welcome is lost": ["v1-early-requests"],
  "messages go to all rooms": ["v1-rooms"],
  // Without rooms the welcome cannot name the right one, either.
  "there is one room": ["v1-welcome-fields", "v1-rooms"],
  "nobody is told of a join": ["v1-join"],
  "nobody is told of a leave": ["v1-leave"],
  "a leave has no text": ["v1-leave"],
  "recovered is false after since": ["v1-since"],
  "the last known message comes again": ["v1-since"],
  "the first missed message is lost": ["v1-since"],
  "one missed message is lost": ["v1-since"],
  "what was missed comes twice": ["v1-since"],
  "what was missed comes backwards": ["v1-since"],
  "who missed nothing is not recovered": ["v1-since-nothing-missed"],
  "who missed nothing gets the last message": ["v1-since-nothing-missed"],
  "ids are not read": ["v1-repeat"],
  "a repeat comes to everyone": ["v1-repeat"],
  "a repeat is not acknowledged": ["v1-repeat"],
  "a repeat has a new time": ["v1-repeat"],
  "ids end with the connection": ["v1-repeat-after-reconnect"],
  "an id is everyone's": ["v1-id-of-another"],
  "history has one message too many": ["v1-hello-history"],
  "history is always 50": ["v1-hello-history"],
  "hello brings the newest first": ["v1-hello-history"],
  "the welcome is one message behind": ["v1-hello-history"],
  "any epoch is the room's": ["v1-since-other-epoch"],
  "another epoch brings no history": ["v1-since-other-epoch"],
  "history is not answered": ["v1-history"],
  "history includes before": ["v1-history"],
  "history brings all": ["v1-history"],
  "history brings the newest first": ["v1-history"],
  "more is the opposite": ["v1-history"],
  "an unknown type is passed over": ["v1-unknown-type"],
  "an unknown type ends the connection": ["v1-unknown-type"],
  "an id may be missing": ["v1-missing-id"],
  "every error is busy": ["v1-missing-id"],
  "an error has no id": ["v1-missing-text"],
  "a text may be a number": ["v1-missing-text"],
  "a text may be blank": ["v1-blank"],
  "a text may have any length": ["v1-too-long"],
  "what is not JSON is passed over": ["v1-not-json"],
  "what is no request ends with 1003": ["v1-not-json"],
  "an array is a request": ["v1-not-an-object"],
  "hello may come later": ["v1-hello-first"],
  // Right servers, which do more than the checks need.
  "each event has a frame": [],
  "unknown events come": [],
  "a message has to wait": [],
  "others speak, too": [],
};

const MAX_CHARS = 100;
const DEFAULT_HISTORY = 50;

type Fields = { [field: string]: unknown };

interface Person {
  name: string;
  key: string;
  author: string;
}

/** A message as it is stored; `by` is the key of its author. */
interface Stored {
  event: Fields & { seq: number };
  by: string;
}

interface Room {
  name: string;
  epoch: string;
  stored: Stored[];
  clients: Set<Client>;
}

/** A connection. */
interface Client {
  peer: Peer;
  room: Room;
  person?: Person;
  isClosed: boolean;
  /** False while a fault keeps the server from hearing what comes. */
  isHeard: boolean;
}

export function partylineV1(has: Has): App {
  return new Chat(has);
}

class Chat implements App {
  readonly #rooms = new Map<string, Room>();
  readonly #people = new Map<string, Person>();
  readonly #clients = new Map<Peer, Client>();
  #count = 0;
  /** Authors of messages that were asked to wait, for the server that does so. */
  readonly #delayed = new Set<unknown>();

  constructor(private readonly has: Has) {}

  subprotocol(offered: readonly string[]): string | undefined {
    if (this.has("no subprotocol is agreed on")) return undefined;
    const isFirst = this.has("only the first subprotocol is read");
    const read = isFirst ? offered.slice(0, 1) : offered;
    return read.find((name) => name === "partyline.v1");
  }

  opened(peer: Peer, url: URL): void {
    const asked = url.searchParams.get("room") ?? "lobby";
    const isOne = this.has("there is one room");
    const room = this.#room(isOne ? "lobby" : asked);
    this.#clients.set(peer, { peer, room, isClosed: false, isHeard: true });
  }

  gone(peer: Peer): void {
    const client = this.#clients.get(peer);
    this.#clients.delete(peer);
    if (client) this.#part(client);
  }

  received(peer: Peer, payload: Uint8Array, _opcode: number): void {
    const client = this.#clients.get(peer);
    if (!client || client.isClosed || !client.isHeard) return;
    const request = this.#parse(new TextDecoder().decode(payload));
    if (request === "no JSON" && this.has("what is not JSON is passed over")) {
      return;
    }
    if (typeof request === "string") {
      const isOther = this.has("what is no request ends with 1003");
      return this.#close(client, isOther ? 1003 : 1002);
    }
    if (client.person) return this.#handle(client, client.person, request);
    if (request.type === "hello") return this.#hello(client, request);
    if (!this.has("hello may come later")) this.#close(client, 1002);
  }

  #parse(text: string): Fields | "no JSON" | "no object" {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return "no JSON";
    }
    const isObject = typeof value === "object" && value !== null;
    const isOther = Array.isArray(value) && !this.has("an array is a request");
    return !isObject || isOther ? "no object" : value;
  }

  #room(name: string): Room {
    const room = this.#rooms.get(name) ??
      { name, epoch: this.#unique("epoch"), stored: [], clients: new Set() };
    this.#rooms.set(name, room);
    return room;
  }

  #unique(kind: string): string {
    return `${kind}-${++this.#count}`;
  }

  #close(client: Client, code: number): void {
    client.isClosed = true;
    client.peer.close(code);
    this.#part(client);
  }

  /** Somebody is not in the room any more; may be called more than once. */
  #part(client: Client): void {
    const { room, person } = client;
    if (!room.clients.delete(client)) return;
    if (this.has("nobody is told of a leave")) return;
    this.#toAll(room, {
      ...this.#presence("leave", room, person),
      ...!this.has("a leave has no text") &&
        { message: "Client disconnected" },
    });
  }

  #presence(type: string, room: Room, person: Person | undefined): Fields {
    const count = room.clients.size;
    return { type, at: new Date().toISOString(), sender: person?.name, count };
  }

  #send(client: Client, ...events: Fields[]): void {
    if (client.isClosed || events.length === 0) return;
    const { has } = this;
    if (has("unknown events come")) {
      events.push({ type: "weather", sender: "server", seq: "fine" });
    }
    const frames = has("each event has a frame") ? events : [events];
    for (const frame of frames) {
      client.peer.send(Opcode.text, JSON.stringify(frame));
    }
  }

  #toAll(room: Room, event: Fields): void {
    for (const client of room.clients) this.#send(client, event);
  }

  #refuse(client: Client, code: ErrorCode, id?: unknown, retryAfter?: number) {
    const { has } = this;
    this.#send(client, {
      type: "error",
      sender: "server",
      code: has("every error is busy") ? "busy" : code,
      message: "This was refused.",
      ...id !== undefined && !has("an error has no id") && { id },
      ...retryAfter !== undefined && { retryAfter },
    });
  }

  #hello(client: Client, hello: Fields): void {
    const { has } = this;
    const { room } = client;
    if (has("unknown fields are refused") && "colour" in hello) {
      return this.#refuse(client, "invalid");
    }
    client.person = this.#personOf(hello.key);
    this.#takeOver(client, client.person);
    room.clients.add(client);
    if (!has("nobody is told of a join")) {
      const event = this.#presence("join", room, client.person);
      const others = has("a join comes before the welcome")
        ? room.clients
        : [...room.clients].filter((other) => other !== client);
      for (const other of others) this.#send(other, event);
    }
    const { recovered, missed } = this.#missed(room, hello);
    const welcome = this.#welcome(client, client.person, recovered);
    this.#send(client, welcome, ...missed);
    if (!has("what comes before the welcome is lost")) return;
    client.isHeard = false;
    client.peer.sent.then(() => client.isHeard = true);
  }

  /** The person of this key, or a new one. */
  #personOf(key: unknown): Person {
    const { has } = this;
    const known = has("the key brings nobody back")
      ? undefined
      : this.#people.get(`${key}`);
    if (known) return known;
    const person = {
      name: has("everyone has one name") ? "guest" : this.#unique("person"),
      key: typeof key === "string" && has("any key is accepted")
        ? key
        : this.#unique("key"),
      author: has("everyone has one author") ? "a" : this.#unique("author"),
    };
    this.#people.set(person.key, person);
    return person;
  }

  /** Ends the older connection of a person. */
  #takeOver(client: Client, person: Person): void {
    const { has } = this;
    if (has("two connections share a key")) return;
    const code = has("an older connection ends with 1000") ? 1000 : 4002;
    for (const older of [...this.#clients.values()]) {
      const isSame = older.person?.key === person.key && older !== client;
      if (isSame && !older.isClosed) this.#close(older, code);
    }
  }

  #welcome(
    { room }: Client,
    { name, key, author }: Person,
    recovered: boolean | null,
  ): Fields {
    const { has } = this;
    const names = [...room.clients].map(({ person }) => person?.name);
    const seq = room.stored.length * this.#step;
    const isBehind = has("the welcome is one message behind") && seq > 0;
    const isOwn = has("the members are only oneself");
    return {
      type: "welcome",
      sender: name,
      ...!has("a person has no author") && { author },
      ...!has("a welcome has no key") && { key },
      room: has("the welcome's room is lobby") ? "lobby" : room.name,
      epoch: has("each connection has an epoch")
        ? this.#unique("epoch")
        : room.epoch,
      seq: isBehind ? seq - 1 : seq,
      recovered: recovered === null && has("recovered is false at first")
        ? false
        : recovered,
      members: has("a welcome has no members") ? [] : isOwn ? [name] : names,
      count: has("the count is 0") ? 0 : names.length,
      ...!has("a welcome has no limits") && {
        limits: { message: MAX_CHARS, frame: 65_536, rate: 10, burst: 20 },
      },
    };
  }

  get #step(): number {
    return this.has("seq goes up by two") ? 2 : 1;
  }

  /** What comes with a welcome. */
  #missed(
    room: Room,
    { since, history = DEFAULT_HISTORY }: Fields,
  ): { recovered: boolean | null; missed: Fields[] } {
    const { has } = this;
    const events = room.stored.map(({ event }) => event);
    const { epoch, seq } = Object(since);
    const isSame = epoch === room.epoch || has("any epoch is the room's");
    if (since !== undefined && isSame) {
      const isNew = events.length > seq ||
        !has("who missed nothing is not recovered");
      const recovered = isNew && !has("recovered is false after since");
      return { recovered, missed: this.#after(events, seq) };
    }
    const recovered = since === undefined ? null : false;
    if (recovered === false && has("another epoch brings no history")) {
      return { recovered, missed: [] };
    }
    const count = has("history has one message too many")
      ? Number(history) && Number(history) + 1
      : has("history is always 50")
      ? DEFAULT_HISTORY
      : Number(history);
    const missed = count === 0 ? [] : events.slice(-count);
    return {
      recovered,
      missed: has("hello brings the newest first") ? missed.reverse() : missed,
    };
  }

  #after(events: Fields[], seq: number): Fields[] {
    const { has } = this;
    const missed = events.slice(seq);
    if (missed.length === 0) {
      return has("who missed nothing gets the last message")
        ? events.slice(-1)
        : [];
    }
    if (has("the last known message comes again")) {
      return events.slice(Math.max(0, seq - 1));
    }
    if (has("the first missed message is lost")) return missed.slice(1);
    if (has("one missed message is lost")) missed.splice(1, 1);
    if (has("what was missed comes twice")) return [...missed, ...missed];
    return has("what was missed comes backwards") ? missed.reverse() : missed;
  }

  #handle(client: Client, person: Person, request: Fields): void {
    const { has } = this;
    const { id } = request;
    if (has("unknown fields are refused") && "colour" in request) {
      return this.#refuse(client, "invalid", id);
    }
    switch (request.type) {
      case "message":
        return this.#say(client, person, request);
      case "history":
        return this.#history(client, request);
      case "ping": {
        const pong = has("a pong has no id") ? {} : { id };
        if (has("a ping is not answered")) return;
        return this.#send(client, { type: "pong", ...pong });
      }
      case "typing":
        return;
    }
    if (has("an unknown type ends the connection")) {
      return this.#close(client, 1002);
    }
    if (!has("an unknown type is passed over")) this.#refuse(client, "invalid");
  }

  #say(client: Client, person: Person, request: Fields): void {
    const { has } = this;
    const { message, id } = request;
    if (typeof id !== "string" && !has("an id may be missing")) {
      return this.#refuse(client, "invalid");
    }
    if (typeof message !== "string" && !has("a text may be a number")) {
      return this.#refuse(client, "invalid", id);
    }
    const text = `${message}`;
    if (text.trim() === "" && !has("a text may be blank")) {
      return this.#refuse(client, "invalid", id);
    }
    const chars = has("UTF-16 units are counted")
      ? text.length
      : [...text].length;
    if (chars > MAX_CHARS && !has("a text may have any length")) {
      return this.#refuse(client, "too_long", id);
    }
    if (has("a message has to wait") && !this.#delayed.has(id)) {
      this.#delayed.add(id);
      return this.#refuse(client, "rate_limited", id, 1);
    }
    if (this.#repeat(client, person, id)) return;
    this.#store(client, person, text, id);
    if (has("others speak, too")) {
      const other = { name: "other", key: "other", author: "other" };
      this.#store(client, other, "something else", this.#unique("id"));
    }
  }

  /** Whether this is stored already; then its author is told. */
  #repeat({ room, peer }: Client, person: Person, id: unknown): boolean {
    const { has } = this;
    if (has("ids are not read")) return false;
    const found = room.stored.find(({ event, by }) =>
      event.id === id && (by === person.key || has("an id is everyone's"))
    );
    if (!found) return false;
    const client = this.#clients.get(peer);
    if (!client) return true;
    if (has("ids end with the connection") && !this.#said(client, found)) {
      return false;
    }
    if (has("a repeat comes to everyone")) this.#toAll(room, found.event);
    else if (!has("a repeat is not acknowledged")) {
      const at = has("a repeat has a new time") ? { at: "2026" } : {};
      this.#send(client, { ...found.event, ...at });
    }
    return true;
  }

  readonly #spoken = new WeakMap<Client, Set<Stored>>();

  /** Whether this connection sent the message. */
  #said(client: Client, stored: Stored): boolean {
    return this.#spoken.get(client)?.has(stored) ?? false;
  }

  #store(client: Client, person: Person, message: string, id: unknown): void {
    const { has } = this;
    const { room } = client;
    const seq = (room.stored.length + 1) * this.#step;
    const event = {
      type: "message",
      seq,
      at: has("a time is a number") ? Date.now() : new Date().toISOString(),
      sender: has("the sender is the key") ? person.key : person.name,
      ...!has("messages have no author") && { author: person.author },
      message: this.#asStored(message),
      id,
    };
    const stored = { event, by: person.key };
    room.stored.push(stored);
    const spoken = this.#spoken.get(client) ?? new Set();
    this.#spoken.set(client, spoken.add(stored));
    const rooms = has("messages go to all rooms")
      ? [...this.#rooms.values()]
      : [room];
    for (const { clients } of rooms) {
      for (const other of clients) this.#tell(other, client, event);
    }
  }

  #asStored(message: string): string {
    if (this.has("texts are trimmed")) return message.trim();
    return this.has("markup is escaped")
      ? message.replaceAll("<", "&lt;")
      : message;
  }

  /** Sends a new message to a client, who may be its author. */
  #tell(client: Client, author: Client, event: Stored["event"]): void {
    const { has } = this;
    if (client === author) {
      if (has("the author gets nothing")) return;
      const { id: _id, ...other } = event;
      if (has("the author gets no id")) return this.#send(client, other);
      if (has("seq is a string")) {
        return this.#send(client, { ...event, seq: `${event.seq}` });
      }
      return this.#send(client, event);
    }
    if (has("others get nothing")) return;
    if (has("others get another time")) {
      return this.#send(client, { ...event, at: "2026-11-22T10:00:00.000Z" });
    }
    this.#send(client, event);
    if (has("others get a message twice")) this.#send(client, event);
  }

  #history({ room, peer }: Client, { before, count = 50 }: Fields): void {
    const { has } = this;
    const client = this.#clients.get(peer);
    if (!client || has("history is not answered")) return;
    const end = has("history includes before") ? Number(before) + 1 : before;
    const older = room.stored.map(({ event }) => event)
      .filter(({ seq }) => seq < Number(end));
    const most = has("history brings all") ? Infinity : Number(count);
    const messages = older.slice(-most);
    const isMore = messages.length < older.length;
    if (has("history brings the newest first")) messages.reverse();
    const more = isMore !== has("more is the opposite");
    this.#send(client, { type: "history", before, messages, more });
  }
}
