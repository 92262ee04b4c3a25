// A member of the chat that is judged. Others may be in the room, and the server may
// tell more than messages: welcomes, notices, errors. So a check looks only for texts
// of its own, each of which has a token in it, and passes over everything else. That
// something did not come is proven by a marker that is said later, not by waiting.
import { Failure, type Target } from "../check.ts";
import {
  Closed,
  explain,
  shown,
  soonest,
  token,
  WireClient,
} from "../client.ts";
import { Ended, TooLate } from "../connection.ts";
import { Opcode } from "../frames.ts";

/** The sentences of the assignment. */
export const ASSIGNMENT = {
  json:
    "The assignment: every message is sent as JSON with the fields for its " +
    "sender and its text",
  everyone: "The assignment: every message goes to everyone, its sender, too",
  name: "The assignment: the server gives each client a unique name",
  leave: "The assignment: a disconnection is announced to those who remain",
  text: "The assignment: a client sends plain text, and everyone gets it",
} as const;

/** Every text of every check has one, also if the server changed the rest. */
const TOKEN = /check-[0-9a-f]{12}/;

/** The characters of an event that a detail quotes. */
const SHOWN_CHARACTERS = 120;

/** What a server that floods its clients can make a check keep. */
const MAX_KEPT = 2_000;
const MAX_KEPT_UNITS = 4_000_000;

/** How long a server may take to answer a close frame when a check ends, in ms. */
const LEAVING_MS = 250;

/** How long what was sent to a member is read to explain a failure, in ms. */
const EXPLAINING_MS = 250;

/** How often members greet each other before the room counts as silent. */
const GREETINGS = 3;

/** A message as it came to a member. */
export interface Heard {
  /** All of it. */
  raw: string;
  isBinary: boolean;
  /** Undefined unless the message is JSON with both fields as strings. */
  chat: Chat | undefined;
}

/** What a member said, as everyone gets it. */
export interface Chat {
  sender: string;
  message: string;
}

export class Member {
  private constructor(
    private readonly target: Target,
    private readonly client: WireClient,
  ) {}

  static async open(target: Target): Promise<Member> {
    return new Member(target, await WireClient.open(target));
  }

  async say(text: string): Promise<void> {
    await this.client.say(text);
  }

  /** Sends bytes as they are. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.client.write(bytes);
  }

  /**
   * Reads until `find` returns something. A failure says that `what` did not come,
   * and what came last.
   */
  async listen<T>(
    find: (heard: Heard) => T | undefined,
    what: string,
    untilMs = soonest(this.target),
  ): Promise<T> {
    let last: string | undefined;
    try {
      while (true) {
        const heard = await this.#next(untilMs);
        const found = find(heard);
        if (found !== undefined) return found;
        last = heard.raw;
      }
    } catch (error) {
      throw explainWith(explain(error, this.target, what), last);
    }
  }

  /** The chat message with this text, perhaps among other text. */
  async hear(text: string, what = `${shown(text)} to everyone`): Promise<Chat> {
    return await this.listen(
      ({ chat }) => chat?.message.includes(text) ? chat : undefined,
      what,
    );
  }

  /**
   * All that came before what `speaker` says now. A message that was overtaken by
   * the first marker comes before the second, which is said later.
   */
  async hearAllBefore(speaker: Member): Promise<Heard[]> {
    const kept: Heard[] = [];
    let units = 0;
    for (let round = 0; round < 2; round++) {
      const marker = token();
      await speaker.say(marker);
      await this.listen((heard) => {
        if (heard.raw.includes(marker)) return true;
        kept.push(heard);
        units += heard.raw.length;
        if (kept.length <= MAX_KEPT && units <= MAX_KEPT_UNITS) return;
        throw new Failure(
          `A client got ${kept.length} messages that nobody had said, and not ` +
            `the text ${shown(marker)}.`,
        );
      }, `${shown(marker)} to everyone`);
    }
    return kept;
  }

  /**
   * What came to this member that may explain why others did not hear it, in
   * sentences: an event that nobody had said, such as an error, and the end.
   */
  async explanation(): Promise<string> {
    const untilMs = performance.now() + EXPLAINING_MS;
    let last = "";
    try {
      while (true) {
        const heard = await this.#next(untilMs);
        if (!isSaid(heard)) last = heard.raw;
      }
    } catch (error) {
      const event = last === ""
        ? ""
        : ` The last event that the sender got besides messages was ${
          quoted(last)
        }.`;
      if (error instanceof TooLate) return event;
      if (!(error instanceof Closed)) throw error;
      return `${event} The sender's connection was closed (${error.message}).`;
    }
  }

  /** Reads and drops all that comes, until the connection ends or it is time. */
  async drain(untilMs: number): Promise<void> {
    try {
      while (performance.now() < untilMs) await this.client.receive(untilMs);
    } catch (error) {
      if (!(error instanceof Ended) && !(error instanceof TooLate)) throw error;
    }
  }

  /** Says goodbye as RFC 6455 section 7.1 wants it. */
  async leave(withinMs: number): Promise<void> {
    const untilMs = performance.now() + withinMs;
    try {
      await this.client.send(Opcode.close, Uint8Array.of(3, 232));
      while (performance.now() < untilMs) await this.client.receive(untilMs);
    } catch {
      // The end that was wanted; rfc6455 judges how it came.
    }
    this.vanish();
  }

  /** Ends the connection without a close frame. */
  vanish(): void {
    this.client.vanish();
  }

  async #next(untilMs: number): Promise<Heard> {
    // A server that sends without end must not keep a wait from ending.
    if (performance.now() > untilMs) throw new TooLate("nothing came");
    const { opcode, payload } = await this.client.receive(untilMs);
    const raw = new TextDecoder().decode(payload);
    const isBinary = opcode !== Opcode.text;
    const chat = isBinary ? undefined : chatOf(raw, this.target);
    return { raw, isBinary, chat };
  }
}

function explainWith(error: unknown, last: string | undefined): unknown {
  if (!(error instanceof Failure) || last === undefined) return error;
  return new Failure(`${error.message} What came last was ${quoted(last)}.`, {
    cause: error,
  });
}

/** A longer text is no event of a chat, and costs much memory to parse. */
const MAX_JSON_UNITS = 64 * 1024;

/** The object or array that a text of JSON is; undefined if it is none. */
export function objectOf(raw: string): Record<string, unknown> | undefined {
  if (raw.length > MAX_JSON_UNITS) return undefined;
  try {
    const value: unknown = JSON.parse(raw);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** All values in JSON but arrays and objects, however deeply they are nested. */
export function* leavesOf(json: unknown): Generator<unknown> {
  const waiting = [json];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (!isObject(value)) yield value;
    else for (const inner of Object.values(value)) waiting.push(inner);
  }
}

export function chatOf(raw: string, target: Target): Chat | undefined {
  const object = objectOf(raw);
  const sender = object?.[target.sender];
  const message = object?.[target.message];
  return typeof sender === "string" && typeof message === "string"
    ? { sender, message }
    : undefined;
}

/** Whether a member of any check said this. */
export function isSaid({ raw }: Heard): boolean {
  return TOKEN.test(raw);
}

/** An event in a sentence: JSON stands for itself, other text is quoted. */
export function quoted(raw: string): string {
  if (objectOf(raw) === undefined) return shown(raw, SHOWN_CHARACTERS);
  const characters = [...raw.slice(0, 2 * SHOWN_CHARACTERS)];
  const start = characters.slice(0, SHOWN_CHARACTERS).join("");
  return start === raw ? raw : `${WHOLE.exec(start)?.[0]}…`;
}

/** JSON up to an escape, or a surrogate pair of two, that is cut off. */
const WHOLE =
  /^(?:[^\\]|\\[^u]|\\ud[89ab]..\\u[\da-f]{4}|\\u(?!d[89ab])[\da-f]{4})*/iu;

/** A right event in a sentence. */
export function example(target: Target, sender: string, message: string) {
  return quoted(
    JSON.stringify({ [target.sender]: sender, [target.message]: message }),
  );
}

/** The clients that come one after another; an order among few can matter. */
const IN_ORDER = 4;

/** How many others come at once: a backlog of 5 connections is a usual one. */
const AT_ONCE = 6;

/**
 * Runs a check with so many clients, which leave at its end. The first ones come in
 * their order, the others together, because a server may be far away.
 */
export async function withClients(
  target: Target,
  count: number,
  run: (...clients: Member[]) => Promise<void>,
): Promise<void> {
  const clients: Member[] = [];
  try {
    while (clients.length < count) {
      const some = clients.length < IN_ORDER ? 1 : AT_ONCE;
      const next = Math.min(some, count - clients.length);
      const opening = Array.from({ length: next }, () => Member.open(target));
      clients.push(...await Promise.all(opening));
    }
    await run(...clients);
  } finally {
    // The next check shall not hear of it.
    await Promise.all(clients.map((client) => client.leave(LEAVING_MS)));
  }
}

/** The same with clients that are all in the room. */
export async function inRoom(
  target: Target,
  count: number,
  run: (...members: Member[]) => Promise<void>,
): Promise<void> {
  await withClients(target, count, async (...members) => {
    await greet(target, members);
    await run(...members);
  });
}

/**
 * A member is in the room when it hears a greeting. A server may need a moment
 * after the handshake, and may not send a greeting back to the member that said it;
 * so a member that heard nothing is greeted again.
 */
async function greet(target: Target, members: Member[]): Promise<void> {
  const greeting = token();
  let outside = members;
  for (let round = 0; round < GREETINGS; round++) {
    for (const member of members) await member.say(greeting);
    const untilMs = performance.now() + target.waitMs / GREETINGS;
    const heard = await Promise.all(
      outside.map((member) => hears(member, greeting, untilMs)),
    );
    outside = outside.filter((_, i) => !heard[i]);
    if (outside.length === 0) return;
  }
  throw new Failure(
    `${members.length} clients joined, and each said ${shown(greeting)}. ` +
      `${outside.length} of them got nothing of that within ` +
      `${target.waitMs / 1000} s.`,
  );
}

async function hears(member: Member, text: string, untilMs: number) {
  try {
    await member.listen(
      ({ raw }) => raw.includes(text) || undefined,
      "",
      untilMs,
    );
    return true;
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

/** The name that the server gave to `speaker`, as `listener` sees it. */
export async function nameOf(
  speaker: Member,
  listener: Member,
): Promise<string> {
  const [name = ""] = await namesOf([speaker], listener);
  return name;
}

/** The names of all these speakers, who speak at the same time. */
export async function namesOf(
  speakers: readonly Member[],
  listener: Member,
): Promise<string[]> {
  const texts = speakers.map(() => token());
  await Promise.all(speakers.map((it, i) => it.say(texts[i] ?? "")));
  const found = new Map<string, string>();
  while (found.size < texts.length) {
    const missing = texts.filter((text) => !found.has(text));
    const [text, sender] = await listener.listen(
      ({ chat }) => {
        const text = missing.find((it) => chat?.message.includes(it));
        return chat && text !== undefined ? [text, chat.sender] : undefined;
      },
      `${shown(missing[0] ?? "")} to everyone`,
    );
    found.set(text, sender);
  }
  return texts.map((text) => found.get(text) ?? "");
}
