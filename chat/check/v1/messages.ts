// Checks of messages of `partyline.v1` and of who hears them: the acknowledgement,
// one order for all, people who come and go, rooms.
import type { LeaveEvent } from "../../protocol/events.ts";
import { type Check, Failure, Skip, type Target } from "../check.ts";
import { shown, token } from "../client.ts";
import {
  assertField,
  assertInOrder,
  assertSame,
  inOwnRoom,
  inRoom,
  isWhole,
  newMessage,
  shownEvent,
  V1Client,
  type WireEvent,
} from "./client.ts";

/** A message as long as this is not tried, in characters. */
const MAX_TRIED_CHARS = 50_000;

/** Of the widest characters: each has four bytes, and two UTF-16 units. */
const WIDE = "🎈";
const WIDE_BYTES = 4;

/** Bytes of a request besides its message. */
const REQUEST_BYTES = 200;

/** ISO 8601 in UTC, as in RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/;

function assertTime(event: WireEvent): void {
  const { at } = event;
  const isTime = typeof at === "string" && TIME.test(at) &&
    !Number.isNaN(Date.parse(at));
  const right = 'a time in UTC such as "2026-11-22T10:00:00.000Z"';
  assertField(event, "at", isTime, right);
}

async function two(target: Target): Promise<[V1Client, V1Client]> {
  const room = inOwnRoom(target);
  return [await V1Client.join(room), await V1Client.join(room)];
}

/** The limits of this welcome, which may have others than the one that was checked. */
export function limitsOf({ welcome }: V1Client) {
  const { message, frame } = Object(welcome.limits);
  const areLimits = isWhole(message, 1) && isWhole(frame, 1);
  const right = 'an object with the whole numbers "message" and "frame"';
  assertField(welcome, "limits", areLimits, right);
  return { message: Number(message), frame: Number(frame) };
}

/** A message of the longest length that the server names. */
function longest(client: V1Client): string {
  const { message, frame } = limitsOf(client);
  const bytes = message * WIDE_BYTES + REQUEST_BYTES;
  if (message > MAX_TRIED_CHARS || bytes > frame) {
    throw new Skip(
      `The limit of ${message} characters is too large to be tried.`,
    );
  }
  return WIDE.repeat(message);
}

/** Fails if this client heard a message with this text. */
function assertNotHeard({ heard }: V1Client, text: string, why: string): void {
  const found = heard.find(({ message }) => message === text);
  if (found) throw new Failure(`${shownEvent(found)} came. ${why}`);
}

export const messages: readonly Check[] = [
  {
    id: "v1-acknowledged",
    title: "A message comes back to its author with its id and a seq",
    source: "/asyncapi.json, Acknowledgement",
    needs: ["v1-welcome"],
    async run(target) {
      await (await V1Client.join(inOwnRoom(target))).say();
    },
  },
  {
    id: "v1-message-fields",
    title: "A message has its time, its sender's name and its text, unchanged",
    source: "/asyncapi.json, event message",
    needs: ["v1-acknowledged"],
    async run(target) {
      const client = await V1Client.join(inOwnRoom(target));
      const text = ` ${token()} <b>"e\u0301"</b>\n${WIDE} `;
      const event = await client.say(newMessage(text));
      assertTime(event);
      const { name } = client;
      assertField(event, "sender", event.sender === name, shown(name));
      assertField(event, "message", event.message === text, shown(text));
    },
  },
  {
    id: "v1-author",
    title:
      "A person's messages have the author of the welcome, nobody else's do",
    source: "/asyncapi.json, Who said it",
    needs: ["v1-acknowledged", "v1-key"],
    async run(target) {
      const [ann, ben] = await two(target);
      const { author } = ann.welcome;
      const isText = typeof author === "string" && author !== "";
      assertField(ann.welcome, "author", isText, "a string that is not empty");
      const isOwn = ben.welcome.author !== author;
      assertField(ben.welcome, "author", isOwn, "another one for each person");
      const same = `${shown(`${author}`)}, as in the welcome`;
      const event = await (await ann.comeBack()).say();
      assertField(event, "author", event.author === author, same);
    },
  },
  {
    id: "v1-message-to-all",
    title: "Everyone in the room gets the same event for a message, once",
    source: "/asyncapi.json, event message",
    needs: ["v1-message-fields"],
    async run(target) {
      const [ann, ben] = await two(target);
      const said = await ann.say();
      const heard = await ben.hear(said, await ann.say());
      const same = heard.filter(({ message }) => message === said.message);
      for (const event of same) assertSame(event, said);
      if (same.length === 1) return;
      throw new Failure(
        `${shownEvent(said)} came ${same.length} times to somebody else in ` +
          "the room. It must come once.",
      );
    },
  },
  {
    id: "v1-seq",
    title: "The seq goes up by one with each message, for everyone alike",
    source: "/asyncapi.json, Recovery",
    needs: ["v1-message-to-all"],
    async run(target) {
      const [ann, ben] = await two(target);
      const said = [];
      for (let i = 0; i < 3; i++) said.push(await ann.say(), await ben.say());
      for (const client of [ann, ben]) {
        await client.hear(...said.slice(-1));
        assertInOrder(client.heard, client.welcome.seq);
      }
      const numbered = new Map(ann.heard.map((event) => [event.seq, event]));
      for (const event of ben.heard) {
        assertSame(event, numbered.get(event.seq) ?? event);
      }
    },
  },
  {
    id: "v1-longest-message",
    title: "The longest message is accepted, counted in Unicode characters",
    source: "/asyncapi.json, limits",
    needs: ["v1-welcome-fields", "v1-message-fields"],
    async run(target) {
      const client = await V1Client.join(inOwnRoom(target));
      const text = longest(client);
      const event = await client.say(newMessage(text));
      const right = `all ${[...text].length} characters that were sent`;
      assertField(event, "message", event.message === text, right);
    },
  },
  {
    id: "v1-unknown-fields",
    title: "Fields that the server does not know are passed over",
    source: "/asyncapi.json, Unknown fields",
    needs: ["v1-acknowledged"],
    async run(target) {
      const client = await V1Client.open(inOwnRoom(target));
      const extra = { colour: "red", later: { than: ["v1"] } };
      const hello = { ...extra, type: "hello" as const, history: 0 };
      await client.send(hello);
      await client.takeWelcome();
      await client.say({ ...newMessage(), ...extra });
    },
  },
  {
    id: "v1-early-requests",
    title: "What is sent before the welcome is handled after it",
    source: "/asyncapi.json, Hello",
    needs: ["v1-acknowledged"],
    async run(target) {
      const client = await V1Client.open(inOwnRoom(target));
      const said = newMessage();
      const hello = { type: "hello" as const, history: 0 };
      await client.send(hello, { type: "message", ...said });
      await client.takeWelcome();
      await client.acknowledged(said);
    },
  },
  {
    id: "v1-rooms",
    title: "A message is heard in its own room only",
    source: "/asyncapi.json, channel v1, query room",
    needs: ["v1-message-to-all"],
    async run(target) {
      const [ann, ben] = [
        await V1Client.join(inOwnRoom(target)),
        await V1Client.join(inRoom(target, token())),
      ];
      const said = [await ann.say(), await ben.say()] as const;
      const why = "It was sent in another room, so it must not come here.";
      await ben.hear(said[1]);
      assertNotHeard(ben, `${said[0].message}`, why);
      await ann.hear(await ann.say());
      assertNotHeard(ann, `${said[1].message}`, why);
    },
  },
  {
    id: "v1-join",
    title: "Those in the room are told of somebody who comes",
    source: "/asyncapi.json, event join",
    needs: ["v1-welcome"],
    async run(target) {
      const [ann, ben] = await two(target);
      await toldOf(ann, "join", ben.name);
    },
  },
  {
    id: "v1-leave",
    title: "Those in the room are told of somebody who leaves",
    source: "/asyncapi.json, event leave",
    needs: ["v1-join"],
    async run(target) {
      const [ann, ben] = await two(target);
      await toldOf(ann, "join", ben.name);
      await ben.leave();
      const event = await toldOf(ann, "leave", ben.name);
      const right: LeaveEvent["message"] = "Client disconnected";
      assertField(event, "message", event.message === right, shown(right));
    },
  },
];

/** Waits until a client is told that somebody came or left. */
async function toldOf(
  client: V1Client,
  type: "join" | "leave",
  name: string,
): Promise<WireEvent> {
  const event = await client.event(
    `the event ${type} with the sender ${shown(name)}`,
    (event) => event.type === type && isAbout(event, name),
    // A server may wait a little, because people come back.
    2,
  );
  assertTime(event);
  const isCount = isWhole(event.count, 1);
  assertField(event, "count", isCount, "a whole number of at least 1");
  return event;
}

/** The join of a large room may name several people. */
function isAbout({ sender, others }: WireEvent, name: string): boolean {
  return sender === name || Array.isArray(others) && others.includes(name);
}
