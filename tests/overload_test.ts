// What the watch over memory promises: newcomers wait when it is tight, slow
// clients are let go sooner, and the last resort comes once and helps.
import { assertEquals, assertMatch } from "@std/assert";
import { Overload } from "../chat/overload.ts";
import { Client, newWorld, startServer } from "./harness.ts";

const MIB = 1024 * 1024;

/** A watch over a process of which the test decides everything. */
function watchOf({ maxMemory = 100, sendLimit = 1_000, maxClients = 10 } = {}) {
  const state = {
    memory: 10,
    burdens: [] as { waitingBytes: number; hasEnded: boolean }[],
    cuts: [] as string[],
  };
  const world = newWorld({
    memory: () => ({ rss: state.memory * MIB, heapUsed: 0 }),
  });
  const overload = new Overload(
    { maxMemory, sendLimit, maxClients },
    () => state.burdens,
    world,
    (reason) => state.cuts.push(reason),
  );
  const wait = (...mib: number[]) => {
    state.burdens = mib.map((n) => ({
      waitingBytes: n * MIB,
      hasEnded: false,
    }));
  };
  return { state, overload, wait };
}

Deno.test("above three quarters of the memory it is tight while it grows", () => {
  const { state, overload } = watchOf();
  const isTightAt = (memory: number) => {
    state.memory = memory;
    overload.look();
    return overload.isTight;
  };
  assertEquals([60, 75, 76].map(isTightAt), [false, false, true]);
  // It stays where it is, because what was freed stays with the process.
  const later = Array.from({ length: 60 }, () => isTightAt(90));
  assertEquals([later.indexOf(false), later.at(-1)], [39, false]);
  assertEquals([91, 92].map(isTightAt), [false, true]);
  assertEquals(isTightAt(70), false);
});

Deno.test("the more waits for slow clients in sum, the less each is granted", () => {
  const { overload, wait } = watchOf();
  const steps: [number[], number][] = [
    [[], 1_000],
    [[5], 800],
    [[5, 7.5], 500],
    [[5, 7.5, 10], 250],
    [[30], 250],
    [[5], 800],
  ];
  for (const [waiting, limit] of steps) {
    wait(...waiting);
    overload.look();
    assertEquals([overload.sendLimit, overload.isTight], [limit, false]);
  }
});

Deno.test("much that is handed out is looked at before the time is over", () => {
  const { overload, wait } = watchOf();
  wait(5);
  overload.handOut(60 * MIB);
  assertEquals(overload.sendLimit, 1_000);
  overload.handOut(5 * MIB);
  assertEquals(overload.sendLimit, 800);
});

Deno.test("when half of the places are held by who does not go, all is cut, once a minute", () => {
  const { state, overload } = watchOf({ maxClients: 4 });
  const cuts = (nowMs: number, ended: number, present: number) => {
    state.burdens = [
      ...Array(ended).fill({ waitingBytes: 0, hasEnded: true }),
      ...Array(present).fill({ waitingBytes: 0, hasEnded: false }),
    ];
    overload.look(nowMs);
    return state.cuts.length;
  };
  assertEquals(cuts(0, 2, 2), 0);
  assertEquals(cuts(250, 3, 1), 1);
  assertEquals(cuts(60_000, 3, 1), 1);
  assertEquals(cuts(60_250, 3, 1), 2);
  assertEquals(state.cuts, ["places", "places"]);
});

Deno.test("the last resort comes when memory is used up, not again and again", () => {
  const { state, overload } = watchOf();
  const at = (nowMs: number, memory: number) => {
    state.memory = memory;
    overload.look(nowMs);
    return state.cuts.length;
  };
  assertEquals(at(0, 100), 0);
  assertEquals(at(250, 101), 1);
  assertEquals(at(500, 180), 1);
  // It freed some; what is left may be what the server needs.
  assertEquals(at(3_000, 120), 1);
  assertEquals(at(10_000, 149), 1);
  assertEquals(at(10_250, 151), 2);
  // It freed all: the limit counts again.
  assertEquals(at(15_000, 40), 2);
  assertEquals(at(15_250, 101), 3);
});

Deno.test("when memory is tight newcomers get 503, members go on", async () => {
  let memory = 0;
  await using server = await startServer({ maxMemory: 128 }, {
    memory: () => ({ rss: memory, heapUsed: 0 }),
  });
  await using member = await Client.open(server.ws);
  server.overload.look();
  memory = 127 * MIB;
  server.overload.look();
  const response = await fetch(server.http + "/ws", {
    headers: {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  });
  assertEquals(response.status, 503);
  assertEquals(response.headers.get("retry-after"), "5");
  assertMatch(await response.text(), /overloaded/);
  await member.say("still here");
  const health = await fetch(`${server.http}/healthz`);
  assertEquals((await health.json()).status, "overloaded");
});
