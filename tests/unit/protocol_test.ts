// The rules of protocol/ for any input that fast-check can think of: what is
// written reads back, what comes from outside cannot make the parser throw,
// the short cuts count as the long way does. `SEED=n` replays a run.
import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { CloseCode } from "../../chat/protocol/close_codes.ts";
import {
  DEFAULT_ROOM,
  exceedsBytes,
  exceedsChars,
  MAX_HISTORY,
  MAX_ID_CHARS,
  parseRequest,
  parseRoom,
  type Request,
  REQUEST_TYPES,
} from "../../chat/protocol/requests.ts";
import {
  encode,
  encodeDraft,
  encodeMessage,
  mendEncoded,
  type MessageEvent,
  type ServerEvent,
  startOf,
} from "../../chat/protocol/events.ts";
import {
  encodeFound,
  encodeFrames,
  encodeHistory,
  MAX_SENT_BYTES,
} from "../../chat/protocol/frames.ts";
import { startOf as startOfInPage } from "../../static/shared/start_of.js";
import { newSeed } from "../support/seed.ts";

fc.configureGlobal({ seed: newSeed(), numRuns: 1_000 });

/** Any text that JavaScript can hold, lone surrogates and controls included. */
const texts = fc.oneof(
  fc.string(),
  fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  fc.array(fc.nat(0x10ffff)).map((points) => String.fromCodePoint(...points)),
  fc.constantFrom("__proto__", '"', "\\", "\u2028", "\0", "\ud83d", "\udea7"),
);
const seqs = fc.nat(Number.MAX_SAFE_INTEGER);
const ids = texts.map((text) => text.slice(0, MAX_ID_CHARS))
  .filter((id) => id !== "");
const counts = fc.nat(MAX_HISTORY);

/** Objects that may have every field, or lack those not named as required. */
function optional<T, K extends keyof T>(
  fields: { [F in keyof T]: fc.Arbitrary<T[F]> },
  requiredKeys: K[],
) {
  return fc.record(fields, { requiredKeys, noNullPrototype: true });
}

const drafts = optional(
  {
    ...{ at: texts, sender: texts, author: texts, message: texts, id: ids },
    replyTo: seqs,
  },
  ["at", "sender", "message"],
);
const messages: fc.Arbitrary<MessageEvent> = fc.tuple(seqs, drafts).map((
  [seq, draft],
) => ({ type: "message", seq, ...draft }));

/** One for each type, which the type check sees to. */
const requestsOf: {
  [T in Request["type"]]: fc.Arbitrary<Extract<Request, { type: T }>>;
} = {
  hello: optional({
    type: fc.constant("hello" as const),
    name: texts,
    key: texts,
    since: fc.record({ epoch: texts, seq: seqs }, { noNullPrototype: true }),
    history: counts,
  }, ["type"]),
  message: optional({
    type: fc.constant("message" as const),
    message: texts,
    id: ids,
    replyTo: seqs.map((seq) => seq || 1),
  }, ["type", "message", "id"]),
  history: optional({
    type: fc.constant("history" as const),
    before: seqs,
    count: counts,
  }, ["type", "before"]),
  search: optional({
    type: fc.constant("search" as const),
    text: ids,
    before: seqs,
  }, ["type", "text"]),
  members: optional(
    { type: fc.constant("members" as const), after: texts },
    ["type"],
  ),
  rooms: fc.constant({ type: "rooms" as const }),
  delete: seqs.map((seq) => ({ type: "delete" as const, seq: seq || 1 })),
  rename: fc.record({ type: fc.constant("rename" as const), name: texts }, {
    noNullPrototype: true,
  }),
  typing: fc.constant({ type: "typing" as const }),
  ping: optional({ type: fc.constant("ping" as const), id: ids }, ["type"]),
};
const requests = fc.oneof(...Object.values<fc.Arbitrary<Request>>(requestsOf));

Deno.test("a message that is completed by its seq reads back as it was", () => {
  fc.assert(fc.property(seqs, drafts, (seq, draft) => {
    const text = encodeMessage(seq, encodeDraft(draft));
    assertEquals(JSON.parse(text), { type: "message", seq, ...draft });
  }));
});

Deno.test("an encoded message is the same text however it came about", () => {
  fc.assert(fc.property(messages, (message) => {
    const { type: _, seq, ...draft } = message;
    assertEquals(encodeMessage(seq, encodeDraft(draft)), encode(message));
  }));
});

Deno.test("an encoded event survives UTF-8 and has no line break", () => {
  fc.assert(fc.property(messages, (message) => {
    const text = encode(message);
    const bytes = new TextEncoder().encode(text);
    assertEquals(new TextDecoder().decode(bytes), text);
    assert(!/[\r\n]/.test(text));
  }));
});

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** As many as fill some frames, of one, two, three and four bytes a character. */
const fillers = fc.array(
  fc.tuple(fc.constantFrom("x", "é", "水", "🦦", "\0"), fc.nat(40_000))
    .map(([char, count]) => char.repeat(count)),
  { maxLength: 12 },
);

Deno.test("frames read back as the events that were put into them", () => {
  const others: fc.Arbitrary<ServerEvent> = fc.oneof(
    messages,
    fc.record({
      type: fc.constant("rename" as const),
      at: texts,
      sender: texts,
      name: texts,
    }, { noNullPrototype: true }),
    optional({ type: fc.constant("pong" as const), id: ids }, ["type"]),
  );
  fc.assert(fc.property(fc.array(others), (events) => {
    const frames = encodeFrames(events.map(encode));
    assertEquals(frames.flatMap(({ text }) => JSON.parse(text)), events);
  }));
});

Deno.test("a frame is at most 32 KiB, unless one event alone is more, and not smaller than need be", () => {
  fc.assert(
    fc.property(fillers, (fillers) => {
      const events = fillers.map((text) => JSON.stringify(text));
      const frames = encodeFrames(events);
      assertEquals(frames.flatMap(({ events }) => events), events);
      for (const [i, { text, events }] of frames.entries()) {
        assertEquals(text, `[${events.join(",")}]`);
        assert(bytesOf(text) <= MAX_SENT_BYTES || events.length === 1);
        const next = frames[i + 1]?.events[0];
        const withNext = bytesOf(text) + bytesOf(next ?? "") + 1;
        assert(next === undefined || withNext > MAX_SENT_BYTES);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("history reads back with its messages in order: the newest that fit in a frame", () => {
  const toMessage = (message: string, seq: number): MessageEvent => ({
    type: "message",
    seq,
    at: "",
    sender: "",
    message,
  });
  const some = fc.oneof(
    fc.array(messages),
    fillers.map((texts) => texts.map(toMessage)),
  );
  fc.assert(
    fc.property(seqs, some, fc.boolean(), (before, messages, more) => {
      const text = encodeHistory(before, messages.map(encode), more);
      const { messages: told, ...rest } = JSON.parse(text);
      const from = messages.length - told.length;
      assertEquals(told, messages.slice(from));
      assertEquals(rest, {
        type: "history",
        before,
        more: more || from > 0,
      });
      const isLarger = bytesOf(text) + 2 > MAX_SENT_BYTES;
      assert(!isLarger || told.length === 1);
      const next = from > 0 ? encode(messages[from - 1]!) : undefined;
      // With a comma, the frame's brackets, and false instead of true.
      assert(!next || bytesOf(text) + bytesOf(next) + 4 > MAX_SENT_BYTES);
    }),
    { numRuns: 200 },
  );
});

Deno.test("what was found reads back: the newest that fit in a frame, and where to go on", () => {
  const toMessage = (message: string, i: number) => {
    const draft = encodeDraft({ at: "", sender: "", message });
    return encodeMessage(i + 7, draft);
  };
  const asked = { type: "search", text: "x", before: 99 } as const;
  fc.assert(
    fc.property(fillers, fc.option(seqs, { nil: undefined }), (texts, next) => {
      const events = texts.map(toMessage);
      const text = encodeFound(asked, events, next);
      const { messages: told, ...rest } = JSON.parse(text);
      const from = events.length - told.length;
      assertEquals(told.map(encode), events.slice(from));
      assertEquals(rest, {
        ...asked,
        type: "found",
        more: from > 0 || next !== undefined,
        ...(from > 0 ? { next: from + 7 } : next !== undefined && { next }),
      });
      assert(bytesOf(text) + 2 <= MAX_SENT_BYTES || told.length === 1);
    }),
    { numRuns: 200 },
  );
});

/** A request as it is read: half of a surrogate pair in it is a U+FFFD. */
function mended<T>(request: T): T {
  return JSON.parse(
    JSON.stringify(request),
    (_, value) => typeof value === "string" ? value.toWellFormed() : value,
  );
}

Deno.test("every request that is encoded is read as it was, and well-formed", () => {
  fc.assert(fc.property(requests, (request) => {
    assertEquals(parseRequest(JSON.stringify(request)), mended(request));
  }));
});

Deno.test("stored events with halves of surrogate pairs are mended, others stay as they are", () => {
  const odd = fc.array(
    fc.oneof(
      texts,
      fc.constantFrom(
        ..."\\ \\ud83d \\\\ud83d \\udc00 u d \ud83d \udc00 🦦 \n".split(" "),
      ),
    ),
  ).map((parts) => parts.join(""));
  fc.assert(fc.property(seqs, odd, odd, (seq, sender, message) => {
    const event = { type: "message" as const, seq, at: "", sender, message };
    const text = mendEncoded(encode(event));
    assertEquals(JSON.parse(text), mended(event));
    if (JSON.stringify(event) === JSON.stringify(mended(event))) {
      assertEquals(text, encode(event));
    }
  }));
});

Deno.test("the start of a text has no half of a surrogate pair, and is as long as it can be", () => {
  const pairs = fc.string({ unit: fc.constantFrom("a", "é", "😀", "\0") });
  fc.assert(fc.property(pairs, fc.nat(20), (text, max) => {
    for (const start of [startOf(text, max), startOfInPage(text, max)]) {
      assert(start.isWellFormed() && text.startsWith(start));
      assert(start.length <= max);
      assert(start.length >= Math.min(text.length, max) - 1);
    }
  }));
});

Deno.test("fields that are not known change nothing", () => {
  const known = ["type", "id", "message", "name", "key", "since", "history"]
    .concat("before", "count", "after");
  const unknown = fc.dictionary(texts, fc.jsonValue()).map((fields) =>
    Object.entries(fields).filter(([name]) => !known.includes(name))
  );
  fc.assert(fc.property(requests, unknown, (request, unknown) => {
    const fields = [...unknown, ...Object.entries(request)];
    assertEquals(parseRequest(write(fields)), mended(request));
  }));
});

/** An object as JSON text, in which "__proto__" is a field like any other. */
function write(fields: [string, unknown][]): string {
  const members = fields.map(([name, value]) =>
    `${JSON.stringify(name)}:${JSON.stringify(value)}`
  );
  return `{${members.join(",")}}`;
}

/** Whether the parser returned something that it may return at all. */
function assertVerdict(text: string): void {
  const request = parseRequest(text);
  if (request === undefined) return;
  assertEquals(Object.getPrototypeOf(request), Object.prototype);
  if (request.type === "malformed") {
    assert(/^Invalid request: .+\.$/.test(request.message));
    return;
  }
  assertEquals(parseRequest(JSON.stringify(request)), request);
}

Deno.test("any text gets a verdict", () => {
  fc.assert(fc.property(texts, assertVerdict));
  // Parts of requests, put together at random.
  const tokens = fc.constantFrom(
    ...'{ } [ ] : , " \\ \\u "type" "hello" "message" "id" "x" 0 -1 1e400 null'
      .split(" "),
  );
  const broken = fc.array(tokens).map((parts) => parts.join(""));
  fc.assert(fc.property(broken, assertVerdict));
});

Deno.test("any JSON value gets a verdict, and only an object is a request", () => {
  const types = fc.constantFrom(...REQUEST_TYPES);
  const typed = fc.tuple(types, fc.object()).map((
    [type, fields],
  ) => ({ ...fields, type }));
  fc.assert(fc.property(fc.oneof(fc.jsonValue(), typed), (value) => {
    const text = JSON.stringify(value);
    assertVerdict(text);
    const isObject = text.startsWith("{");
    assertEquals(parseRequest(text) !== undefined, isObject);
  }));
});

Deno.test("nesting without end is refused, not fatal", () => {
  const deep = "[".repeat(1_000_000);
  assertEquals(parseRequest(deep), undefined);
  const closed = `{"type":"typing","x":${"[".repeat(5_000)}${
    "]".repeat(5_000)
  }}`;
  assertEquals(parseRequest(closed), { type: "typing" });
});

for (
  const [text, expected] of [
    ['{"__proto__":{"type":"typing"}}', "malformed"],
    ['{"type":"ping","__proto__":{"id":"x"}}', "ping"],
    ['{"type":"__proto__"}', "malformed"],
    ['{"type":"constructor"}', "malformed"],
    ['{"type":"toString"}', "malformed"],
    ['{"type":["typing"]}', "malformed"],
    [
      '{"type":"hello","since":{"__proto__":{"epoch":"e","seq":1}}}',
      "malformed",
    ],
    ['{"type":"hello","since":"constructor"}', "malformed"],
    ['{"type":"message","message":"x","id":{"length":1}}', "malformed"],
    ['{"type":"malformed"}', "malformed"],
  ] as const
) {
  Deno.test(`${text} is taken for ${expected}, and no prototype changes`, () => {
    const request = parseRequest(text);
    assertEquals(request?.type, expected);
    assertEquals("id" in (request ?? {}), false);
    assertEquals(Object.keys(Object.prototype), []);
  });
}

for (
  const [text, why] of [
    ["", "empty"],
    ["null", "null"],
    ["[]", "an array"],
    ['[{"type":"typing"}]', "an array"],
    ['"typing"', "a string"],
    ["1e400", "a number"],
    ["{'type':'typing'}", "not JSON"],
    ['{"type":"typing"}{"type":"typing"}', "two objects"],
  ] as const
) {
  Deno.test(`${JSON.stringify(text)} is no request, because it is ${why}`, () => {
    assertEquals(parseRequest(text), undefined);
  });
}

Deno.test("a malformed message is told apart by its id", () => {
  const request = parseRequest('{"type":"message","id":"7"}');
  assertEquals(request?.type === "malformed" && request.id, "7");
});

/** Text near a limit, of characters that take one to four bytes. */
const nearTexts = fc.oneof(
  texts,
  fc.string({
    unit: fc.constantFrom("a", "é", "€", "😀", "\ud83d", "\ude00"),
    size: "medium",
  }),
);

Deno.test("exceedsBytes counts as UTF-8 does", () => {
  fc.assert(fc.property(nearTexts, fc.integer(), (text, other) => {
    const bytes = new TextEncoder().encode(text).length;
    for (const max of [0, bytes - 1, bytes, bytes + 1, other]) {
      assertEquals(exceedsBytes(text, max), bytes > max);
    }
  }));
});

Deno.test("exceedsChars counts code points", () => {
  fc.assert(fc.property(nearTexts, fc.nat(), (text, other) => {
    const chars = Array.from(text).length;
    for (const max of [0, Math.max(0, chars - 1), chars, chars + 1, other]) {
      assertEquals(exceedsChars(text, max), chars > max);
    }
  }));
});

Deno.test("an address names a room of 1 to 32 small letters, digits and -", () => {
  const room = (query: string) => parseRoom(new URL(`ws://host/ws${query}`));
  assertEquals(room(""), DEFAULT_ROOM);
  assertEquals(room("?x=1"), DEFAULT_ROOM);
  for (const name of ["a", "-", "0", "physics-2", "a".repeat(32)]) {
    assertEquals(room(`?room=${name}`), name);
  }
  assertEquals(room("?room=a&room=B"), "a");
  assertEquals(room("?room=%61"), "a");
  for (
    const bad of ["", "A", "a_b", "a%0A", "a+b", "%C3%A9", "%", "%00"].concat(
      "a".repeat(33),
    )
  ) assertEquals(room(`?room=${bad}`), undefined);
});

Deno.test("any query gets a room's name or undefined", () => {
  fc.assert(fc.property(texts, (query) => {
    const url = new URL("ws://host/ws");
    url.search = query;
    assert(/^[a-z0-9-]{1,32}$/.test(parseRoom(url) ?? "none"));
  }));
});

Deno.test("close codes are ones that a server may send", () => {
  const codes = Object.values(CloseCode);
  assertEquals(new Set(codes).size, codes.length);
  // RFC 6455 section 7.4.1: these are never sent.
  const reserved = [1004, 1005, 1006, 1015];
  assertEquals(codes.filter((code) => reserved.includes(code)), []);
  assert(codes.every((code) => code >= 1000 && code < 5000));
});
