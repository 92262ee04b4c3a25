// What logger.ts promises: one line for an event, in two forms, and never more
// than a few of one kind, however many events there are.
import { assertEquals, assertMatch } from "@std/assert";
import { Logger } from "../chat/logger.ts";

function loggerOf(format: "text" | "json") {
  const clock = { nowMs: 0 };
  const lines: string[] = [];
  const logger = new Logger(
    format,
    (line) => lines.push(line),
    () => clock.nowMs,
  );
  return { logger, lines, clock };
}

Deno.test("a line of text has time, level, sentence and fields", () => {
  const { logger, lines } = loggerOf("text");
  logger.log("warn", "test", "It rains.", { room: "lobby", bytes: 7 });
  assertEquals(lines, [
    "1970-01-01T00:00:00.000Z warn  It rains. room=lobby bytes=7",
  ]);
});

Deno.test("a line of JSON names its event and has the same fields", () => {
  const { logger, lines } = loggerOf("json");
  logger.log("info", "test", "It rains.", { room: "lobby", client: undefined });
  assertEquals(JSON.parse(lines[0] ?? ""), {
    at: "1970-01-01T00:00:00.000Z",
    level: "info",
    event: "test",
    message: "It rains.",
    room: "lobby",
  });
});

Deno.test("no value can begin a line of its own or hide in one", () => {
  const { logger, lines } = loggerOf("text");
  logger.log("info", "test", "Seen.", { from: 'a\nb \u001b[2J"c' });
  assertMatch(lines[0] ?? "", / from="a\\nb \\u001b\[2J\\"c"$/);
});

Deno.test("of a flood of one event some lines are left out and counted", () => {
  const { logger, lines, clock } = loggerOf("text");
  for (let i = 0; i < 1_000; i++) logger.log("info", "flood", "Again.");
  assertEquals(lines.length, 20);
  logger.log("info", "other", "Once.");
  assertEquals(lines.length, 21);
  clock.nowMs = 1_000;
  logger.log("info", "flood", "Again.");
  assertMatch(lines.at(-1) ?? "", /Again\. leftOut=980$/);
});

Deno.test("a fault says where it came from, in one line", () => {
  const { logger, lines } = loggerOf("text");
  logger.fault("A thing failed.", new Error("on purpose"));
  assertMatch(lines[0] ?? "", /A thing failed\. error=".*on purpose.*logger_/);
  assertEquals(lines.length, 1);
});
