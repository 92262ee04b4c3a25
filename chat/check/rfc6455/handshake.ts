// Checks of the opening handshake (RFC 6455 section 4).
import { type Check, Failure, type Target, Warning } from "../check.ts";
import {
  acceptOf,
  type Answer,
  ask,
  type Fields,
  handshakeFields,
  PATH_HINT,
  randomBytes,
  requestText,
  SAMPLE_KEY,
  trickle,
} from "../client.ts";
import { Ended } from "../connection.ts";

/** Sends a handshake with these fields and reads the answer. */
async function answerTo(
  target: Target,
  fields: Fields,
  how: Parameters<typeof requestText>[2] = {},
): Promise<Answer> {
  return (await ask(target, requestText(target, fields, how))).answer;
}

/** The fields of a right handshake without one, or with another value. */
function changed(target: Target, name: string, value?: string): Fields {
  return handshakeFields(target).flatMap(([is, was]): Fields => {
    if (is !== name) return [[is, was]];
    return value === undefined ? [] : [[is, value]];
  });
}

function assertAccepted(
  { status, line }: Answer,
  what: string,
  hint = "",
): void {
  if (status === 101) return;
  throw new Failure(
    `${what} was answered with ${JSON.stringify(line)}. ` +
      `It is a right handshake, so the answer must be 101.${hint}`,
  );
}

/** A handshake that is right, though it looks unusual. */
function right(
  id: string,
  title: string,
  source: string,
  what: string,
  fields: (target: Target) => Fields,
): Check {
  return {
    id,
    title,
    source,
    needs: ["handshake-status"],
    run: async (target) =>
      assertAccepted(await answerTo(target, fields(target)), what),
  };
}

/** A handshake that is wrong; `finding` is made of what came instead of a refusal. */
function wrong(
  id: string,
  title: string,
  source: string,
  what: string,
  fields: (target: Target) => Fields,
  how: Parameters<typeof requestText>[2] = {},
  finding = (answered: string): Error =>
    new Failure(`${answered} The answer must be a refusal, such as 400.`),
): Check {
  return {
    id,
    title,
    source,
    needs: ["handshake-status"],
    async run(target) {
      try {
        const { status } = await answerTo(target, fields(target), how);
        if (status === 101) throw finding(`${what} was answered with 101.`);
      } catch (error) {
        // A server may also just hang up.
        if (!(error instanceof Ended)) throw error;
      }
    },
  };
}

/** A field of the answer that has to have one value, in any case. */
function answerField(id: string, name: string, value: string, section: string) {
  return {
    id,
    title: `The answer has the field ${name}: ${value}`,
    source: `RFC 6455 section ${section}`,
    needs: ["handshake-status"],
    async run(target: Target) {
      const answer = await answerTo(target, handshakeFields(target));
      const values = answer.values(name.toLowerCase());
      const tokens = values.join(",").split(",").map((it) => it.trim());
      const isThere = tokens.some((it) =>
        it.toLowerCase() === value.toLowerCase()
      );
      if (isThere) return;
      const had = values.length === 0 ? "no such field" : values.join(", ");
      throw new Failure(
        `The answer had ${had}. The field ${name} must have the value ${value}.`,
      );
    },
  };
}

/** The server computes the accept value of this key. */
async function assertAccept(target: Target, key: string): Promise<void> {
  const answer = await answerTo(target, handshakeFields(target, key));
  const values = answer.values("sec-websocket-accept");
  const right = await acceptOf(key);
  if (values.length === 1 && values[0] === right) return;
  const had = values.length === 0 ? "none" : values.join(", ");
  throw new Failure(
    `For the key ${key} the accept value was ${had}. It must be ${right}.`,
  );
}

const MUST_ASK = "RFC 6455 section 4.2.1";

export const handshake: readonly Check[] = [
  {
    id: "handshake-status",
    title: "A right handshake is answered with 101",
    source: "RFC 6455 section 4.2.2",
    async run(target) {
      const answer = await answerTo(target, handshakeFields(target));
      const what = "A handshake as in the example of the RFC";
      assertAccepted(answer, what, ` ${PATH_HINT}`);
    },
  },
  answerField("handshake-upgrade-field", "Upgrade", "websocket", "4.2.2"),
  answerField("handshake-connection-field", "Connection", "Upgrade", "4.2.2"),
  {
    id: "handshake-accept",
    title: "The accept value of the RFC's example is right",
    source: "RFC 6455 sections 1.3 and 4.2.2",
    needs: ["handshake-status"],
    run: (target) => assertAccept(target, SAMPLE_KEY),
  },
  {
    id: "handshake-accept-of-any-key",
    title: "The accept value is computed anew for each key",
    source: "RFC 6455 section 4.2.2",
    needs: ["handshake-accept"],
    run: (target) => assertAccept(target, randomBytes(16).toBase64()),
  },
  {
    id: "handshake-no-extension",
    title: "The answer names no extension that was not offered",
    source: "RFC 6455 sections 4.2.2 and 9.1",
    needs: ["handshake-status"],
    async run(target) {
      const answer = await answerTo(target, handshakeFields(target));
      const values = answer.values("sec-websocket-extensions");
      if (values.join("") === "") return;
      throw new Failure(
        `No extension was offered, but the answer names ${values.join(", ")}.`,
      );
    },
  },
  {
    id: "handshake-no-subprotocol",
    title: "The answer names no subprotocol when none was offered",
    source: "RFC 6455 section 4.2.2",
    needs: ["handshake-status"],
    async run(target) {
      const answer = await answerTo(target, handshakeFields(target));
      const values = answer.values("sec-websocket-protocol");
      if (values.length === 0) return;
      throw new Failure(
        `No subprotocol was offered, but the answer names ${
          values.join(", ")
        }.`,
      );
    },
  },
  {
    id: "handshake-other-subprotocol",
    title: "The answer names no subprotocol but an offered one",
    source: "RFC 6455 section 4.2.2",
    needs: ["handshake-status"],
    async run(target) {
      const offered = ["check-one.example", "check-two.example"];
      const answer = await answerTo(target, [
        ...handshakeFields(target),
        ["Sec-WebSocket-Protocol", offered.join(", ")],
      ]);
      // A server may refuse subprotocols that it does not know.
      const values = answer.values("sec-websocket-protocol");
      if (answer.status !== 101 || values.length === 0) return;
      if (values.length === 1 && offered.includes(values[0] ?? "")) return;
      throw new Failure(
        `${offered.join(" and ")} were offered, but the answer names ` +
          `${values.join(", ")}. It must name one of those, or none.`,
      );
    },
  },
  right(
    "handshake-field-names",
    "The names of fields count in any case",
    MUST_ASK + "; RFC 9110 section 5.1",
    "A handshake with the names of its fields in small letters",
    (target) =>
      handshakeFields(target).map((
        [name, value],
      ) => [name.toLowerCase(), value]),
  ),
  right(
    "handshake-upgrade-case",
    "The value of Upgrade counts in any case",
    MUST_ASK,
    "A handshake with Upgrade: WebSocket",
    (target) => changed(target, "Upgrade", "WebSocket"),
  ),
  right(
    "handshake-connection-case",
    "The value of Connection counts in any case",
    MUST_ASK,
    "A handshake with Connection: upgrade",
    (target) => changed(target, "Connection", "upgrade"),
  ),
  right(
    "handshake-connection-list",
    "Connection may name other options as well",
    MUST_ASK,
    "A handshake with Connection: keep-alive, Upgrade",
    (target) => changed(target, "Connection", "keep-alive, Upgrade"),
  ),
  right(
    "handshake-field-order",
    "The order of the fields does not matter",
    "RFC 6455 section 1.3",
    "A handshake with its fields in the other order",
    (target) => handshakeFields(target).reverse(),
  ),
  right(
    "handshake-other-fields",
    "Fields that the server does not know are ignored",
    "RFC 6455 section 4.2.1",
    "A handshake with other fields, one of them with 2,000 characters",
    (target) => [
      ["X-Check-Before", 'one; two="three"'],
      ...handshakeFields(target),
      ["X-Check-Long", "x".repeat(2_000)],
    ],
  ),
  {
    id: "handshake-byte-by-byte",
    title: "A handshake may arrive one byte at a time",
    source: "RFC 6455 section 4.2.1; TCP has no borders between messages",
    needs: ["handshake-status"],
    async run(target) {
      const text = requestText(target, handshakeFields(target));
      const bytes = new TextEncoder().encode(text);
      const { answer } = await ask(
        target,
        text,
        (connection, untilMs) => trickle(connection, bytes, untilMs),
      );
      assertAccepted(answer, "A handshake that came one byte at a time");
    },
  },
  wrong(
    "handshake-without-key",
    "A handshake without a key is refused",
    MUST_ASK,
    "A handshake without Sec-WebSocket-Key",
    (target) => changed(target, "Sec-WebSocket-Key"),
  ),
  wrong(
    "handshake-short-key",
    "A key that does not stand for 16 bytes is refused",
    MUST_ASK + "; 4.2.2 allows not to decode the key",
    "A handshake with the key c2hvcnQ=, which stands for 5 bytes,",
    (target) => changed(target, "Sec-WebSocket-Key", "c2hvcnQ="),
    {},
    (answered) =>
      new Warning(
        `${answered} A server need not decode the key, but one that does can ` +
          "refuse it, for example with 400.",
      ),
  ),
  wrong(
    "handshake-version-25",
    "A version that the server does not know is refused",
    "RFC 6455 section 4.2.2",
    "A handshake with Sec-WebSocket-Version: 25",
    (target) => changed(target, "Sec-WebSocket-Version", "25"),
  ),
  {
    id: "handshake-version-told",
    title: "A refusal of another version names the right one",
    source: "RFC 6455 sections 4.2.2 and 4.4",
    needs: ["handshake-version-25"],
    async run(target) {
      const fields = changed(target, "Sec-WebSocket-Version", "25");
      const answer = await answerTo(target, fields);
      const values = answer.values("sec-websocket-version");
      const names13 = values.join(",").split(",").some((it) =>
        it.trim() === "13"
      );
      if (names13) return;
      throw new Failure(
        `The refusal of version 25 was ${JSON.stringify(answer.line)} with ` +
          `${values.length === 0 ? "no" : "another"} Sec-WebSocket-Version. ` +
          "It must have Sec-WebSocket-Version: 13, best with the status 426.",
      );
    },
  },
  wrong(
    "handshake-without-version",
    "A handshake without a version is refused",
    MUST_ASK,
    "A handshake without Sec-WebSocket-Version",
    (target) => changed(target, "Sec-WebSocket-Version"),
  ),
  wrong(
    "handshake-without-upgrade",
    "A request without Upgrade is not upgraded",
    MUST_ASK,
    "A handshake without Upgrade",
    (target) => changed(target, "Upgrade"),
  ),
  wrong(
    "handshake-without-connection",
    "A request without Connection: Upgrade is not upgraded",
    MUST_ASK,
    "A handshake with Connection: keep-alive",
    (target) => changed(target, "Connection", "keep-alive"),
  ),
  wrong(
    "handshake-without-host",
    "A handshake without a host is refused",
    MUST_ASK + "; RFC 9112 section 3.2",
    "A handshake without Host",
    (target) => changed(target, "Host"),
  ),
  wrong(
    "handshake-post",
    "A handshake with another method than GET is refused",
    MUST_ASK,
    "A handshake with the method POST",
    (target) => [...handshakeFields(target), ["Content-Length", "0"]],
    { method: "POST" },
  ),
  wrong(
    "handshake-http-1-0",
    "A handshake of HTTP/1.0 is refused",
    MUST_ASK + "; RFC 9110 section 7.8",
    "A handshake of HTTP/1.0",
    (target) => handshakeFields(target),
    { version: "HTTP/1.0" },
  ),
];
