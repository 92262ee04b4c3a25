// What strangers send costs no more than in proportion to its length: every
// header, every part of an address, bodies and frames, each with a little and
// with much of characters that expressions stumble over. What the larger may
// cost is told by what the smaller did in the same run, so a slow machine
// changes nothing.
import process from "node:process";
import { assert } from "@std/assert";
import { TokenBucket } from "../../chat/ops/rate_limit.ts";
import { Retained } from "../../chat/room/rates.ts";
import { Client, handshake, startServer } from "../support/harness.ts";

const CHARACTERS = [..." \t,;?&=%/\\.-:\"'a0*[@+~xé"];

/** What Deno 2.9.6 takes of a head at most is 64 KiB. */
const FEW = 1_000;
const MANY = 60_000;
const MAX_RATIO = 100;
const TRIES = 5;

/**
 * Fails if `work` with much takes too many times the processor's time that it
 * takes with a little. Nothing makes it take less, so one good try is enough.
 */
async function compare(
  what: string,
  work: (count: number) => Promise<void>,
  few = FEW,
  many = MANY,
  maxRatio = MAX_RATIO,
): Promise<void> {
  const timed = async (count: number) => {
    const before = process.cpuUsage();
    await work(count);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const cheap = await timed(few);
  let dear = Infinity;
  for (let i = 0; i < TRIES && dear > maxRatio * cheap; i++) {
    dear = Math.min(dear, await timed(many));
  }
  const ratio = Math.round(dear / cheap);
  assert(ratio <= maxRatio, `${what}: ${many} cost ${ratio} times ${few}`);
}

/** Sends a request, and waits until its answer begins. */
async function ask(port: number, request: string): Promise<void> {
  using tcp = await Deno.connect({ port });
  let rest = new TextEncoder().encode(request);
  // A head that Deno does not take is cut off: that costs nothing.
  const isRead = tcp.read(new Uint8Array(64)).catch(() => {});
  while (rest.length > 0) {
    rest = rest.subarray(await tcp.write(rest).catch(() => rest.length));
  }
  await isRead;
}

/** So many bytes of one character. */
function run(char: string, bytes: number): string {
  return char.repeat(bytes / new TextEncoder().encode(char).length);
}

/** Refused after all was read, so that nobody comes in and stays. */
const REFUSED = "line=";

/** Every way in, with what is read there. */
const LINES = [
  "GET /shared/base.css",
  "GET /metrics",
  "GET /nothing",
  "GET /lab/echo",
  "GET /x-ray/events?key=x",
  `GET /events?${REFUSED}`,
  `GET /messages?${REFUSED}`,
  `POST /messages?${REFUSED}`,
];

/** What the server reads, and what it might: with how the value begins. */
const HEADERS: [name: string, beginning: string, lines: readonly string[]][] = [
  ["If-None-Match", "", ["GET /shared/base.css"]],
  ["If-Modified-Since", "", ["GET /shared/base.css"]],
  ["Accept-Encoding", "", ["GET /shared/base.css", "GET /nothing"]],
  ["Accept", "", ["GET /lab/echo"]],
  ["Accept-Language", "", ["GET /shared/base.css"]],
  ["Sec-WebSocket-Protocol", "", []],
  ["Sec-WebSocket-Extensions", "", []],
  ["Sec-WebSocket-Key", "", []],
  ["Sec-WebSocket-Version", "", []],
  ["Connection", "", ["GET /shared/base.css"]],
  ["Upgrade", "", ["GET /shared/base.css"]],
  ["Origin", "http://", LINES.slice(-2)],
  ["Origin", "http://xn--", LINES.slice(-1)],
  ["Referer", "", LINES.slice(-2)],
  ["Referer", "https://a.example/?", LINES.slice(-1)],
  ["Host", "", ["GET /shared/base.css", "GET /metrics", ...LINES.slice(-1)]],
  ["Authorization", "Bearer ", LINES.slice(-1)],
  ["Cookie", "", LINES.slice(-1)],
  ["Partyline-Key", "", LINES.slice(-3)],
  ["Last-Event-ID", "a:1", LINES.slice(-3)],
  ["Content-Type", "application/json", LINES.slice(-1)],
  ["X-Forwarded-For", "", LINES.slice(-1)],
  ["X-Forwarded-For", "[", ["GET /metrics"]],
  ["X-Forwarded-Host", "", LINES.slice(-1)],
  ["Forwarded", "", ["GET /metrics"]],
  ["Via", "", ["GET /metrics"]],
  ["Sec-Fetch-Site", "", LINES.slice(-1)],
  ["User-Agent", "", ["GET /lab/echo"]],
];

const openAll = () =>
  startServer({
    invite: "",
    moderator: "otter-otter",
    trustProxy: ["127.0.0.1"],
    allowOrigin: ["https://a.example"],
    maxFrame: 128 * 1024,
    rate: 0,
  });

for (const [name, beginning, lines] of HEADERS) {
  Deno.test(`the cost of a long ${name}: ${beginning}… follows its length`, async () => {
    await using server = await openAll();
    for (const char of CHARACTERS) {
      // Spaces at the ends of a value are not part of it.
      const value = (count: number) => `${beginning}x${run(char, count)}x`;
      await compare(`"${char}" in a handshake`, (count) => {
        const fields = { [name]: value(count) };
        return ask(server.port, handshake(server.port, "/ws", fields));
      });
      for (const line of lines) {
        await compare(`"${char}" in ${line}`, (count) => {
          const fields = { Host: "a", [name]: value(count) };
          const head = Object.entries(fields).map((field) => field.join(": "));
          const text = [`${line} HTTP/1.1`, ...head, "", ""].join("\r\n");
          return ask(server.port, text);
        });
      }
    }
  });
}

/** Addresses with so much of what a stranger chose at the place of `…`. */
const ADDRESSES = [
  ...LINES.map((line) => line.replace("?", "…?")),
  ...LINES.map((line) => `${line}${line.includes("?") ? "&" : "?"}…`),
  ...["room", "invite", "key", "name", "since", "history", "line", "wait"]
    .flatMap((name) => [
      `GET /ws?${name}=…x`,
      `GET /messages?${name}=…x&${REFUSED}`,
    ]),
  "GET /ws?…",
  "GET /ws?…=1",
  "GET /ws?invite=…&key=…",
  "GET /x-ray/events?moderator=otter-otter&connection=…",
  "GET /…",
  "GET /a/…/b",
  "OPTIONS /events?…",
];

Deno.test("the cost of a long address follows its length, every part of it", async () => {
  await using server = await openAll();
  for (const char of CHARACTERS) {
    for (const address of ADDRESSES) {
      await compare(`"${char}" in ${address}`, (count) => {
        const [method = "", target = ""] = address.split(" ");
        const many = run(char, count);
        const path = target.replace("…", many).replace("…", "");
        const text = handshake(server.port, path);
        return ask(server.port, text.replace("GET", method));
      });
    }
  }
});

Deno.test("the cost of many headers and parameters follows their length", async () => {
  await using server = await openAll();
  const few = 10;
  const many = 90; // Deno 2.9.6 takes 100 headers.
  await compare(
    "headers",
    (count) => {
      const names = Array.from({ length: count }, (_, i) => [`X${i}`, "x"]);
      const fields = Object.fromEntries(names);
      return ask(server.port, handshake(server.port, "/ws", fields));
    },
    few,
    many,
  );
  for (const parameter of ["a&", "=&", "a=b&", "%&", "line=x&", "key=x&"]) {
    await compare(`"${parameter}"`, (count) => {
      const query = parameter.repeat(count / parameter.length);
      return ask(server.port, handshake(server.port, `/ws?${query}`));
    });
  }
});

Deno.test("addresses in headers cost no more to record than other text does", async () => {
  await using server = await openAll();
  const many = 90;
  for (
    const part of [
      "&",
      "=&",
      "a&",
      "a=&",
      "%&",
      "%=&",
      "+=&",
      "key=&",
      "?",
      "/",
    ]
  ) {
    // So much that the head is near what Deno 2.9.6 takes, and then more.
    for (const chars of [600, 4_080]) {
      const value = (text: string) => `?${text.repeat(chars / text.length)}`;
      await compare(
        `"${part}" in ${many} headers of ${chars}`,
        (isDear) => {
          const text = value(isDear ? part : "a");
          const names = Array.from(
            { length: many },
            (_, i) => [`X${i}-Url`, text],
          );
          const fields = Object.fromEntries(names);
          return ask(server.port, handshake(server.port, "/ws", fields));
        },
        0,
        1,
        10,
      );
    }
  }
});

/** The shortest that is long, and the longest message that is taken. */
const SHORT = 100;
const LONG = 4_000;

Deno.test("the cost of a message and of a name follows its length, also while it is watched", async () => {
  await using server = await openAll();
  const watching = new AbortController();
  const { signal } = watching;
  const watched = await fetch(
    `${server.http}/x-ray/events?moderator=otter-otter`,
    { signal },
  );
  const reading = watched.body?.pipeTo(new WritableStream()).catch(() => {});
  await using plain = await Client.open(`${server.ws}?room=plain`);
  await using v1 = await Client.join(`${server.ws}?room=v1`);
  const address = `${server.http}/messages?room=v1&key=${v1.welcome.key}`;
  let id = 0;
  const shapes: Record<string, (text: string) => Promise<unknown>> = {
    plain: (text) => plain.say(text),
    "partyline.v1": async (message) => {
      v1.request({ type: "message", message, id: `${id++}` });
      await v1.nextOf("message");
    },
    rename: async (name) => {
      v1.request({ type: "rename", name });
      // Whatever was answered, this is answered after it.
      v1.request({ type: "ping", id: "renamed" });
      await v1.nextOf("pong");
    },
    "a key": async (key) => {
      v1.send(JSON.stringify({ type: "ping", key, id: key }));
      await v1.nextOf("error");
      v1.request({ type: "ping" });
      await v1.nextOf("pong");
    },
    POST: async (body) => {
      const answer = await fetch(address, { method: "POST", body });
      await answer.text();
      await v1.nextOf("message");
    },
    "POST of JSON": async (message) => {
      const answer = await fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ type: "message", message, id: `${id++}` }),
      });
      await answer.text();
      await v1.nextOf("message");
    },
  };
  for (const char of [...CHARACTERS, "\n", "\u0301", "ﷺ", "🦦"]) {
    for (const [what, send] of Object.entries(shapes)) {
      await compare(
        `"${char}" in ${what}`,
        async (count) => void await send(`x${char.repeat(count - 2)}x`),
        SHORT,
        LONG / char.length,
      );
    }
  }
  // What the X-ray hides keys in.
  for (const space of [" ", "\t", "\n", '"key"', '"key":', '"key" ']) {
    await compare(
      `${JSON.stringify(space)} beside a key`,
      async (count) => {
        const many = space.repeat(count / space.length);
        v1.send(
          space.trim() === ""
            ? `{"type":"ping","key"${many}:${many}"x"}`
            : JSON.stringify({ type: "ping", x: many }),
        );
        await v1.nextOf("pong");
      },
      FEW,
      MANY / 3,
    );
  }
  watching.abort();
  await reading;
});

Deno.test("to keep what is left of a rate costs the same, however much is kept", async () => {
  const keepMore = (retained: Retained<TokenBucket>, count: number) => {
    for (let i = 0; i < count; i++) {
      const bucket = new TokenBucket(1, 2, 0);
      bucket.take(0);
      retained.keep(`${id++}`, bucket, 0);
    }
  };
  let id = 0;
  const few = new Retained<TokenBucket>();
  const all = new Retained<TokenBucket>();
  // More are not kept.
  keepMore(all, 100_000);
  keepMore(few, 1_000);
  await compare(
    "what is kept",
    (size) => Promise.resolve(keepMore(size === 1_000 ? few : all, 5_000)),
    1_000,
    100_000,
    8,
  );
});
