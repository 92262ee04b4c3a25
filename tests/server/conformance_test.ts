// What Deno does otherwise than RFC 6455, over raw TCP. The page
// docs/conformance has it by version; a test fails here when a release of Deno
// changes one of them, so that the page is renewed. Whether a client can do harm
// by it is tried in tests/adversarial/.
import { assert, assertEquals } from "@std/assert";
import { closeCode, frame, Opcode } from "../../chat/check/frames.ts";
import {
  handshake,
  RawClient,
  startServer,
  STATIC,
} from "../support/harness.ts";

const x = (count: number) => "x".repeat(count);

/** A close frame with code 1000, or another one, and a reason. */
const close = (reason: string, code = 1000) =>
  frame(
    Opcode.close,
    new Uint8Array([
      ...[code >> 8, code & 255],
      ...new TextEncoder().encode(reason),
    ]),
  );

/** What a client sends after the handshake, by the id of the page's row. */
const FRAMES: Record<string, Uint8Array> = {
  "long-close": close(x(124)),
  "long-pong": frame(Opcode.pong, x(126)),
  "unmasked": frame(Opcode.text, "bare", { masked: false }),
  "long-length": frame(Opcode.text, "x", { lengthBytes: 8 }),
  "later-code": close("", 1014),
  "reserved-bit": frame(Opcode.text, "x", { reserved: 4 }),
  "unknown-opcode": frame(3, "x"),
  "lone-continuation": frame(Opcode.continuation, "x"),
  "long-ping": frame(Opcode.ping, x(126)),
  "half-code": frame(Opcode.close, "x"),
  "not-utf-8": frame(Opcode.text, Uint8Array.of(0xff)),
};

/** Fields of a handshake that are allowed. */
const FIELDS: Record<string, Record<string, string>> = {
  "no-body": { "Content-Length": "0" },
};

/** What the server does with a frame, in the words of the page. */
async function answerTo(port: number, sent: Uint8Array): Promise<string> {
  using raw = await RawClient.upgrade(port);
  await raw.write(sent);
  // It may have hung up already.
  await raw.write(frame(Opcode.text, "after")).catch(() => {});
  while (true) {
    const next = await raw.readFrame();
    if (next === undefined) return "cuts the connection";
    const { opcode, payload } = next;
    if (opcode === Opcode.close) {
      const isEcho = payload.length > 0 && sent.length === payload.length + 8;
      return isEcho ? "sends it back" : `closes with ${closeCode(payload)}`;
    }
    const { message } = JSON.parse(new TextDecoder().decode(payload));
    if (message === "after") return "accepts it";
  }
}

async function statusOf(
  port: number,
  fields: Record<string, string>,
): Promise<string> {
  using raw = await RawClient.open(port);
  await raw.write(handshake(port, "/ws", fields));
  return `answers ${(await raw.readHead()).split(" ")[1]}`;
}

const page = Deno.readTextFileSync(`${STATIC}/docs/conformance.html`);

/** The versions of Deno on the page, the newest last. */
const versions = [...page.matchAll(/>Deno ([\d.]+)</g)].map(([, is]) => is);

/** What the page says of each version, by the id of the row. */
const rows = new Map(
  [...page.matchAll(/<tr id="([^"]+)">([^]*?)<\/tr>/g)].map((
    [, id = "", row = ""],
  ) => {
    const cells = [...row.matchAll(/<td>([^<]*)<\/td>/g)].map(([, it]) => it);
    return [id, cells.slice(-versions.length)];
  }),
);

/** What is to be expected of this version; of another one, of the newest. */
function expected(id: string): string | undefined {
  const column = versions.indexOf(Deno.version.deno);
  return rows.get(id)?.at(column);
}

const RENEW = "Deno does otherwise than docs/conformance.html says";

Deno.test("the page of conformance is served, and has a row for all that is tried", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.http}/docs/conformance`);
  assertEquals(await response.text(), page);
  assert(!page.includes("<script"), "it is read without JavaScript");
  assert(versions.length >= 3, "the versions were not found");
  const tried = [...Object.keys(FRAMES), ...Object.keys(FIELDS)];
  assertEquals([...rows.keys()], tried);
});

for (const [id, sent] of Object.entries(FRAMES)) {
  Deno.test(`Deno does with a frame of the kind ${id} what the page says`, async () => {
    await using server = await startServer();
    assertEquals(await answerTo(server.port, sent), expected(id), RENEW);
  });
}

for (const [id, fields] of Object.entries(FIELDS)) {
  Deno.test(`Deno does with a handshake of the kind ${id} what the page says`, async () => {
    await using server = await startServer();
    assertEquals(await statusOf(server.port, fields), expected(id), RENEW);
  });
}
