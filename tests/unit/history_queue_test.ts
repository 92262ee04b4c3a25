// What history_queue.ts promises: all who wait come round in turn, one in each turn
// of the event loop, and only so many are under way.
import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import {
  HistoryQueue,
  MAX_PAGES_UNDER_WAY,
  type Purpose,
  TURNS_FOR_ASKED,
} from "../../chat/session/history_queue.ts";
import { range } from "../support/harness.ts";

const nextTurn = () =>
  new Promise<void>((resolve) => setImmediate(() => resolve()));

/** Waits so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

Deno.test("one page is begun in a turn of the event loop, and what else waits for one comes between", async () => {
  const queue = new HistoryQueue();
  const order: string[] = [];
  for (const i of range(1, 4)) {
    queue.enter(() => {
      order.push(`page ${i}`);
      queue.finish();
    }, "asked");
  }
  for (const i of range(1, 3)) {
    await nextTurn();
    order.push(`turn ${i}`);
  }
  await turns(2);
  assertEquals(order, [
    ...["page 1", "turn 1", "page 2", "turn 2", "page 3", "turn 3", "page 4"],
  ]);
});

Deno.test("a client that wants many pages gets one, and queues behind the others for the next", async () => {
  const queue = new HistoryQueue();
  const begun: string[] = [];
  const want = (name: string, pages: number) => {
    if (pages === 0) return;
    queue.enter(() => {
      begun.push(name);
      queue.finish();
      want(name, pages - 1);
    }, "asked");
  };
  want("a", 3);
  want("b", 1);
  want("c", 2);
  await turns(8);
  assertEquals(begun.join(" "), "a b c a c a");
});

Deno.test("a place that is given up is empty at once, and nobody waits for it", async () => {
  const queue = new HistoryQueue();
  const begun: number[] = [];
  const places = range(1, 1_000).map((i) => () => {
    begun.push(i);
    queue.finish();
  });
  for (const place of places) queue.enter(place, "asked");
  for (const place of places.slice(0, -1)) queue.leave(place);
  assertEquals(queue.length, 1);
  await turns(2);
  assertEquals(begun, [1_000]);
  // An empty queue goes on with who comes next.
  for (const place of places.slice(0, 2)) queue.enter(place, "asked");
  await turns(3);
  assertEquals([begun, queue.length], [[1_000, 1, 2], 0]);
});

Deno.test("of a store that takes long only so many pages are asked for at once", async () => {
  const queue = new HistoryQueue();
  let begun = 0;
  for (const _ of range(1, 100)) queue.enter(() => begun++, "asked");
  await turns(100);
  assertEquals(begun, MAX_PAGES_UNDER_WAY);
  queue.finish();
  await turns(10);
  assertEquals(begun, MAX_PAGES_UNDER_WAY + 1);
  assertEquals(queue.length, 100 - begun);
});

Deno.test("what was missed comes before what was asked for, which has one turn of four all the same", async () => {
  const queue = new HistoryQueue();
  const begun: string[] = [];
  const enter = (purpose: Purpose, count: number) => {
    for (const _ of range(1, count)) {
      queue.enter(() => {
        begun.push(purpose);
        queue.finish();
      }, purpose);
    }
  };
  enter("asked", 6);
  await turns(1);
  enter("missed", 6);
  await turns(12);
  const [m, a] = ["missed", "asked"];
  assertEquals(begun, [a, m, m, m, a, m, m, m, a, a, a, a]);
  assertEquals(TURNS_FOR_ASKED, 4);
});
