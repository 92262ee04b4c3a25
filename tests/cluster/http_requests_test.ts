// Rooms by HTTP on several servers: whichever a request comes to, it is done
// where its sender is. No request needs to go where the one before it went.
import { assert, assertEquals } from "@std/assert";
import {
  range,
  RawClient,
  request,
  soon,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";
import { EventSourceClient, get, post } from "../support/http_clients.ts";
import { redisTest, startRedis } from "../support/redis.ts";
import { newSeed } from "../support/seed.ts";
import { Dice } from "../stress/dice.ts";
import { type Fate, startTcpProxy } from "../support/tcp_proxy.ts";
import { startCluster, startNode, Watcher } from "./nodes.ts";

const JSON_BODY = { "content-type": "application/json" };

const messagesIn = (events: WireEvent[]) =>
  events.filter(({ type }) => type === "message");

const texts = (events: WireEvent[]) =>
  messagesIn(events).map(({ message }) => message);

/** A message with an id, so that it may be sent again. */
const said = (message: string, id = message) =>
  JSON.stringify({ type: "message", message, id });

redisTest("a POST finds its sender on another server", async () => {
  await using nodes = await startCluster();
  await using ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
  const url = `${nodes.two.http}/messages?key=${ann.key}`;
  const { status, body } = await post(url, "by way of two");
  assertEquals(status, 200);
  assertEquals([body.key, body.event.sender], [ann.key, "Ann"]);
  await until(() => ann.messages.length === 1, "the message");
  assertEquals(ann.messages[0], body.event);
});

redisTest(
  "a POST finds its sender also if that went to another server just now",
  async () => {
    await using nodes = await startCluster();
    const { redis, one, two } = nodes;
    const wasAsked = Promise.withResolvers<void>();
    const hasGone = Promise.withResolvers<void>();
    const gate = async (bytes: Uint8Array, from: string): Promise<Fate> => {
      const text = new TextDecoder().decode(bytes);
      if (from === "server" && text.includes("pass ")) {
        wasAsked.resolve();
        await hasGone.promise;
      }
      return "pass";
    };
    await using network = startTcpProxy(redis.port, () => gate);
    await using three = await startServer({
      data: `redis://127.0.0.1:${network.port}`,
    });
    await using before = await Watcher.join(three.ws, { name: "Ann" });
    const { key } = before;
    const answer = post(`${one.http}/messages?key=${key}`, "on its way");
    await soon(wasAsked.promise, "a question to the server where Ann was");
    await using ann = await Watcher.join(two.ws, { key });
    hasGone.resolve();
    assertEquals((await answer).status, 200);
    await until(() => ann.texts.includes("on its way"), "the message");
    assertEquals((await soon(before.closed, "its end")).code, 4002);
  },
);

redisTest(
  "a stream on one server and its POSTs on another are one member",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    await using stream = await EventSourceClient.open(
      `${nodes.one.http}/events?line=a&name=${encodeURIComponent("Ånn")}`,
    );
    const { data: welcome } = await stream.next("welcome");
    assertEquals(welcome.sender, "Ånn");
    const url = `${nodes.two.http}/messages?line=a`;
    const headers = { ...JSON_BODY, "partyline-key": welcome.key };
    const text = "grüß dich, 世界 👋 \u{1F468}\u200D\u{1F469} \u0000 \u2028";
    const plain = await post(url, text, { "partyline-key": welcome.key });
    assertEquals([plain.status, plain.body.event.message], [200, text]);
    assertEquals((await stream.next("message")).data, plain.body.event);
    const lone = await post(url, said("lone \ud800", "ü"), headers);
    assertEquals(lone.body.event.message, "lone \ufffd");
    assertEquals((await stream.next("message")).data, lone.body.event);
    const twice = await post(url, said("lone \ud800", "ü"), headers);
    assertEquals(twice.body, lone.body);
    for (
      const asked of [{ type: "rename", name: "Änne" }, { type: "typing" }]
    ) {
      const { status } = await post(url, JSON.stringify(asked), headers);
      assertEquals(status, 202);
    }
    assertEquals((await stream.next("rename")).data.name, "Änne");
    assertEquals((await stream.next("typing")).data.sender, "Änne");
    await until(() => bob.texts.length === 2, "both messages");
    assertEquals(bob.texts, [text, "lone \ufffd"]);
    assertEquals(bob.names, ["Bob", "Änne"]);
    assertEquals(nodes.two.connections.size, 1);
  },
);

redisTest(
  "a stream that is opened again on another server goes on where it was",
  async () => {
    await using nodes = await startCluster();
    await using three = await startNode(nodes.redis, { rate: 0 });
    await using bob = await Watcher.join(three.ws, { name: "Bob" });
    const servers = [nodes.one, nodes.two];
    let headers: Record<string, string> = {};
    let query = "";
    const heard: string[] = [];
    for (const n of range(1, 6)) {
      const { http } = servers[n % 2] ?? nodes.one;
      await using stream = await EventSourceClient.open(
        `${http}/events${query}`,
        headers,
      );
      const { data } = await stream.next("welcome");
      assertEquals(data.recovered, n === 1 ? null : true);
      query = `?key=${data.key}`;
      for (const i of range(1, 50)) bob.say(`${n} ${i}`);
      while (heard.at(-1) !== `${n} 30`) {
        const { id, data } = await stream.next("message");
        heard.push(data.message);
        headers = { "last-event-id": id };
      }
    }
    await until(() => bob.texts.length === 300, "all of it");
    assertEquals(heard, bob.texts.slice(0, 5 * 50 + 30));
  },
);

for (const line of ["", "&line=a"]) {
  const kind = line === "" ? "polls" : "polls of a line with a name";
  redisTest(
    `${kind} that each go to another server lose nothing and repeat nothing`,
    async () => {
      const dice = new Dice(newSeed(), 0);
      await using redis = await startRedis();
      await using stack = new AsyncDisposableStack();
      const start = async () => stack.use(await startNode(redis, { rate: 0 }));
      const servers = [await start(), await start(), await start()];
      const some = () => dice.pick(servers)?.http ?? "";
      await using bob = await Watcher.join(servers[0]?.ws ?? "");
      const hello = `${some()}/messages?name=Ann${line}`;
      const [welcome] = (await get(hello)).body;
      const { key, epoch } = welcome;
      const heard: WireEvent[] = [];
      const own: Promise<void>[] = [];
      let seq = welcome.seq;
      for (let n = 0; heard.length < 300;) {
        const url = `${some()}/messages?key=${key}${line}`;
        const polled = get(`${url}&since=${epoch}:${seq}&wait=10`);
        for (let i = dice.below(12); i > 0 && n < 250; i--) bob.say(`${++n}`);
        if (own.length < 50) {
          const text = `own ${own.length}`;
          const url = `${some()}/messages?key=${key}${line}`;
          const posted = post(url, said(text), JSON_BODY);
          own.push(posted.then(({ status }) => assertEquals(status, 200)));
        } else if (n < 250) bob.say(`${++n}`);
        const { status, body } = await polled;
        assertEquals(status, 200);
        const messages = messagesIn(body);
        heard.push(...messages);
        seq = messages.at(-1)?.seq ?? seq;
      }
      await Promise.all(own);
      await until(() => bob.messages.length >= 300, "all of it");
      assertEquals(heard, bob.messages);
      assertEquals(bob.names, ["Ann", bob.name].toSorted());
    },
  );
}

redisTest(
  "a poll that waits by way of another server is answered when something comes",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    const [{ key, epoch, seq }] =
      (await get(`${nodes.one.http}/messages`)).body;
    await drain(nodes.one, key, epoch, seq);
    const asked = `${nodes.two.http}/messages?key=${key}&since=${epoch}`;
    const waiting = get(`${asked}:${seq}&wait=30`);
    // The one that waited is ended by the next one, as on a lone server.
    const next = get(`${asked}:${seq}&wait=30`);
    assertEquals((await soon(waiting, "the end of the first")).body, []);
    bob.say("there you are");
    const { body } = await soon(next, "the answer");
    assertEquals(texts(body), ["there you are"]);
    // An answer that was lost on the way is given again.
    const again = await get(`${asked}:${seq}&wait=30`);
    assertEquals(texts(again.body), ["there you are"]);
    const empty = await get(`${asked}:${seq + 1}&wait=0`);
    assertEquals([empty.status, empty.body], [200, []]);
  },
);

redisTest(
  "a client that goes while it waits by way of another server keeps its place from nobody",
  async () => {
    await using nodes = await startCluster({}, { maxPolls: 1 });
    const { redis, one, two } = nodes;
    using monitor = await Monitor.start(redis.port);
    const [{ key, epoch, seq }] = (await get(`${one.http}/messages`)).body;
    await drain(one, key, epoch, seq);
    assertEquals((await get(`${one.http}/messages`)).status, 503);
    const client = await RawClient.open(two.port);
    const path = `/messages?key=${key}&since=${epoch}:${seq}&wait=50`;
    await client.write(request(path, { Host: "localhost" }));
    await monitor.upTo("pass ");
    client[Symbol.dispose]();
    await until(
      () => [...one.connections.keys()].every((poll) => poll.isUnconfirmed),
      "its end",
    );
    assertEquals((await get(`${one.http}/messages`)).status, 200);
  },
);

redisTest(
  "a poll by way of another server whose position is no longer waited for begins anew",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    const [{ key, epoch, seq }] =
      (await get(`${nodes.one.http}/messages`)).body;
    await drain(nodes.one, key, epoch, seq);
    bob.say("once");
    const at = (seq: number) =>
      get(
        `${nodes.two.http}/messages?key=${key}&since=${epoch}:${seq}&wait=10`,
      );
    assertEquals(texts((await at(seq)).body), ["once"]);
    bob.say("twice");
    assertEquals(texts((await at(seq + 1)).body), ["twice"]);
    // It is as if it had not had the first one.
    const { status, body: [welcome, ...rest] } = await at(seq);
    assertEquals([status, welcome.type, welcome.recovered], [
      200,
      "welcome",
      true,
    ]);
    assertEquals([welcome.key, texts(rest)], [key, ["once", "twice"]]);
    await until(() => nodes.one.connections.size === 0, "the end of the first");
    assertEquals(nodes.two.connections.size, 2);
  },
);

redisTest(
  "who begins with a POST is polled for by way of another server",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    const first = await post(`${nodes.one.http}/messages?name=Ann`, "hello");
    const { key, event } = first.body;
    assertEquals([event.sender, event.seq], ["Ann", 1]);
    const { epoch } = bob.welcome;
    const asked = `${nodes.two.http}/messages?key=${key}&since=${epoch}:0`;
    const { body } = await get(`${asked}&wait=10`);
    assertEquals(body[0].type, "welcome");
    assertEquals(texts(body), ["hello"]);
    const second = await post(`${nodes.two.http}/messages?key=${key}`, "again");
    assertEquals(second.body.key, key);
    await until(() => bob.texts.length === 2, "both");
    assertEquals(bob.names, ["Ann", "Bob"]);
    assertEquals(nodes.two.connections.size, 1);
  },
);

for (const isSame of [true, false]) {
  const where = isSame ? "one server" : "two servers";
  redisTest(
    `two POSTs at once to ${where}, with a key that is not present yet, are both stored`,
    async () => {
      await using nodes = await startCluster();
      await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
      const keys: string[] = [];
      for (const n of range(1, 10)) {
        const ann = await Watcher.join(nodes.one.ws, { name: `Ann ${n}` });
        keys.push(ann.key);
        await ann[Symbol.asyncDispose]();
      }
      await until(() => bob.roster.size === 1, "an empty room");
      const other = isSame ? nodes.one : nodes.two;
      // One connection has a few places only, and there are ten keys.
      const own = { connection: "close" };
      for (const [n, key] of keys.entries()) {
        const answers = await Promise.all([
          post(`${nodes.one.http}/messages?key=${key}`, `a ${n}`, own),
          post(`${other.http}/messages?key=${key}`, `b ${n}`, own),
          post(`${nodes.one.http}/messages?key=${key}`, said(`c ${n}`), {
            ...JSON_BODY,
            ...own,
          }),
        ]);
        assertEquals(answers.map(({ status }) => status), [200, 200, 200]);
        for (const { body } of answers) assertEquals(body.key, key);
      }
      await until(() => bob.texts.length >= 30, "all of it");
      assertEquals(
        bob.texts.toSorted(),
        keys.flatMap((_, n) => [`a ${n}`, `b ${n}`, `c ${n}`]).toSorted(),
      );
    },
  );
}

redisTest(
  "two polls at once with a key that is not present yet begin one line",
  async () => {
    await using nodes = await startCluster();
    await using bob = await Watcher.join(nodes.two.ws, { name: "Bob" });
    const ann = await Watcher.join(nodes.one.ws, { name: "Ann" });
    await ann[Symbol.asyncDispose]();
    await until(() => bob.roster.size === 1, "an empty room");
    const { epoch } = bob.welcome;
    const asked = `${nodes.one.http}/messages?key=${ann.key}` +
      `&since=${epoch}:0&wait=10`;
    const answers = await Promise.all([get(asked), get(asked)]);
    const events = answers.flatMap(({ body }) => body);
    assertEquals(answers.map(({ status }) => status), [200, 200]);
    const types = events.map(({ type }) => type);
    assertEquals(types.filter((type) => type === "welcome"), ["welcome"]);
    assert(!types.includes("close"), types.join());
    bob.say("one line");
    assertEquals(texts((await get(asked)).body), ["one line"]);
  },
);

redisTest(
  "what comes late for a line is refused by way of another server too",
  async () => {
    await using nodes = await startCluster();
    const { one, two } = nodes;
    const [{ key, epoch, seq }] =
      (await get(`${one.http}/messages?line=a`)).body;
    const on = ({ http }: TestServer, line: string) =>
      `${http}/messages?key=${key}${line && `&line=${line}`}`;
    const since = `&since=${epoch}:${seq}&wait=5`;
    const statuses = async (...answers: Promise<{ status: number }>[]) =>
      (await Promise.all(answers)).map(({ status }) => status);
    // Another line has the key: on its own server and by way of the other.
    for (const server of [one, two]) {
      assertEquals(
        await statuses(
          get(on(server, "b") + since),
          post(on(server, "b"), "late"),
          post(on(server, "b"), '{"type":"typing"}', JSON_BODY),
        ),
        [409, 409, 409],
      );
    }
    // It goes on, from the other server.
    assertEquals(await statuses(post(on(two, "a"), "in time")), [200]);
    // A position that is no longer in the mailbox.
    const { body } = await get(on(two, "a") + since);
    assertEquals(texts(body), ["in time"]);
    await get(`${on(two, "a")}&since=${epoch}:${seq + 1}&wait=0`);
    assertEquals(await statuses(get(on(two, "a") + since)), [410]);
    // A WebSocket on the other server takes the key.
    await using ann = await Watcher.join(two.ws, { key });
    for (const server of [one, two]) {
      assertEquals(
        await statuses(
          post(on(server, "a"), "late"),
          get(on(server, "") + since),
        ),
        [409, 409],
      );
    }
    ann.say("still here");
    await until(() => ann.texts.includes("still here"), "its echo");
    // Nobody has it: the line has ended, and it is said so everywhere.
    await ann[Symbol.asyncDispose]();
    await until(() => two.connections.size === 0, "its end");
    for (const server of [one, two]) {
      assertEquals(
        await statuses(
          post(on(server, "c"), "late"),
          get(on(server, "c") + since),
          post(on(server, ""), '{"type":"typing"}', JSON_BODY),
        ),
        [410, 410, 409],
      );
    }
    // A key that nobody knows is nobody's anywhere.
    const unknown = `${two.http}/messages?key=no.body&line=a`;
    assertEquals(await statuses(post(unknown, "late")), [410]);
  },
);

redisTest(
  "limits and refusals are the same by way of another server",
  async () => {
    await using nodes = await startCluster();
    await using slow = await startNode(nodes.redis, { rate: 1, burst: 2 });
    await using ann = await Watcher.join(slow.ws);
    const url = `${nodes.two.http}/messages?key=${ann.key}`;
    assertEquals((await post(url, "1")).status, 200);
    const long = await post(url, "x".repeat(4_001));
    assertEquals(long.status, 413);
    assertEquals((await post(url, "2")).status, 200);
    const fast = await post(url, "3");
    assertEquals([fast.status, fast.retryAfter], [429, "1"]);
    const malformed = await post(url, '{"type":"message"}', JSON_BODY);
    assertEquals(malformed.status, 400);
    await until(() => ann.texts.length === 2, "what was stored");
  },
);

redisTest(
  "what is passed on lets nobody in: Redis sees no invitation, key, cookie or authorization",
  async () => {
    const invite = "cuckoo-clock-7";
    const cookie = "session=chocolate-chip";
    await using nodes = await startCluster({}, { invite });
    const { redis, one, two } = nodes;
    using monitor = await Monitor.start(redis.port);
    const byHeader = {
      Authorization: `Bearer ${invite}`,
      Cookie: cookie,
      Referer: `${two.http}/?invite=${invite}`,
    };
    const first = await post(
      `${one.http}/messages?invite=${invite}&name=Ann`,
      "hello",
      { Cookie: cookie },
    );
    const { key } = first.body;
    // Its mailbox has a welcome still, and that has the key.
    const { epoch } = (await get(`${one.http}/messages?invite=${invite}`))
      .body[0];
    const since = `since=${epoch}:0&wait=10`;
    const polled = await get(
      `${two.http}/messages?invite=${invite}&key=${key}&${since}`,
    );
    const [welcome] = polled.body;
    assertEquals([welcome.type, welcome.key], ["welcome", key]);
    assertEquals(texts(polled.body), ["hello"]);
    const headers = { ...byHeader, "partyline-key": key };
    const url = `${two.http}/messages`;
    const second = await post(url, "again", headers);
    assertEquals([second.status, second.body.key], [200, key]);
    const third = await post(url, said("and again"), {
      ...headers,
      ...JSON_BODY,
    });
    assertEquals([third.status, third.body.key], [200, key]);
    // By this all that came before it was seen.
    await redis.command("PING", "the end");
    const seen = await monitor.upTo("the end");
    assertEquals(seen.match(/pass \S+ \d+ \{/g)?.length, 2 * 3, seen);
    const secret = key.split(".")[1];
    for (const word of [invite, secret, "chocolate", "Bearer", "cookie"]) {
      assert(!seen.includes(word), `${word} in ${seen}`);
    }
  },
);

/** Redis' own list of all that it is told, by servers and scripts. */
class Monitor implements Disposable {
  #seen = "";

  private constructor(private readonly tcp: Deno.TcpConn) {}

  static async start(port: number): Promise<Monitor> {
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
    await tcp.write(new TextEncoder().encode("MONITOR\r\n"));
    const monitor = new Monitor(tcp);
    await monitor.upTo("+OK");
    return monitor;
  }

  async upTo(text: string): Promise<string> {
    const chunk = new Uint8Array(65_536);
    while (!this.#seen.includes(text)) {
      const count = await soon(this.tcp.read(chunk), `"${text}" in Redis`);
      if (count === null) throw new Error("Redis hung up");
      this.#seen += new TextDecoder("latin1").decode(chunk.subarray(0, count));
    }
    return this.#seen;
  }

  [Symbol.dispose](): void {
    this.tcp.close();
  }
}

/** Takes what waits in the mailbox: it hears that it joined. */
async function drain(
  { http }: TestServer,
  key: string,
  epoch: string,
  seq: number,
) {
  const asked = `${http}/messages?key=${key}&since=${epoch}:${seq}&wait=5`;
  for (let types: string[] = []; !types.includes("join");) {
    types = (await get(asked)).body.map(({ type }: WireEvent) => type);
  }
}
