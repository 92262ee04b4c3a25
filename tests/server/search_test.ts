// Search in the kept history: which messages are found, how much one request looks
// through, what it costs, and what is refused; on every transport.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeFrame } from "../../static/client/protocol.js";
import { encodeDraft, encodeMessage } from "../../chat/protocol/events.ts";
import { MAX_SEARCH_CHARS } from "../../chat/protocol/requests.ts";
import {
  foldText,
  MAX_SEARCHED,
  MAX_SEARCHED_BYTES,
  search,
} from "../../chat/session/search.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import {
  Client,
  range,
  startServer,
  until,
  type WireEvent,
} from "../support/harness.ts";

const seqs = (messages: WireEvent[]) => messages.map(({ seq }) => seq);

/** Says these, each with its number as its id, and waits for the last one. */
async function say(client: Client, texts: string[]) {
  texts.forEach((message, i) =>
    client.request({ type: "message", message, id: `${i}` })
  );
  for (const _ of texts) await client.nextOf("message");
}

async function find(client: Client, text: string, before?: number) {
  const from = before === undefined ? {} : { before };
  client.request({ type: "search", text, ...from });
  return await client.nextOf("found");
}

Deno.test("a search finds the messages that contain the text, the oldest first", async () => {
  await using server = await startServer({ rate: 0 });
  await using ada = await Client.join(server.ws);
  await say(ada, ["the homework", "HomeWork!", "hello", "no home, work"]);
  const { messages, ...rest } = await find(ada, "homework");
  assertEquals(rest, { type: "found", text: "homework", more: false });
  assertEquals(seqs(messages), [1, 2]);
  ada.request({ type: "history", before: 3 });
  assertEquals(messages, (await ada.nextOf("history")).messages);
  const earlier = await find(ada, "homework", 2);
  assertEquals([earlier.before, seqs(earlier.messages)], [2, [1]]);
  assertEquals((await find(ada, "homework", 0)).messages, []);
  assertEquals((await find(ada, ".*")).messages, []);
});

Deno.test("neither a name nor an id is what a search looks at", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  ada.request({ type: "message", message: "hello", id: "needle" });
  await ada.nextOf("message");
  for (const text of ["Ada", "needle", "message", '"']) {
    assertEquals((await find(ada, text)).messages, [], text);
  }
});

for (
  const [said, asked] of [
    ["Straße", "STRASSE"],
    ["GROẞ", "groß"],
    ["ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"],
    ["σας", "ΣΑΣ"],
    ["caf\u00e9", "CAFE\u0301"],
    ["cafe\u0301", "caf\u00e9"],
    ["İstanbul", "i̇stanbul"],
    ["日本語", "本"],
  ] as const
) {
  Deno.test(`"${asked}" is found in "${said}"`, () => {
    const draft = encodeDraft({ at: "", sender: "a", message: `x ${said} x` });
    assertEquals(search([encodeMessage(1, draft)], asked).length, 1);
  });
}

Deno.test("a heap of marks is not put in order, which would take 20 times as long", () => {
  // Below the letter, and above it: NFC puts those below first.
  const marks = (pairs: number) => `a${"\u0301\u0323".repeat(pairs)}`;
  assert(foldText(marks(1)) !== marks(1).toUpperCase());
  assertEquals(foldText(marks(2)), marks(2).toUpperCase());
});

Deno.test("one request looks through so many messages, and the next goes on before them", async () => {
  await using server = await startServer({ rate: 0, historyRate: 0 });
  await using ada = await Client.join(server.ws);
  const texts = range(1, 2 * MAX_SEARCHED + 1).map(String);
  await say(ada, ["needle", ...texts, "needle"]);
  const all = texts.length + 2;
  const first = await find(ada, "NEEDLE");
  assertEquals(seqs(first.messages), [all]);
  assertEquals([first.more, first.next], [true, all - MAX_SEARCHED + 1]);
  const second = await find(ada, "needle", first.next);
  assertEquals([seqs(second.messages), second.more], [[], true]);
  const third = await find(ada, "needle", second.next);
  assertEquals([seqs(third.messages), third.more], [[1], false]);
  assertEquals("next" in third, false);
});

Deno.test("one request looks through so many bytes", async () => {
  await using server = await startServer({ rate: 0, historyRate: 0 });
  await using ada = await Client.join(server.ws);
  const count = 2 * Math.ceil(MAX_SEARCHED_BYTES / 4_000);
  await say(ada, range(1, count).map((n) => `${n} `.padEnd(4_000, "x")));
  const { more, next } = await find(ada, "needle");
  assertEquals(more, true);
  const looked = count + 1 - next;
  assert(looked > count / 3 && looked <= count / 2, `${looked} of ${count}`);
});

Deno.test("more is found than fits in a frame: the newest come, and the rest with the next request", async () => {
  await using server = await startServer({ rate: 0, historyRate: 0 });
  await using ada = await Client.join(server.ws);
  // Of two bytes each, where what is looked through is counted in characters.
  await say(ada, range(1, 20).map((n) => `${n} x`.padEnd(3_000, "ü")));
  const heard: number[] = [];
  let before: number | undefined;
  for (let pages = 1;; pages++) {
    const { messages, more, next } = await find(ada, "X", before);
    heard.unshift(...seqs(messages));
    if (!more) {
      assertEquals(pages, 4);
      break;
    }
    assertEquals(next, heard[0]);
    before = next;
  }
  assertEquals(heard, range(1, 20));
});

Deno.test("a search costs as much history as it looked through, whatever it found", async () => {
  const clock = { ms: 0 };
  await using server = await startServer(
    { rate: 0, historyRate: 64 },
    { monotonic: () => clock.ms },
  );
  await using author = await Client.open(server.ws);
  for (let i = 0; i < 20; i++) await author.say(`${i} `.padEnd(3_900));
  await using ada = await Client.join(server.ws, { history: 0 });
  // 32 KiB were left. Each takes 31 or more, so as much is owed: 470 ms at least.
  for (const _ of range(1, 2)) {
    assertEquals((await find(ada, "needle")).messages, []);
  }
  let isOver = false;
  const third = find(ada, "needle").then(() => isOver = true);
  clock.ms += 450;
  for (let i = 0; i < 5; i++) await get(`${server.http}/healthz`);
  assertEquals(isOver, false);
  clock.ms += 100;
  await until(() => isOver, "the third answer");
  await third;
});

for (
  const request of [
    {},
    { text: "" },
    { text: 5 },
    { text: "😀".repeat(MAX_SEARCH_CHARS + 1) },
    { text: "x", before: -1 },
    { text: "x", before: "9" },
  ]
) {
  const name = JSON.stringify(request).slice(0, 40);
  Deno.test(`a search with ${name} is refused, and the error says what to send`, async () => {
    await using server = await startServer();
    await using ada = await Client.join(server.ws);
    ada.send(JSON.stringify({ type: "search", ...request }));
    const { code, message } = await ada.nextOf("error");
    assertEquals(code, "invalid");
    assertMatch(
      message,
      "before" in request
        ? /"before" must be a seq/
        : /"text" must be a string of 1 to 100 characters/,
    );
    await find(ada, "x");
  });
}

Deno.test("searches have the rate of requests", async () => {
  await using server = await startServer({ burst: 2 }, { monotonic: () => 1 });
  await using ada = await Client.join(server.ws);
  await find(ada, "a");
  await find(ada, "b");
  ada.request({ type: "search", text: "c" });
  assertEquals((await ada.nextOf("error")).code, "rate_limited");
});

Deno.test("a search that is posted is answered by SSE and by long poll", async () => {
  await using server = await startServer();
  const http = `${server.http}/messages`;
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ type: "search", text: "HI" });
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const { key } = (await stream.next("welcome")).data;
  await post(`${http}?key=${key}`, "hi there");
  const { status } = await post(`${http}?key=${key}`, body, headers);
  assertEquals(status, 202);
  const { data } = await stream.next("found");
  assertEquals(seqs(data.messages), [1]);
  const [welcome] = (await get(http)).body;
  const poll = `${http}?key=${welcome.key}`;
  assertEquals((await post(poll, body, headers)).status, 202);
  const since = `${welcome.epoch}:${welcome.seq}`;
  let found: WireEvent;
  while (found === undefined) {
    const answer = await get(`${poll}&since=${since}&wait=5`);
    found = answer.body.find(({ type }: WireEvent) => type === "found");
  }
  assertEquals(found, data);
});

Deno.test("the page reads what was found", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  await say(ada, ["hi"]);
  const found = await find(ada, "hi");
  const [read] = decodeFrame(JSON.stringify([found]), new Date());
  assert(read?.type === "found");
  assertEquals([read.text, read.more, read.next], ["hi", false, null]);
  assertEquals(seqs(read.messages), [1]);
});
