import { assertEquals } from "@std/assert";
import { BACK_WITHIN_MS, Presence } from "../../static/chat/presence.js";

/** What is shown, and the timers, which a test lets run out. */
function newPresence() {
  const shown: string[] = [];
  const timers = new Map<unknown, () => void>();
  let count = 0;
  const presence = new Presence(({ came, left }) => {
    shown.push(...came.map((name) => `+${name}`));
    shown.push(...left.map((name) => `-${name}`));
  }, {
    setTimer: (callback, delayMs) => {
      assertEquals(delayMs, BACK_WITHIN_MS);
      timers.set(++count, callback);
      return count as never;
    },
    clearTimer: (timer) => timers.delete(timer),
  });
  const leave = (sender: string) =>
    presence.left({
      type: "leave",
      sender,
      at: new Date(),
      message: "Client disconnected",
      count: 1,
    });
  const join = (sender: string, ...others: string[]) =>
    presence.came({ type: "join", sender, others, count: 1 }, "me");
  return { presence, shown, timers, leave, join };
}

Deno.test("a leave is shown when the person has not come back in time", () => {
  const { shown, timers, leave } = newPresence();
  leave("Ada");
  assertEquals(shown, []);
  for (const runOut of [...timers.values()]) runOut();
  assertEquals(shown, ["-Ada"]);
  assertEquals(timers.size, 0);
});

Deno.test("of somebody who comes back in time nothing is shown", () => {
  const { shown, timers, leave, join } = newPresence();
  leave("Ada");
  leave("Ada");
  join("Ada", "Bob", "me");
  assertEquals(timers.size, 0);
  assertEquals(shown, ["+Bob"]);
});

Deno.test("when our own connection ends, leaves are shown at once", () => {
  const { presence, shown, timers, leave } = newPresence();
  leave("Ada");
  presence.lineDown();
  assertEquals(shown, ["-Ada"]);
  assertEquals(timers.size, 0);
});
