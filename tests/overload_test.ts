// What the watch over memory promises: newcomers wait when it is tight, slow
// clients are let go sooner, and the last resort comes once and helps.
import { assertEquals, assertMatch } from "@std/assert";
import { Overload } from "../chat/overload.ts";
import { Client, newWorld, startServer } from "./harness.ts";

const MIB = 1024 * 1024;

/** A watch over a process of which the test decides everything. */
function watchOf({ maxMemory = 100, sendLimit = 1_000 } = {}) {
  const state = { memory: 10, waiting: [] as number[], cuts: 0 };
  const world = newWorld({
    memoryBytes: () => state.memory * MIB,
  });
  const overload = new Overload(
    { maxMemory, sendLimit },
    () => state.waiting.map((waitingBytes) => ({ waitingBytes })),
    world,
    () => state.cuts++,
  );
  return { state, overload };
}

Deno.test("from three quarters of the memory on it is tight", () => {
  const { state, overload } = watchOf();
  for (const [memory, isTight] of [[75, false], [76, true], [70, false]]) {
    state.memory = memory as number;
    overload.look();
    assertEquals(overload.isTight, isTight);
  }
});

Deno.test("it is tight when a quarter of the memory waits for slow clients", () => {
  const { state, overload } = watchOf();
  state.waiting = [20 * MIB, 5 * MIB];
  overload.look();
  assertEquals([overload.isTight, overload.sendLimit], [false, 1_000]);
  state.waiting.push(1);
  overload.look();
  assertEquals([overload.isTight, overload.sendLimit], [true, 250]);
});

Deno.test("much that is handed out is looked at before the time is over", () => {
  const { state, overload } = watchOf();
  state.waiting = [30 * MIB];
  overload.handOut(60 * MIB);
  assertEquals(overload.isTight, false);
  overload.handOut(5 * MIB);
  assertEquals(overload.isTight, true);
});

Deno.test("the last resort comes when memory is used up, not again and again", () => {
  const { state, overload } = watchOf();
  const at = (nowMs: number, memory: number) => {
    state.memory = memory;
    overload.look(nowMs);
    return state.cuts;
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
    memoryBytes: () => memory,
  });
  await using member = await Client.open(server.ws);
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
