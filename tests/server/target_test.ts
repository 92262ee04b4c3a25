// What target.ts promises: the path that is answered is the one of the request
// line and nothing else, and what could be read in two ways is refused. Asked
// over raw TCP, byte for byte, and over HTTP/2.
import http2 from "node:http2";
import { assertEquals, assertMatch } from "@std/assert";
import { canonicalHost, canonicalOrigin } from "../../chat/http/target.ts";
import { RawClient, request, soon, startServer } from "../support/harness.ts";

/** The status of the answer to a request line and a `Host`. */
async function ask(port: number, target: string, host: string | undefined) {
  using raw = await RawClient.open(port);
  const text = request(target, host === undefined ? {} : { Host: host });
  await raw.write(Uint8Array.from(text, (char) => char.charCodeAt(0)));
  const { status, field } = await raw.readAnswer();
  const body = await raw.readBody(Number(field("content-length") ?? 0));
  return { status, body };
}

for (
  const host of [
    ...["x\\metrics?", "x\\metrics#", "x/metrics?", "x/metrics#", "x/metrics"],
    ...["x?", "x#", "x\\", "x/", "u@x", "u:p@x", "@x", "a b", "x, y", "a,b"],
    ...[
      "",
      "[::1",
      "::1",
      "[fe80::1%25eth0]",
      "[x]",
      "x:99999",
      "x:y",
      "x:1:2",
    ],
    ...["%2e", "%6d", "x%2fmetrics", "\xe9", "x;y", "x'y", '"x"', "<x>", "x|y"],
    ...["1.2.3.999", "*", "x\x7f", "a".repeat(261), `xn--${"a".repeat(200)}`],
  ]
) {
  Deno.test(`Host: ${JSON.stringify(host.slice(0, 40))} is refused, whatever the path`, async () => {
    await using server = await startServer({ publicMetrics: true });
    for (const target of ["/metrics", "/shared/base.css", "/"]) {
      const { status, body } = await ask(server.port, target, host);
      assertEquals(status, 400, target);
      // What Deno refuses by itself has no words.
      assertMatch(body, /^$|^This address is not valid: /);
    }
    assertEquals(server.connections.size, 0);
  });
}

for (
  const host of [
    ...[
      "localhost",
      "LocalHost:8000",
      "pi.local.",
      "pi.local:80",
      "x:",
      "10.0.0.7",
    ],
    ...[
      "[::1]",
      "[::1]:8000",
      "[0:0::1]:8000",
      "[::ffff:10.0.0.7]",
      "a_b",
      "x-y",
    ],
  ]
) {
  Deno.test(`Host: ${host} is understood`, async () => {
    await using server = await startServer();
    assertEquals(
      (await ask(server.port, "/shared/base.css", host)).status,
      200,
    );
    assertEquals((await ask(server.port, "/metric", host)).status, 404);
  });
}

Deno.test("each path is the one of the request line, or refused", async () => {
  await using server = await startServer({ publicMetrics: true });
  for (
    const [target, status] of [
      ["/metrics", 200],
      ["/metrics?a\\..\\b", 200],
      ["/metrics?a/../b", 200],
      ["/metrics?", 200],
      ["/metrics#x", 200],
      ["/a\\..\\metrics", 400],
      ["/\\metrics", 400],
      ["\\metrics", 400],
      ["/metrics\\", 400],
      ["/a/../metrics", 400],
      ["/./metrics", 400],
      ["/.//metrics", 400],
      ["/metrics/..", 400],
      ["/metrics/.", 400],
      ["/%2e/metrics", 400],
      ["/a/%2e%2E/metrics", 400],
      ["/a/.%2e/metrics", 400],
      ["metrics", 400],
      ["?metrics", 400],
      ["*", 400],
      ["/%6detrics", 404],
      ["/metrics%2f", 404],
      ["/metrics;x", 404],
      ["/metrics/", 404],
      ["//metrics", 404],
      ["//x/metrics", 404],
      ["/...", 404],
      // An absolute one is for proxies, but every server has to take it.
      ["http://y/metrics", 200],
      ["https://y:1/metrics?x", 200],
      ["HTTP://Y/metrics", 200],
      ["http://y/metrics/x", 404],
      ["http://y/a\\..\\metrics", 400],
      ["http://y\\metrics?/", 400],
      ["http://u@y/metrics", 400],
      ["http://u:p@y/metrics", 400],
      ["ftp://y/metrics", 400],
      ["ws://y/metrics", 400],
      ["x:/metrics", 400],
    ] as const
  ) {
    assertEquals((await ask(server.port, target, "x")).status, status, target);
  }
});

Deno.test("two Hosts are refused, and none is that of an old program", async () => {
  await using server = await startServer();
  assertEquals((await ask(server.port, "/", "x\r\nHost: y")).status, 400);
  assertEquals(
    (await ask(server.port, "/shared/base.css", undefined)).status,
    200,
  );
});

// Deno 2.6 makes the path of HTTP/2 another one before this server sees it.
const isOlder = Deno.version.deno.startsWith("2.6.");

Deno.test(
  "HTTP/2 leads to no other path either",
  { ignore: isOlder },
  async () => {
    await using server = await startServer({ publicMetrics: true });
    const session = http2.connect(server.http);
    const ask2 = async (headers: Record<string, string>) => {
      const stream = session.request(headers);
      const status = new Promise((resolve, reject) => {
        stream.on("response", (head) => resolve(head[":status"]));
        stream.on("error", reject);
      });
      stream.resume();
      const ended = new Promise((resolve) => stream.on("end", resolve));
      const got = await soon(status, "an answer");
      await ended;
      return got;
    };
    try {
      assertEquals(await ask2({ ":path": "/metrics" }), 200);
      assertEquals(
        await ask2({ ":path": "/metrics", host: "x\\metrics?" }),
        400,
      );
      assertEquals(await ask2({ ":path": "/a\\..\\metrics" }), 400);
    } finally {
      const closed = new Promise<void>((resolve) =>
        session.on("close", resolve)
      );
      session.close();
      await soon(closed, "the end of HTTP/2");
    }
  },
);

Deno.test("hosts and origins compare without case, default port and last dot", () => {
  for (
    const [host, scheme, canonical] of [
      ["Chat.Example.org:443", "https:", "chat.example.org"],
      ["chat.example.org:443", "http:", "chat.example.org:443"],
      ["pi.local:80", "http:", "pi.local"],
      ["pi.local:80", "https:", "pi.local:80"],
      ["pi.local.:8000", "http:", "pi.local:8000"],
      ["pi.local:", "http:", "pi.local"],
      ["[0:0:0:0:0:0:0:1]:80", "http:", "[::1]"],
      ["[2001:DB8::1]:81", "http:", "[2001:db8::1]:81"],
      ["0x7f.1", "http:", "127.0.0.1"],
      ["x/y", "http:", undefined],
      ["u@x", "http:", undefined],
      [null, "http:", undefined],
    ] as const
  ) {
    assertEquals(canonicalHost(host, scheme), canonical, `${host}`);
  }
  for (
    const [origin, canonical] of [
      ["HTTPS://Chat.Example.org:443", "https://chat.example.org"],
      ["http://pi.local.", "http://pi.local"],
      ["http://pi.local:443", "http://pi.local:443"],
      ["capacitor://LocalHost", "capacitor://localhost"],
      ["chrome-extension://abcdef", "chrome-extension://abcdef"],
      ["null", "null"],
      ["file://", "null"],
      ["", undefined],
      ["::", undefined],
      ["data:x", undefined],
      ["example.org", undefined],
      [`http://${"a".repeat(300)}`, undefined],
    ] as const
  ) {
    assertEquals(canonicalOrigin(origin), canonical, origin);
  }
});
