// What server.ts promises over HTTP: the page's files, who may connect, the drain.
// Requests go over raw TCP where `fetch` would tidy them.
import FakeTimers from "npm:@sinonjs/fake-timers@15.5.0";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { READ_MS } from "../../chat/ops/deadline.ts";
import { loadAssets, serveAsset } from "../../chat/http/static_files.ts";
import {
  Client,
  handshake,
  RawClient,
  request,
  soon,
  startServer,
  STATIC,
  until,
} from "../support/harness.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";

Deno.test("the page is served with its type and the security headers", async () => {
  await using server = await startServer();
  const response = await fetch(server.http);
  assertMatch(await response.text(), /^<!doctype html>/i);
  assertEquals(response.status, 200);
  assertEquals(
    response.headers.get("content-type"),
    "text/html; charset=utf-8",
  );
  assertEquals(response.headers.get("x-content-type-options"), "nosniff");
  assertEquals(response.headers.get("referrer-policy"), "same-origin");
  const policy = response.headers.get("content-security-policy") ?? "";
  assertStringIncludes(policy, "script-src 'self'");
  assertStringIncludes(policy, "frame-ancestors 'none'");
  assert(!policy.includes("unsafe"));
});

/** One request without what `fetch` adds and hides. */
async function ask(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
) {
  using raw = await RawClient.open(port);
  const fields = { Host: `127.0.0.1:${port}`, ...headers };
  await raw.write(request(path, fields, method));
  return await raw.readAnswer();
}

Deno.test("each coding of a file has its own strong ETag and is revalidated", async () => {
  await using server = await startServer();
  const etags = new Set<string>();
  for (const coding of ["br", "gzip", "identity"]) {
    const headers = { "Accept-Encoding": coding };
    const first = await ask(server.port, "/", headers);
    assertEquals(first.status, 200);
    assertEquals(
      first.field("content-encoding"),
      coding === "identity" ? undefined : coding,
    );
    assertEquals(first.field("vary"), "Accept-Encoding");
    assertMatch(first.field("cache-control") ?? "", /no-cache/);
    const etag = first.field("etag") ?? "";
    assertMatch(etag, /^"/);
    etags.add(etag);
    const again = await ask(server.port, "/", {
      ...headers,
      "If-None-Match": etag,
    });
    assertEquals([again.status, again.field("etag")], [304, etag]);
  }
  assertEquals(etags.size, 3);
});

Deno.test("a file is compressed when it is first asked for, and once", async () => {
  const assets = await loadAssets(STATIC);
  const asset = assets.get("/shared/base.css");
  const made = () => [...asset?.forms.keys() ?? []];
  assertEquals(made(), ["identity"]);
  const ask = (coding: string) =>
    serveAsset(
      assets,
      new Request("http://a/shared/base.css", {
        headers: { "accept-encoding": coding },
      }),
      "/shared/base.css",
    );
  await ask("gzip")?.body?.cancel();
  assertEquals(made(), ["identity", "gzip"]);
  const form = asset?.forms.get("gzip");
  await ask("gzip")?.body?.cancel();
  assert(asset?.forms.get("gzip") === form);
  await ask("br")?.body?.cancel();
  assertEquals(made(), ["identity", "gzip", "br"]);
});

Deno.test("a client that names no coding gets the file as it is", async () => {
  await using server = await startServer();
  const { status, field } = await ask(server.port, "/shared/base.css");
  assertEquals([status, field("content-encoding")], [200, undefined]);
});

Deno.test("HEAD has the length of GET and no body", async () => {
  await using server = await startServer();
  const get = await ask(server.port, "/");
  using raw = await RawClient.open(server.port);
  await raw.write("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const head = await raw.readHead();
  assertStringIncludes(head, `content-length: ${get.field("content-length")}`);
  assertEquals(await raw.readFrame(), undefined);
});

for (
  const path of [
    "/nothing",
    "//deno.json",
    "/static/",
    "/%00",
    "/%zz",
  ]
) {
  Deno.test(`${path} is not found`, async () => {
    await using server = await startServer();
    assertEquals((await ask(server.port, path)).status, 404);
  });
}

Deno.test("below a base there is all, and beside it a hint to the base", async () => {
  await using server = await startServer({ base: "/class/chat/" });
  for (const path of ["/class/chat/", "/class/chat/client.js?x=1"]) {
    assertEquals((await ask(server.port, path)).status, 200, path);
  }
  const ws = "/class/chat/ws?room=physics";
  assertEquals((await ask(server.port, ws, upgrade)).status, 101);
  for (
    const path of ["/", "/ws", "/class", "/class/chatter", "/class/chat//"]
  ) {
    const response = await fetch(server.http + path);
    assertEquals(response.status, 404, path);
    assertStringIncludes(await response.text(), "/class/chat/");
  }
  assertEquals((await ask(server.port, "/ws", upgrade)).status, 404);
});

Deno.test("a base without its slash leads to the base, with the query", async () => {
  await using server = await startServer({ base: "/class/chat/" });
  for (const method of ["GET", "HEAD", "POST"]) {
    const path = "/class/chat?room=physics";
    const { status, field } = await ask(server.port, path, {}, method);
    assertEquals([status, field("location")], [308, "chat/?room=physics"]);
  }
  const response = await fetch(`${server.http}/class/chat`);
  await response.body?.cancel();
  assertEquals(
    [response.url, response.status],
    [`${server.http}/class/chat/`, 200],
  );
});

Deno.test("a file can only be read", async () => {
  await using server = await startServer();
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { status, field } = await ask(server.port, "/", {}, method);
    assertEquals([status, field("allow")], [405, "GET, HEAD"]);
  }
});

const upgrade = {
  Upgrade: "websocket",
  Connection: "keep-alive, Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

Deno.test("/ws without an upgrade is 426 and says what to ask for", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.http}/ws`);
  assertEquals(response.status, 426);
  assertEquals(response.headers.get("upgrade"), "websocket");
  assertMatch(await response.text(), /^[A-Z].*\.\n$/);
});

Deno.test("/ws opens with GET only", async () => {
  await using server = await startServer();
  const { status, field } = await ask(server.port, "/ws", upgrade, "POST");
  assertEquals([status, field("allow")], [405, "GET"]);
});

Deno.test("a method with the name of something that every object has is refused like any other", async () => {
  await using server = await startServer();
  for (const method of ["toString", "constructor", "__proto__"]) {
    for (const path of ["/ws", "/lab/echo", "/x-ray/events"]) {
      const { status } = await ask(server.port, path, {}, method);
      assertEquals(status, 405, `${method} ${path}`);
    }
  }
});

for (
  const [what, headers, status] of [
    ["another version", { "Sec-WebSocket-Version": "8" }, 426],
    ["a malformed key", { "Sec-WebSocket-Key": "short" }, 426],
    ["no Connection: Upgrade", { Connection: "close" }, 426],
    ["a later version", { "Sec-WebSocket-Protocol": "x, partyline.v2" }, 400],
    ["no version", { "Sec-WebSocket-Protocol": "x, Partyline" }, 400],
  ] as const
) {
  Deno.test(`a handshake with ${what} gets ${status}`, async () => {
    await using server = await startServer();
    const answer = await ask(server.port, "/ws", { ...upgrade, ...headers });
    assertEquals(answer.status, status);
    assertEquals(server.connections.size, 0);
  });
}

for (const offers of ["partyline.v1", "x, partyline.v1", "x,partyline.v1 ,y"]) {
  Deno.test(`of "${offers}" partyline.v1 is chosen`, async () => {
    await using server = await startServer();
    const headers = { ...upgrade, "Sec-WebSocket-Protocol": offers };
    const { status, field } = await ask(server.port, "/ws", headers);
    assertEquals([status, field("sec-websocket-protocol")], [
      101,
      "partyline.v1",
    ]);
  });
}

for (
  const offers of [
    "chat, soap",
    "partylines.v1",
    ", x",
    "%.v~1",
    "x".repeat(256),
  ]
) {
  Deno.test(`a client that offers "${offers.slice(0, 10)}" gets the first back and speaks the plain dialect`, async () => {
    await using server = await startServer();
    const first = offers.split(/[ ,]+/).find((name) => name !== "");
    using raw = await RawClient.open(server.port);
    const offer = { "Sec-WebSocket-Protocol": offers };
    await raw.write(handshake(server.port, "/ws", offer));
    const head = (await raw.readHead()).toLowerCase();
    assertMatch(head, /^http\/1\.1 101 /);
    assertStringIncludes(head, `sec-websocket-protocol: ${first}\r\n`);
    await raw.write(frame(Opcode.text, "hi"));
    const said = await raw.readFrame();
    const { message } = JSON.parse(new TextDecoder().decode(said?.payload));
    assertEquals(message, "hi");
  });
}

Deno.test("a request that is no URL is answered without a word in the log", async () => {
  await using server = await startServer();
  const { error } = console;
  let isLogged = false;
  console.error = () => isLogged = true;
  const { status } = await ask(server.port, "/", { Host: "a b" });
  console.error = error;
  assertEquals([status, isLogged], [400, false]);
});

Deno.test("a connection reset during the handshake gives its place back", async () => {
  const clock = FakeTimers.install({
    toFake: ["setTimeout", "clearTimeout"],
    shouldClearNativeTimers: true,
  });
  try {
    await using server = await startServer({ maxClients: 1 });
    // Its socket never opens, and never says so.
    const name = "upgradeWebSocket";
    const own = Object.getOwnPropertyDescriptor(Deno, name);
    Object.defineProperty(Deno, name, {
      configurable: true,
      value: (request: Request) => ({
        socket: Object.assign(new EventTarget(), { close() {}, send() {} }),
        response: new Response(request.method),
      }),
    });
    await ask(server.port, "/ws", upgrade);
    Object.defineProperty(Deno, name, own ?? {});
    assertEquals((await ask(server.port, "/ws", upgrade)).status, 503);
    await clock.tickAsync(10_000 + READ_MS);
    assertEquals(server.connections.size, 0);
    assertEquals((await ask(server.port, "/ws", upgrade)).status, 101);
  } finally {
    clock.uninstall();
  }
});

for (
  const room of [
    "",
    "Physics",
    "a_b",
    "a".repeat(33),
    "%3Cb%3E",
    "%F0%9F%92%A9",
  ]
) {
  Deno.test(`"${room}" is no name for a room: 400`, async () => {
    await using server = await startServer();
    const response = await fetch(`${server.http}/ws?room=${room}`, {
      headers: upgrade,
    });
    assertEquals(response.status, 400);
    await response.body?.cancel();
    const answer = await ask(server.port, `/ws?room=${room}`, upgrade);
    assertEquals(answer.status, 400);
  });
}

Deno.test("one client too many gets 503 with Retry-After, and a place is free again", async () => {
  await using server = await startServer({ maxClients: 2 });
  await using _first = await Client.open(server.ws);
  {
    await using _second = await Client.open(server.ws);
    const { status, field } = await ask(server.port, "/ws", upgrade);
    assertEquals(status, 503);
    assertMatch(field("retry-after") ?? "", /^\d+$/);
  }
  await until(() => server.connections.size === 1, "a free place");
  await using _third = await Client.open(server.ws);
});

Deno.test("one room too many gets 503, an existing room still lets in", async () => {
  await using server = await startServer({ maxRooms: 1 });
  await using _first = await Client.open(`${server.ws}?room=a`);
  await until(() => server.hub.rooms.size === 1, "the room");
  assertEquals((await ask(server.port, "/ws?room=b", upgrade)).status, 503);
  await using _second = await Client.open(`${server.ws}?room=a`);
});

Deno.test("a room that filled up during the handshake closes with 1013", async () => {
  await using server = await startServer({ maxRooms: 1 });
  const raws = await Promise.all(
    Array.from({ length: 20 }, () => RawClient.open(server.port)),
  );
  await Promise.all(
    raws.map((raw, i) => raw.write(handshake(server.port, `/ws?room=r${i}`))),
  );
  const heads = await Promise.all(raws.map((raw) => raw.readHead()));
  const opened = raws.filter((_, i) => heads[i]?.includes(" 101 "));
  const codes: unknown[] = [];
  const closing = opened.map(async (raw) => codes.push(await raw.closeCode()));
  // The one that got the room stays in it.
  await until(() => codes.length === opened.length - 1, "the others' close");
  assertEquals(codes, codes.map(() => 1013));
  for (const raw of raws) raw[Symbol.dispose]();
  await Promise.allSettled(closing);
  await until(() => server.connections.size === 0, "an empty server");
  assertEquals(server.hub.rooms.size, 0);
});

Deno.test("a drain closes every client with 1001 and lets no one in", async () => {
  const server = await startServer();
  await using a = await Client.open(server.ws);
  using raw = await RawClient.upgrade(server.port, "/ws?room=other");
  await until(() => server.hub.rooms.size === 2, "two rooms");
  const drained = server.drain(5_000);
  assertEquals((await soon(a.closed, "the close")).code, 1001);
  assertEquals(await raw.closeCode(), 1001);
  await soon(drained, "the drain");
  assertEquals([server.connections.size, server.hub.rooms.size], [0, 0]);
});

Deno.test("a drain does not wait for a stalled client beyond its deadline", async () => {
  const server = await startServer();
  using _raw = await RawClient.upgrade(server.port);
  await until(() => server.hub.rooms.size === 1, "the member");
  await soon(server.drain(200), "the drain");
  assertEquals(server.hub.rooms.size, 0);
});

Deno.test("a handshake to a page is refused with a sentence, not answered with the page", async () => {
  await using server = await startServer();
  for (const path of ["/", "/learn", "/docs/", "/nothing", "/close/1009"]) {
    using raw = await RawClient.open(server.port);
    await raw.write(handshake(server.port, path));
    const { status, field } = await raw.readAnswer();
    assertEquals(status, 404, path);
    const body = await raw.readBody(Number(field("content-length")));
    assertStringIncludes(body, `no WebSocket at ${path}: its path ends`);
  }
});

Deno.test("the name of a page's file leads to the page", async () => {
  await using server = await startServer();
  for (const page of ["docs/protocol", "learn"]) {
    const response = await fetch(`${server.http}/${page}.html`);
    await response.body?.cancel();
    assertEquals(response.status, 200);
    assertEquals(response.url, `${server.http}/${page}`);
  }
});
