// What /healthz and /metrics tell: the truth at that moment, in the form that
// Prometheus reads, and metrics to nobody outside this machine.
import { once } from "node:events";
import http2 from "node:http2";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { StoreError } from "../../chat/store/store.ts";
import { MemoryArchive } from "../../chat/store/memory.ts";
import {
  Client,
  isOldest,
  newContext,
  RawClient,
  request,
  soon,
  startServer,
  until,
} from "../support/harness.ts";

/** The samples of a scrape, by name and labels. */
async function scrape(http: string): Promise<Map<string, number>> {
  const response = await fetch(`${http}/metrics`);
  assertEquals(response.status, 200);
  const text = await response.text();
  return new Map(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
  );
}

Deno.test("/metrics is the text format of Prometheus", async () => {
  await using server = await startServer();
  await using client = await Client.open(server.ws);
  await client.say("hi");
  const response = await fetch(`${server.http}/metrics`);
  assertEquals(
    response.headers.get("content-type"),
    "text/plain; version=0.0.4; charset=utf-8",
  );
  const text = await response.text();
  assert(text.endsWith("\n"));
  const typed = new Map<string, string>();
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type?.[1] && type[2]) {
      assert(!typed.has(type[1]), `${type[1]} is told twice`);
      typed.set(type[1], type[2]);
      continue;
    }
    if (/^# HELP \S+ \S.*\.$/.test(line)) continue;
    const sample =
      /^([a-z][a-z0-9_]*)(\{[a-z]+="[^"\\\n]*"\})? (\d+(\.\d+)?(e[+-]\d+)?)$/
        .exec(line);
    const name = sample?.[1] ?? "";
    const base = name.replace(/_(bucket|sum|count)$/, "");
    assert(typed.has(name) || typed.get(base) === "histogram", line);
    assertEquals(typed.get(name) === "counter", name.endsWith("_total"), line);
  }
});

Deno.test("metrics count what happened and read what is", async () => {
  await using server = await startServer({ maxMessage: 10 });
  await using a = await Client.open(server.ws);
  await using b = await Client.open(`${server.ws}?room=other`);
  await a.say("one");
  await a.say("two");
  await b.say("three");
  a.send("longer than ten characters");
  await a.next();
  b.send("x".repeat(70_000));
  await soon(b.closed, "the close");
  await until(() => server.connections.size === 1, "one is gone");
  await (await fetch(`${server.http}/ws`)).body?.cancel();
  const samples = await scrape(server.http);
  const values = (...names: string[]) => names.map((name) => samples.get(name));
  assertEquals(
    values(
      "partyline_messages_total",
      'partyline_handshakes_total{status="101"}',
      'partyline_handshakes_total{status="426"}',
      'partyline_refusals_total{code="too_long"}',
      'partyline_evictions_total{reason="frame_too_large"}',
      "partyline_connections",
      "partyline_members",
      "partyline_rooms",
      "partyline_log_writable",
      "partyline_send_buffer_bytes",
    ),
    [3, 2, 1, 1, 1, 1, 1, 1, 1, 0],
  );
  assertEquals(
    samples.get("partyline_turn_seconds_count"),
    samples.get('partyline_turn_seconds_bucket{le="+Inf"}'),
  );
  assert((samples.get("partyline_turn_seconds_count") ?? 0) >= 3);
  assert((samples.get("process_resident_memory_bytes") ?? 0) > 1e6);
});

/** Not by `fetch`, which sets `Host` itself. */
async function statusOfMetrics(port: number, headers: Record<string, string>) {
  using raw = await RawClient.open(port);
  const fields = { host: `localhost:${port}`, ...headers };
  await raw.write(request("/metrics", fields));
  return (await raw.readAnswer()).status;
}

Deno.test("/metrics says to others why it is not for them", async () => {
  await using server = await startServer();
  const headers = { via: "1.1 proxy" };
  const response = await fetch(`${server.http}/metrics`, { headers });
  assertEquals(response.status, 403);
  assertMatch(await response.text(), /own machine.*--public-metrics/);
});

for (
  const [what, headers] of [
    ["passed on by a proxy", { "x-forwarded-for": "192.0.2.1" }],
    ["passed on by a proxy that says so otherwise", { forwarded: "for=_x" }],
    ["for another host", { host: "chat.example.org" }],
  ] as const
) {
  Deno.test(`/metrics is 403 for a request ${what}`, async () => {
    await using server = await startServer();
    assertEquals(await statusOfMetrics(server.port, headers), 403);
  });

  Deno.test(`--public-metrics answers a request ${what}`, async () => {
    await using server = await startServer({ publicMetrics: true });
    assertEquals(await statusOfMetrics(server.port, headers), 200);
  });
}

// Deno 2.6 does not tell the name that HTTP/2 asks for.
Deno.test(
  "by HTTP/2 /metrics is for this machine by the host of the target, whatever Host says",
  {
    ignore: isOldest,
  },
  async () => {
    await using server = await startServer();
    const own = `localhost:${server.port}`;
    const asks: [
      authority: string,
      host: string | undefined,
      status: number,
    ][] = [
      [own, undefined, 200],
      [own, "chat.example.org", 403],
      ["chat.example.org", undefined, 403],
      ["chat.example.org", own, 403],
    ];
    for (const [authority, host, status] of asks) {
      const session = http2.connect(server.http);
      const stream = session.request({
        ":path": "/metrics",
        ":authority": authority,
        ...host !== undefined && { host },
      });
      const [answer] = await once(stream, "response");
      assertEquals(answer[":status"], status, `${authority} ${host}`);
      stream.resume();
      await once(stream, "close");
      session.close();
      await once(session, "close");
    }
  },
);

async function health(http: string) {
  const response = await fetch(`${http}/healthz`);
  return { status: response.status, body: await response.json() };
}

Deno.test("/healthz is 200 and ready when all is well", async () => {
  await using server = await startServer();
  assertEquals(await health(server.http), {
    status: 200,
    body: { status: "ready", log: "writable" },
  });
});

Deno.test("/healthz is 503 while the store fails, and the operator hears it once", async () => {
  const append = MemoryArchive.prototype.append;
  const lines: string[] = [];
  const context = newContext();
  context.logger.log = (_level, _event, message) => lines.push(message);
  await using server = await startServer({}, context);
  await using client = await Client.open(server.ws);
  try {
    MemoryArchive.prototype.append = () =>
      Promise.reject(new StoreError("no disk"));
    for (let i = 0; i < 3; i++) {
      client.send("hi");
      await client.next();
    }
    assertEquals(await health(server.http), {
      status: 503,
      body: { status: "failing", log: "failing" },
    });
  } finally {
    MemoryArchive.prototype.append = append;
  }
  await client.say("again");
  assertEquals((await health(server.http)).status, 200);
  assertEquals(lines, [
    "Messages cannot be stored: no disk",
    "Messages can be stored again.",
  ]);
});

Deno.test("/healthz is 503 and draining while a drain waits", async () => {
  await using server = await startServer();
  await using client = await Client.open(server.ws);
  await client.say("hi");
  const { promise, resolve } = Promise.withResolvers<void>();
  const [session] = server.connections.keys();
  assert(session);
  server.connections.get(session)?.then(resolve);
  const draining = server.drain(5_000);
  const { status, body } = await health(server.http);
  assertEquals([status, body.status], [503, "draining"]);
  await promise;
  await draining;
});
