// static/asyncapi.json against the code: it is AsyncAPI 3, names every type,
// field, limit and close code, and its schemas judge requests as `parseRequest`
// does and hold for what a real server sends. `SEED=n` replays a run.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import specification from "npm:@asyncapi/specs@6.11.1/schemas/3.0.0-without-$id.json" with {
  type: "json",
};
import { Ajv } from "npm:ajv@8.20.0";
import fc from "npm:fast-check@4.10.2";
import { REMEMBERED_IDS } from "../../chat/store/store.ts";
import { MAX_NAME_CHARS } from "../../chat/protocol/names.ts";
import { presentedCode } from "../../chat/http/admission.ts";
import { defaultOptions } from "../../chat/options.ts";
import { CloseCode } from "../../chat/protocol/close_codes.ts";
import {
  DEFAULT_HISTORY,
  DEFAULT_ROOM,
  MAX_HISTORY,
  MAX_ID_CHARS,
  MAX_SEARCH_CHARS,
  parseRequest,
  parseRoom,
  type Request,
  SUBPROTOCOL,
} from "../../chat/protocol/requests.ts";
import {
  type ErrorCode,
  type ErrorEvent,
  type Limits,
  MAX_LISTED_MEMBERS,
  MAX_LISTED_ROOMS,
  MAX_OTHERS,
  SERVER_NAME,
  type ServerEvent,
} from "../../chat/protocol/events.ts";
import { MAX_SENT_BYTES } from "../../chat/protocol/frames.ts";
import { MAX_SEARCHED, MAX_SEARCHED_BYTES } from "../../chat/session/search.ts";
import { MAX_REFUSALS } from "../../chat/session/session.ts";
import { HELLO_TIMEOUT_MS } from "../../chat/session/v1.ts";
import { Client, startServer, STATIC, until } from "../support/harness.ts";
import { newSeed } from "../support/seed.ts";

fc.configureGlobal({ seed: newSeed(), numRuns: 1_000 });

// deno-lint-ignore no-explicit-any -- a document of many shapes
type Json = any;

const text = Deno.readTextFileSync(`${STATIC}/asyncapi.json`);
const api: Json = JSON.parse(text);
const { schemas, messages } = api.components;

const ajv = new Ajv({
  allowUnionTypes: true,
  formats: { "date-time": (text: string) => Number(new Date(text)) > 0 },
});
ajv.addVocabulary(Object.keys(api)).addSchema(api, "api");

/** What is wrong with `value`, by the schema at `path`; "" if nothing is. */
function problem(path: string, value: unknown): string {
  const validate = ajv.getSchema(`api#/${path}`);
  assert(validate, `no schema at ${path}`);
  return validate(value) ? "" : ajv.errorsText(validate.errors);
}

/** What a `$ref` of the document leads to. */
function follow({ $ref }: { $ref: string }): Json {
  assertStringIncludes($ref, "#/");
  const keys = $ref.slice(2).split("/");
  const found = keys.reduce((value, key) => value?.[key], api);
  assert(found, `${$ref} leads nowhere`);
  return found.$ref === undefined ? found : follow(found);
}

/** The types of the messages or schemas that are referred to. */
function typesOf(refs: { $ref: string }[]): string[] {
  return refs.map((ref) => {
    const { name, properties } = follow(ref);
    return name ?? properties.type.const;
  }).sort();
}

// The tables below are held complete by the type checker: a type, field or
// code that is added to the code, or taken away, does not compile here.

/** 1 for a field that is always there, 0 for one that may be missing. */
type Fields<T> = {
  // deno-lint-ignore ban-types -- the usual test for an optional field
  [K in keyof T]-?: {} extends Pick<T, K> ? 0 : 1;
};

const events: { [E in ServerEvent as E["type"]]: Fields<E> } = {
  welcome: {
    ...{ type: 1, sender: 1, author: 1, key: 1, room: 1, epoch: 1, seq: 1 },
    ...{ recovered: 1, members: 1, count: 1, limits: 1, listsRooms: 1 },
  },
  message: {
    ...{ type: 1, seq: 1, at: 1, sender: 1, author: 0, message: 1, id: 0 },
    ...{ replyTo: 0, deleted: 0 },
  },
  delete: { type: 1, at: 1, sender: 1, target: 1 },
  join: { type: 1, at: 1, sender: 1, others: 0, count: 1 },
  leave: { type: 1, at: 1, sender: 1, message: 1, count: 1 },
  rename: { type: 1, at: 1, sender: 1, name: 1 },
  typing: { type: 1, at: 1, sender: 1 },
  history: { type: 1, before: 1, messages: 1, more: 1 },
  found: { type: 1, text: 1, before: 0, messages: 1, more: 1, next: 0 },
  members: { type: 1, after: 1, members: 1, more: 1, count: 1 },
  rooms: { type: 1, rooms: 1, more: 1 },
  pong: { type: 1, id: 0 },
  error: { type: 1, sender: 1, code: 1, message: 1, id: 0, retryAfter: 0 },
};
const plainTypes: ServerEvent["type"][] = ["error", "leave", "message"];

const requests: { [R in Request as R["type"]]: Fields<R> } = {
  hello: { type: 1, name: 0, key: 0, since: 0, history: 0 },
  message: { type: 1, message: 1, id: 1, replyTo: 0 },
  delete: { type: 1, seq: 1 },
  history: { type: 1, before: 1, count: 0 },
  search: { type: 1, text: 1, before: 0 },
  members: { type: 1, after: 0 },
  rooms: { type: 1 },
  rename: { type: 1, name: 1 },
  typing: { type: 1 },
  ping: { type: 1, id: 0 },
};

const limits: Fields<Limits> = { message: 1, frame: 1, rate: 1, burst: 1 };

const errorCodes: Record<ErrorCode, 1> = {
  invalid: 1,
  too_long: 1,
  rate_limited: 1,
  busy: 1,
  log_unavailable: 1,
  name_invalid: 1,
  name_taken: 1,
  shutting_down: 1,
  restarting: 1,
  overloaded: 1,
};

/** A schema's fields, in the form of the tables. */
function fieldsOf(schema: Json): Record<string, number> {
  const names = Object.keys(schema.properties);
  return Object.fromEntries(
    names.map((name) => [name, Number(!!schema.required?.includes(name))]),
  );
}

Deno.test("the document is valid AsyncAPI 3.0", () => {
  assertEquals(api.asyncapi, "3.0.0");
  const metaAjv = new Ajv({ strict: false, validateFormats: false });
  const validate = metaAjv.compile(specification);
  assert(validate(api), metaAjv.errorsText(validate.errors));
});

Deno.test("every reference of the document leads somewhere", () => {
  const refs = [...text.matchAll(/"\$ref": "([^"]+)"/g)];
  assert(refs.length > 0);
  for (const [, $ref = ""] of refs) follow({ $ref });
});

Deno.test("the document is served as JSON", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.http}/asyncapi.json`);
  assertEquals(
    response.headers.get("content-type"),
    "application/json; charset=utf-8",
  );
  assertEquals(await response.json(), api);
});

Deno.test("the document has the requests of the code, field by field", () => {
  const types = Object.keys(requests).sort();
  assertEquals(
    typesOf(api.operations.request.messages),
    types,
    "operations.request.messages in static/asyncapi.json",
  );
  for (const [type, fields] of Object.entries(requests)) {
    const { payload } = messages[type];
    assertEquals([payload.properties.type.const, fieldsOf(payload)], [
      type,
      fields,
    ]);
  }
  assertEquals(fieldsOf(schemas.position), { epoch: 1, seq: 1 });
});

Deno.test("the document has the events of the code, field by field", () => {
  const types = Object.keys(events).sort();
  assertEquals(typesOf(messages.frame.payload.items.oneOf), types);
  for (const [type, fields] of Object.entries(events)) {
    const schema = schemas[type];
    assertEquals([schema.properties.type.const, fieldsOf(schema)], [
      type,
      fields,
    ]);
  }
  assertEquals(fieldsOf(schemas.limits), limits);
  assertEquals(typesOf(api.operations.tellPlain.messages), plainTypes);
});

Deno.test("the document has the error codes of the code, each explained", () => {
  const { enum: codes, description } = schemas.error.properties.code;
  assertEquals(codes.toSorted(), Object.keys(errorCodes).sort());
  for (const code of codes) assertStringIncludes(description, `\`${code}\``);
});

Deno.test("the document has the close codes of the code", () => {
  const codes = Object.entries<Json>(api["x-close-codes"]);
  assertEquals(
    Object.fromEntries(codes.map(([code, { name }]) => [name, Number(code)])),
    CloseCode,
  );
});

Deno.test("the limits in the document are the constants of the code", () => {
  const { id, room, welcome, error, history, join, members } = schemas;
  assertEquals([id.minLength, id.maxLength], [1, MAX_ID_CHARS]);
  assertEquals(room.default, DEFAULT_ROOM);
  assertEquals(welcome.properties.members.maxItems, MAX_LISTED_MEMBERS);
  assertEquals(members.properties.members.maxItems, MAX_LISTED_MEMBERS);
  assertEquals(schemas.rooms.properties.rooms.maxItems, MAX_LISTED_ROOMS);
  assertEquals(join.properties.others.maxItems, MAX_OTHERS);
  assertEquals(history.properties.messages.maxItems, MAX_HISTORY);
  assertEquals(error.properties.sender.const, SERVER_NAME);
  const { text } = messages.search.payload.properties;
  assertEquals([text.minLength, text.maxLength], [1, MAX_SEARCH_CHARS]);
  assertEquals(schemas.found.properties.messages.maxItems, MAX_SEARCHED);
  assertStringIncludes(
    messages.search.summary,
    `${MAX_SEARCHED.toLocaleString("en")} messages or about ` +
      `${MAX_SEARCHED_BYTES / 1024} KiB`,
  );
  const asked = [
    messages.hello.payload.properties.history,
    messages.history.payload.properties.count,
  ];
  for (const { minimum, maximum, default: byDefault } of asked) {
    assertEquals([minimum, maximum, byDefault], [
      0,
      MAX_HISTORY,
      DEFAULT_HISTORY,
    ]);
  }
  const { headers } = api.channels.v1.bindings.ws;
  assertEquals(headers.properties["Sec-WebSocket-Protocol"].const, SUBPROTOCOL);
  assertEquals(
    api.servers.local.host,
    `localhost:${defaultOptions().port}`,
  );
});

Deno.test("the numbers in the document's prose are the constants of the code", () => {
  const { description } = api.info;
  for (
    const words of [
      `within ${HELLO_TIMEOUT_MS / 1000} seconds`,
      `the newest ${REMEMBERED_IDS} ids`,
      `at most ${MAX_SENT_BYTES / 1024} KiB`,
      `${MAX_REFUSALS} refusals in a row`,
      `more than ${MAX_LISTED_MEMBERS} people`,
      `with ${CloseCode.policy}`,
      `closes the connection with ${CloseCode.protocolError}`,
      `closes that one with ${CloseCode.takenOver}`,
    ]
  ) assertStringIncludes(description, words);
  assertStringIncludes(
    messages.hello.payload.properties.name.description,
    `1 to ${MAX_NAME_CHARS} letters`,
  );
});

Deno.test("every example of a message fits its schema", () => {
  for (const [key, { examples }] of Object.entries<Json>(messages)) {
    assert(examples.length > 0, key);
    for (const { payload } of examples) {
      assertEquals(problem(`components/messages/${key}/payload`, payload), "");
    }
  }
});

Deno.test("every example of an event fits its schema", () => {
  for (const type of Object.keys(events)) {
    const [example] = schemas[type].examples;
    assertEquals(problem(`components/schemas/${type}`, example), "");
    assertEquals(problem("components/messages/frame/payload", [example]), "");
  }
});

Deno.test("every example of a request is read as it is", () => {
  for (const type of Object.keys(requests)) {
    const [{ payload }] = messages[type].examples;
    assertEquals<unknown>(parseRequest(JSON.stringify(payload)), payload);
  }
});

Deno.test("an event without one of its fields does not fit its schema", () => {
  for (const type of Object.keys(events)) {
    const { required, examples: [example] } = schemas[type];
    for (const field of required) {
      const { [field]: _, ...rest } = example;
      assert(problem(`components/schemas/${type}`, rest), `${type} ${field}`);
    }
    const more = { ...example, fromTheFuture: 1 };
    assertEquals(problem(`components/schemas/${type}`, more), "");
  }
});

/** Keeps every frame that a client gets, and the types of their events. */
function record(client: Client) {
  const frames: unknown[] = [];
  const types = new Set<string>();
  client.socket.addEventListener("message", ({ data }) => {
    frames.push(JSON.parse(data));
    for (const { type } of [frames.at(-1)].flat() as ServerEvent[]) {
      types.add(type);
    }
  });
  return { frames, types };
}

Deno.test("all that a real server sends in either dialect fits the schemas", async () => {
  // Time stands still, so that the ninth message is one too many.
  const limits = { maxMessage: 40, burst: 8, listRooms: true };
  await using server = await startServer(limits, { monotonic: () => 1 });
  await using plain = await Client.open(server.ws);
  const heardPlain = record(plain);
  await plain.say("first");
  await using ada = await Client.open(server.ws, { protocols: [SUBPROTOCOL] });
  const heard = record(ada);
  ada.request({ type: "hello", name: "Ada" });
  const { epoch } = await ada.nextOf("welcome");
  {
    const since = { epoch, seq: 0 };
    await using bob = await Client.join(server.ws, { name: "ada", since });
    assertEquals(bob.welcome.recovered, true);
    bob.request({ type: "typing" });
    bob.request({ type: "rename", name: "Bob" });
    bob.request({ type: "message", message: "\ud800 \u2028 </b>", id: "1" });
    await ada.messagesUpTo("\ufffd \u2028 </b>");
    await bob.nextOf("rename");
  }
  ada.request({ type: "ping", id: "p" });
  ada.request({ type: "ping" });
  ada.request({ type: "history", before: 3 });
  ada.request({ type: "search", text: "FIRST" });
  ada.request({ type: "message", message: "oh", id: "oh" });
  const { seq } = (await ada.messagesUpTo("oh")).at(-1);
  ada.request({ type: "delete", seq });
  ada.request({ type: "members" });
  ada.request({ type: "rooms" });
  ada.send("{}");
  for (const client of [plain, ada]) {
    for (let i = 0; i < 10; i++) {
      const message = `${i}`.repeat(i === 0 ? 41 : 1);
      if (client === plain) client.send(message);
      else client.request({ type: "message", message, id: `${i}` });
    }
  }
  const isAll = ({ types }: typeof heard, expected: string[]) =>
    expected.every((type) => types.has(type));
  const heardErrors = ({ frames }: typeof heard) =>
    (frames.flat() as ErrorEvent[]).filter(({ code }) => code).length;
  await until(
    () =>
      isAll(heard, Object.keys(events)) && isAll(heardPlain, plainTypes) &&
      heardErrors(heard) > 2 && heardErrors(heardPlain) > 1,
    "every type of event",
  );
  for (const frame of heard.frames) {
    assertEquals(problem("components/messages/frame/payload", frame), "");
  }
  for (const event of heardPlain.frames as ServerEvent[]) {
    assert(plainTypes.includes(event.type));
    assertEquals(problem(`components/schemas/${event.type}`, event), "");
  }
  // The schemas let fields pass that a newer server may send; this one sends
  // none that they do not name.
  const sent = [...heard.frames.flat(), ...heardPlain.frames] as ServerEvent[];
  for (const event of sent) {
    const known = Object.keys(events[event.type]);
    assertEquals(Object.keys(event).filter((f) => !known.includes(f)), []);
  }
});

/** Values at the edges of what is allowed, and others. */
const edges = [
  ...["", "x", "__proto__", "\ud800", "welcome", ...Object.keys(requests)],
  ...[63, 64, 65, 100, 101].map((length) => "x".repeat(length)),
  ...[32, 33, 64, 65, 100, 101].map((length) => "😀".repeat(length)),
  ...[-1, -0, 0, 1, 1.5, MAX_HISTORY, MAX_HISTORY + 1],
  ...[2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 1e300, null, true, []],
];
const edge = fc.constantFrom<unknown[]>(...edges);
const value = fc.oneof(
  { weight: 9, arbitrary: edge },
  fc.record({ epoch: edge, seq: edge, ["__proto__"]: edge }, {
    requiredKeys: [],
  }),
  fc.record({ epoch: fc.string(), seq: edge }),
  fc.jsonValue({ maxDepth: 1 }),
);
const strangeNames = ["unknown", "", "__proto__", "constructor", "toString"];

/** A request of the document, without some fields and with some others. */
const nearlyRequests = fc.constantFrom(...Object.entries(requests)).chain((
  [type, ownFields],
) => {
  const names = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...Object.keys(ownFields)) },
    fc.constantFrom("epoch", "seq", "id", "message", ...strangeNames),
  );
  return fc.tuple(
    fc.constant(messages[type].examples[0].payload),
    fc.option(names, { freq: 3 }),
    fc.array(fc.tuple(names, value), { maxLength: 2 }),
  );
}).map(([example, dropped, changes]) => {
  const kept = Object.entries(example).filter(([name]) => name !== dropped);
  // Written by hand, so that "__proto__" is a field and names may be double.
  const members = [...kept, ...changes].map((pair) =>
    pair.map((part) => JSON.stringify(part)).join(":")
  );
  return `{${members.join(",")}}`;
});

/** Whether the schemas accept a request. */
function isAccepted(text: string): boolean {
  const value = JSON.parse(text);
  const { type } = value;
  if (!Object.keys(requests).includes(type)) return false;
  return !problem(`components/messages/${type}/payload`, value);
}

Deno.test("the schemas and the parser give the same verdict on any nearly right request", () => {
  const counts = { accepted: 0, refused: 0 };
  fc.assert(
    fc.property(nearlyRequests, (text) => {
      const request = parseRequest(text);
      assert(request, "an object is never undefined");
      const isRequest = request.type !== "malformed";
      counts[isRequest ? "accepted" : "refused"]++;
      assertEquals(isAccepted(text), isRequest);
    }),
    { numRuns: 20_000 },
  );
  // Otherwise the above says little.
  assert(counts.accepted > 2_000 && counts.refused > 2_000);
});

Deno.test("what the parser returns fits the schema of its request", () => {
  fc.assert(fc.property(nearlyRequests, (text) => {
    const request = parseRequest(text);
    if (request === undefined || request.type === "malformed") return;
    assert(isAccepted(JSON.stringify(request)));
    const known = Object.keys(requests[request.type]);
    assertEquals(Object.keys(request).filter((k) => !known.includes(k)), []);
  }));
});

Deno.test("the server reads an invitation where the document says", () => {
  const url = new URL("ws://localhost/ws?invite=cuckoo");
  assertEquals(presentedCode(new Headers(), url), "cuckoo");
  url.search = "";
  const headers = ["Bearer a", "bearer  a+b/c=", "Bearer", "Bearer a b", "a"];
  for (const authorization of headers) {
    const code = presentedCode(new Headers({ authorization }), url);
    const fits = problem("components/schemas/authorization", authorization);
    assertEquals(code !== undefined, fits === "", authorization);
  }
  for (const { bindings } of Object.values<Json>(api.channels)) {
    const { query, headers } = bindings.ws;
    assertEquals(Object.keys(query.properties), ["room", "invite"]);
    assert("Authorization" in headers.properties);
  }
});

Deno.test("the schema of a room's name accepts what parseRoom accepts", () => {
  const rooms = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(..."az09-"), maxLength: 34 }),
    fc.string({ unit: fc.constantFrom(..."aA0_- \n"), maxLength: 4 }),
  );
  fc.assert(fc.property(rooms, (room) => {
    const url = new URL("ws://localhost/ws");
    url.searchParams.set("room", room);
    const fits = problem("components/schemas/room", room) === "";
    assertEquals(parseRoom(url), fits ? room : undefined);
  }));
});
