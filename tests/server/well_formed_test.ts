// Half of a surrogate pair, which JSON can hold as an escape and UTF-8 cannot,
// is sent by every way in. What comes out, by every way, is text that a strict
// client can read; also what an older version of the server has stored.
import { assert, assertEquals } from "@std/assert";
import { encodeDraft } from "../../chat/protocol/events.ts";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { SqliteArchive } from "../../chat/store/sqlite.ts";
import {
  Client,
  Inbox,
  newContext,
  soon,
  startServer,
  type TestServer,
} from "../support/harness.ts";
import { TextReader } from "../support/text_reader.ts";

/** Reads JSON as strict clients do: every string in it has to be text. */
function strict(json: string) {
  return JSON.parse(json, (key, value) => {
    assert(key.isWellFormed(), json);
    assert(typeof value !== "string" || value.isWellFormed(), json);
    return value;
  });
}

/** All that a WebSocket client is sent, as it came. */
class Strict implements AsyncDisposable {
  readonly #events = new Inbox<ReturnType<typeof strict>>();
  readonly #closed: Promise<unknown>;
  #fault: unknown;

  private constructor(readonly socket: WebSocket) {
    socket.onmessage = ({ data }) => {
      try {
        for (const event of [strict(data)].flat()) this.#events.put(event);
      } catch (error) {
        this.#fault ??= error;
      }
    };
    this.#closed = new Promise((resolve) => socket.onclose = resolve);
  }

  static async open(url: string, ...said: string[]) {
    const isPlain = said.length === 0;
    const client = new Strict(new WebSocket(url, isPlain ? [] : [SUBPROTOCOL]));
    await soon(
      new Promise((resolve) => client.socket.onopen = resolve),
      "a connection",
    );
    for (const text of said) client.socket.send(text);
    return client;
  }

  async next(type: string) {
    while (true) {
      const event = await this.#events.take(`${type}, after ${this.#fault}`);
      if (event.type === type) return event;
    }
  }

  async [Symbol.asyncDispose]() {
    this.socket.close();
    await soon(this.#closed, "its end");
    if (this.#fault !== undefined) throw this.#fault;
  }
}

const HALVES = [
  String.raw`\ud83d`,
  String.raw`\uDE00`,
  String.raw`\ude00\ud83d`,
];

for (const half of HALVES) {
  const whole = JSON.parse(`"${half}"`).toWellFormed();

  Deno.test(`${half} in any text of a frame comes out as U+FFFD`, async () => {
    await using server = await startServer({ rate: 0 });
    await using plain = await Strict.open(server.ws);
    await using ann = await Strict.open(server.ws, '{"type":"hello"}');
    await ann.next("welcome");
    await using bob = await Strict.open(
      server.ws,
      `{"type":"hello","name":"B${half}","key":"${half}.x",` +
        `"since":{"epoch":"${half}","seq":1}}`,
    );
    const { sender } = await bob.next("welcome");
    assertEquals((await bob.next("error")).code, "name_invalid");
    bob.socket.send(
      `{"type":"message","message":"a${half}b","id":"${half}","${half}":1}`,
    );
    for (const client of [ann, bob, plain]) {
      const { message, id } = await client.next("message");
      assertEquals([message, id], [`a${whole}b`, whole]);
    }
    bob.socket.send(`{"type":"ping","id":"p${half}"}`);
    assertEquals((await bob.next("pong")).id, `p${whole}`);
    bob.socket.send(`{"type":"rename","name":"${half}"}`);
    assertEquals((await bob.next("error")).code, "name_invalid");
    bob.socket.send(`{"type":"message","message":7,"id":"${half}"}`);
    assertEquals((await bob.next("error")).id, whole);
    bob.socket.send(
      `{"type":"message","message":"${"x".repeat(4_001)}",` +
        `"id":"${half}"}`,
    );
    assertEquals((await bob.next("error")).code, "too_long");
    bob.socket.send(`{"type":"${half}"}`);
    assertEquals((await bob.next("error")).code, "invalid");
    bob.socket.send('{"type":"typing"}');
    assertEquals((await ann.next("typing")).sender, sender);
    bob.socket.send('{"type":"history","before":9}');
    const { messages } = await bob.next("history");
    assertEquals(messages[0].message, `a${whole}b`);
    // In the plain dialect the same letters are no escape.
    plain.socket.send(half);
    for (const client of [ann, bob, plain]) {
      assertEquals((await client.next("message")).message, half);
    }
  });

  Deno.test(`${half} in a POST and in an address comes out as U+FFFD`, async () => {
    await using server = await startServer({ rate: 0 });
    await using ann = await Strict.open(server.ws, '{"type":"hello"}');
    await ann.next("welcome");
    // The same half as bytes, which no UTF-8 has either.
    for (
      const query of ["name=%ED%A0%BD", "line=%ED%A0%BD", "key=%ED%A0%BD.x"]
    ) {
      const stream = await fetch(`${server.http}/events?${query}`);
      await stream.body?.cancel();
      const [welcome] = strict(await text(`${server.http}/messages?${query}`));
      assertEquals(welcome.type, "welcome");
    }
    const body = `{"type":"message","message":"${half}","id":"${half}"}`;
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", body, headers };
    const { key, event } = strict(await text(`${server.http}/messages`, init));
    assertEquals([event.message, event.id], [whole, whole]);
    assertEquals((await ann.next("message")).message, whole);
    // Sent again it is known.
    const again = await text(`${server.http}/messages?key=${key}`, init);
    assertEquals(strict(again), { key, event });
    const history = strict(await text(`${server.http}/messages`));
    assertEquals(
      history.find(({ id }: { id?: string }) => id === whole),
      event,
    );
    const cesu = new Uint8Array([0xed, 0xa0, 0xbd]);
    const refused = await fetch(`${server.http}/messages`, {
      method: "POST",
      body: cesu,
    });
    assertEquals([refused.status, await refused.text()], [
      400,
      "The body was not complete, or not UTF-8.\n",
    ]);
  });
}

async function text(url: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url, init);
  const bytes = await response.arrayBuffer();
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

Deno.test("a record of the X-ray that is cut inside an emoji ends before it", async () => {
  await using server = await startServer({ moderator: "otter-school-7" });
  await using ann = await Client.join(server.ws);
  const url = `${server.http}/x-ray/events?moderator=otter-school-7`;
  const overview = await fetch(url);
  const one = await fetch(`${url}&connection=1`);
  const events = new TextReader(one.body);
  // For one of two lengths any limit is inside a pair.
  for (const start of ["", "x"]) {
    const message = start + "😀".repeat(900);
    ann.request({ type: "message", message, id: start + "1" });
    // One after the other: of one turn there would be one record.
    await ann.messagesUpTo(message);
  }
  const record = await events.until(/("isCut":true[^]*){4}/);
  assert(!record.includes("\ufffd"), record);
  for (const line of record.matchAll(/^data: (.*)$/gm)) strict(line[1] ?? "");
  await events.cancel();
  await overview.body?.cancel();
});

/** A file as the version before left it: the halves are in it as escapes. */
async function writeOldFile(path: string) {
  const archive = new SqliteArchive(path, 100, {
    ...newContext(),
    uptime: Deno.osUptime,
  });
  const ann = await archive.register("Ann");
  const identity = ann?.id ?? "";
  const draft = (message: string, id: string) => {
    const text = encodeDraft({ at: "", sender: "Ann", message, id });
    return { kind: "message", text, identity, id } as const;
  };
  const halves = ["\ud83d", "\\ud83d", "a\ude00\\", "😀"];
  await archive.append("lobby", halves.map((half) => draft(half, half)));
  await archive.append("lobby", [draft("last \ud83d", "last")]);
  archive.close();
  return ann?.key ?? "";
}

const READ = ["\ufffd", "\\ud83d", "a\ufffd\\", "😀", "last \ufffd"];

Deno.test("history that an older version stored with halves of pairs is served as text", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const data = `${folder}/old.db`;
    const key = await writeOldFile(data);
    await using server = await startServer({ data });
    const said = (events: { type: string; message?: string }[]) =>
      events.filter(({ type }) => type === "message")
        .map(({ message }) => message);
    const [welcome, ...events] = strict(await text(`${server.http}/messages`));
    assertEquals(said(events), READ);
    const since = `since=${welcome.epoch}:0`;
    assertEquals(await streamed(server, since, READ.length), READ);
    await using ann = await Strict.open(
      server.ws,
      `{"type":"hello","history":0,"key":"${key}"}`,
    );
    await ann.next("welcome");
    ann.socket.send('{"type":"history","before":6}');
    assertEquals(said((await ann.next("history")).messages), READ);
    // What was stored under its id comes back as it is read now.
    ann.socket.send('{"type":"message","message":"other","id":"last"}');
    assertEquals((await ann.next("message")).message, "last \ufffd");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The first messages of a stream. */
async function streamed({ http }: TestServer, query: string, count: number) {
  const { body } = await fetch(`${http}/events?${query}`);
  const events = new TextReader(body);
  const all = await events.until(
    new RegExp(`(^id: .*\ndata: .*\n\n[^]*){${count}}`, "m"),
  );
  await events.cancel();
  return [...all.matchAll(/^id: .*\ndata: (.*)\n\n/gm)]
    .map(([, data]) => strict(data ?? "").message);
}
