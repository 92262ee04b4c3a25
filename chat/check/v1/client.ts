// A client of `partyline.v1` with which the checks talk to the server that is judged.
// It keeps all messages that came, because most rules are about their order, and
// passes over events that it does not wait for: other people may be in the room. Only
// what every check needs is asserted here; each rule is the matter of one check.
import type {
  MessageEvent,
  ServerEvent,
  WelcomeEvent,
} from "../../protocol/events.ts";
import type { Hello, Request } from "../../protocol/requests.ts";
import { Failure, type Target } from "../check.ts";
import {
  Closed,
  explain,
  masked,
  type Message,
  shown,
  soonest,
  token,
  WireClient,
} from "../client.ts";
import { TooLate } from "../connection.ts";
import { join, Opcode } from "../frames.ts";

export const SUBPROTOCOL = "partyline.v1";

/** More than these never come in one check, in messages and in bytes. */
const MAX_HEARD = 1_000;
const MAX_RECEIVED_BYTES = 2 * 1024 * 1024;

/** The largest frame that is read as events, in bytes: objects take much memory. */
const MAX_EVENTS_BYTES = 256 * 1024;

/** The longest part of an event that is shown, in UTF-16 units. */
const MAX_SHOWN_UNITS = 240;

type FieldOf<E> = E extends unknown ? keyof E : never;

export type Field = FieldOf<ServerEvent>;

/** An event as it came: each field may be missing or have any value. */
export type WireEvent = { readonly [F in Field]?: unknown };

/** A message whose place is known; nothing else of it is checked. */
export type Heard = WireEvent & Pick<MessageEvent, "seq">;

/** A welcome with the fields that every check needs. */
export type Welcome =
  & WireEvent
  & Pick<WelcomeEvent, "sender" | "key" | "epoch" | "seq">;

/** A message of one's own, with an id of its own. */
export interface Said {
  message: string;
  id: string;
}

export function newMessage(message = token()): Said {
  return { message, id: token() };
}

/** The same server, in a room where nobody else is, unless the address names one. */
export function inOwnRoom(target: Target): Target {
  return target.url.searchParams.has("room") ? target : inRoom(target, token());
}

export function inRoom(target: Target, room: string): Target {
  const url = new URL(target.url);
  url.searchParams.set("room", room);
  return { ...target, url };
}

export class V1Client {
  /** All messages that came, in the order in which they came. */
  readonly heard: Heard[] = [];
  /** Events that came in one frame with the last one. */
  #events: readonly WireEvent[] = [];
  #taken = 0;
  #receivedBytes = 0;
  #welcome: Welcome | undefined;

  private constructor(
    private readonly target: Target,
    readonly wire: WireClient,
  ) {}

  /** Opens a connection, and says nothing. */
  static async open(target: Target): Promise<V1Client> {
    const offer: [string, string] = ["Sec-WebSocket-Protocol", SUBPROTOCOL];
    return new V1Client(target, await WireClient.open(target, [offer]));
  }

  /** Opens a connection and says hello; without more, old messages do not come. */
  static async join(
    target: Target,
    hello: Omit<Hello, "type"> = {},
  ): Promise<V1Client> {
    const client = await V1Client.open(target);
    await client.send({ type: "hello", history: 0, ...hello });
    await client.takeWelcome();
    return client;
  }

  /** The connection breaks, and the same person comes back. */
  async comeBack(hello: Omit<Hello, "type"> = {}): Promise<V1Client> {
    this.wire.vanish();
    return await V1Client.join(this.target, {
      key: this.welcome.key,
      ...hello,
    });
  }

  /** Closes the connection as a client does that has finished. */
  async leave(): Promise<void> {
    const code = Uint8Array.of(1000 >> 8, 1000 & 255);
    await this.wire.send(Opcode.close, code);
  }

  get welcome(): Welcome {
    if (this.#welcome === undefined) throw new Error("hello was not said");
    return this.#welcome;
  }

  get name(): string {
    return this.welcome.sender;
  }

  /** How far the client has read. */
  get since(): { epoch: string; seq: number } {
    const { epoch, seq } = this.welcome;
    return { epoch, seq: this.heard.at(-1)?.seq ?? seq };
  }

  /** Sends requests, each in a frame of its own, in one piece. */
  async send(...requests: Request[]): Promise<void> {
    await this.sendText(...requests.map((request) => JSON.stringify(request)));
  }

  /** Sends frames of text, in one piece. */
  async sendText(...texts: string[]): Promise<void> {
    const frames = texts.map((text) => masked(Opcode.text, text));
    await this.wire.write(frames.reduce(join));
  }

  /** Waits for the welcome, which is the first event. */
  async takeWelcome(): Promise<void> {
    const first = await this.event("the event welcome", () => true);
    assertField(first, "type", first.type === "welcome", '"welcome" at first');
    for (const field of ["sender", "key", "epoch"] as const) {
      const value = first[field];
      assertField(
        first,
        field,
        typeof value === "string" && value !== "",
        "a string that is not empty",
      );
    }
    const isSeq = isWhole(first.seq, 0);
    assertField(first, "seq", isSeq, "a whole number of at least 0");
    this.#welcome = first as Welcome;
  }

  /** Says something and returns its event, once it is acknowledged. */
  async say(said = newMessage()): Promise<Heard> {
    await this.send({ type: "message", ...said });
    return await this.acknowledged(said);
  }

  /**
   * Waits for the event of a message that was sent; sends the message again if the
   * server says when it may be accepted.
   */
  async acknowledged({ message, id }: Said): Promise<Heard> {
    const what = `the event message with the id ${shown(id)}`;
    while (true) {
      const event = await this.event(what, (event) =>
        event.type === "error" ||
        event.type === "message" &&
          (event.id === id || event.message === message));
      if (event.type === "message") {
        assertField(event, "id", event.id === id, shown(id));
        return asHeard(event);
      }
      const { retryAfter } = event;
      const isLater = typeof retryAfter === "number" && event.id === id &&
        retryAfter <= this.target.waitMs;
      if (!isLater) throw refusedMessage(event, id);
      await new Promise((resolve) => setTimeout(resolve, retryAfter));
      await this.send({ type: "message", message, id });
    }
  }

  /** Waits until all of these have come; returns all messages since the welcome. */
  async hear(...messages: readonly Pick<Heard, "message">[]): Promise<Heard[]> {
    for (const { message } of messages) {
      const has = (event: WireEvent) => event.message === message;
      if (this.heard.some(has)) continue;
      const what = `the event message with the text ${shown(`${message}`)}`;
      await this.event(what, (event) => event.type === "message" && has(event));
    }
    return this.heard;
  }

  /**
   * The next event that `isWanted`; others are passed over. A failure names `what`
   * was waited for, and the last event that came instead.
   */
  async event(
    what: string,
    isWanted: (event: WireEvent) => boolean,
    waits = 1,
  ): Promise<WireEvent> {
    const patient = { ...this.target, waitMs: waits * this.target.waitMs };
    let last: WireEvent | undefined;
    try {
      return await this.#find(soonest(patient), (event) => {
        if (isWanted(event)) return true;
        last = event;
        return false;
      });
    } catch (error) {
      const reason = explain(error, patient, what);
      const isExplained = reason !== error && reason instanceof Failure;
      if (!isExplained || last === undefined) throw reason;
      throw new Failure(
        `${reason.message} The last event that came was ${shownEvent(last)}.`,
      );
    }
  }

  /**
   * Sends frames that must end the connection with this code. A ping follows in the
   * same piece, so that a server that goes on is found at once.
   */
  async assertRefused(code: number, what: string, ...texts: string[]) {
    const id = token();
    await this.sendText(...texts, JSON.stringify({ type: "ping", id }));
    await this.assertClosed(
      code,
      what,
      (event) =>
        event.type === "welcome" || event.type === "pong" && event.id === id,
    );
  }

  /** Fails unless the server closes the connection with this code. */
  async assertClosed(
    code: number,
    after: string,
    goesOn: (event: WireEvent) => boolean = () => false,
  ): Promise<void> {
    const found = await this.#end(code, goesOn);
    if (found === "") return;
    throw new Failure(
      `After ${after} the server ${found}. It must close the connection with ` +
        `the code ${code}.`,
    );
  }

  /** What the server did instead; "" if it closed with this code. */
  async #end(code: number, goesOn: (event: WireEvent) => boolean) {
    try {
      const event = await this.#find(soonest(this.target), goesOn);
      return `went on and sent ${shownEvent(event)}`;
    } catch (error) {
      if (error instanceof Closed) {
        return error.code === code
          ? ""
          : `closed the connection (${error.message})`;
      }
      if (!(error instanceof TooLate)) throw error;
      return `did not close within ${this.target.waitMs / 1000} s`;
    }
  }

  async #find(
    untilMs: number,
    isWanted: (event: WireEvent) => boolean,
  ): Promise<WireEvent> {
    while (true) {
      while (this.#taken < this.#events.length) {
        const event = this.#events[this.#taken++] ?? {};
        if (event.type === "message") this.#hear(event);
        if (isWanted(event)) return event;
      }
      this.#events = await this.#more(untilMs);
      this.#taken = 0;
    }
  }

  #hear(message: WireEvent): void {
    this.heard.push(asHeard(message));
    if (this.heard.length <= MAX_HEARD) return;
    throw new Failure(
      `The server sent more than ${MAX_HEARD} messages in one check.`,
    );
  }

  async #more(untilMs: number): Promise<WireEvent[]> {
    const message = await this.wire.receive(untilMs);
    this.#receivedBytes += message.payload.length;
    if (this.#receivedBytes <= MAX_RECEIVED_BYTES) return eventsOf(message);
    throw new Failure(
      `The server sent more than ${MAX_RECEIVED_BYTES} bytes in one check.`,
    );
  }
}

/** The events of a frame: an array of them, or one alone. */
function eventsOf({ opcode, payload }: Message): WireEvent[] {
  if (opcode !== Opcode.text) {
    throw new Failure("The server sent a binary frame. Events come as text.");
  }
  if (payload.length > MAX_EVENTS_BYTES) {
    throw new Failure(
      `The server sent a frame of ${payload.length} bytes. Events come in ` +
        "frames of at most 32 KiB, unless a single event is larger.",
    );
  }
  const text = new TextDecoder().decode(payload);
  const right = "A frame holds an event or an array of events, each of them " +
    "a JSON object.";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure(`The server sent the frame ${shown(text)}. ${right}`);
  }
  const events: unknown[] = Array.isArray(value) ? value : [value];
  return events.map((event) => {
    if (isEvent(event)) return event;
    throw new Failure(`The server sent ${shownEvent(event)}. ${right}`);
  });
}

function isEvent(value: unknown): value is WireEvent {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function asHeard(event: WireEvent): Heard {
  const isSeq = isWhole(event.seq, 1);
  assertField(event, "seq", isSeq, "a whole number of at least 1");
  return event as Heard;
}

function refusedMessage(event: WireEvent, id: string): Failure {
  return new Failure(
    `The message with the id ${shown(id)} was refused: ` +
      `${shownEvent(event)}. It must be accepted.`,
  );
}

export function isWhole(value: unknown, least: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) &&
    value >= least;
}

/** Fails with the event, the field and its value, unless it `isRight`. */
export function assertField(
  event: WireEvent,
  field: Field,
  isRight: boolean,
  right: string,
): void {
  if (isRight) return;
  const value = event[field];
  const is = value === undefined ? "is missing" : `is ${shownJson(value)}`;
  throw new Failure(
    `The server sent ${shownEvent(event)}. Its field "${field}" ${is}; it ` +
      `must be ${right}.`,
  );
}

/** Fails unless both are the same event. */
export function assertSame(came: WireEvent, right: WireEvent): void {
  const fields = ["type", "seq", "at", "sender", "author", "message", "id"];
  for (const field of fields as Field[]) {
    const value = right[field];
    const should = value === undefined
      ? "missing"
      : `${shownJson(value)}, as when it was sent first`;
    assertField(came, field, came[field] === right[field], should);
  }
}

/** Fails unless these are numbered by one, beginning after `before`. */
export function assertInOrder(messages: readonly Heard[], before: number) {
  let last = before;
  for (const message of messages) {
    const isNext = message.seq === ++last;
    assertField(message, "seq", isNext, `${last}, the next one`);
  }
}

/** The beginning of an event in a sentence. */
export function shownEvent(event: unknown): string {
  return shownJson(event, MAX_SHOWN_UNITS);
}

function shownJson(value: unknown, maxUnits = 60): string {
  try {
    const json = JSON.stringify(value);
    return json.length <= maxUnits ? json : `${json.slice(0, maxUnits)}…`;
  } catch {
    // JSON.stringify gives up where JSON.parse does not.
    return "something that is nested very deeply";
  }
}
