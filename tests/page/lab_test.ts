// What the lab claims to know of the wire, against the wire: the mirror's count
// and what is derived, against bytes on a raw socket; each way's whole cost,
// against what a proxy saw; and that the lab keeps the server's limits.
import { assert, assertEquals } from "@std/assert";
import { frameHeaderBytes, utf8Bytes } from "../../static/shared/framing.js";
import {
  eventFramingBytes,
  handshakeBytes,
  responseHeadBytes,
} from "../../static/lab/bytes.js";
import { measureHeads } from "../../static/lab/heads.js";
import { Load, talkEveryMs } from "../../static/lab/load.js";
import { decades, percentile } from "../../static/lab/statistics.js";
import { joinWitness } from "../../static/lab/member.js";
import { summarize } from "../../static/lab/summary.js";
import { WAYS } from "../../static/lab/ways.js";
import { planGaps, shortestGapMs, work } from "../../static/lab/work.js";
import { Memory } from "../../static/shared/storage.js";
import { startBlockingProxy } from "../support/blocking_proxy.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  handshake,
  RawClient,
  startServer,
  until,
} from "../support/harness.ts";

Deno.test("the mirror tells how many bytes a request's head took, and no values", async () => {
  await using server = await startServer({ base: "/chat/" });
  using raw = await RawClient.open(server.port);
  for (const method of ["GET", "POST"]) {
    const head = `${method} /chat/lab/echo?x=1 HTTP/1.1\r\nHost: a\r\n` +
      "Authorization: secret\r\nX-Long: " + "long ".repeat(100).trim() +
      "\r\nContent-Length: 0\r\n\r\n";
    await raw.write(head);
    const length = /content-length: (\d+)/i.exec(await raw.readHead())?.[1];
    const body = await raw.readBody(Number(length));
    const { bytes, lines } = JSON.parse(body);
    assertEquals(bytes, head.length);
    assertEquals(Object.fromEntries(lines)["host"], "Host: a\r\n".length);
    assert(!body.includes("secret"));
  }
});

Deno.test("the mirror takes GET and POST, and answers a stream with an event", async () => {
  await using server = await startServer();
  const url = `${server.http}/lab/echo`;
  const refused = await fetch(url, { method: "DELETE" });
  assertEquals(refused.status, 405);
  assertEquals(refused.headers.get("allow"), "GET, POST");
  await refused.body?.cancel();
  const stream = await fetch(url, { headers: { accept: "text/event-stream" } });
  assertEquals(stream.headers.get("content-type"), "text/event-stream");
  const text = await stream.text();
  assert(text.startsWith('data: {"bytes":') && text.endsWith("}\n\n"), text);
});

Deno.test("a frame's header takes what RFC 6455 says", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = new Uint8Array(length);
    for (const masked of [true, false]) {
      const whole = frame(Opcode.text, payload, { masked });
      assertEquals(
        frameHeaderBytes(length, masked),
        whole.length - length,
        `${length} ${masked}`,
      );
    }
  }
});

Deno.test("the answer to a handshake takes as many bytes as derived", async () => {
  await using server = await startServer();
  using raw = await RawClient.open(server.port);
  await raw.write(handshake(server.port, "/ws", {
    "Sec-WebSocket-Protocol": "partyline.v1",
  }));
  const head = await raw.readHead();
  const derived = handshakeBytes(server.ws, server.http, []);
  assertEquals(derived.down, head.length);
});

Deno.test("an event of a stream takes as many bytes as derived", async () => {
  await using server = await startServer();
  await using client = await Client.join(server.ws);
  using raw = await RawClient.open(server.port);
  await raw.write("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await raw.readHead();
  const readChunk = async () => {
    let size = "";
    while (!size.endsWith("\r\n")) size += await raw.readBody(1);
    const text = await raw.readBody(parseInt(size, 16));
    await raw.readBody(2);
    return { text, bytes: size.length + utf8Bytes(text) + 2 };
  };
  const { epoch } = client.welcome;
  while (!(await readChunk()).text.includes("event: welcome")) continue;
  // Events of one turn share a chunk; a message can be with another's coming.
  for (let id = 0, isAlone = false; !isAlone; id++) {
    client.request({ type: "message", id: `${id}`, message: "to be counted" });
    let chunk = await readChunk();
    while (!chunk.text.includes(`"id":"${id}"`)) chunk = await readChunk();
    const data = [...chunk.text.matchAll(/^data: (.*)$/gm)];
    isAlone = data.length === 1;
    if (!isAlone) continue;
    const event = data[0]?.[1] ?? "";
    const derived = eventFramingBytes(event, epoch) + utf8Bytes(event);
    assertEquals(derived, chunk.bytes);
  }
});

for (const way of WAYS) {
  Deno.test(`${way.name}: the cost is what a proxy saw`, async () => {
    await using server = await startServer();
    await using proxy = startBlockingProxy(server.port);
    proxy.unblock();
    const url = `ws://127.0.0.1:${proxy.port}/ws?room=lab-test`;
    const { signal } = new AbortController();
    const heads = await measureHeads(`${proxy.http}/`, url, signal);
    const before = proxy.passedBytes;
    const gaps = [0, 0.5, 0.5, 0.5, 0.5];
    const { latencies, cost, problem } = await work(
      way,
      { url, heads, gaps, lagMs: 5, load: new Load(), witness: null, signal },
      () => {},
    );
    assertEquals(problem, null);
    assertEquals(latencies.length, gaps.length);
    // There and back.
    assert(latencies.every((ms) => ms >= 9), `${latencies}`);
    const seen = proxy.passedBytes - before;
    const counted = cost.framingBytes + cost.contentBytes;
    // A browser's handshake has headers that Deno's has not; and of what asks
    // by the clock, an answer may be under way at the end.
    const slack = way.id === "websocket" || way.id === "plain"
      ? 1_000
      : counted * 0.02 + 50;
    assert(
      Math.abs(seen - counted) <= slack,
      `${seen} seen, ${counted} counted`,
    );
    const { opens, posts, polls, pushes } = cost;
    assertEquals(opens, way.sendLagged || way.hearLagged ? 2 : 0);
    assertEquals(posts, way.id === "websocket" ? 0 : gaps.length);
    assertEquals(pushes > 0, opens > 0);
    const { openingBytes, framingBytes } = cost;
    assertEquals(openingBytes > 0, opens > 0);
    // What is left for each message is what the lesson says of frames.
    const frames = posts + pushes + gaps.length;
    if (way.id === "websocket") {
      assert(framingBytes - openingBytes <= 14 * frames);
    }
    assertEquals(polls > 0, opens === 0);
    // Long polls that were given up are not answered at once.
    for (const session of server.connections.keys()) {
      session.disconnect("server_fault");
    }
  });
}

Deno.test("a way that does not come through says why, and the others go on", async () => {
  await using server = await startServer({ invite: "cuckoo" });
  const { signal } = new AbortController();
  const heads = await measureHeads(`${server.http}/`, server.ws, signal);
  for (const way of WAYS) {
    const others = { load: new Load(), witness: null };
    const plan = {
      url: server.ws,
      heads,
      gaps: [1],
      lagMs: 0,
      signal,
      ...others,
    };
    const { problem, latencies } = await work(way, plan, () => {});
    assertEquals(problem, `${way.name} was cut off.`);
    assertEquals(latencies, []);
  }
});

Deno.test("a run that is stopped ends at once and keeps what it has", async () => {
  await using server = await startServer();
  const stopping = new AbortController();
  const { signal } = stopping;
  const heads = await measureHeads(`${server.http}/`, server.ws, signal);
  const [way] = WAYS;
  assert(way);
  const { problem, latencies } = await work(
    way,
    {
      url: server.ws,
      heads,
      gaps: [0, 0, 1_000_000],
      lagMs: 0,
      load: new Load(),
      witness: null,
      signal,
    },
    ({ latencies }) => {
      if (latencies.length === 2) stopping.abort();
    },
  );
  assertEquals([problem, latencies.length], ["Stopped.", 2]);
});

Deno.test("each way hears the same from the others, and its sending is told from its receiving", async () => {
  await using server = await startServer();
  const { signal } = new AbortController();
  const url = `${server.ws}?room=lab-test`;
  const heads = await measureHeads(`${server.http}/`, url, signal);
  const load = new Load();
  const witness = await joinWitness(url, heads, 0, signal);
  assertEquals(await load.join(3, url, signal), 3);
  const gaps = [1, 1, 1, 1];
  const plan = { url, heads, gaps, lagMs: 0, load, witness, signal };
  const heard = new Set<number>();
  for (const way of WAYS) {
    const result = await work(way, plan, () => {});
    assertEquals(result.problem, null, way.name);
    heard.add(result.heard);
    const { latencies, sendings, receivings } = result;
    assertEquals(sendings.length, gaps.length);
    for (const [i, ms] of latencies.entries()) {
      const sum = (sendings[i] ?? NaN) + (receivings[i] ?? NaN);
      assert(latencies.some((ms) => Math.abs(ms - sum) < 0.001), `${ms}`);
    }
  }
  assertEquals(heard.size, 1);
  // Two hear four messages, and of three others at least one in 600 ms.
  assert([...heard].every((count) => count >= 2 * (4 + 3)), `${[...heard]}`);
  load.leave();
  witness?.leave();
  await until(() => server.connections.size <= 4, "the end");
  for (const session of server.connections.keys()) {
    session.disconnect("server_fault");
  }
});

/** A result of which only these figures matter. */
function resultOf(
  i: number,
  latencies: number[],
  sendings: number[],
  receivings: number[],
) {
  const way = WAYS[i];
  assert(way);
  const cost = {
    opens: way.id === "long" ? 0 : 2,
    posts: 0,
    polls: 0,
    fullPolls: 0,
    pushes: 0,
    framingBytes: 100 * (i + 1),
    openingBytes: way.id === "long" ? 0 : 80,
    contentBytes: 0,
  };
  const heard = 2 * latencies.length;
  return { way, latencies, sendings, receivings, heard, cost, problem: null };
}

Deno.test("the summary says what the figures of the run say", () => {
  const socket = resultOf(0, [2], [2], [0]);
  const stream = resultOf(1, [6], [5], [1]);
  assertEquals(
    summarize([socket, stream, resultOf(2, [5], [5], [0.05])]),
    [
      "In this run half of the messages by WebSocket took 2.0 ms or less. " +
      "Long poll + POST took 3.0 ms longer and SSE + POST took 4.0 ms longer.",
      "To send a message by POST took 3.0 ms longer (SSE + POST) and 3.0 ms " +
      "longer (Long poll + POST) than to send it as a WebSocket frame.",
      "To receive it took 1.0 ms longer (SSE + POST) and no longer (Long poll " +
      "+ POST) than by WebSocket.",
      "For each message in the room WebSocket spent 100\u00a0B on headers and " +
      "framing (80\u00a0B of it to open 2 connections), and Long poll + POST " +
      "300\u00a0B.",
    ],
  );
  // Whatever was expected, the other way round it is said the other way round.
  const slow = resultOf(0, [9], [9], [0]);
  const [latency = "", sending = ""] = summarize([slow, stream]);
  assert(latency.includes("by SSE + POST took 6.0 ms or less"), latency);
  assert(sending.startsWith("To send a message by POST took no longer"));
  assertEquals(summarize([socket]), []);
  assertEquals(summarize([]), []);
});

Deno.test("the newest twelve runs are kept, and what is none is dropped", () => {
  const kept = new Map<string, string>();
  const memory = new Memory({
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => void kept.set(key, text),
    removeItem: (key) => void kept.delete(key),
  });
  const ways = [{ way: "SSE", medianMs: 1, slowestMs: 2, framingBytes: 3 }];
  const run = { count: 20, pace: 1, lagMs: 0, talkers: 0, ways };
  for (let i = 0; i < 20; i++) {
    memory.labRuns = [{ ...run, talkers: i }, ...memory.labRuns];
  }
  const talkers = memory.labRuns.map(({ talkers }) => talkers);
  assertEquals(talkers, [19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8]);
  const wrong = [
    null,
    { ...run, count: "20" },
    { ...run, ways: [] },
    { ...run, ways: Array(9).fill(ways[0]) },
    { ...run, ways: [{ ...ways[0], medianMs: null }] },
  ];
  kept.set("partyline.runs", JSON.stringify([...wrong, run]));
  assertEquals(memory.labRuns, [run]);
});

Deno.test("the lab keeps the server's limits, whatever they are", () => {
  for (const rate of [0.001, 0.5, 1, 3, 10, 50, 0]) {
    const allowed = rate === 0 ? Infinity : rate;
    assert(1_000 / shortestGapMs(rate) <= Math.min(allowed, 10), `${rate}`);
    assert(1_000 / talkEveryMs(rate) <= Math.min(allowed, 2), `${rate}`);
  }
  const gaps = planGaps(1_000, 10, Math.random);
  assert(gaps.every((gap) => gap >= 10 && gap < 30));
});

Deno.test("a percentile is one of the values, and the axis holds them all", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assertEquals(percentile(values, 50), 50);
  assertEquals(percentile(values, 99), 99);
  assertEquals(percentile([7], 50), 7);
  assertEquals(percentile([], 50), NaN);
  assertEquals(decades([]), [1, 10]);
  assertEquals(decades([0.3, 480]), [0.1, 1, 10, 100, 1_000]);
});

Deno.test("a head is counted as HTTP/1.1 writes it", () => {
  const response = new Response(null, {
    status: 204,
    statusText: "No Content",
    headers: { "x-a": "b" },
  });
  assertEquals(
    responseHeadBytes(response),
    "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n".length,
  );
});
