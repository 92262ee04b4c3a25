// Checks of how a client of `partyline.v1` comes in: the subprotocol, the welcome,
// the key that brings an identity back.
import { type Check, Failure, type Target } from "../check.ts";
import { shown, token, WireClient } from "../client.ts";
import {
  assertField,
  inOwnRoom,
  isWhole,
  SUBPROTOCOL,
  V1Client,
  type WireEvent,
} from "./client.ts";

/** Names that a welcome lists at most. */
const MAX_LISTED = 200;

/** Another connection uses the same key. */
const TAKEN_OVER = 4002;

/** The server must agree on `partyline.v1` when these are offered. */
async function assertAgreed(target: Target, offered: string): Promise<void> {
  const wire = await WireClient.open(inOwnRoom(target), [
    ["Sec-WebSocket-Protocol", offered],
  ]);
  const values = wire.answer.values("sec-websocket-protocol");
  if (values.length === 1 && values[0] === SUBPROTOCOL) return;
  const had = values.length === 0
    ? "no field Sec-WebSocket-Protocol"
    : `Sec-WebSocket-Protocol: ${shown(values.join(", "))}`;
  throw new Failure(
    `A handshake that offers ${shown(offered)} was answered with ${had}. ` +
      `The answer must have Sec-WebSocket-Protocol: ${SUBPROTOCOL}.`,
  );
}

function assertWelcomeFields(welcome: WireEvent, target: Target): void {
  const { room, members, count, limits, sender } = welcome;
  const asked = target.url.searchParams.get("room");
  assertField(welcome, "room", room === asked, shown(`${asked}`));
  const isList = Array.isArray(members) && members.includes(sender) &&
    members.every((name) => typeof name === "string");
  assertField(welcome, "members", isList, "a list of names with your own");
  const least = Array.isArray(members) ? members.length : 1;
  const isCount = isWhole(count, least);
  assertField(welcome, "count", isCount, `a whole number of at least ${least}`);
  const { message, frame, rate, burst } = Object(limits);
  const areLimits = isWhole(message, 1) && isWhole(frame, 1) &&
    isWhole(rate, 0) && isWhole(burst, 1);
  assertField(
    welcome,
    "limits",
    areLimits,
    'an object with the whole numbers "message", "frame", "rate" and "burst"',
  );
}

/** Whether a welcome or what follows tells that this person is there. */
async function assertKnows(client: V1Client, name: string): Promise<void> {
  const { members, count } = client.welcome;
  if (Array.isArray(members) && members.includes(name)) return;
  // In a room of many people a welcome does not list everybody.
  if (isWhole(count, MAX_LISTED + 1)) return;
  await client.event(
    `the name ${
      shown(name)
    }, of somebody in the room, among the members of the ` +
      "event welcome or in an event join",
    ({ type, sender }) => type === "join" && sender === name,
  );
}

export const hello: readonly Check[] = [
  {
    id: "v1-subprotocol",
    title: "The handshake agrees on partyline.v1",
    source: "/docs/protocol.html, partyline.v1",
    run: (target) => assertAgreed(target, SUBPROTOCOL),
  },
  {
    id: "v1-subprotocol-among-others",
    title: "The handshake agrees on partyline.v1, whatever else is offered",
    source: "/asyncapi.json, channel v1",
    needs: ["v1-subprotocol"],
    run: (target) => assertAgreed(target, `chat, ${SUBPROTOCOL}`),
  },
  {
    id: "v1-welcome",
    title: "Hello is answered with a welcome: a name, a key and a position",
    source: "/docs/protocol.html, partyline.v1",
    needs: ["v1-subprotocol"],
    async run(target) {
      await V1Client.join(inOwnRoom(target));
    },
  },
  {
    id: "v1-welcome-fields",
    title:
      "The welcome tells the room, its members, their count and the limits",
    source: "/asyncapi.json, event welcome",
    needs: ["v1-welcome"],
    async run(target) {
      const room = inOwnRoom(target);
      assertWelcomeFields((await V1Client.join(room)).welcome, room);
    },
  },
  {
    id: "v1-members",
    title: "A client that comes in is told who is there",
    source: "/asyncapi.json, Who is here",
    needs: ["v1-welcome-fields"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      await assertKnows(await V1Client.join(room), ann.name);
    },
  },
  {
    id: "v1-epoch",
    title: "The epoch is the same for everyone in a room",
    source: "/asyncapi.json, Recovery",
    needs: ["v1-welcome"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const { welcome } = await V1Client.join(room);
      const { epoch } = ann.welcome;
      const right = `${shown(epoch)}, as somebody else in the room was told`;
      assertField(welcome, "epoch", welcome.epoch === epoch, right);
    },
  },
  {
    id: "v1-recovered-null",
    title: "The welcome says recovered: null to a client without since",
    source: "/asyncapi.json, event welcome",
    needs: ["v1-welcome"],
    async run(target) {
      const { welcome } = await V1Client.join(inOwnRoom(target));
      assertField(welcome, "recovered", welcome.recovered === null, "null");
    },
  },
  {
    id: "v1-key",
    title: "The key brings a name back, which nobody else has",
    source: "/asyncapi.json, Hello",
    needs: ["v1-welcome"],
    async run(target) {
      const room = inOwnRoom(target);
      const ann = await V1Client.join(room);
      const { welcome: other } = await V1Client.join(room);
      const isOwn = other.sender !== ann.name;
      const own = `another name than ${shown(ann.name)}, which is in use`;
      assertField(other, "sender", isOwn, own);
      const { welcome } = await ann.comeBack();
      const isSame = welcome.sender === ann.name;
      const same = `${shown(ann.name)}, the name of this key`;
      assertField(welcome, "sender", isSame, same);
    },
  },
  {
    id: "v1-key-unknown",
    title: "A key that the server does not know makes a new person",
    source: "/docs/protocol.html, partyline.v1",
    needs: ["v1-key"],
    async run(target) {
      const key = token();
      const room = inOwnRoom(target);
      const { welcome } = await V1Client.join(room, { key });
      assertField(welcome, "key", welcome.key !== key, "a new key");
    },
  },
  {
    id: "v1-key-taken-over",
    title: "A connection ends with 4002 when another one uses its key",
    source: "/docs/protocol.html, Why the server closes a connection",
    needs: ["v1-key"],
    async run(target) {
      const room = inOwnRoom(target);
      const older = await V1Client.join(room);
      const { key } = older.welcome;
      await V1Client.join(room, { key });
      await older.assertClosed(
        TAKEN_OVER,
        "another connection had said hello with the same key,",
      );
    },
  },
  {
    id: "v1-ping",
    title: "A ping is answered with a pong that has its id",
    source: "/asyncapi.json, request ping",
    needs: ["v1-welcome"],
    async run(target) {
      const client = await V1Client.join(inOwnRoom(target));
      const id = token();
      await client.send({ type: "ping", id });
      const pong = await client.event(
        "the event pong",
        ({ type }) => type === "pong",
      );
      assertField(pong, "id", pong.id === id, shown(id));
    },
  },
];
