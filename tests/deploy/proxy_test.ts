// The settings that docs/proxies shows for nginx, alone and with those against
// floods, and for Caddy: they run before a real server as they stand there, but
// for addresses, files and, where a test says so, shorter time-outs. Where a proxy
// is missing its tests skip with the reason, except in CI.
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Options } from "../../chat/options.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  handshake,
  newContext,
  RawClient,
  request,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { codeOf, docsPage } from "../support/docs.ts";
import { TextReader } from "../support/text_reader.ts";

const CERTIFICATES =
  new URL("../support/certificates/", import.meta.url).pathname;
const CERT = `${CERTIFICATES}first.pem`;
const KEY = `${CERTIFICATES}first.key`;
const caCert = Deno.readTextFileSync(CERT);

/** What stands in the settings, and what is to stand there. */
type Changes = [string | RegExp, string][];

/** What stands before the server, and how a test's name begins. */
type Kind = "nginx" | "nginx with stream" | "caddy";

interface Setup {
  /** What the page calls the settings. */
  label: string;
  /** What belongs to the test alone: addresses, files. */
  place(folder: string, port: number, upstream: string): Changes;
  args(file: string): string[];
  /** What the page says for a sub-path that is kept, and one stripped. */
  underChat: Changes;
  stripped: Changes;
  withoutMetricsLine: Changes;
}

const nginx: Setup = {
  label: "Settings for nginx",
  place: (folder, port, upstream) => [
    [
      /^/,
      `daemon off; master_process off; pid ${folder}/pid;
       error_log ${folder}/error.log; events {} http {
       client_body_temp_path ${folder}; proxy_temp_path ${folder};
       fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder};
       scgi_temp_path ${folder};\n`,
    ],
    [/$/, "}\n"],
    ["listen 443", `listen 127.0.0.1:${port}`],
    ["/etc/ssl/certs/chat.pem", CERT],
    ["/etc/ssl/private/chat.key", KEY],
    ["/var/log/nginx/partyline.log", `${folder}/access.log`],
    ["127.0.0.1:8000", upstream],
  ],
  args: (file) => ["-c", file, "-e", "stderr"],
  underChat: [
    ["location / {", "location /chat/ {"],
    ["location = /metrics", "location = /chat/metrics"],
  ],
  stripped: [
    ["location / {", "location /chat/ {"],
    [/(proxy_pass .*);/, "$1/;"],
  ],
  withoutMetricsLine: [["location = /metrics { return 404; }", ""]],
};

const nginxWithStream: Setup = {
  ...nginx,
  place: (folder, port, upstream) => {
    const stream = `127.0.0.1:${freePort()}`;
    const settings = change(
      codeOf("proxies", "Settings for nginx against floods"),
      [
        ["127.0.0.1:8001", stream],
        ["127.0.0.1:8000", upstream],
      ],
    );
    return [
      ...nginx.place(folder, port, stream),
      [/^/, `load_module ${streamModule};\n`],
      [/$/, settings],
    ];
  },
};

const caddy: Setup = {
  label: "Settings for Caddy",
  place: (_folder, port, upstream) => [
    ["{\n", "{\n\tadmin off\n"],
    [
      "chat.example.org {",
      `:${port} {\n\tbind 127.0.0.1\n\ttls ${CERT} ${KEY}`,
    ],
    ["127.0.0.1:8000", upstream],
  ],
  args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
  underChat: [
    ["respond /metrics", "respond /chat/metrics"],
    ["reverse_proxy ", "reverse_proxy /chat* "],
  ],
  stripped: [
    ["respond /metrics 404", "redir /chat /chat/"],
    [/(reverse_proxy .*)/, "handle_path /chat/* {\n$1\n}"],
  ],
  withoutMetricsLine: [["respond /metrics 404", ""]],
};

const setups: Record<Kind, Setup> = {
  nginx,
  "nginx with stream": nginxWithStream,
  caddy,
};

const SOONER: Changes = [[/\b\d+s\b/g, "2s"]];

function change(settings: string, changes: Changes): string {
  return changes.reduce((text, [from, to]) => {
    const changed = text.replace(from, to);
    assert(changed !== text, `the settings do not have ${from}`);
    return changed;
  }, settings);
}

/** A proxy with the page's settings, which listens with TLS on loopback. */
class Proxy implements AsyncDisposable {
  readonly http: string;
  readonly ws: string;
  /** For who trusts its certificate. */
  readonly client = Deno.createHttpClient({ caCerts: [caCert] });

  private constructor(
    readonly port: number,
    readonly folder: string,
    private readonly process: Deno.ChildProcess,
  ) {
    this.http = `https://127.0.0.1:${port}`;
    this.ws = `wss://127.0.0.1:${port}/ws`;
  }

  static async start(
    kind: Kind,
    server: TestServer,
    ...changes: Changes
  ): Promise<Proxy> {
    const { label, place, args } = setups[kind];
    const settings = codeOf("proxies", label);
    const folder = Deno.makeTempDirSync();
    const port = freePort();
    const upstream = `127.0.0.1:${server.port}`;
    const file = `${folder}/settings`;
    Deno.writeTextFileSync(
      file,
      change(settings, [...changes, ...place(folder, port, upstream)]),
    );
    const child = new Deno.Command(programs[kind] ?? kind, {
      args: args(file),
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const proxy = new Proxy(port, folder, child);
    const complaints = child.stderr.text();
    try {
      await listens(port);
    } catch {
      await proxy[Symbol.asyncDispose]();
      throw new Error(`${kind} does not listen: ${await complaints}`);
    }
    return proxy;
  }

  async [Symbol.asyncDispose]() {
    this.client.close();
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It ended by itself.
    }
    await soon(this.process.status, "the end of the proxy");
    Deno.removeSync(this.folder, { recursive: true });
  }

  openRaw(): Promise<RawClient> {
    return RawClient.open(this.port, caCert);
  }

  openPlain(): Promise<Client> {
    return Client.open(this.ws, { client: this.client });
  }

  joinV1() {
    return Client.join(this.ws, {}, { client: this.client });
  }

  async get(path: string) {
    const response = await fetch(this.http + path, { client: this.client });
    return {
      status: response.status,
      path: new URL(response.url).pathname,
      text: await response.text(),
    };
  }

  /** The head of the answer to a handshake. */
  async knock(headers: Record<string, string> = {}): Promise<string> {
    using raw = await this.openRaw();
    await raw.write(handshake(this.port, "/ws", headers));
    return await raw.readHead();
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Resolves when connections are taken there. */
async function listens(port: number): Promise<void> {
  const giveUpAtMs = performance.now() + 10_000;
  while (true) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (error) {
      if (performance.now() > giveUpAtMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function find(file: string, ...folders: string[]): string | undefined {
  return folders.map((folder) => `${folder}/${file}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

const PATH = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin"];
const streamModule = find("ngx_stream_module.so", "/usr/lib/nginx/modules");
const programs: Record<Kind, string | undefined> = {
  nginx: find("nginx", ...PATH),
  "nginx with stream": streamModule && find("nginx", ...PATH),
  caddy: find("caddy", ...PATH),
};

function test(kinds: Kind[], name: string, fn: (kind: Kind) => Promise<void>) {
  for (const kind of kinds) {
    const isMissing = programs[kind] === undefined;
    const isSkipped = isMissing && Deno.env.get("CI") === undefined;
    Deno.test({
      name: `${kind} ${name}${isSkipped ? " (skipped: it is missing)" : ""}`,
      ignore: isSkipped,
      fn: async () => {
        assert(!isMissing, `${kind} is missing`);
        await fn(kind);
      },
    });
  }
}

const both: Kind[] = ["nginx", "caddy"];
const bothNginx: Kind[] = ["nginx", "nginx with stream"];
const all: Kind[] = [...bothNginx, "caddy"];

async function assertChats(proxy: Proxy): Promise<void> {
  await using plain = await proxy.openPlain();
  await using v1 = await proxy.joinV1();
  await plain.say("from plain");
  await v1.messagesUpTo("from plain");
  v1.request({ type: "message", message: "from v1", id: "1" });
  await plain.messagesUpTo("from v1");
}

test(
  all,
  "passes on events as they happen, and long messages by POST",
  async (kind) => {
    await using server = await startServer();
    await using proxy = await Proxy.start(kind, server);
    const stream = await fetch(`${proxy.http}/events`, {
      client: proxy.client,
    });
    const events = new TextReader(stream.body);
    const message = "x".repeat(4_000);
    const posted = await fetch(`${proxy.http}/messages`, {
      method: "POST",
      body: message,
      client: proxy.client,
    });
    assertEquals((await posted.json()).event.message, message);
    await events.until(new RegExp(message));
    await events.cancel();
  },
);

test(all, "passes on the page, both dialects and /healthz", async (kind) => {
  await using server = await startServer();
  await using proxy = await Proxy.start(kind, server);
  assertMatch((await proxy.get("/")).text, /<!doctype html>/i);
  assertEquals((await proxy.get("/chat/app.js")).status, 200);
  assertEquals(JSON.parse((await proxy.get("/healthz")).text), {
    status: "ready",
    log: "writable",
  });
  assertEquals((await proxy.get("/ws")).status, 426);
  await assertChats(proxy);
});

for (
  const [what, options, which] of [
    ["keeps, with --base", { base: "/chat/" }, "underChat"],
    ["strips", {}, "stripped"],
  ] as const
) {
  test(both, `serves in a sub-path that it ${what}`, async (kind) => {
    await using server = await startServer(options);
    await using proxy = await Proxy.start(kind, server, ...setups[kind][which]);
    const page = await proxy.get("/chat");
    assertMatch(page.text, /<!doctype html>/i);
    assertEquals(page.path, "/chat/");
    assertEquals((await proxy.get("/chat/chat/app.js")).status, 200);
    assert(!(await proxy.get("/")).text.includes("Partyline"));
    assert((await proxy.get("/chat/metrics")).status >= 403);
    const { client } = proxy;
    const url = `${proxy.http}/chat/ws`;
    await using plain = await Client.open(url, { client });
    await plain.say("hello");
  });
}

/** A page of another site, so that a line of the log tells who asked. */
function askAsStranger({ port }: Proxy, localAddress: string) {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const headers = {
    Origin: "https://evil.example",
    "X-Forwarded-For": "203.0.113.9",
    Forwarded: "for=203.0.113.9",
    "X-Real-IP": "203.0.113.9",
  };
  const to = { host: "127.0.0.1", port, path: "/ws", localAddress };
  https.get({ ...to, headers, ca: caCert, agent: false }, (response) => {
    response.resume().on("end", () => resolve(response.statusCode));
  }).on("error", reject);
  return soon(promise, "an answer");
}

for (
  const [name, trustProxy, client] of [
    ["says who the client is, and the client cannot", ["127.0.0.1"], 2],
    ["is the client itself without --trust-proxy", [], 1],
  ] as const
) {
  test(all, name, async (kind) => {
    const lines: string[] = [];
    const context = newContext();
    context.logger.log = (_level, _event, _message, fields) =>
      lines.push(`${fields?.status} ${fields?.client}`);
    await using server = await startServer(
      { trustProxy: [...trustProxy] },
      context,
    );
    await using proxy = await Proxy.start(kind, server);
    assertEquals(await askAsStranger(proxy, "127.0.0.2"), 403);
    assertEquals(lines, [`403 127.0.0.${client}`]);
  });
}

test(both, "serves a page under a public name that is listed", async (kind) => {
  const name = {
    Host: "chat.example.org",
    Origin: "https://chat.example.org",
  };
  for (const [allowOrigin, status] of [[[], 403], [[name.Origin], 101]]) {
    const trustProxy = ["127.0.0.1"];
    const options = { allowOrigin, trustProxy } as Partial<Options>;
    await using server = await startServer(options);
    await using proxy = await Proxy.start(kind, server);
    assertMatch(await proxy.knock(name), RegExp(`^HTTP/1.1 ${status} `));
  }
});

test(all, "does not pass on what a stranger says the host is", async (kind) => {
  await using server = await startServer({ trustProxy: ["127.0.0.1"] });
  await using proxy = await Proxy.start(kind, server);
  const own = { Host: "chat.local", Origin: "https://chat.local" };
  const forged = { ...own, "X-Forwarded-Host": "evil.local" };
  assertMatch(await proxy.knock(own), /^HTTP\/1.1 101 /);
  assertMatch(await proxy.knock(forged), /^HTTP\/1.1 101 /);
  forged.Origin = "https://evil.local";
  assertMatch(await proxy.knock(forged), /^HTTP\/1.1 403 /);
});

test(both, "refuses /metrics; if it forgets, the server does", async (kind) => {
  const { withoutMetricsLine } = setups[kind];
  for (const [changes, status] of [[[], 404], [withoutMetricsLine, 403]]) {
    await using server = await startServer({ trustProxy: ["127.0.0.1"] });
    await using proxy = await Proxy.start(kind, server, ...changes as Changes);
    for (const host of [`127.0.0.1:${proxy.port}`, "localhost"]) {
      using raw = await proxy.openRaw();
      await raw.write(request("/metrics", { Host: host }));
      assertMatch(await raw.readHead(), RegExp(`^HTTP/1.1 ${status} `));
    }
  }
});

test(all, "passes on why a connection ends or is refused", async (kind) => {
  await using server = await startServer({ maxClients: 2 });
  await using proxy = await Proxy.start(kind, server);
  for (
    const [end, code] of [
      [() => server.reopen("test", "restarting"), 1012],
      [() => server.reopen("test", "overloaded"), 1013],
      [() => server.drain(2_000), 1001],
    ] as const
  ) {
    await listens(server.port);
    await using plain = await proxy.openPlain();
    await using v1 = await proxy.joinV1();
    const head = await proxy.knock();
    assertMatch(head, /^HTTP\/1.1 503 [^]*\r\nretry-after: 5\r\n/i);
    await end();
    assert((await v1.nextOf("error")).retryAfter >= 1_000);
    for (const client of [plain, v1]) {
      const closed = await soon(client.closed, "the close");
      assertEquals(closed.code, code);
      assertMatch(closed.reason, /come back in \d+ s$/);
    }
  }
});

/** Sends `bytes` one by one, ten a second, until the connection is gone. */
async function trickle(raw: RawClient, bytes: string): Promise<void> {
  try {
    for (const byte of bytes) {
      await raw.write(byte);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  } catch {
    // It was ended: that is what is waited for.
  }
}

test(both, "ends requests that do not come to their end", async (kind) => {
  await using server = await startServer();
  await using proxy = await Proxy.start(kind, server, ...SOONER);
  await using bystander = await proxy.openPlain();
  const head = "GET /ws HTTP/1.1\r\nHost: x\r\n";
  for (
    const [what, begin, rest] of [
      ["nothing", "", ""],
      ["half a request", head, ""],
      ["a header in bytes", head, `X: ${"x".repeat(10_000)}`],
      ["no body", `POST${head.slice(3)}Content-Length: 1\r\n\r\n`, ""],
      [
        "a body in bytes",
        `POST${head.slice(3)}Content-Length: 999\r\n\r\n`,
        // No more: nginx answers, then hears on for at most half a minute.
        "x".repeat(30),
      ],
    ] as const
  ) {
    using raw = await proxy.openRaw();
    await raw.write(begin);
    const [answer] = await Promise.all([
      raw.readToEnd().catch((cause) => {
        throw new Error(`${what} is not ended`, { cause });
      }),
      trickle(raw, rest),
    ]);
    assertMatch(answer, /^$|^HTTP\/1.1 4/, what);
  }
  assertEquals(server.connections.size, 1);
  await bystander.say("still here");
});

test(both, "refuses a header that is too large", async (kind) => {
  await using server = await startServer();
  await using proxy = await Proxy.start(kind, server);
  using raw = await proxy.openRaw();
  await raw.write(handshake(proxy.port, "/ws", { X: "x".repeat(40_000) }));
  assertMatch(await raw.readToEnd(), /^HTTP\/1.1 4/);
  assertEquals(server.connections.size, 0);
});

test(both, "ends who asks for pages and reads none", async (kind) => {
  await using server = await startServer();
  await using proxy = await Proxy.start(kind, server, ...SOONER);
  using raw = await proxy.openRaw();
  const ask = `GET /asyncapi.json HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(100);
  const asking = (async () => {
    while (true) await raw.write(ask);
  })().then(() => "", () => "ended");
  assertEquals(await soon(asking, "the end", 60_000), "ended");
});

/** A handshake whose sender resets the connection at once. */
function resetHandshake({ port }: Proxy): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const tcp = net.connect(port, "127.0.0.1");
  tcp.on("close", () => resolve());
  const socket = tls.connect({ socket: tcp, host: "localhost", ca: caCert });
  socket.on("secureConnect", () => {
    socket.write(handshake(port), () => tcp.resetAndDestroy());
  });
  socket.on("error", reject);
  return soon(promise, "the reset");
}

test(
  all,
  "lets no reset connection cost the server a descriptor",
  async (kind) => {
    // Where there is no /proc nothing is counted.
    const isLinux = Deno.build.os === "linux";
    const count = () =>
      isLinux ? [...Deno.readDirSync("/proc/self/fd")].length : 0;
    await using server = await startServer();
    await using proxy = await Proxy.start(kind, server);
    await resetHandshake(proxy);
    const before = count();
    for (let i = 0; i < 100; i++) await resetHandshake(proxy);
    await until(
      () => count() < before + 10,
      "the descriptors to be given back",
    );
  },
);

test(
  bothNginx,
  "ends a peer that stops reading, and its place is free",
  async (kind) => {
    const limits = { rate: 0, maxMessage: 50_000 };
    await using server = await startServer(limits);
    await using proxy = await Proxy.start(kind, server, ...SOONER);
    await using bystander = await Client.open(server.ws);
    using _stalled = await RawClient.upgrade(proxy.port, "/ws", {}, caCert);
    await until(() => server.connections.size === 2, "the stalled one");
    const [room] = server.hub.rooms.values();
    while (room?.members.size !== 1) await bystander.say("x".repeat(50_000));
    await until(() => server.connections.size === 1, "its place");
  },
);

test(["nginx"], "lets in so many of one address and no more", async (kind) => {
  await using server = await startServer();
  const few: Changes = [["addresses 200", "addresses 2"]];
  await using proxy = await Proxy.start(kind, server, ...few);
  await using _first = await proxy.openPlain();
  await using _second = await proxy.openPlain();
  assertMatch(await proxy.knock(), /^HTTP\/1.1 503 /);
  assertEquals(server.connections.size, 2);
});

test(["nginx"], "writes no invitation to its access log", async (kind) => {
  await using server = await startServer({ invite: "secret-otter" });
  await using proxy = await Proxy.start(kind, server);
  const { status } = await proxy.get("/ws?invite=secret-otter");
  assertEquals(status, 426);
  const read = () => Deno.readTextFileSync(`${proxy.folder}/access.log`);
  await until(() => read() !== "", "a line of the access log");
  assertMatch(read(), /^127.0.0.1 .* GET \/ws 426\n$/);
});

/** Pongs that nobody asked for (RFC 6455 section 5.5.3). */
function pongs(bytes: number): Uint8Array {
  const pong = frame(Opcode.pong, "");
  const many = new Uint8Array(Math.ceil(bytes / pong.length) * pong.length);
  for (let at = 0; at < many.length; at += pong.length) many.set(pong, at);
  return many;
}

/** Sends the bytes again and again, until the connection is gone. */
async function flood(raw: RawClient, bytes: Uint8Array): Promise<void> {
  try {
    while (true) await raw.write(bytes);
  } catch {
    // The test is over.
  }
}

test(["nginx with stream"], "lets nobody send faster", async (kind) => {
  const [, rate] = /proxy_upload_rate (\d+)k;/.exec(docsPage("proxies")) ?? [];
  const seconds = 4;
  await using server = await startServer();
  await using proxy = await Proxy.start(kind, server);
  await using bystander = await proxy.openPlain();
  using raw = await RawClient.upgrade(proxy.port, "/ws", {}, caCert);
  const beginMs = performance.now();
  await raw.write(pongs(seconds * Number(rate) * 1024));
  await raw.write(frame(Opcode.text, "the end"));
  await bystander.messagesUpTo("the end");
  // nginx counts whole seconds and lets those of the first one pass at once.
  const leastMs = (seconds - 2) * 1_000;
  const tookMs = performance.now() - beginMs;
  assert(tookMs > leastMs, `all was there after ${tookMs} ms`);
});

test(
  ["nginx with stream"],
  "lets others chat while four send pongs at full speed",
  async (kind) => {
    const bytes = pongs(16_000);
    const floods: Promise<void>[] = [];
    {
      await using server = await startServer({ rate: 0 });
      await using proxy = await Proxy.start(kind, server);
      await using bystander = await proxy.openPlain();
      using stack = new DisposableStack();
      for (let i = 0; i < 4; i++) {
        const raw = await RawClient.upgrade(proxy.port, "/ws", {}, caCert);
        floods.push(flood(stack.use(raw), bytes));
      }
      for (let i = 0; i < 50; i++) await bystander.say(`still here ${i}`);
      await assertChats(proxy);
      assert(server.connections.size >= 5, "a flood has ended");
    }
    // Deno before 2.8.3 ends a write that waits only when its peer is gone.
    await soon(Promise.all(floods), "the end of the floods");
  },
);
