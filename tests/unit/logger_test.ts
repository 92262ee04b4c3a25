// What logger.ts promises: one line for an event, in two forms, and never more
// than a few of one kind, however many events there are.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Logger } from "../../chat/ops/logger.ts";

function loggerOf(format: "text" | "json") {
  const clock = { nowMs: 0, monotonicMs: 0 };
  const lines: string[] = [];
  const logger = new Logger(
    format,
    (line) => lines.push(line),
    () => clock.nowMs,
    () => clock.monotonicMs,
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

Deno.test("what a terminal obeys or does not show is escaped, in both forms", () => {
  for (const format of ["text", "json"] as const) {
    const { logger, lines } = loggerOf(format);
    const chars = "\u007f\u009b\u061c\u200f\u202e\u2066\u2028\ufeff\u{e0041}";
    logger.log("info", "test", `Seen: ${chars}`, { from: `${chars}é🦦` });
    const [line = ""] = lines;
    assert(!/[\p{C}\p{Zl}\p{Zp}]/u.test(line), line);
    const escaped = "\\u007f\\u009b\\u061c\\u200f\\u202e\\u2066\\u2028" +
      "\\ufeff\\udb40\\udc41";
    assert(line.includes(`Seen: ${escaped}`), line);
    assert(line.includes(`${escaped}é🦦`), line);
    if (format === "json") assertEquals(JSON.parse(line).from, `${chars}é🦦`);
  }
});

Deno.test("of a flood of one event some lines are left out and counted", () => {
  const { logger, lines, clock } = loggerOf("text");
  for (let i = 0; i < 1_000; i++) logger.log("info", "flood", "Again.");
  assertEquals(lines.length, 20);
  logger.log("info", "other", "Once.");
  assertEquals(lines.length, 21);
  // A clock that is set lets no more through.
  clock.nowMs = 86_400_000;
  logger.log("info", "flood", "Again.");
  assertEquals(lines.length, 21);
  clock.monotonicMs = 1_000;
  logger.log("info", "flood", "Again.");
  assertMatch(lines.at(-1) ?? "", /Again\. leftOut=981$/);
});

Deno.test("a fault says where it came from, in one line", () => {
  const { logger, lines } = loggerOf("text");
  logger.fault("A thing failed.", new Error("on purpose"));
  assertMatch(lines[0] ?? "", /A thing failed\. error=".*on purpose.*logger_/);
  assertEquals(lines.length, 1);
});
