// How checks are run one after another: which check a server's end is blamed on, how
// long a server may keep checks waiting, and what becomes of a fault of this program.
import { assert, assertEquals } from "@std/assert";
import { type Check, Failure, Warning } from "../../chat/check/check.ts";
import { connect, soonest } from "../../chat/check/client.ts";
import { Connection } from "../../chat/check/connection.ts";
import { Opcode } from "../../chat/check/frames.ts";
import { checksOf } from "../../chat/check/profiles.ts";
import { judge, type Judging, type Verdict } from "../../chat/check/run.ts";
import { Dice } from "../stress/dice.ts";
import { range } from "../support/harness.ts";
import {
  type Attack,
  flood,
  type Hostile,
  sent,
  startHostile,
  untilClosed,
  upgrade,
  write,
} from "../mutants/hostile.ts";

const WAIT_MS = 100;

const start = (attack: Attack) => startHostile(attack, new Dice(1, 0));

function run(
  { port, url }: Pick<Hostile, "port" | "url">,
  all: readonly Check[],
  { waitMs = WAIT_MS, ...how }: Partial<Judging> & { waitMs?: number } = {},
): Promise<Verdict> {
  const names = { sender: "sender", message: "message" };
  const address = { hostname: "127.0.0.1", port, isTls: false };
  const target = { url, address, waitMs, ...names };
  return judge({ target, profile: "rfc6455", all, only: [], ...how });
}

function checkOf(
  id: string,
  run: Check["run"],
  needs: readonly string[] = [],
): Check {
  return { id, title: `${id} holds`, source: "here", needs, run };
}

const passing = (id: string, needs: readonly string[] = []) =>
  checkOf(id, () => Promise.resolve(), needs);

/** What a check takes that waits for something else than the server. */
const lasting = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

const statuses = ({ checks }: Verdict) => checks.map(({ status }) => status);

const GONE = "The server has ended, or accepts nobody any more, since";
const LOOK = "Look at its own output.";

/** A right server that ends wholly at a ping of 126 bytes. */
function startMortal(): Hostile {
  let ended: Promise<void> | undefined;
  const end = () => ended ??= Promise.resolve(server[Symbol.asyncDispose]());
  const server = start(async (tcp) => {
    await upgrade(tcp);
    const connection = new Connection(tcp);
    while (true) {
      const { opcode, payload } = await connection.readFrame(Infinity);
      if (payload.length === 126) return void end();
      const is = opcode === Opcode.ping ? Opcode.pong : opcode;
      await write(tcp, sent(is, payload));
    }
  });
  return { port: server.port, url: server.url, [Symbol.asyncDispose]: end };
}

Deno.test("the check that ends the server fails, and those after it are skipped", async () => {
  await using mortal = startMortal();
  const only = ["ping-126-bytes", "pings-in-a-row", "length-125"];
  const verdict = await run(mortal, checksOf("rfc6455"), { only });
  assertEquals(
    verdict.checks.map(({ id, status, detail }) => [id, status, detail]),
    [
      ["ping-126-bytes", "failed", `${GONE} this check. ${LOOK}`],
      [
        "pings-in-a-row",
        "skipped",
        `${GONE} the check ping-126-bytes. ${LOOK}`,
      ],
      ["length-125", "skipped", `${GONE} the check ping-126-bytes. ${LOOK}`],
    ],
  );
});

/** A server that sends nothing, and a check that ends it. */
function startEndable() {
  const server = start(untilClosed);
  let ended: Promise<void> | undefined;
  const end = () => ended ??= Promise.resolve(server[Symbol.asyncDispose]());
  const { port, url } = server;
  return { port, url, end, [Symbol.asyncDispose]: end };
}

for (
  const [how, error] of [
    ["passes", undefined],
    ["warns", new Warning("Odd.")],
    ["fails", new Failure("Odd.")],
  ] as const
) {
  Deno.test(`a check that ${how} and ends the server says so, though only others are asked for`, async () => {
    await using server = startEndable();
    const deadly = checkOf("deadly", async () => {
      await server.end();
      if (error) throw error;
    });
    const all = [deadly, passing("later", ["deadly"])];
    for (const except of [[], ["deadly"]]) {
      const { checks } = await run(server, all, { only: ["later"], except });
      assertEquals(checks.map(({ status }) => status), ["failed", "skipped"]);
      const before = error ? "Odd. " : "";
      assertEquals(checks[0]?.detail, `${before}${GONE} this check. ${LOOK}`);
      assertEquals(checks[1]?.detail, `${GONE} the check deadly. ${LOOK}`);
    }
  });
}

Deno.test("a server that serves nobody after a failed check is told of with its output", async () => {
  await using server = start(untilClosed);
  let isServing = true;
  const vital = checkOf("handshake-status", () => {
    if (isServing) return Promise.resolve();
    return Promise.reject(new Failure("No."));
  });
  const harmful = checkOf("harmful", () => {
    isServing = false;
    return Promise.reject(new Failure("No."));
  }, ["handshake-status"]);
  const all = [vital, harmful, passing("later", ["handshake-status"])];
  const { checks } = await run(server, all);
  assertEquals(
    checks[2]?.detail,
    "After the check harmful this did not hold any more, not even for a new " +
      "client: handshake-status holds. Look at the server's own output.",
  );
});

Deno.test("a fault of this program skips its check, and the others are judged", async () => {
  await using server = start(untilClosed);
  const fault = new RangeError("odd");
  const all = [
    checkOf("faulty", () => {
      throw fault;
    }),
    passing("needing", ["faulty"]),
    passing("later"),
  ];
  const faults: unknown[] = [];
  const onFault = (...told: unknown[]) => faults.push(told);
  const verdict = await run(server, all, { onFault });
  assertEquals(statuses(verdict), ["skipped", "skipped", "passed"]);
  assertEquals(verdict.checks.map(({ detail }) => detail), [
    "This check has a fault of its own: odd. Please report it.",
    "The check faulty has a fault of its own: odd. Please report it.",
    "",
  ]);
  assertEquals(faults, [[fault, "faulty"]]);
  assertEquals(await run(server, all).catch((error) => error), fault);
});

Deno.test("checks that pass may take more than ten waits", async () => {
  await using server = start(untilClosed);
  const slow = (i: number) => checkOf(`${i}`, () => lasting(2 * WAIT_MS));
  const verdict = await run(server, range(1, 6).map(slow));
  assertEquals([verdict.passed, verdict.ranOut], [6, false]);
});

Deno.test("no check is begun after the server kept others waiting for ten waits", async () => {
  await using server = start(untilClosed);
  const late = (i: number) =>
    checkOf(`${i}`, async (target) => {
      const connection = await connect(target, soonest(target));
      await connection.read(1, soonest(target));
    });
  const { checks, failed, skipped, ranOut } = await run(
    server,
    range(1, 20).map(late),
  );
  // Each of them waits once.
  assert(failed > 6 && failed < 12, `${failed}`);
  assertEquals([failed + skipped, ranOut], [20, false]);
  assertEquals(
    checks.at(-1)?.detail,
    "No time was left: the server kept earlier checks waiting for 1 s. " +
      "Mend those first.",
  );
});

Deno.test("all checks together end after forty waits", async () => {
  await using server = start(untilClosed);
  const waitMs = 20;
  const slow = (i: number) => checkOf(`${i}`, () => lasting(2 * waitMs));
  const startMs = performance.now();
  const verdict = await run(server, range(1, 30).map(slow), { waitMs });
  assert(performance.now() - startMs < 45 * waitMs + 500);
  assertEquals([verdict.failed, verdict.ranOut], [0, true]);
  assert(verdict.passed > 5, `${verdict.passed}`);
  assertEquals(verdict.passed + verdict.skipped, 30);
  const last = "No time was left: all checks together end after 0.8 s. A " +
    "longer --wait, or a machine nearer to the server, helps.";
  for (const { detail } of verdict.checks.slice(verdict.passed)) {
    assertEquals(detail, last);
  }
});

Deno.test("a check that takes three waits is skipped if no answer was late", async () => {
  await using server = start(untilClosed);
  const slow = checkOf("slow", () => lasting(4 * WAIT_MS));
  const verdict = await run(server, [slow]);
  assertEquals([statuses(verdict), verdict.ranOut], [["skipped"], false]);
  assertEquals(
    verdict.checks[0]?.detail,
    "The server answered each time, but not so soon that 0.3 s were enough " +
      "to find this out. A longer --wait, or a machine nearer to the server, " +
      "helps.",
  );
});

const TOO_SLOW = "The server answered so slowly, or sent so much, that this " +
  "could not be found out within 0.3 s.";

Deno.test("a check that takes three waits fails if an answer was late", async () => {
  await using server = start(untilClosed);
  const late = checkOf("late", async (target) => {
    const connection = await connect(target, soonest(target));
    await connection.read(1, soonest(target)).catch(() => {});
    await lasting(4 * WAIT_MS);
  });
  const verdict = await run(server, [late]);
  assertEquals(statuses(verdict), ["failed"]);
  assertEquals(verdict.checks[0]?.detail, TOO_SLOW);
});

Deno.test("a check that takes three waits fails if the server floods", async () => {
  const waitMs = 300;
  await using server = start(flood(sent(Opcode.text, "x".repeat(60_000))));
  const reading = checkOf("reading", async (target) => {
    const connection = await connect(target, soonest(target));
    await connection.write("GET / HTTP/1.1\r\n\r\n", soonest(target));
    await connection.drain(Infinity);
  });
  const verdict = await run(server, [reading], { waitMs });
  assertEquals(statuses(verdict), ["failed"]);
  assertEquals(
    verdict.checks[0]?.detail,
    TOO_SLOW.replace("0.3 s", "0.9 s"),
  );
});

Deno.test("after one late end the next check still waits for the end of others", async () => {
  const first = Promise.withResolvers<void>();
  let connections = 0;
  let leaving = 0;
  await using server = start(async (tcp) => {
    // Those that only look whether somebody is there send nothing.
    await new Connection(tcp).read(1, Infinity);
    await write(tcp, "x");
    connections++;
    if (connections === 1) return await first.promise;
    leaving++;
    await untilClosed(tcp);
    await lasting(WAIT_MS / 3);
    leaving--;
  });
  const seen: number[] = [];
  const joining = (i: number) =>
    checkOf(`${i}`, async (target) => {
      seen.push(leaving);
      const connection = await connect(target, soonest(target));
      await connection.write("x", soonest(target));
      await connection.read(1, soonest(target));
    });
  const { passed } = await run(server, range(1, 4).map(joining));
  first.resolve();
  assertEquals([passed, seen], [4, [0, 0, 0, 0]]);
});
