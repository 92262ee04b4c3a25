// The page about closes without a browser: it has a section for each close code and
// each status with which the server answers, and for no other; and the
// frames that are handed over to it are few, short and of the right shape.
import { assert, assertEquals } from "@std/assert";
import { MAX_WRONG_CODES_WAITING } from "../../chat/http/admission.ts";
import { defaultOptions } from "../../chat/options.ts";
import { CloseCode, DISCONNECTS } from "../../chat/protocol/close_codes.ts";
import { MAX_DRAW_BYTES } from "../../chat/protocol/requests.ts";
import { MAX_DRAWERS } from "../../chat/room/board.ts";
import { ANNOUNCED, NEWCOMERS_PER_SECOND } from "../../chat/room/identities.ts";
import { MAX_REFUSALS } from "../../chat/session/session.ts";
import { HELLO_TIMEOUT_MS } from "../../chat/session/v1.ts";
import { BODY_TIMEOUT_MS } from "../../chat/transport/http_requests.ts";
import { POLL_TIMEOUT_MS } from "../../chat/transport/poll_places.ts";
import { Memory } from "../../static/shared/storage.js";
import { LastFrames } from "../../static/shared/last_frames.js";
import { closePage, closeSections, textOf } from "../support/close_page.ts";

/** Sent by clients, or made up by their libraries. */
const NOT_THE_SERVERS = [1000, 1005, 1006];

/** Where the code says with which status it answers. */
const STATUS =
  /(?:HttpError\(|tooMany\(|\bstatus:|^ {2}[a-z_]+:)\s*([45]\d\d)\b/gm;

const codes = closeSections.map(({ id }) => Number(id)).filter(Number.isFinite);
const listFiles = (folder: URL): URL[] =>
  [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? listFiles(new URL(`${name}/`, folder))
      : [new URL(name, folder)]
  );
const sectionOf = (code: number) =>
  closeSections.find(({ id }) => id === String(code));

Deno.test("each close code has a section, and no other code has one", () => {
  assertEquals(
    codes.filter((code) => code >= 1000).sort(),
    [...Object.values(CloseCode), ...NOT_THE_SERVERS].sort(),
  );
});

Deno.test("each reason is explained in the section of its code, in its own words", () => {
  const explained = closeSections.flatMap(({ id, reasons }) =>
    Object.entries(reasons).map(([why, words]) => `${why}: ${id} ${words}`)
  );
  const all = Object.entries(DISCONNECTS).map(([why, [code, words]]) =>
    `${why}: ${code} ${words}`
  );
  assertEquals(explained.toSorted(), all.toSorted());
});

Deno.test("each status with which the server answers has a section, and no other has one", () => {
  const files = listFiles(new URL("../../chat/", import.meta.url));
  const statuses = files.filter(({ pathname }) => pathname.endsWith(".ts"))
    .flatMap((file) => [...Deno.readTextFileSync(file).matchAll(STATUS)])
    .map(([, status]) => Number(status));
  assertEquals(
    codes.filter((code) => code < 1000).sort(),
    [...new Set(statuses)].sort(),
  );
});

Deno.test("each section has the rule, what to change, and lines in three languages", () => {
  for (const { id, html, lines } of closeSections) {
    const languages = Object.keys(lines);
    if (Number.isFinite(Number(id))) {
      assert(html.includes("<b>The rule:</b>"), id);
      assert(html.includes("<b>What to change:</b>"), id);
      // What has to be done is the same for some, and stands in one place.
      if (languages.length === 0) assert(html.includes("#come-back"), id);
    }
    if (languages.length > 0) {
      assertEquals(languages, ["JavaScript", "Python", "Java"], id);
    }
  }
});

Deno.test("the contents of the page lead to each section, in order", () => {
  const [contents = ""] = /<nav class="contents"[^]*?<\/nav>/.exec(closePage) ??
    [];
  const targets = [...contents.matchAll(/href="#([^"]+)"/g)].map(([, id]) =>
    id
  );
  assertEquals(targets, closeSections.map(({ id }) => id));
  const ids = [...closePage.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
  assertEquals(ids.length, new Set(ids).size);
  for (const [, id] of closePage.matchAll(/href="#([^"]+)"/g)) {
    assert(ids.includes(id), id);
  }
});

Deno.test("the numbers on the page are those of the server", () => {
  const options = defaultOptions();
  const says = (code: number, words: string) => {
    const text = textOf(sectionOf(code)?.html ?? "").replaceAll(/\s+/g, " ");
    assert(text.includes(words), `${code}: ${words}`);
  };
  says(1001, `--idle-timeout (${options.idleTimeout} s)`);
  says(1002, `within ${HELLO_TIMEOUT_MS / 1000} seconds`);
  says(1008, `messages a second (${options.rate})`);
  says(1008, `--burst (${options.burst})`);
  says(1008, `${MAX_REFUSALS} messages in a row`);
  says(1009, `--max-frame bytes (${options.maxFrame})`);
  says(1009, `the drawing board ${MAX_DRAW_BYTES}`);
  says(1009, `/echo --send-limit (${options.sendLimit})`);
  says(1008, `--send-limit bytes (${options.sendLimit})`);
  says(1009, `--max-message (${options.maxMessage})`);
  says(1013, `--send-limit bytes (${options.sendLimit})`);
  says(1013, `${MAX_DRAWERS} clients draw`);
  says(1013, `${NEWCOMERS_PER_SECOND} a second`);
  says(1013, `${ANNOUNCED.burst} times at once`);
  says(408, `after ${BODY_TIMEOUT_MS / 1000} seconds`);
  says(410, `for ${POLL_TIMEOUT_MS / 1000} seconds`);
  says(413, `--max-frame bytes (${options.maxFrame})`);
  says(413, `--max-message characters (${options.maxMessage})`);
  says(429, `while ${MAX_WRONG_CODES_WAITING} other wrong ones`);
});

/** A store of a page, in memory. */
function newMemory(): Memory {
  const texts = new Map<string, string>();
  return new Memory({
    getItem: (key) => texts.get(key) ?? null,
    setItem: (key, text) => void texts.set(key, text),
    removeItem: (key) => void texts.delete(key),
  });
}

const frameOf = (connection: number, text: string, more = {}) => ({
  at: 1_000,
  connection,
  direction: "in",
  kind: "text",
  length: text.length,
  text,
  isCut: false,
  waiting: 0,
  ...more,
});

Deno.test("the last frames of a connection are handed over with its close code", () => {
  const memory = newMemory();
  const frames = new LastFrames(memory);
  for (let i = 0; i < 100; i++) frames.hear("frame", frameOf(1, `${i}`));
  frames.hear("frame", frameOf(2, "of another connection"));
  frames.hear("frame", frameOf(1, "x".repeat(1_000)));
  const close = { code: 1009, reason: "frame too large" };
  frames.hear("frame", frameOf(1, "", { kind: "close", close, hex: "03f1" }));
  frames.hear("closed", { connection: 1, code: 1009 });
  const kept = memory.lastFrames;
  assertEquals(kept.length, 12);
  assertEquals(kept[0]?.start, "90");
  assertEquals(kept.at(-2)?.start.length, 300);
  assertEquals(kept.at(-1)?.start, "1009 frame too large");
  assertEquals(new Set(kept.map(({ code }) => code)), new Set([1009]));
});

Deno.test("the key in a frame is not handed over", () => {
  const memory = newMemory();
  const frames = new LastFrames(memory);
  const hello = '{"type":"hello","key": "se\\"cret","name":"Ada"}';
  frames.hear("frame", frameOf(1, hello));
  frames.hear("closed", { connection: 1, code: 1002 });
  const [frame] = memory.lastFrames;
  assertEquals(frame?.start, hello.replace('se\\"cret', "********"));
  assertEquals(frame?.length, hello.length);
});

Deno.test("a connection that ends without a word is handed over as lost", () => {
  const memory = newMemory();
  const frames = new LastFrames(memory);
  frames.hear("frame", frameOf(1, "Hello"));
  frames.hear("closed", { connection: 1, code: 0 });
  assertEquals(memory.lastFrames.map(({ code, start }) => [code, start]), [
    [1006, "Hello"],
  ]);
});

Deno.test("the frames of a close stay until another one comes with the same code", () => {
  const memory = newMemory();
  const frames = new LastFrames(memory);
  const end = (connection: number, code: number) => {
    for (let i = 0; i < 20; i++) {
      frames.hear("frame", frameOf(connection, `${i}`));
    }
    frames.hear("closed", { connection, code });
  };
  for (const [i, code] of [1001, 1002, 1003, 1008, 1002].entries()) {
    end(i, code);
  }
  const counts = [1001, 1002, 1003, 1008].map((code) =>
    memory.lastFrames.filter((frame) => frame.code === code).length
  );
  assertEquals(counts, [12, 12, 12, 12]);
  end(6, 1013);
  assertEquals(memory.lastFrames.length, 48);
  assertEquals(memory.lastFrames.at(-1)?.code, 1013);
  assertEquals(memory.lastFrames[0]?.code, 1003);
});

Deno.test("by HTTP the code is the one that the server told before the end", () => {
  const memory = newMemory();
  const frames = new LastFrames(memory);
  frames.hear("frame", frameOf(1, "Hello"));
  frames.hear("closing", { connection: 1, code: 1012, reason: "" });
  frames.hear("closed", { connection: 1, code: 0 });
  assertEquals(memory.lastFrames.map(({ code }) => code), [1012]);
});

Deno.test("what is not a frame in the storage is dropped", () => {
  const memory = newMemory();
  const right = {
    code: 1009,
    at: 1,
    direction: "in",
    kind: "text",
    length: 1,
    start: "a",
  };
  const wrong = [
    null,
    {},
    "a",
    { ...right, code: "1009" },
    { ...right, code: 99 },
    { ...right, at: null },
    { ...right, direction: "up" },
    { ...right, kind: "ping" },
    { ...right, length: -0.5 },
    { ...right, start: 1 },
    { ...right, start: "a".repeat(401) },
  ];
  memory.set("frames", JSON.stringify([right, ...wrong]));
  assertEquals(memory.lastFrames.length, 1);
});
