// Checks of what a server of `partyline.v1` refuses, and how: with an event `error`,
// after which the connection goes on, or by closing the connection.
import type { ErrorCode } from "../../protocol/events.ts";
import { type Check, Failure, Skip } from "../check.ts";
import { shown, token } from "../client.ts";
import { assertField, inOwnRoom, shownEvent, V1Client } from "./client.ts";
import { limitsOf } from "./messages.ts";

/** Longer messages are not tried, in characters. */
const MAX_TRIED_CHARS = 50_000;

/** Bytes of a request besides its message. */
const REQUEST_BYTES = 200;

/** What the client did broke the protocol (RFC 6455 section 7.4.1). */
const PROTOCOL_ERROR = 1002;

interface Refusal {
  id: string;
  title: string;
  source?: string;
  needs?: string[];
  code: ErrorCode;
  /** What is sent, in a sentence. */
  what: string;
  /** Whether the error has the id of the request. */
  hasId?: boolean;
  request(client: V1Client): { [field: string]: unknown };
}

/** A request that is answered with an error; then the connection goes on. */
function refused(
  { id, title, source, needs = [], code, what, hasId, request }: Refusal,
): Check {
  return {
    id,
    title,
    source: source ?? "/asyncapi.json, Refusals",
    needs: ["v1-acknowledged", ...needs],
    async run(target) {
      const client = await V1Client.join(inOwnRoom(target));
      const sent = request(client);
      await client.sendText(JSON.stringify(sent));
      const error = await client.event(
        `an event error with the code ${shown(code)} for ${what}`,
        ({ type, sender }) =>
          type === "error" || type === "message" && sender === client.name,
      );
      if (error.type === "message") throw notRefused(what, shownEvent(error));
      assertField(error, "code", error.code === code, shown(code));
      if (hasId) {
        assertField(error, "id", error.id === sent.id, shown(`${sent.id}`));
      }
      await client.say();
      const stored = client.heard.find(({ message }) =>
        message === sent.message
      );
      if (stored) throw notRefused(what, shownEvent(stored));
    },
  };
}

function notRefused(what: string, event: string): Failure {
  return new Failure(
    `${event} came, though it is ${what}. It must not be stored.`,
  );
}

/** A first frame or a later one that ends the connection. */
function ends(
  id: string,
  title: string,
  needs: readonly string[],
  text: string,
  isFirst = false,
): Check {
  return {
    id,
    title,
    source: "/docs/protocol.html, Why the server closes a connection",
    needs,
    async run(target) {
      const room = inOwnRoom(target);
      const client = isFirst
        ? await V1Client.open(room)
        : await V1Client.join(room);
      const sent = isFirst ? [text, '{"type": "hello"}'] : [text];
      await client.assertRefused(
        PROTOCOL_ERROR,
        `the ${isFirst ? "first " : ""}frame ${shown(text)}`,
        ...sent,
      );
    },
  };
}

/** A message that is longer by one than the server allows. */
function tooLong(client: V1Client): string {
  const { message, frame } = limitsOf(client);
  if (message > MAX_TRIED_CHARS || message + REQUEST_BYTES > frame) {
    throw new Skip(
      `The limit of ${message} characters is too large to be exceeded.`,
    );
  }
  return token().padEnd(message + 1, "x").slice(0, message + 1);
}

export const refusals: readonly Check[] = [
  refused({
    id: "v1-missing-id",
    title: "A message without an id is refused, and the connection goes on",
    code: "invalid",
    what: "a message without an id",
    request: () => ({ type: "message", message: token() }),
  }),
  refused({
    id: "v1-unknown-type",
    title:
      "A request of an unknown type is refused, and the connection goes on",
    needs: ["v1-missing-id"],
    code: "invalid",
    what: "a request of an unknown type",
    request: () => ({ type: token() }),
  }),
  refused({
    id: "v1-missing-text",
    title: "A message without a text is refused with its id",
    needs: ["v1-missing-id"],
    code: "invalid",
    what: "a message whose text is a number",
    hasId: true,
    request: () => ({ type: "message", message: 1, id: token() }),
  }),
  refused({
    id: "v1-blank",
    title: "A message of nothing but white space is refused with its id",
    source: "/asyncapi.json, request message",
    needs: ["v1-missing-text"],
    code: "invalid",
    what: "a message of nothing but white space",
    hasId: true,
    request: () => ({ type: "message", message: " \n\t ", id: token() }),
  }),
  refused({
    id: "v1-too-long",
    title: "A message that is too long by one is refused with its id",
    source: "/asyncapi.json, limits",
    needs: ["v1-welcome-fields", "v1-missing-text"],
    code: "too_long",
    what: "a message that is longer than limits.message",
    hasId: true,
    request: (client) => ({
      type: "message",
      message: tooLong(client),
      id: token(),
    }),
  }),
  ends(
    "v1-not-json",
    "A frame that is not JSON ends the connection with 1002",
    ["v1-ping"],
    "this is no JSON",
  ),
  ends(
    "v1-not-an-object",
    "A frame of JSON that is no object ends the connection with 1002",
    ["v1-not-json"],
    '["hello"]',
  ),
  ends(
    "v1-hello-first",
    "A request before hello ends the connection with 1002",
    ["v1-not-json"],
    '{"type": "typing"}',
    true,
  ),
];
