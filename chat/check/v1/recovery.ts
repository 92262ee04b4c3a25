// Checks of how a client of `partyline.v1` loses nothing and repeats nothing: since,
// messages that are sent again, the history.
import type { HistoryEvent } from "../../protocol/events.ts";
import { type Check, Failure } from "../check.ts";
import { shown, token } from "../client.ts";
import {
  assertField,
  assertInOrder,
  assertSame,
  type Heard,
  inOwnRoom,
  newMessage,
  shownEvent,
  V1Client,
  type WireEvent,
} from "./client.ts";

/** Fails unless a client heard just the messages that another one knows. */
function assertHeard(
  heard: readonly Heard[],
  before: number,
  known: readonly Heard[],
): void {
  assertInOrder(heard, before);
  const numbered = new Map(known.map((event) => [event.seq, event]));
  for (const event of heard) {
    assertSame(event, numbered.get(event.seq) ?? event);
  }
}

function assertRecovered(welcome: WireEvent, right: boolean, why: string) {
  const isRight = welcome.recovered === right;
  assertField(welcome, "recovered", isRight, `${right}: ${why}`);
}

async function sayThree(client: V1Client): Promise<[Heard, Heard, Heard]> {
  return [await client.say(), await client.say(), await client.say()];
}

/** Fails unless the newest `count` messages came with the welcome, then new ones. */
async function assertNewest(
  client: V1Client,
  count: number,
  speaker: V1Client,
): Promise<void> {
  const last = await speaker.say();
  const { seq } = client.welcome;
  await client.hear(last);
  assertHeard(client.heard, seq - count, speaker.heard);
}

/** Says again what was said, and returns the event that acknowledges it. */
async function sayAgain(
  client: V1Client,
  said: { message: string; id: string },
  first: Heard,
): Promise<void> {
  const again = await client.say(said);
  if (again.seq !== first.seq) {
    throw new Failure(
      `A message was sent again with the same id, and came back as ` +
        `${shownEvent(again)}. The server must not store it again, but send ` +
        `the event with the seq ${first.seq} again.`,
    );
  }
  assertSame(again, first);
}

/** Somebody else hears a message once, though it was sent twice. */
async function assertHeardOnce(
  client: V1Client,
  { message }: { message: string },
  later: Heard,
): Promise<void> {
  const heard = await client.hear(later);
  const [, second] = heard.filter((event) => event.message === message);
  if (second === undefined) return;
  throw new Failure(
    `A message was sent again with the same id, and ${shownEvent(second)} ` +
      "came to somebody else again. It must come again to its author only.",
  );
}

/** Asks for older messages and returns them. */
async function historyBefore(
  client: V1Client,
  before: number,
  count: number,
): Promise<WireEvent & Pick<HistoryEvent, "messages">> {
  await client.send({ type: "history", before, count });
  const event = await client.event(
    `the event history with "before": ${before}`,
    (event) =>
      event.type === "error" ||
      event.type === "history" && event.before === before,
  );
  assertField(event, "type", event.type === "history", '"history"');
  const { messages } = event;
  const isList = Array.isArray(messages) && messages.length <= count;
  assertField(event, "messages", isList, `a list of at most ${count} messages`);
  return event as WireEvent & Pick<HistoryEvent, "messages">;
}

/** Fails unless these messages are the newest ones before `before`. */
async function assertPage(
  client: V1Client,
  before: number,
  count: number,
): Promise<void> {
  const event = await historyBefore(client, before, count);
  const known = client.heard.filter(({ seq }) => seq < before);
  // There may be fewer than were asked for.
  const least = Math.max(1, event.messages.length);
  const right = known.slice(-least);
  const seqs = event.messages.map((message) => Object(message).seq);
  const wanted = right.map(({ seq }) => seq);
  assertField(
    event,
    "messages",
    seqs.join() === wanted.join(),
    `the messages with the seq ${wanted.join(", ")}, the oldest first`,
  );
  event.messages.forEach((message, i) => assertSame(message, right[i] ?? {}));
  const oldest = right[0]?.seq ?? 0;
  const isOldest = oldest === client.heard[0]?.seq;
  if (isOldest) return;
  assertField(event, "more", event.more === true, "true: there are older ones");
}

export const recovery: readonly Check[] = [
  {
    id: "v1-since",
    title: "After a loss, since brings what was missed, in order and once",
    source: "/asyncapi.json, Recovery",
    needs: ["v1-seq", "v1-epoch", "v1-key"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const ben = await V1Client.join(room);
      await ann.say();
      const { since } = ann;
      ann.wire.vanish();
      await sayThree(ben);
      const back = await ann.comeBack({ since });
      const why = "the server has all that was missed";
      assertRecovered(back.welcome, true, why);
      const heard = await back.hear(await ben.say());
      assertHeard(heard, since.seq, ben.heard);
    },
  },
  {
    id: "v1-since-nothing-missed",
    title:
      "A client that missed nothing is told so, and gets new messages only",
    source: "/asyncapi.json, Recovery",
    needs: ["v1-since"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      await ann.say();
      const { since } = ann;
      const back = await ann.comeBack({ since });
      assertRecovered(back.welcome, true, "nothing was missed");
      await back.hear(await back.say());
      assertInOrder(back.heard, since.seq);
    },
  },
  {
    id: "v1-repeat",
    title: "A message that is sent again with its id is stored once",
    source: "/asyncapi.json, Exactly once",
    needs: ["v1-message-to-all"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const ben = await V1Client.join(room);
      const said = newMessage();
      await sayAgain(ann, said, await ann.say(said));
      await assertHeardOnce(ben, said, await ann.say());
    },
  },
  {
    id: "v1-repeat-after-reconnect",
    title: "The same holds when the author comes back with the key",
    source: "/asyncapi.json, Exactly once",
    needs: ["v1-repeat", "v1-key"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const ben = await V1Client.join(room);
      const said = newMessage();
      const first = await ann.say(said);
      const back = await ann.comeBack();
      await sayAgain(back, said, first);
      await assertHeardOnce(ben, said, await back.say());
    },
  },
  {
    id: "v1-id-of-another",
    title: "An id that somebody else used is not a repeat",
    source: "/asyncapi.json, Exactly once",
    needs: ["v1-repeat"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const ben = await V1Client.join(room);
      const said = newMessage();
      await ben.hear(await ann.say(said));
      const own = { ...newMessage(), id: said.id };
      const event = await ben.say(own);
      const right = `${shown(own.message)}, the text of this message`;
      assertField(event, "message", event.message === own.message, right);
    },
  },
  {
    id: "v1-hello-history",
    title: "The newest messages come with the welcome, as many as asked for",
    source: "/asyncapi.json, request hello",
    needs: ["v1-seq"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      await sayThree(ann);
      for (const history of [2, 0]) {
        await assertNewest(
          await V1Client.join(room, { history }),
          history,
          ann,
        );
      }
    },
  },
  {
    id: "v1-since-other-epoch",
    title:
      "A since of another epoch is not recovered; the newest messages come",
    source: "/asyncapi.json, Recovery",
    needs: ["v1-hello-history"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const [, , { seq }] = await sayThree(ann);
      const epoch = `${token()}-another`;
      const ben = await V1Client.join(room, {
        since: { epoch, seq },
        history: 2,
      });
      assertRecovered(ben.welcome, false, "the room has another epoch");
      await assertNewest(ben, 2, ann);
    },
  },
  {
    id: "v1-history",
    title: "The request history brings older messages, the oldest first",
    source: "/asyncapi.json, request history",
    needs: ["v1-seq"],
    async run(target) {
      const ann = await V1Client.join(inOwnRoom(target));
      const [, , { seq }] = await sayThree(ann);
      await assertPage(ann, seq, 1);
      await assertPage(ann, seq, 2);
      const none = await historyBefore(ann, 1, 2);
      assertField(none, "messages", none.messages.length === 0, "empty");
      assertField(none, "more", none.more === false, "false: there are none");
    },
  },
];
