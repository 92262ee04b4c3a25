// What admission.ts and proxy.ts promise: which pages may connect, who needs an
// invitation, how slow it is to guess one, and whose word a proxy's is. The
// server is asked as a page or a program would.
import http2 from "node:http2";
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import {
  AccessCode,
  MAX_WRONG_CODES_WAITING,
} from "../../chat/http/admission.ts";
import {
  clientAddress,
  Networks,
  ownerOf,
  requestedHost,
} from "../../chat/http/proxy.ts";
import {
  Client,
  handshake,
  isOldest,
  RawClient,
  request,
  soon,
  startServer,
  until,
} from "../support/harness.ts";

/** A handshake's answer: its status, and a header's value. */
async function knock(
  port: number,
  path = "/ws",
  headers: Record<string, string> = {},
) {
  using raw = await RawClient.open(port);
  return await knockWith(raw, port, path, headers);
}

async function knockWith(
  raw: RawClient,
  port: number,
  path: string,
  headers: Record<string, string> = {},
) {
  await raw.write(handshake(port, path, headers));
  return await raw.readAnswer();
}

for (
  const [what, Origin] of [
    ["a foreign origin", "https://evil.example"],
    ["an origin that is no URL", "::"],
    ["the origin of a file", "null"],
  ] as const
) {
  Deno.test(`a handshake with ${what} gets 403`, async () => {
    await using server = await startServer();
    assertEquals((await knock(server.port, "/ws", { Origin })).status, 403);
    assertEquals(server.connections.size, 0);
  });
}

Deno.test("a public name that leads here must be listed (DNS rebinding)", async () => {
  const own = { Host: "class.example", Origin: "http://class.example" };
  await using server = await startServer();
  assertEquals((await knock(server.port, "/ws", own)).status, 403);
  for (
    const host of ["teacher", "teacher.local:8000", "[::1]:81", "10.0.0.7"]
  ) {
    const headers = { Host: host, Origin: `http://${host}` };
    assertEquals((await knock(server.port, "/ws", headers)).status, 101, host);
  }
  await using listed = await startServer({
    allowOrigin: ["http://class.example"],
  });
  assertEquals((await knock(listed.port, "/ws", own)).status, 101);
});

Deno.test("a page under such a name can read no events either, though it names no origin", async () => {
  const listed = "https://class.example";
  await using strict = await startServer();
  await using open = await startServer({ allowOrigin: [listed] });
  for (const path of ["/events", "/messages"]) {
    for (
      const [{ port }, Host, status] of [
        [strict, "class.example", 403],
        [open, "class.example", 200],
        [open, "class.example:8000", 403],
        [strict, "localhost:8000", 200],
        [strict, "10.0.0.7", 200],
        [strict, "[::1]:81", 200],
      ] as const
    ) {
      using raw = await RawClient.open(port);
      await raw.write(request(path, { Host }));
      const answer = await raw.readAnswer();
      assertEquals(answer.status, status, `${path} ${Host}`);
    }
  }
});

Deno.test("a page that asks why it may not connect is known by its Referer", async () => {
  await using server = await startServer({
    allowOrigin: ["https://a.example"],
  });
  const answers = [
    ["https://evil.example/", 403],
    ["null", 426],
    ["https://a.example/chat/", 426],
    [`${server.http}/?room=a`, 426],
  ] as const;
  for (const [referer, status] of answers) {
    const answer = await fetch(`${server.http}/ws`, { headers: { referer } });
    await answer.body?.cancel();
    assertEquals(answer.status, status, referer);
  }
  // A handshake is known by its Origin alone.
  const both = { Origin: server.http, Referer: "https://evil.example/" };
  assertEquals((await knock(server.port, "/ws", both)).status, 101);
});

Deno.test("the server's own origin and listed ones may connect", async () => {
  const listed = "https://class.example";
  await using server = await startServer({ allowOrigin: [listed] });
  for (const Origin of [`http://127.0.0.1:${server.port}`, listed]) {
    assertEquals((await knock(server.port, "/ws", { Origin })).status, 101);
  }
  await using open = await startServer({ allowOrigin: ["*"] });
  const { status } = await knock(open.port, "/ws", { Origin: "null" });
  assertEquals(status, 101);
});

/** Has all that a query and a header could get wrong. */
const invite = "50%&#+?=/~!-otter";
const inQuery = `/ws?invite=${encodeURIComponent(invite)}`;

Deno.test("a code lets in by the query or as a bearer token", async () => {
  await using server = await startServer({ invite });
  await using client = await Client.open(`${server.http}${inQuery}`);
  await client.say("hello");
  for (const scheme of ["Bearer", "bearer", "BEARER "]) {
    const Authorization = `${scheme} ${invite}`;
    const { status } = await knock(server.port, "/ws", { Authorization });
    assertEquals(status, 101, scheme);
  }
});

Deno.test("without a code there is 401, a challenge and a sentence, at once", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await using server = await startServer({ invite });
    for (
      const [path, headers] of [
        ["/ws", {}],
        ["/ws?invite=", {}],
        ["/ws", { Authorization: "Basic b3R0ZXI6Y2FsbQ==" }],
        ["/ws", { Authorization: "Bearer" }],
        ["/ws", { Authorization: `Bearer ${invite} ${invite}` }],
      ] as const
    ) {
      const { status, field } = await knock(server.port, path, headers);
      assertEquals([status, field("www-authenticate")], [401, "Bearer"]);
    }
    const response = await fetch(`${server.http}/ws`);
    assertEquals(response.status, 401);
    assertMatch(
      await response.text(),
      /^This server asks for an invitation: .*\.\n$/,
    );
    assertEquals(server.connections.size, 0);
  } finally {
    clock.uninstall();
  }
});

Deno.test("the page's files need no code", async () => {
  await using server = await startServer({ invite });
  for (const path of ["/", "/chat/app.js", "/client.py"]) {
    const response = await fetch(server.http + path);
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
});

Deno.test("a wrong code is answered after a second, the right one at once, also meanwhile", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const code = new AccessCode(invite);
    for (
      const guess of ["", invite.slice(1), `${invite}x`, "x".repeat(9_000)]
    ) {
      let answered = 0;
      const wrong = Promise.resolve(code.check(guess));
      wrong.then(() => answered++);
      await clock.tickAsync(999);
      assertEquals([answered, code.check(invite)], [0, undefined]);
      await clock.tickAsync(1);
      assertEquals([answered, (await wrong)?.status], [1, 401]);
    }
  } finally {
    clock.uninstall();
  }
});

Deno.test("more wrong codes than may wait get 429 at once, and only they", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const code = new AccessCode(invite);
    const late = Array.from(
      { length: MAX_WRONG_CODES_WAITING },
      (_, i) => code.check(`guess-${i}`),
    );
    for (let i = 0; i < 1_000; i++) {
      const error = await code.check(`more-${i}`);
      assertEquals(error?.status, 429);
      assertEquals(error?.headers, { "retry-after": "1" });
      assertEquals(code.check(invite), undefined);
    }
    // Who has no code learns that it is needed.
    assertEquals((await code.check(undefined))?.status, 401);
    assertEquals(clock.countTimers(), MAX_WRONG_CODES_WAITING);
    await clock.tickAsync(1_000);
    for (const error of await Promise.all(late)) {
      assertEquals(error?.status, 401);
    }
    const wrong = code.check("guess");
    await clock.tickAsync(1_000);
    assertEquals((await wrong)?.status, 401);
  } finally {
    clock.uninstall();
  }
});

const moderator = "the-moderator's-code";

/** A way in that needs a code: a request with it, and what lets it in. */
const WAYS: Record<string, [RequestInit, string, number]> = {
  "/ws": [{}, invite, 426],
  "/events": [{}, invite, 200],
  "/messages": [{}, invite, 200],
  "/messages ": [{ method: "POST", body: "hello" }, invite, 200],
  "/x-ray/events": [{}, moderator, 200],
};

for (const [way, [init, code, status]] of Object.entries(WAYS)) {
  const what = `${init.method ?? "GET"} ${way.trim()}`;
  Deno.test(`a flood of wrong codes for ${what} keeps out no right one, there or elsewhere`, async () => {
    await using server = await startServer({ invite, moderator });
    const ask = async (way: string, init: RequestInit, code: string) => {
      const name = way === "/x-ray/events" ? "moderator" : "invite";
      const query = new URLSearchParams({ [name]: code });
      const response = await fetch(
        `${server.http}${way.trim()}?${query}`,
        init,
      );
      await response.body?.cancel();
      return response.status;
    };
    const wrong = code === moderator ? 403 : 401;
    const seen = new Set<number>();
    let isOver = false;
    const flood = Array.from(
      { length: MAX_WRONG_CODES_WAITING + 5 },
      async (_, i) => {
        while (!isOver) seen.add(await ask(way, init, `guess-${i}`));
      },
    );
    await until(() => seen.has(429), "more wrong codes than may wait");
    for (let i = 0; i < 5; i++) {
      assertEquals(await ask(way, init, code), status);
    }
    for (const [way, [init, code, status]] of Object.entries(WAYS)) {
      assertEquals(await ask(way, init, code), status, way);
    }
    const other = WAYS[code === moderator ? "/ws" : "/x-ray/events"]!;
    const refused = await ask(
      code === moderator ? "/ws" : "/x-ray/events",
      other[0],
      "not-the-code",
    );
    // Where there is no flood even a wrong one is told that it is wrong.
    assertEquals(refused, code === moderator ? 401 : 403);
    isOver = true;
    await Promise.all(flood);
    assertEquals(seen, new Set([wrong, 429]));
  });
}

Deno.test("a drain answers wrong codes at once", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const server = await startServer({ invite });
    using raw = await RawClient.open(server.port);
    const isWaiting = Promise.withResolvers<void>();
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((handler: () => void, ms: number) => {
      if (ms === 1_000) isWaiting.resolve();
      return setTimeout(handler, ms);
    }) as typeof setTimeout;
    await raw.write(handshake(server.port, "/ws?invite=guess-1"));
    await isWaiting.promise;
    const head = raw.readHead();
    const drained = server.drain(5_000);
    assertMatch(await head, /^HTTP\/1.1 401 /);
    await drained;
  } finally {
    clock.uninstall();
  }
});

Deno.test("during a drain a wrong code is answered at once and starts no timer", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const code = new AccessCode(invite);
    const waiting = code.check("guess-1");
    assertEquals(clock.countTimers(), 1);
    code.close();
    assertEquals((await waiting)?.status, 401);
    const late = code.check("guess-2");
    assertEquals(clock.countTimers(), 0);
    assertEquals((await late)?.status, 401);
  } finally {
    clock.uninstall();
  }
});

Deno.test("no answer and no line of the log names the code or a guess", async () => {
  const lines: string[] = [];
  const { error, log } = console;
  console.error = console.log = (...words) => lines.push(words.join(" "));
  try {
    await using server = await startServer({ invite: "secret-otter" });
    for (const guess of ["secret-otter", "secret-trout"]) {
      for (const path of ["ws", "ws/", "nothing", "ws?room=No&x=1"]) {
        const query = `${path.includes("?") ? "&" : "?"}invite=${guess}`;
        const response = await fetch(`${server.http}/${path}${query}`);
        const headers = JSON.stringify([...response.headers]);
        assert(!/secret/.test(headers + await response.text()), path);
      }
    }
  } finally {
    Object.assign(console, { error, log });
  }
  assertEquals(lines, []);
});

Deno.test("a plain GET is refused for the reason of the handshake, or gets 426", async () => {
  await using server = await startServer({ invite, maxClients: 1 });
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.http}${path}`, { headers });
    return [response.status, await response.text()];
  };
  const Origin = "https://evil.example";
  const Authorization = `Bearer ${invite}`;
  for (
    const [path, headers, status] of [
      ["/ws?room=No", { Origin }, 400],
      ["/ws", { Origin }, 403],
      ["/ws", { "Sec-WebSocket-Protocol": "partyline.v2" }, 401],
      ["/ws", { Authorization, "Sec-WebSocket-Protocol": "partyline.v2" }, 400],
      ["/ws", { Authorization }, 426],
    ] as const
  ) {
    assertEquals((await ask(path, headers))[0], status);
    const answer = await knock(server.port, path, headers);
    assertEquals(answer.status, status === 426 ? 101 : status);
  }
  await until(() => server.connections.size === 0, "an empty server");
  await using _only = await Client.open(`${server.http}${inQuery}`);
  const [status, text] = await ask(inQuery);
  assertEquals([status, text], [503, "The server is full: try again later.\n"]);
});

const trusted = new Networks(["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1"]);

for (
  const [peer, forwarded, client] of [
    ["203.0.113.5", null, "203.0.113.5"],
    ["203.0.113.5", "198.51.100.1", "203.0.113.5"],
    ["192.0.2.8", "198.51.100.1", "192.0.2.8"],
    ["10.1.2.3", null, "10.1.2.3"],
    ["10.1.2.3", "", "10.1.2.3"],
    ["10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["::ffff:203.0.113.5", "198.51.100.1", "203.0.113.5"],
    ["::1", "2001:db8::1", "2001:db8::1"],
    ["192.0.2.7", "1.1.1.1, 198.51.100.1", "198.51.100.1"],
    ["10.1.2.3", "1.1.1.1,198.51.100.1 , fd00::1,10.9.9.9", "198.51.100.1"],
    ["10.1.2.3", "10.4.4.4, 10.5.5.5", "10.4.4.4"],
    ["10.1.2.3", "198.51.100.1:5000", "198.51.100.1"],
    ["10.1.2.3", "[2001:db8::1]:5000", "2001:db8::1"],
    ["10.1.2.3", "[2001:db8::1]", "2001:db8::1"],
    ["10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"],
    ["10.1.2.3", "1.1.1.1, unknown", "10.1.2.3"],
    ["10.1.2.3", "1.1.1.1, unknown, 10.5.5.5", "10.5.5.5"],
    ["10.1.2.3", "1.1.1.1, ", "10.1.2.3"],
    ["10.1.2.3", "198.51.100.256", "10.1.2.3"],
    ["10.1.2.3", "fe80::1%eth0", "10.1.2.3"],
    ["no address", "198.51.100.1", "no address"],
  ] as const
) {
  const heard = forwarded === null ? "nothing" : `"${forwarded}"`;
  Deno.test(`from ${peer} with ${heard} the client is ${client}`, () => {
    const headers = new Headers();
    if (forwarded !== null) headers.set("x-forwarded-for", forwarded);
    assertEquals(clientAddress(headers, peer, trusted), client);
  });
}

const ownerAt = (hostname: string, forwarded?: string, isSingle = true) => {
  const headers = new Headers();
  if (forwarded !== undefined) headers.set("x-forwarded-for", forwarded);
  const peer = { transport: "tcp", hostname, port: 5 } as const;
  return ownerOf(headers, peer, trusted, isSingle);
};

Deno.test("limits count the addresses of IPv6 by their first 64 bits", () => {
  for (
    const [address, network] of [
      ["198.51.100.1", "198.51.100.1"],
      ["::ffff:198.51.100.1", "198.51.100.1"],
      ["2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"],
      ["2001:DB8::1:a:b:c:d", "2001:db8:0:1::/64"],
      ["2001:db8::d", "2001:db8:0:0::/64"],
      ["2001:db8:1::198.51.100.1", "2001:db8:1:0::/64"],
      ["64:ff9b::", "64:ff9b:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
    ] as const
  ) {
    assertEquals(ownerAt(address).network, network);
    const isIp = !address.includes("%");
    if (isIp) assertEquals(ownerAt("10.1.2.3", address).network, network);
  }
});

Deno.test("the block around a network is a /48 of IPv6 and a /24 of IPv4", () => {
  for (
    const [address, block] of [
      ["203.0.113.9", "203.0.113.0/24"],
      ["2001:db8:1:2::9", "2001:db8:1::/48"],
      // Another site of the same provider shares nothing with it.
      ["2001:db8:2:2::9", "2001:db8:2::/48"],
      ["2001:db8::9", "2001:db8:0::/48"],
      ["::ffff:203.0.113.9", "203.0.113.0/24"],
    ] as const
  ) {
    assertEquals(ownerAt("10.1.2.3", address).block, block);
  }
});

Deno.test("a request belongs to its connection, and behind a trusted proxy to its network", () => {
  const forwarded = "2001:db8::d";
  const { name, isShared, client } = ownerAt("10.1.2.3", forwarded);
  assertEquals([name, isShared, client], [
    "2001:db8:0:0::/64",
    true,
    forwarded,
  ]);
  const socket = ownerAt("10.1.2.3", forwarded, false);
  assertEquals([socket.name, socket.isShared], ["10.1.2.3 5", false]);
  const stranger = ownerAt("203.0.113.5", forwarded);
  assertEquals([stranger.name, stranger.isShared], ["203.0.113.5 5", false]);
});

Deno.test("no header makes a stranger's word count, or throws", () => {
  const words = fc.constantFrom(
    ..."10.1.2.3|1.1.1.1|fd00::1|[::1]:5|,|, |:|[|]|%|/8|a|\t".split("|"),
  );
  const value = fc.array(words, { maxLength: 12 }).map((parts) =>
    parts.join("")
  );
  fc.assert(fc.property(value, value, (own, added) => {
    const headers = new Headers({
      "x-forwarded-for": own,
      "x-forwarded-host": own,
    });
    const stranger = "203.0.113.5";
    const target = new URL("http://class.local/");
    assertEquals(clientAddress(headers, stranger, trusted), stranger);
    assertEquals(
      requestedHost(target, headers, stranger, trusted),
      "class.local",
    );
    requestedHost(target, headers, "10.1.2.3", trusted);
    clientAddress(headers, "10.1.2.3", trusted);
    // Whatever a client sends: the trusted proxy appends whom it heard.
    headers.set("x-forwarded-for", `${own}, ${added}, ${stranger}, 10.9.9.9`);
    assertEquals(clientAddress(headers, "10.1.2.3", trusted), stranger);
  }));
});

Deno.test("the host that a trusted proxy names is the page's own", async () => {
  const behind = (name: string, forwarded: string) => ({
    Host: "backend:9000",
    Origin: `https://${name}`,
    "X-Forwarded-Host": forwarded,
  });
  await using server = await startServer({ trustProxy: ["127.0.0.0/8"] });
  for (
    const [name, forwarded, status] of [
      ["teacher.local", "teacher.local", 101],
      ["teacher.local:8443", "teacher.local:8443", 101],
      ["teacher.local", "evil.local, teacher.local", 101],
      ["evil.local", "evil.local, teacher.local", 403],
      ["evil.local", "teacher.local", 403],
      ["backend:9000", "", 101],
      ["backend:9000", "teacher.local", 403],
      ["teacher.local", ",", 403],
      // A public name has to be listed behind a proxy too.
      ["class.example", "class.example", 403],
    ] as const
  ) {
    const headers = behind(name, forwarded);
    const answer = await knock(server.port, "/ws", headers);
    assertEquals(answer.status, status, `${name} and ${forwarded}`);
  }
  for (const trustProxy of [[], ["10.0.0.0/8"]]) {
    await using distrustful = await startServer({ trustProxy });
    const headers = behind("teacher.local", "teacher.local");
    const { status } = await knock(distrustful.port, "/ws", headers);
    assertEquals(status, 403);
  }
});

Deno.test("a page's own host is the same in capitals, with the default port and with a last dot", async () => {
  await using server = await startServer({
    allowOrigin: ["https://chat.example.org", "capacitor://localhost", "null"],
  });
  for (
    const [Host, Origin, status] of [
      ["PI.local", "http://pi.local", 101],
      ["pi.local:80", "http://pi.local", 101],
      ["pi.local:443", "https://pi.local", 101],
      ["pi.local.", "http://pi.local.", 101],
      ["pi.local", "HTTP://PI.LOCAL:80", 101],
      ["[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000", 101],
      ["Chat.Example.ORG:443", "https://chat.example.org", 101],
      ["x", "https://chat.example.org:443", 101],
      ["x", "capacitor://localhost", 101],
      ["x", "null", 101],
      ["x", "file://", 101],
      ["pi.local:81", "http://pi.local", 403],
      ["pi.local:443", "http://pi.local", 403],
      ["pi.local", "ftp://pi.local", 403],
      ["x", "http://chat.example.org", 403],
      ["x", "https://chat.example.org:444", 403],
      ["x", "https://a.chat.example.org", 403],
      ["x", "https://chat.example.org.evil.example", 403],
      ["x", "capacitor://other", 403],
      ["localhost", "capacitor://x", 403],
      ["evil.example.", "http://evil.example.", 403],
    ] as const
  ) {
    const answer = await knock(server.port, "/ws", { Host, Origin });
    assertEquals(answer.status, status, `${Origin} on ${Host}`);
  }
});

// Deno 2.6 does not tell the name that HTTP/2 asks for.
Deno.test(
  "over HTTP/2 a page's own host is known too, and a public name refused",
  {
    ignore: isOldest,
  },
  async () => {
    await using server = await startServer();
    const session = http2.connect(server.http);
    try {
      for (
        const [authority, status] of [
          ["teacher.local:8000", 200],
          ["class.example", 403],
        ] as const
      ) {
        const stream = session.request({
          ":path": "/messages",
          ":authority": authority,
          ...status === 200 && { origin: `http://${authority}` },
        });
        const { promise, resolve } = Promise.withResolvers<unknown>();
        stream.on("response", (head) => resolve(head[":status"]));
        assertEquals(await soon(promise, "an answer"), status, authority);
        stream.close();
      }
    } finally {
      session.destroy();
    }
  },
);

const foreign = "https://evil.example";
const listed = "https://class.example";

/** Asks as a page does, with what CORS says of the answer. */
async function askAs(
  origin: string,
  address: string,
  init: RequestInit = {},
) {
  const headers = { ...init.headers as Record<string, string>, origin };
  const response = await fetch(address, { ...init, headers });
  await response.body?.cancel();
  const field = (name: string) => response.headers.get(name);
  return {
    status: response.status,
    field,
    allowed: field("access-control-allow-origin"),
  };
}

Deno.test("a listed page may read /events, /messages and why /ws refuses, others may not", async () => {
  await using server = await startServer({
    allowOrigin: [listed, "chrome-extension://abc"],
    maxRooms: 3,
  });
  const asks: [path: string, init: RequestInit, status: number][] = [
    ["/events", {}, 200],
    ["/messages", {}, 200],
    ["/messages", { method: "POST", body: "hi" }, 200],
    ["/messages?wait=99", {}, 400],
    ["/messages?room=No", {}, 400],
    ["/messages", { method: "PUT", body: "hi" }, 405],
    ["/messages", { method: "POST", body: "x".repeat(4_001) }, 413],
    ["/events?since=x", {}, 400],
    ["/ws", {}, 426],
    ["/ws?room=No", {}, 400],
    ["/ws", { headers: { "sec-websocket-protocol": "partyline.v2" } }, 400],
  ];
  for (const [path, init, status] of asks) {
    for (const origin of [listed, "chrome-extension://abc"]) {
      const answer = await askAs(origin, server.http + path, init);
      assertEquals([answer.status, answer.allowed], [status, origin], path);
      assertEquals(
        answer.field("access-control-expose-headers"),
        "retry-after",
      );
      assertMatch(answer.field("vary") ?? "", /\borigin\b/i);
    }
    const other = await askAs(foreign, server.http + path, init);
    assertEquals(other.allowed, null, path);
    assertMatch(other.field("vary") ?? "", /\borigin\b/i);
    assert(other.status >= 400, path);
  }
  await using closed = await startServer({ invite, allowOrigin: [listed] });
  const { status, allowed } = await askAs(listed, `${closed.http}/events`);
  assertEquals([status, allowed], [401, listed]);
});

Deno.test("a browser may ask before it sends a listed page's request, without an invitation", async () => {
  await using server = await startServer({ invite, allowOrigin: [listed] });
  for (
    const [path, methods] of [
      ["/events?room=No", "GET"],
      ["/messages", "GET, POST"],
      ["/ws", "GET"],
    ]
  ) {
    const ask = (origin: string) =>
      askAs(origin, server.http + path, {
        method: "OPTIONS",
        headers: {
          "access-control-request-method": "POST",
          "access-control-request-headers": "partyline-key",
        },
      });
    const { status, field, allowed } = await ask(listed);
    assertEquals([status, allowed], [204, listed]);
    assertEquals(field("access-control-allow-methods"), methods);
    assertEquals(
      field("access-control-allow-headers"),
      "authorization, content-type, last-event-id, partyline-key",
    );
    const other = await ask(foreign);
    assertEquals([other.status, other.allowed], [405, null]);
    assertEquals(other.field("access-control-allow-methods"), null);
  }
  assertEquals([server.connections.size, server.hub.rooms.size], [0, 0]);
});

Deno.test("with * every page may read, each as itself", async () => {
  await using server = await startServer({ allowOrigin: ["*"] });
  for (const origin of [foreign, "null"]) {
    const { status, allowed } = await askAs(origin, `${server.http}/messages`);
    assertEquals([status, allowed], [200, origin]);
  }
});

Deno.test("no image, frame, script, link or form of a foreign page joins or speaks", async () => {
  await using server = await startServer({ allowOrigin: [listed] });
  const isForeign: Record<string, string>[] = [];
  for (const site of ["cross-site", "same-site", "something-new"]) {
    for (const mode of ["no-cors", "navigate", "cors"]) {
      isForeign.push({ "sec-fetch-site": site, "sec-fetch-mode": mode });
    }
  }
  // Browsers that do not tell it so, as over http from another machine.
  isForeign.push({ referer: `${foreign}/` }, { referer: foreign });
  for (const headers of isForeign) {
    for (const path of ["/events", "/messages", "/ws"]) {
      const response = await fetch(server.http + path, { headers });
      assertMatch(await response.text(), /--allow-origin/);
      assertEquals(response.status, 403, JSON.stringify([path, headers]));
    }
  }
  for (const origin of [foreign, "null"]) {
    const { status } = await askAs(origin, `${server.http}/messages`, {
      method: "POST",
      headers: { "content-type": "text/plain", "sec-fetch-site": "cross-site" },
      body: "hi",
    });
    assertEquals(status, 403);
  }
  assertEquals([server.connections.size, server.hub.rooms.size], [0, 0]);
  // A person's own doing: what was typed, and the server's own page.
  for (const site of ["none", "same-origin"]) {
    const headers = { "sec-fetch-site": site, "sec-fetch-mode": "navigate" };
    const response = await fetch(`${server.http}/messages`, { headers });
    await response.body?.cancel();
    assertEquals(response.status, 200, site);
  }
});

/** What Chromium 156 sends of itself with every request. */
const CHROMIUM = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 " +
  "(KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
  "Accept-Language: en-US,en;q=0.9",
];

/** As recorded: GETs to a server in the local network by plain http. */
const NAVIGATION = [
  "Upgrade-Insecure-Requests: 1",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  ...CHROMIUM,
];
const SILENT_GETS: Record<string, string[]> = {
  "a link, a form or a frame": NAVIGATION,
  "an address that is fetched before": ["Sec-Purpose: prefetch", ...NAVIGATION],
  "an image": ["Accept: image/avif,image/*,*/*;q=0.8", ...CHROMIUM],
  "a style": ["Accept: text/css,*/*;q=0.1", ...CHROMIUM],
  "a script": ["Accept: */*", ...CHROMIUM],
  "a film": ["Accept: */*", "Range: bytes=0-", ...CHROMIUM],
  "fetch in the place of an EventSource": [
    ...["Pragma: no-cache", "Cache-Control: no-cache"],
    ...["Accept: text/event-stream", ...CHROMIUM],
  ],
  // These a page may set.
  "fetch with what programs send": [
    ...["Accept: ", "Accept-Language: *", ...CHROMIUM.slice(0, 1)],
  ],
  "fetch with nothing where it may": [
    ...["Accept: */*", "Accept-Language: ", ...CHROMIUM.slice(0, 1)],
  ],
  "a page that names no site": ["Referer: about:blank", ...NAVIGATION],
};

/** As recorded of programs; and of the server's own page in that browser. */
const NAMED_GETS: Record<string, string[]> = {
  "curl": ["User-Agent: curl/8.5.0", "Accept: */*"],
  "Python": ["User-Agent: Python-urllib/3.11", "Accept-Encoding: identity"],
  "Node": [
    ...["accept: */*", "accept-language: *", "sec-fetch-mode: cors"],
    "user-agent: node",
  ],
  "Node's http": [],
  "Deno": ["accept: */*", "accept-language: *", "user-agent: Deno/2.8.2"],
  "Java": [
    "User-Agent: Java/17.0.15",
    "Accept: text/html, image/gif, image/jpeg, */*; q=0.2",
  ],
  "PowerShell": [
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; en-US) PowerShell/7.4.0",
  ],
  "an EventSource of the page": [
    ...["Accept: text/event-stream", "Referer: http://OWN/?room=a"],
    ...CHROMIUM,
  ],
  "a poll of the page": [
    ...["Accept: */*", "Referer: http://OWN/", ...CHROMIUM],
  ],
  "an address that was typed, on localhost": [
    ...["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", ...NAVIGATION],
  ],
  "a page of a listed site": [`Origin: ${listed}`, ...CHROMIUM],
};

/** The status of a GET with these fields, and what follows the head. */
async function statusOf(port: number, path: string, fields: string[]) {
  using raw = await RawClient.open(port);
  const own = `192.168.1.20:${port}`;
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${own}`, ...fields];
  await raw.write(`${lines.join("\r\n").replaceAll("OWN", own)}\r\n\r\n`);
  return (await raw.readAnswer()).status;
}

Deno.test("a browser that does not say which page asks joins no room", async () => {
  await using server = await startServer({ allowOrigin: [listed] });
  for (const [what, fields] of Object.entries(SILENT_GETS)) {
    for (const path of ["/events?room=a", "/messages?room=a"]) {
      assertEquals(await statusOf(server.port, path, fields), 403, what);
    }
  }
  assertEquals([server.connections.size, server.hub.rooms.size], [0, 0]);
  const headers = { "user-agent": "Mozilla/5.0", "accept-language": "en" };
  const typed = await fetch(`${server.http}/messages`, { headers });
  assertMatch(await typed.text(), /which page sent.*own page/);
});

Deno.test("programs and the server's own page join by GET", async () => {
  await using server = await startServer({ allowOrigin: [listed] });
  for (const [what, fields] of Object.entries(NAMED_GETS)) {
    for (const path of ["/events?room=a", "/messages?room=a"]) {
      assertEquals(await statusOf(server.port, path, fields), 200, what);
    }
  }
});

Deno.test("a refused request joins no room, takes no place and makes no name", async () => {
  await using server = await startServer({ invite, allowOrigin: [listed] });
  const { size: known } = server.hub.rooms;
  const code = `invite=${encodeURIComponent(invite)}`;
  const asJson = { "content-type": "application/json" };
  const post = (body: BodyInit, headers: Record<string, string> = {}) => ({
    method: "POST",
    headers,
    body,
  });
  const asks: [path: string, init: RequestInit, status: number][] = [
    [`/events?${code}&room=No`, {}, 400],
    [`/events?${code}&since=x`, {}, 400],
    [`/events?${code}&history=x`, {}, 400],
    [`/events?${code}&line=`, {}, 400],
    ["/events", {}, 401],
    [`/events?${code}`, { headers: { origin: foreign } }, 403],
    [`/events?${code}`, { method: "POST", body: "x" }, 405],
    [`/messages?${code}&room=${"x".repeat(33)}`, {}, 400],
    [`/messages?${code}&wait=-1`, {}, 400],
    [`/messages?${code}&since=x`, {}, 400],
    ["/messages", {}, 401],
    [`/messages?${code}&wait=1&line=gone`, {}, 410],
    [`/messages?${code}`, { method: "DELETE" }, 405],
    [`/messages?${code}`, post("x".repeat(4_001)), 413],
    [`/messages?${code}`, post("x".repeat(70_000)), 413],
    [`/messages?${code}`, post(Uint8Array.of(255)), 400],
    [`/messages?${code}`, post("{", asJson), 400],
    [`/messages?${code}`, post('{"type":"shout"}', asJson), 400],
    [`/messages?${code}`, post('{"type":"hello"}', asJson), 400],
    [`/messages?${code}`, post('{"type":"message"}', asJson), 400],
    [`/messages?${code}`, post('{"type":"rename","name":"x"}', asJson), 409],
    [`/messages?${code}&line=`, post("x"), 400],
    [`/messages?${code}&line=gone`, post("x"), 410],
    [`/messages?${code}`, post("x", { origin: foreign }), 403],
    ["/messages", post("x"), 401],
    [`/ws?${code}`, {}, 426],
    [`/ws?${code}&room=No`, {}, 400],
    [
      `/ws?${code}`,
      { headers: { "sec-websocket-protocol": "partyline.v2" } },
      400,
    ],
    [`/ws?${code}`, { headers: { origin: foreign } }, 403],
    [`/ws?${code}`, { method: "POST", body: "x" }, 405],
  ];
  for (const [path, init, status] of asks) {
    const response = await fetch(server.http + path, init);
    await response.body?.cancel();
    assertEquals(response.status, status, JSON.stringify([path, init]));
    const { rooms, names } = server.hub.census;
    assertEquals(
      [server.connections.size, rooms, names],
      [0, known, 0],
      JSON.stringify([path, init]).slice(0, 200),
    );
  }
});
