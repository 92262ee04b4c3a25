// Cases of the dialect `partyline.v1` (static/asyncapi.json): frames that are no JSON, no
// object, no request, or one at the wrong time. Pure data.
// Invariant: each field of each request is tried with every kind of value that
// it must not have.
import { REQUEST_TYPES } from "../../../chat/protocol/requests.ts";
import {
  type Case,
  closes,
  GOES_ON,
  hex,
  joined,
  text,
  times,
} from "./case.ts";

const rule = "partyline.v1";
const dialect = "partyline.v1";

const json = (value: unknown) => text(JSON.stringify(value));
const message = (message: unknown, id: unknown = "1") =>
  json({ type: "message", message, id });

const notObjects: [what: string, text: string][] = [
  ["nothing", ""],
  ["a blank", " "],
  ["words", "hello"],
  ["half an object", '{"type":"ping"'],
  ["two objects", '{"type":"ping"}{"type":"ping"}'],
  ["an object and a NUL", '{"type":"ping"}\x00'],
  ["a comma at the end", '{"type":"ping",}'],
  ["single quotes", "{'type':'ping'}"],
  ["a comment", '{"type":"ping"/**/}'],
  ["a line end in a string", '{"type":"pi\nng"}'],
  ["an unknown escape", String.raw`{"type":"\ping"}`],
  ["a key without quotes", '{type:"ping"}'],
  ["NaN", "NaN"],
  ["null", "null"],
  ["true", "true"],
  ["a number", "7"],
  ["a number of 60,000 digits", "9".repeat(60_000)],
  ["a string", '"ping"'],
  ["an array", '[{"type":"ping"}]'],
  ["30,000 arrays in one another", "[".repeat(30_000) + "]".repeat(30_000)],
  ["60,000 arrays that never end", "[".repeat(60_000)],
  ["10,000 objects that never end", '{"a":'.repeat(10_000)],
];

const noStrings: unknown[] = [null, true, 0, 1.5, [], {}, ["x"], {
  toString: "x",
}];
const noCounts: unknown[] = [
  ...[null, true, "1", "", [], {}, -1, 1.5, 1e308, 2 ** 53, [1]],
];
const noIds = [...noStrings, "", "x".repeat(65), "🦦".repeat(65)];

/** A request that is right, one of its fields, and what that must not be. */
const fields: [
  request: Record<string, unknown>,
  field: string,
  wrong: readonly unknown[],
][] = [
  [{ message: "x", id: "1" }, "type", [...noStrings, "", "Message", "shout"]],
  [{ message: "x", id: "1" }, "type", ["__proto__", "constructor", "toString"]],
  [{ type: "message", id: "1" }, "message", [undefined, ...noStrings]],
  [{ type: "message", message: "x" }, "id", [undefined, ...noIds]],
  [{ type: "rename" }, "name", [undefined, ...noStrings]],
  [{ type: "ping" }, "id", noIds],
  [{ type: "history" }, "before", [undefined, ...noCounts]],
  [{ type: "history", before: 1 }, "count", [...noCounts, 201]],
  [{ type: "members" }, "after", noStrings],
  [{ type: "message", message: "x", id: "1" }, "replyTo", [...noCounts, 0]],
  [{ type: "delete" }, "seq", [undefined, ...noCounts, 0]],
  [{ type: "search" }, "text", [undefined, ...noStrings, "", "x".repeat(101)]],
  [{ type: "search", text: "x" }, "before", noCounts],
  [{ type: "hello" }, "name", noStrings],
  [{ type: "hello" }, "key", noStrings],
  [{ type: "hello" }, "history", [...noCounts, 201]],
  [{ type: "hello" }, "since", [
    ...noStrings,
    ...noCounts.map((seq) => ({ epoch: "x", seq })),
    ...noStrings.map((epoch) => ({ epoch, seq: 1 })),
  ]],
];

const wrongFields = fields.flatMap(([request, field, wrong]): Case[] => {
  const what = `"${field}" of ${request.type ?? "a request"}`;
  const send = wrong.map((value) => json({ ...request, [field]: value }));
  const told = wrong.map(() => "invalid");
  return [
    {
      what: `${what} wrong in ${wrong.length} ways`,
      rule,
      dialect,
      send,
      told,
      ends: GOES_ON,
    },
    ...(request.type === "hello"
      ? [
        {
          what: `${what} wrong in ${wrong.length} ways, then right`,
          rule,
          dialect,
          isEarly: true,
          send: [...send, json({ type: "hello" })],
          told: [...told, "welcome"],
          ends: GOES_ON,
        } satisfies Case,
      ]
      : []),
  ];
});

const strange: Case[] = [
  {
    what: "a key that is there twice, the last of which counts",
    rule,
    dialect,
    send: [
      text(
        '{"type":"typing","type":"message","message":"a","id":"1","message":"b"}',
      ),
    ],
    says: ["b"],
    ends: GOES_ON,
  },
  {
    what: "a request inside __proto__",
    rule,
    dialect,
    send: [
      text('{"__proto__":{"type":"message","message":"x","id":"1"}}'),
      text('{"constructor":{"prototype":{"type":"ping"}}}'),
    ],
    told: ["invalid", "invalid"],
    ends: GOES_ON,
  },
  {
    what: "__proto__ beside a request",
    rule,
    dialect,
    send: [
      text('{"type":"message","message":"x","id":"1","__proto__":{"id":2}}'),
      text('{"type":"ping","__proto__":null}'),
    ],
    says: ["x"],
    told: ["pong"],
    ends: GOES_ON,
  },
  {
    what: "10,000 objects in one another, within a request",
    rule,
    dialect,
    send: [
      text(
        `{"type":"ping","x":${'{"x":'.repeat(10_000)}7${"}".repeat(10_000)}}`,
      ),
    ],
    told: ["pong"],
    ends: GOES_ON,
  },
  {
    what: "10,000 fields that are not known",
    rule,
    dialect,
    send: [
      text(`{${times(6_000, (i) => `"k${i}":0,`).join("")}"type":"ping"}`),
    ],
    told: ["pong"],
    ends: GOES_ON,
  },
  {
    what: "numbers beyond all bounds",
    rule,
    dialect,
    send: [
      text('{"type":"history","before":1e400}'),
      text('{"type":"history","before":-1e400}'),
      text('{"type":"history","before":9007199254740992}'),
      text(`{"type":"history","before":${"9".repeat(60_000)}}`),
    ],
    told: times(4, () => "invalid"),
    ends: GOES_ON,
  },
  {
    what: "numbers at the edge of the bounds",
    rule,
    dialect,
    send: [
      text('{"type":"history","before":1e-400}'),
      text('{"type":"history","before":-0}'),
      text('{"type":"history","before":9007199254740991}'),
    ],
    told: times(3, () => "history"),
    ends: GOES_ON,
  },
  {
    what: "half of a surrogate pair, escaped",
    rule,
    dialect,
    send: [
      text(String.raw`{"type":"message","message":"\ud83e","id":"\udda6"}`),
      text(String.raw`{"type":"rename","name":"\ud83e"}`),
    ],
    says: ["\ufffd"],
    told: ["name_invalid"],
    ends: GOES_ON,
  },
  {
    what: "every control character, escaped",
    rule,
    dialect,
    send: [message(String.fromCharCode(...times(33, (i) => i)))],
    says: [String.fromCharCode(...times(33, (i) => i))],
    ends: GOES_ON,
  },
  {
    what: "an id of 64 otters, and one of another kind",
    rule,
    dialect,
    send: [message("a", "🦦".repeat(64)), message("b", "__proto__")],
    says: ["a", "b"],
    ends: GOES_ON,
  },
  {
    what: "names that cannot be",
    rule,
    dialect,
    send: ["", " ", "server", "SERVER", "x".repeat(25), "x".repeat(60_000)]
      .concat([
        "a  b",
        "a ",
        "\u202ex",
        "<b>",
        "a\nb",
        "\u200b",
        "ｓｅｒｖｅｒ",
      ])
      .map((name) => json({ type: "rename", name })),
    told: times(13, () => "name_invalid"),
    ends: GOES_ON,
  },
  {
    what: "a text of one character more than --max-message",
    rule: "RFC 6455 10.4",
    dialect,
    send: [message("x".repeat(4_001)), message("x".repeat(4_000), "2")],
    says: ["x".repeat(4_000)],
    told: ["too_long"],
    ends: GOES_ON,
  },
  {
    what: "requests in one write and in fragments",
    rule: "RFC 6455 5.4",
    dialect,
    send: [
      joined(
        json({ type: "ping" }),
        ...[...'{"type":"ping"}'].map((char, i) =>
          i === 0
            ? hex("01 81 00000000 7b")
            : Uint8Array.of(0, 0x81, 0, 0, 0, 0, char.charCodeAt(0))
        ),
        hex("80 80 00000000"),
      ),
    ],
    told: ["pong", "pong"],
    ends: GOES_ON,
  },
];

/** What any request needs; those that know fewer fields pass over the others. */
const ALL_FIELDS = {
  message: "x",
  id: "1",
  name: "x",
  before: 1,
  seq: 1,
  text: "x",
};

const timing: Case[] = [
  {
    what: "a second hello",
    rule,
    dialect,
    send: [json({ type: "hello" }), json({ type: "hello", name: "x" })],
    told: ["invalid", "invalid"],
    ends: GOES_ON,
  },
  {
    what: "two hellos and a message in one write",
    rule,
    dialect,
    isEarly: true,
    send: [
      joined(
        json({ type: "hello" }),
        json({ type: "hello" }),
        message("early"),
      ),
    ],
    says: ["early"],
    told: ["invalid", "welcome"],
    ends: GOES_ON,
  },
  ...REQUEST_TYPES.filter((type) => type !== "hello").map((type): Case => ({
    what: `${type} before hello`,
    rule,
    dialect,
    isEarly: true,
    send: [json({ type, ...ALL_FIELDS })],
    ends: closes(1002, "send hello first"),
  })),
  {
    what: "no object before hello",
    rule,
    dialect,
    isEarly: true,
    send: [text("hello")],
    ends: closes(1002, "send JSON objects"),
  },
  {
    what: "a hello with a key, an epoch and a name that cannot be",
    rule,
    dialect,
    isEarly: true,
    send: [json({
      type: "hello",
      name: "x".repeat(20_000),
      key: "x".repeat(20_000),
      since: { epoch: "x".repeat(20_000), seq: Number.MAX_SAFE_INTEGER },
      history: 200,
    })],
    told: ["welcome", "name_invalid"],
    ends: GOES_ON,
  },
  {
    what: "50 requests in a row that are none",
    rule: "RFC 6455 7.4.1",
    dialect,
    send: times(50, () => text("{}")),
    told: times(49, () => "invalid"),
    ends: closes(1008, "too many refused messages"),
  },
  {
    what: "50 such before hello",
    rule: "RFC 6455 7.4.1",
    dialect,
    isEarly: true,
    send: times(50, () => text("{}")),
    told: times(49, () => "invalid"),
    ends: closes(1008, "too many refused messages"),
  },
];

export const requests: Case[] = [
  ...notObjects.map(([what, payload]): Case => ({
    what: `${what} instead of a JSON object`,
    rule,
    dialect,
    send: [text(payload)],
    ends: closes(1002, "send JSON objects"),
  })),
  ...wrongFields,
  ...strange,
  ...timing,
];
