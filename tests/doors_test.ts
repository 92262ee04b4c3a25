// What doors.ts and proxy.ts promise: which pages may connect, who needs an
// invitation, how slow it is to guess one, and whose word a proxy's is. The
// server is asked as a page or a program would.
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { Invitation } from "../chat/doors.ts";
import { clientAddress, Networks, requestedHost } from "../chat/proxy.ts";
import {
  Client,
  handshake,
  RawClient,
  soon,
  startServer,
  until,
} from "./harness.ts";

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
  const head = await raw.readHead();
  const field = (name: string) =>
    new RegExp(`^${name}: (.*)\r$`, "im").exec(head)?.[1];
  return { status: Number(head.split(" ")[1]), field };
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
      await raw.write(`GET ${path} HTTP/1.1\r\nHost: ${Host}\r\n\r\n`);
      const head = await raw.readHead();
      assertEquals(Number(head.split(" ")[1]), status, `${path} ${Host}`);
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
const invite = "50%&#+?=/~!";
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
    assertMatch(await response.text(), /^An invitation is needed: .*\.\n$/);
    assertEquals(server.connections.size, 0);
  } finally {
    clock.uninstall();
  }
});

Deno.test("the page's files need no code", async () => {
  await using server = await startServer({ invite });
  for (const path of ["/", "/app.js", "/client.py"]) {
    const response = await fetch(server.http + path);
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
});

Deno.test("a wrong code gets 401, and a connection can guess once a second", async () => {
  await using server = await startServer({ invite });
  using raw = await RawClient.open(server.port);
  const startedAtMs = performance.now();
  for (const guess of [invite.slice(1), `${invite}x`]) {
    const path = `/ws?invite=${encodeURIComponent(guess)}`;
    const { status, field } = await knockWith(raw, server.port, path);
    assertEquals(status, 401);
    assertMatch(field("www-authenticate") ?? "", /^Bearer error=/);
    await raw.readBody(Number(field("content-length")));
  }
  // Timers may be early by a millisecond of the other clock.
  assert(performance.now() - startedAtMs > 1_990);
  assertEquals((await knockWith(raw, server.port, inQuery)).status, 101);
});

Deno.test("after 60 wrong codes the right one is told to wait too, then let in", async () => {
  let nowMs = 0;
  await using server = await startServer({ invite }, { now: () => nowMs });
  const guesses = Array.from(
    { length: 60 },
    (_, i) => knock(server.port, `/ws?invite=guess-${i}`),
  );
  for (const { status } of await Promise.all(guesses)) {
    assertEquals(status, 401);
  }
  for (const path of [inQuery, "/ws?invite=guess-60"]) {
    const { status, field } = await knock(server.port, path);
    assertEquals([status, field("retry-after")], [429, "1"]);
  }
  // Who has no code learns that it is needed, and costs nobody a guess.
  assertEquals((await knock(server.port)).status, 401);
  nowMs += 500;
  assertEquals((await knock(server.port, inQuery)).status, 101);
  assertEquals((await knock(server.port, inQuery)).status, 101);
});

Deno.test("a wrong code waits a second, others on its connection are not compared", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const invitation = new Invitation(invite, () => 0);
    let answered = 0;
    const wrong = Promise.resolve(invitation.check("guess", "a 1"));
    wrong.then(() => answered++);
    for (const code of [invite, "guess"]) {
      const refusal = await invitation.check(code, "a 1");
      assertEquals(refusal?.status, 429);
    }
    assertEquals(invitation.check(invite, "a 2"), undefined);
    await clock.tickAsync(999);
    assertEquals(answered, 0);
    await clock.tickAsync(1);
    assertEquals((await wrong)?.status, 401);
    assertEquals(invitation.check(invite, "a 1"), undefined);
  } finally {
    clock.uninstall();
  }
});

Deno.test("a drain answers wrong codes at once", async () => {
  let asked = 0;
  const server = await startServer({ invite }, { now: () => ++asked });
  using raw = await RawClient.open(server.port);
  const before = asked;
  // As long as the wait, and begun earlier.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const second = new Promise((resolve) => timer = setTimeout(resolve, 1_000));
  await raw.write(handshake(server.port, "/ws?invite=guess-1"));
  // The clock is read for the bucket: the code was seen.
  await until(() => asked > before, "the attempt");
  const head = raw.readHead();
  const drained = server.drain(5_000);
  assertMatch(`${await Promise.race([head, second])}`, /^HTTP\/1.1 401 /);
  clearTimeout(timer);
  await soon(drained, "the drain");
});

Deno.test("during a drain a wrong code is answered at once and starts no timer", async () => {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const invitation = new Invitation(invite, () => 0);
    const waiting = invitation.check("guess-1", "a 1");
    assertEquals(clock.countTimers(), 1);
    invitation.close();
    assertEquals((await waiting)?.status, 401);
    const late = invitation.check("guess-2", "a 2");
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
      ["/ws", { "Sec-WebSocket-Protocol": "soap" }, 401],
      ["/ws", { Authorization, "Sec-WebSocket-Protocol": "soap" }, 400],
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
      host: "class.local",
    });
    const stranger = "203.0.113.5";
    assertEquals(clientAddress(headers, stranger, trusted), stranger);
    assertEquals(requestedHost(headers, stranger, trusted), "class.local");
    requestedHost(headers, "10.1.2.3", trusted);
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
