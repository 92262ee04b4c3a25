// How much history a client may be given: so many bytes a second, whatever it is
// asked by, and however often its client comes again. The clock stands still where
// a test does not move it.
import { assertEquals, assertMatch } from "@std/assert";
import { MAX_WAITING_PAGES } from "../../chat/session/history_pager.ts";
import type { Options } from "../../chat/options.ts";
import { EventSourceClient, get } from "../support/http_clients.ts";
import {
  Client,
  soon,
  startServer,
  until,
  type WireEvent,
} from "../support/harness.ts";

/** A server whose clock stands, and in whose room 80 kB were said. */
async function newScene(changes: Partial<Options> = {}) {
  const clock = { ms: 0, looks: 0 };
  const server = await startServer(
    { rate: 0, historyRate: 64, ...changes },
    {
      monotonic: () => {
        clock.looks++;
        return clock.ms;
      },
    },
  );
  await using author = await Client.open(server.ws);
  for (let i = 0; i < 20; i++) await author.say(`${i} `.padEnd(4_000));
  return { server, clock };
}

/** The last message that was said in it. */
const LAST = "19 ".padEnd(4_000);

const texts = (events: WireEvent[]) =>
  events.filter(({ type }) => type === "message");

/** Begins to wait; whether it is over can be seen at any time. */
function watch<T>(promise: Promise<T>) {
  const watched = { promise, isOver: false };
  promise.then(() => watched.isOver = true, () => {});
  return watched;
}

/** Holds if it is still not over when the server has looked at the clock again. */
async function assertWaits(
  watched: { isOver: boolean },
  { server, clock }: Scene,
): Promise<void> {
  // What need not wait for the clock is over by then.
  for (let i = 0; i < 5; i++) await get(`${server.http}/healthz`);
  const { looks } = clock;
  const hasLooked = () => watched.isOver || clock.looks >= looks + 2;
  await until(hasLooked, "another look at the clock");
  assertEquals(watched.isOver, false);
}

type Scene = Awaited<ReturnType<typeof newScene>>;

Deno.test("a client that comes again with its key is not given more, by WebSocket, stream or poll", async () => {
  const { server, clock } = await newScene();
  await using _ = server;
  const first = await Client.join(server.ws);
  const { key, epoch } = first.welcome;
  await first[Symbol.asyncDispose]();
  // 32 KiB were left for it, so it owes 46 KiB, and then 78 KiB more each time.
  const since = { epoch, seq: 0 };
  const ways = [
    async () => {
      await using client = await Client.join(server.ws, { key, since });
      assertEquals((await client.messagesUpTo(LAST)).length, 20);
      return client.welcome.recovered;
    },
    async () => {
      const url = `${server.http}/events?key=${key}&since=${epoch}:0`;
      await using stream = await EventSourceClient.open(url);
      const { data: { recovered } } = await stream.next("welcome");
      for (let n = 1; n <= 20; n++) {
        assertEquals((await stream.next("message")).data.seq, n);
      }
      return recovered;
    },
    async () => {
      const url = `${server.http}/messages?key=${key}&since=${epoch}:0`;
      const { body: [welcome, ...events] } = await get(url);
      assertEquals(texts(events).length, 0);
      const { body } = await get(`${url}&wait=50`);
      assertEquals(texts(body).length, 20);
      return welcome.recovered;
    },
  ];
  for (const way of ways) {
    const recovered = watch(way());
    await assertWaits(recovered, { server, clock });
    clock.ms += 500;
    await assertWaits(recovered, { server, clock });
    clock.ms += 800;
    assertEquals(await soon(recovered.promise, "the history"), true);
  }
});

Deno.test("new clients of one network share what they may be given, and a member says nothing of it", async () => {
  const { server, clock } = await newScene();
  await using _ = server;
  await using member = await Client.join(server.ws, { history: 0 });
  await using stack = new AsyncDisposableStack();
  const few = { history: 18 };
  const come = async () => stack.use(await Client.join(server.ws, few));
  // Each on its own connection. Together they may be given 30 seconds' worth.
  for (let i = 0; i < 27; i++) await come();
  const next = watch((await come()).messagesUpTo(LAST));
  await assertWaits(next, { server, clock });
  member.request({ type: "message", message: "live", id: "1" });
  while ((await member.nextOf("message")).message !== "live");
  clock.ms += 1_000;
  await soon(next.promise, "the history");
});

Deno.test("pages of history wait until the client may be given them", async () => {
  const { server, clock } = await newScene();
  await using _ = server;
  await using client = await Client.join(server.ws, { history: 0 });
  const page = { type: "history", before: 21, count: 5 } as const;
  client.request(page);
  const { messages } = await client.nextOf("history");
  assertEquals(messages.length, 5);
  // A little is left, and then nothing.
  client.request(page);
  await client.nextOf("history");
  client.request(page);
  const next = watch(client.nextOf("history"));
  await assertWaits(next, { server, clock });
  clock.ms += 1_000;
  assertEquals((await soon(next.promise, "a page")).messages, messages);
});

Deno.test("a client that asks for more pages than may wait is told so, and stays", async () => {
  const { server, clock } = await newScene();
  await using _ = server;
  await using client = await Client.join(server.ws, { history: 0 });
  const page = { type: "history", before: 21, count: 20 } as const;
  for (let i = 0; i < MAX_WAITING_PAGES + 4; i++) client.request(page);
  const { code, retryAfter, message } = await client.nextOf("error");
  assertEquals([code, retryAfter], ["rate_limited", 1_000]);
  // The same for history and for names.
  assertMatch(message, /^You asked for too many pages at once/);
  for (let i = 0; i < MAX_WAITING_PAGES; i++) {
    clock.ms += 1_000;
    await client.nextOf("history");
  }
});

Deno.test("an answer to a poll is given again only so often", async () => {
  const { server, clock } = await newScene();
  await using _ = server;
  const { body: [{ key, epoch }] } = await get(
    `${server.http}/messages?history=0`,
  );
  await using author = await Client.open(server.ws);
  for (let i = 0; i < 20; i++) await author.say(`${i} `.padEnd(4_000));
  const url = `${server.http}/messages?key=${key}&wait=5&since=${epoch}:20`;
  // What is new, and the same again.
  for (let i = 0; i < 2; i++) {
    assertEquals(texts((await get(url)).body).length, 20);
  }
  const { status, body, retryAfter } = await get(url);
  assertEquals([status, retryAfter], [429, "1"]);
  assertMatch(body, /since/);
  clock.ms += 1_000;
  assertEquals(texts((await get(url)).body).length, 20);
});

Deno.test("what was said since a client came does not count as history", async () => {
  // A page has three of the messages.
  const { server, clock } = await newScene({ sendLimit: 64 * 1024 });
  await using _ = server;
  const away = await Client.join(server.ws, { history: 0 });
  const { key, epoch } = away.welcome;
  await away[Symbol.asyncDispose]();
  const since = { epoch, seq: 0 };
  await using client = await Client.join(server.ws, { key, since });
  const heard = watch((async () => {
    for (let seq = 1; seq <= 120; seq++) {
      assertEquals((await client.nextOf("message")).seq, seq);
    }
  })());
  await using author = await Client.open(server.ws);
  for (let i = 0; i < 100; i++) await author.say(`new ${i} `.padEnd(4_000));
  await assertWaits(heard, { server, clock });
  // Enough for the 80 kB that were said before, and not for the 400 kB.
  clock.ms += 800;
  await soon(heard.promise, "all messages");
});

Deno.test("a class of 60 comes in at once behind one address and one proxy", async () => {
  await using server = await startServer({
    rate: 0,
    trustProxy: ["127.0.0.1"],
  });
  {
    await using author = await Client.open(server.ws);
    for (let i = 0; i < 50; i++) await author.say(`${i} `.padEnd(200));
  }
  const headers = { "x-forwarded-for": "192.0.2.1" };
  const polls = Array.from({ length: 60 }, async () => {
    const response = await fetch(`${server.http}/messages`, { headers });
    return texts(await response.json()).length;
  });
  await using stack = new AsyncDisposableStack();
  const members = Array.from({ length: 60 }, async () => {
    const client = await Client.join(server.ws, {}, { headers });
    stack.use(client);
    return (await client.messagesUpTo(`${49} `.padEnd(200))).length;
  });
  for (const count of await Promise.all([...polls, ...members])) {
    assertEquals(count, 50);
  }
});

Deno.test("a class of 60 that polls behind one proxy is let in at once, and gets a long history by and by", async () => {
  const clock = { ms: 0 };
  await using server = await startServer(
    { rate: 0, historyRate: 8, trustProxy: ["127.0.0.1"] },
    { monotonic: () => clock.ms },
  );
  {
    await using author = await Client.open(server.ws);
    for (let i = 0; i < 60; i++) await author.say(`${i} `.padEnd(2_000));
  }
  const headers = { "x-forwarded-for": "192.0.2.1" };
  const ask = async (query: string) => {
    const url = `${server.http}/messages?history=50${query}`;
    const response = await fetch(url, { headers });
    assertEquals(response.status, 200);
    return await response.json();
  };
  const welcomes = await Promise.all(
    Array.from({ length: 60 }, async () => (await ask(""))[0]),
  );
  assertEquals(new Set(welcomes.map(({ sender }) => sender)).size, 60);
  const heard = watch(Promise.all(welcomes.map(async ({ key, epoch, seq }) => {
    // What came with the welcome, or follows it.
    let last = seq;
    while (last < 60) {
      const events = await ask(`&key=${key}&since=${epoch}:${last}&wait=50`);
      for (const message of texts(events)) assertEquals(message.seq, ++last);
    }
  })));
  await until(() => {
    clock.ms += 100;
    return heard.isOver;
  }, "the history");
  await heard.promise;
});

Deno.test("a gap of 10,000 messages is recovered", async () => {
  // Ten times as fast as the clock on the wall.
  await using server = await startServer({ rate: 0 }, {
    monotonic: () => performance.now() * 10,
  });
  const away = await Client.join(server.ws);
  const { key, epoch } = away.welcome;
  await away[Symbol.asyncDispose]();
  await using author = await Client.join(server.ws);
  for (let n = 1; n <= 10_000; n++) {
    const message = `${n} `.padEnd(200);
    author.request({ type: "message", message, id: `${n}` });
    if (n % 100 === 0) await author.messagesUpTo(message);
  }
  const since = { epoch, seq: 0 };
  await using back = await Client.join(server.ws, { key, since });
  for (let n = 1; n <= 10_000; n++) {
    assertEquals((await back.nextOf("message")).seq, n);
  }
});

Deno.test("history has no rate where the operator wants none", async () => {
  const { server } = await newScene({ historyRate: 0 });
  await using _ = server;
  await using client = await Client.join(server.ws, { history: 0 });
  // 5 MB, and the clock stands.
  const page = { type: "history", before: 21, count: 5 } as const;
  for (let i = 0; i < 250; i++) {
    client.request(page);
    assertEquals((await client.nextOf("history")).messages.length, 5);
  }
});
