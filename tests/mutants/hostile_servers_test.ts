// Servers that never answer, answer nonsense, flood, close when they like or send
// 1 GiB. Each gets a verdict in time, and none makes a check crash, hang, fill the
// memory or bring a terminal to obey it.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Profile, PROFILES } from "../../chat/check/check.ts";
import { frame, join, Opcode } from "../../chat/check/frames.ts";
import {
  formatJson,
  formatJunit,
  formatResult,
} from "../../chat/check/report.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { judge, type Verdict, WAITS_IN_ALL } from "../../chat/check/run.ts";
import config from "../../deno.json" with { type: "json" };
import { Dice } from "../stress/dice.ts";
import { find, skip } from "../support/clients.ts";
import { range, soon, START_DEADLINE_MS } from "../support/harness.ts";
import {
  type Attack,
  drip,
  flood,
  type Hostile,
  proxied,
  randomBytes,
  reset,
  sent,
  startHostile,
  untilClosed,
  upgrade,
  write,
} from "./hostile.ts";
import { Chat } from "./chat_mutants.ts";
import { type App, echo, type Has, type Peer, startMutant } from "./mutant.ts";
import { ownChecks } from "./mutants.ts";
import { partylineV1 } from "./v1_mutants.ts";

const WAIT_MS = 300;

/** What a slow machine takes besides. */
const SLACK_MS = 3_000;

const MIB = 1024 * 1024;

/** More than a check may take of the memory. */
const MAX_MEMORY_MIB = 200;

const text = (payload: string | Uint8Array, how = {}) =>
  sent(Opcode.text, payload, how);

/** What a terminal would obey, and what turns the direction of text. */
const ORDERS = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\u2066\u200f\r\n\u2028";

const BEFORE_UPGRADE: Record<string, Attack> = {
  "never answers": untilClosed,
  "answers random bytes": async (tcp, dice) => {
    await write(tcp, randomBytes(dice, 4_096));
    await untilClosed(tcp);
  },
  "answers a head without an end": async (tcp) => {
    await write(tcp, "HTTP/1.1 101 Switching Protocols\r\n");
    while (true) await write(tcp, "X-Check: check\r\n".repeat(1_000));
  },
  "answers a line without an end": async (tcp) => {
    while (true) await write(tcp, "HTTP/1.1 101".repeat(5_000));
  },
  "answers one byte each 50 ms": drip(() => "HTTP/1.1 101 Switching\r\n"),
  "resets each connection": reset,
  "closes each connection": () => Promise.resolve(),
  "answers with orders to the terminal": async (tcp) => {
    await write(tcp, `HTTP/1.1 400 ${ORDERS.replace("\r\n", "")}\r\n\r\n`);
  },
};

const AFTER_UPGRADE: Record<string, Attack> = {
  "upgrades and never answers": async (tcp) => {
    await upgrade(tcp);
    await untilClosed(tcp);
  },
  "upgrades and sends random bytes": async (tcp, dice) => {
    await upgrade(tcp);
    while (true) await write(tcp, randomBytes(dice, 4_096));
  },
  "upgrades and resets": async (tcp) => {
    await upgrade(tcp);
    await reset(tcp);
  },
  "upgrades and sends half a close frame": async (tcp) => {
    await upgrade(tcp);
    await write(tcp, Uint8Array.of(0x88, 2, 3));
    await untilClosed(tcp);
  },
  "upgrades with orders to the terminal": async (tcp) => {
    const orders = ORDERS.replace("\r\n", "");
    await upgrade(tcp, [
      `Sec-WebSocket-Protocol: ${orders}`,
      `Sec-WebSocket-Extensions: ${orders}`,
      `Upgrade: ${orders}`,
    ]);
    const reason = join(
      Uint8Array.of(3, 232),
      new TextEncoder().encode(ORDERS),
    );
    await write(tcp, join(text(ORDERS), sent(Opcode.close, reason)));
    await untilClosed(tcp);
  },
  "sends one byte of a frame each 50 ms": async (tcp, dice) => {
    await upgrade(tcp);
    await drip(() => text("check".repeat(20)))(tcp, dice);
  },
  "announces a frame of 2^62 bytes": flood(
    new Uint8Array(1),
    text("", { length: 1n << 62n }),
  ),
  "floods with texts": flood(text("check")),
  "floods with empty texts": flood(text("")),
  "floods with JSON": flood(text('{"sender":"a","message":"\\n"}')),
  "floods with pings": flood(sent(Opcode.ping, "x".repeat(125))),
  "floods with pongs": flood(sent(Opcode.pong, "x".repeat(125))),
  "floods with large pongs": flood(sent(Opcode.pong, new Uint8Array(MIB))),
  "floods with empty fragments": flood(
    sent(Opcode.continuation, "", { fin: false }),
    text("", { fin: false }),
  ),
  "floods with close frames": flood(sent(Opcode.close)),
  "floods with masked frames": flood(frame(Opcode.text, "check")),
  "floods with texts of 1 MiB": flood(text("x".repeat(MIB))),
};

const GIGABYTES: Record<string, Attack> = {
  "in one frame": flood(
    new Uint8Array(65_536),
    text("", { length: 1n << 30n }),
  ),
  "in fragments of 64 KiB": flood(
    sent(Opcode.continuation, new Uint8Array(65_536), { fin: false }),
    text("", { fin: false }),
  ),
  "in pongs of 1 MiB": flood(sent(Opcode.pong, new Uint8Array(MIB))),
  "in texts of nested JSON": flood(
    text(`["\\n",`.padEnd(MIB / 5, "[],") + "[]]"),
  ),
};

const JUDGED = PROFILES.filter((profile) => ownChecks(profile).length > 0);

/** How a server is judged here. */
function judging(
  { port, url }: Pick<Hostile, "port" | "url">,
  profile: Profile,
) {
  const address = { hostname: "127.0.0.1", port, isTls: false };
  const names = { sender: "sender", message: "message" };
  return { target: { url, address, waitMs: WAIT_MS, ...names }, profile };
}

/** Judges a server in the time that a check of it may take. */
async function judgeInTime(
  { port, url }: Pick<Hostile, "port" | "url">,
  profile: Profile,
): Promise<Verdict> {
  const only = ownChecks(profile);
  const verdict = await soon(
    judge({ ...judging({ port, url }, profile), only }),
    `a verdict of ${profile}`,
    WAITS_IN_ALL * WAIT_MS + SLACK_MS,
  );
  const found = verdict.checks.map(({ id }) => id);
  assertEquals(only.filter((id) => !found.includes(id)), []);
  assertHarmless(verdict);
  return verdict;
}

/** No character of what is printed is one that a terminal obeys or hides. */
function assertHarmless(verdict: Verdict): void {
  const texts = verdict.checks.map((result) => formatResult(result));
  texts.push(formatJson(verdict), formatJunit(verdict));
  for (const printed of texts) {
    const [char] = /[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(printed) ??
      [];
    assertEquals(char, undefined, JSON.stringify(printed));
  }
}

/** Runs a test with dice, whose seed is told if it fails. */
async function withDice(run: (dice: Dice) => Promise<void>): Promise<void> {
  const given = Deno.env.get("PARTYLINE_SEED");
  const seed = Number(given ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  try {
    await run(new Dice(seed, 0));
  } catch (cause) {
    throw new Error(`again: PARTYLINE_SEED=${seed}`, { cause });
  }
}

for (
  const [what, attack] of Object.entries({
    ...BEFORE_UPGRADE,
    ...AFTER_UPGRADE,
  })
) {
  Deno.test(`a server that ${what} fails in time`, () =>
    withDice(async (dice) => {
      await using server = startHostile(attack, dice);
      const verdicts = await Promise.all(
        JUDGED.map((profile) => judgeInTime(server, profile)),
      );
      for (const { profile, failed } of verdicts) assert(failed > 0, profile);
    }));
}

Deno.test("a server that accepts nobody fails in time", async () => {
  const address = { hostname: "127.0.0.1", port: 0, tcpBacklog: 1 };
  using listener = Deno.listen(address);
  const { port } = listener.addr;
  // The kernel takes as many as may wait, and one.
  using _first = await Deno.connect({ ...address, port });
  using _second = await Deno.connect({ ...address, port });
  const url = new URL(`ws://127.0.0.1:${port}/`);
  for (const profile of JUDGED) {
    const { passed } = await judgeInTime({ port, url }, profile);
    assertEquals(passed, 0, profile);
  }
});

/** Right servers of each profile, to which a proxy or an app does harm. */
const APPS: readonly [Profile, (has: Has) => App][] = [
  ["rfc6455", echo],
  ["chat", (has) => new Chat(has)],
  ["partyline.v1", partylineV1],
];

/** How many servers of each profile get harm from the dice. */
const PROXIES = 4;

for (const [profile, newApp] of APPS) {
  Deno.test(`a server of ${profile} that goes wrong at random moments gets a verdict in time`, () =>
    withDice(async (dice) => {
      await using right = startMutant("", newApp);
      const servers = range(1, PROXIES).map(() =>
        startHostile(proxied(right.port), dice)
      );
      try {
        await Promise.all(
          servers.map((server) => judgeInTime(server, profile)),
        );
      } finally {
        for (const server of servers) await server[Symbol.asyncDispose]();
      }
    }));

  for (const calm of [0, 60]) {
    Deno.test(`a server of ${profile} that sends odd texts before each right one, but for the first ${calm}, gets a verdict in time`, async () => {
      const newOdd = (has: Has) => withOddTexts(newApp(has), calm);
      await using right = startMutant("", newOdd);
      const { passed } = await judgeInTime(right, profile);
      assert(passed > 0 || calm === 0);
    });
  }
}

/** Texts that are JSON or nearly so, and that no program expects. */
const ODD_TEXTS = [
  "[".repeat(MIB),
  '"\\n'.padEnd(MIB, '{"a":'),
  `["\\n",${"[".repeat(50_000)}${"]".repeat(50_000)}]`,
  `{"sender":${"[".repeat(50_000)}"\\n"${"]".repeat(50_000)},"message":""}`,
  '{"sender":"\\ud800","message":"\\udfff\\ud83d"}',
  '{"sender":1e999999,"message":-1e-999999}',
  '{"sender":"a","message":"b","seq":1e308,"epoch":null,"type":{}}',
  '{"type":"welcome","seq":9007199254740993,"epoch":"\\ud800","key":[]}',
  '{"type":"message","seq":-1,"message":"\\u0000","sender":""}',
  '{"__proto__":{"sender":"a","message":"b"},"constructor":1}',
  '{"sender":{"__proto__":null},"message":{"toString":1},"toJSON":1}',
  '{"sender":null,"message":[]}',
  "null",
  '"\\u2028"',
  "-0",
  "",
  "\ufeff{}",
  `{"sender":${JSON.stringify(ORDERS)},"message":${JSON.stringify(ORDERS)}}`,
  ORDERS,
  "\ufffe\uffff",
];

/** The app, which sends one of the odd texts before each answer, after so many. */
function withOddTexts(app: App, calm: number): App {
  const peers = new Set<Peer>();
  let next = -calm;
  const sendOdd = (peer: Peer) => {
    if (next++ < 0) return;
    peer.send(Opcode.text, ODD_TEXTS[next % ODD_TEXTS.length]!);
  };
  return {
    subprotocol: (offered) => app.subprotocol?.(offered),
    opened(peer, url) {
      peers.add(peer);
      app.opened?.(peer, url);
    },
    gone(peer) {
      peers.delete(peer);
      for (const other of peers) sendOdd(other);
      app.gone?.(peer);
    },
    received(peer, payload, opcode) {
      sendOdd(peer);
      app.received(peer, payload, opcode);
    },
  };
}

/** The app, of whose texts some are sent changed. */
function withTexts(app: App, change: (text: string) => string): App {
  return {
    subprotocol: (offered) => app.subprotocol?.(offered),
    opened(peer, url) {
      const send = peer.send.bind(peer);
      peer.send = (opcode, payload) =>
        send(opcode, typeof payload === "string" ? change(payload) : payload);
      app.opened?.(peer, url);
    },
    gone: (peer) => app.gone?.(peer),
    received: (peer, payload, opcode) => app.received(peer, payload, opcode),
  };
}

/** So many arrays in each other, which is JSON. */
const nested = (count: number) => "[".repeat(count) + "]".repeat(count);

const ODD_NOTICES = {
  "30,000 nested brackets": nested(30_000),
  "30,000 nested brackets in a message": `{"sender":"server","message":${
    nested(30_000)
  }}`,
};

for (const [what, notice] of Object.entries(ODD_NOTICES)) {
  Deno.test(`a chat that sends ${what} as a leave notice gets a verdict in time`, async () => {
    const change = (text: string) => text.includes("has left") ? notice : text;
    const newChat = (has: Has) => withTexts(new Chat(has), change);
    await using odd = startMutant("", newChat);
    const { checks, passed } = await judgeInTime(odd, "chat");
    assert(passed > checks.length / 2, `${passed}`);
    const told = checks.find(({ id }) => id === "chat-leave-close");
    assert(told?.status === "warned" || told?.status === "failed");
  });
}

for (const message of ["-1", "1e308", '"x"', "null", "0.5"]) {
  Deno.test(`a later welcome with ${message} as limits.message fails`, async () => {
    const change = (text: string) =>
      text.replace(/("limits":{"message":)\d+/, `$1${message}`);
    const newOdd = (has: Has) => withTexts(partylineV1(has), change);
    await using odd = startMutant("", newOdd);
    // As if the welcome of the check that they need had been right.
    const all = checksOf("partyline.v1").map((it) => ({ ...it, needs: [] }));
    const only = ["v1-longest-message", "v1-too-long"];
    const { checks } = await judge({
      ...judging(odd, "partyline.v1"),
      all,
      only,
    });
    assertEquals(checks.map(({ id }) => id), only);
    for (const { status, detail } of checks) {
      assertEquals(status, "failed", detail);
      assertStringIncludes(detail, 'Its field "limits" is {"message":');
    }
  });
}

const python = await find(["python3", "/usr/bin/python3"], "-c", "");

/** Runs a command and prints its code and the most memory that it had, in KiB. */
const MEASURE = `
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)`;

const skipped = Deno.build.os !== "linux"
  ? " (skipped: the unit of the memory is Linux's)"
  : skip(python !== undefined, "python3");

for (const [how, attack] of Object.entries(GIGABYTES)) {
  Deno.test({
    name:
      `judging a server that sends 1 GiB ${how} takes less than ${MAX_MEMORY_MIB} MiB${skipped}`,
    ignore: skipped !== "",
    fn: () =>
      withDice(async (dice) => {
        await using server = startHostile(attack, dice);
        const [, ...start] = config.tasks.start.replaceAll("'", "").split(" ");
        const check = ["check", "--wait", "1", server.url.href];
        const program = [Deno.execPath(), ...start, ...check];
        const { stdout, stderr } = await soon(
          new Deno.Command(python!, {
            args: ["-c", MEASURE, ...program],
            cwd: new URL("../..", import.meta.url).pathname,
          }).output(),
          "a verdict",
          START_DEADLINE_MS,
        );
        assertEquals(new TextDecoder().decode(stderr), "");
        const [code, kib] = new TextDecoder().decode(stdout).split(" ");
        assertEquals(code, "1");
        assert(
          Number(kib) / 1024 < MAX_MEMORY_MIB,
          `${Number(kib) / 1024} MiB`,
        );
      }),
  });
}
