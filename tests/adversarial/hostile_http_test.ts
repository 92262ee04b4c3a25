// What bad clients may write over HTTP: each case of hostile/http.ts is answered
// as it says, costs no one else anything, and puts no word in the server's log.
// Requests go over raw TCP, byte for byte.
import { assertEquals, assertMatch } from "@std/assert";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  Ended,
  hasNewHttp,
  RawClient,
  startServer,
  until,
} from "../support/harness.ts";
import { closes, GOES_ON, HANGS_UP, IS_CUT } from "./hostile/case.ts";
import { http, type HttpCase } from "./hostile/http.ts";

/** Asked for last on a connection that goes on. */
const LAST = "/the-end";

for (const tried of http) {
  const { what, rule } = tried;
  const { answers, ends } = {
    ...tried,
    ...!hasNewHttp && tried.older,
    ...Deno.version.deno.startsWith("2.6.") && tried.oldest,
  };
  Deno.test(`HTTP: ${what} (${rule}): ${answers.slice(0, 3)}, ${ends}`, async () => {
    await using server = await startServer({ rate: 0 });
    await using bystander = await Client.open(server.ws);
    await bystander.say("ready");
    using hush = new Hush();
    await play(server.port, { ...tried, answers, ends });
    using good = await RawClient.open(server.port);
    await good.write("GET /shared/base.css HTTP/1.1\r\nHost: a\r\n\r\n");
    assertEquals(await readAnswer(good), 200);
    // A handshake that was never completed is given up after 10 s.
    await until(() => server.connections.size === 1, "no one else", 15_000);
    await bystander.say("still here");
    assertEquals(hush.words, []);
  });
}

// Deno speaks HTTP/2 to whoever begins with its preface, also without TLS.
for (
  const [what, bytes] of [
    ["garbage", "\xff".repeat(500)],
    ["settings of 5 bytes", "\0\0\x05\x04\0\0\0\0\0abcde"],
    ["data on a stream that is not open", "\0\0\x01\0\0\0\0\0\x05x"],
    ["headers that are none", "\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff"],
  ] as const
) {
  Deno.test(`HTTP/2: ${what} (RFC 9113 5.4.1): GOAWAY`, async () => {
    await using server = await startServer();
    await using bystander = await Client.open(server.ws);
    using raw = await RawClient.open(server.port);
    await raw.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await raw.write(latin1(`\0\0\0\x04\0\0\0\0\0${bytes}`));
    const GOAWAY = 7;
    while (await readHttp2Frame(raw) !== GOAWAY);
    await bystander.say("still here");
  });
}

/** The type of the next frame (RFC 9113 section 4.1). */
async function readHttp2Frame(raw: RawClient): Promise<number> {
  const [high = 0, middle = 0, low = 0, type = 0] = await raw.read(9);
  await raw.read(high * 65_536 + middle * 256 + low);
  return type;
}

/** Keeps the words of the server's log to itself. */
class Hush implements Disposable {
  readonly words: string[] = [];
  readonly #error = console.error;

  constructor() {
    console.error = (...words) => this.words.push(words.join(" "));
  }

  [Symbol.dispose](): void {
    console.error = this.#error;
  }
}

async function play(port: number, tried: HttpCase): Promise<void> {
  const { send, chop = Infinity, answers, ends } = tried;
  using raw = await RawClient.open(port);
  const bytes = typeof send === "string" ? latin1(send) : send;
  // The server may hang up before it has read all.
  const writing = (async () => {
    for (let at = 0; at < bytes.length; at += chop) {
      await raw.write(bytes.subarray(at, at + chop));
    }
  })().catch(() => {});
  const isHead = typeof send === "string" && send.startsWith("HEAD");
  const statuses = [];
  for (const _ of answers) statuses.push(await readAnswer(raw, isHead));
  assertEquals(statuses, answers);
  await writing;
  if (ends === HANGS_UP) return;
  if (answers.at(-1) === 101) return await chat(raw, tried);
  if (ends === GOES_ON) {
    await raw.write(latin1(`GET ${LAST} HTTP/1.1\r\nHost: a\r\n\r\n`));
    assertEquals(await readAnswer(raw), 404);
  } else {
    assertEquals(await raw.readFrame(), undefined);
  }
}

/** Reads an answer and returns its status, or 0 at the end. */
async function readAnswer(raw: RawClient, isHead = false): Promise<number> {
  const answer = await raw.readAnswer().catch((error) => {
    if (!(error instanceof Ended)) throw error;
  });
  if (answer === undefined) return 0;
  const { head, status, field } = answer;
  assertMatch(head, /^HTTP\/1\.[01] \d{3} /);
  if (status === 101) {
    // The key of the RFC's own example, and nothing that was not asked for.
    assertEquals(field("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assertEquals(field("sec-websocket-extensions"), undefined);
    assertEquals(field("sec-websocket-protocol"), undefined);
    return status;
  }
  if (status === 100 || status === 304 || isHead) return status;
  const body = await raw.read(Number(field("content-length")));
  // What Deno refuses by itself has no words; a file has an ETag.
  if (body.length > 0 && field("etag") === undefined) {
    assertMatch(new TextDecoder().decode(body), /^[A-Z/].*\.\n$/s);
  }
  return status;
}

/** After 101: hears what it said, then speaks, or is let go. */
async function chat(raw: RawClient, { says = [], ends }: HttpCase) {
  const heard: string[] = [];
  let ending = IS_CUT;
  if (ends === GOES_ON) {
    await raw.write(frame(Opcode.text, LAST));
  }
  while (heard.at(-1) !== LAST) {
    const next = await raw.readFrame();
    if (next === undefined) break;
    const { opcode, payload } = next;
    const [high = 0, low = 0] = payload;
    if (opcode === Opcode.text) {
      heard.push(JSON.parse(new TextDecoder().decode(payload)).message);
    } else if (opcode === Opcode.close) {
      const reason = new TextDecoder().decode(payload.subarray(2));
      ending = closes(high * 256 + low, reason);
      await raw.write(frame(Opcode.close, payload)).catch(() => {});
    }
  }
  if (ends === GOES_ON) assertEquals(heard, [...says, LAST]);
  else assertEquals([heard, ending], [says, ends]);
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
