// Whatever characters clients use, Redis keeps them apart and gives them back:
// its lists of events have a line each, its fields have spaces between, and its
// scripts have patterns, which nobody can put anything into.
import { assertEquals } from "@std/assert";
import { post } from "../support/http_clients.ts";
import { redisTest } from "../support/redis.ts";
import { hear, join, startCluster, textsOf } from "./nodes.ts";

/** As texts and as ids; some are one and the same after some change. */
const ODD = [
  ...["a\nb", "a\r\nb", "a\\nb", "a\0b", "a\u2028b", "a\u2029b"],
  ...['"', "\\", "'", "`", "]]", "--", "%s %d", "%%", "(%d+)", "[^\n]+"],
  ...["\ufffd", "a\ufeffb", "\u202e", "😀", "\u00e9", "e\u0301"],
  ...["a b", "#0", "name", "1 1", "~1 1", "{}", "null", "\x1b[31m"],
];

redisTest("odd characters pass through Redis as they are", async () => {
  await using cluster = await startCluster({}, { rate: 0 });
  const { one, two } = cluster;
  await using ann = await join(one, { name: "Ann" });
  await using bob = await join(two, { name: "Bob" });
  // In one turn and in turns of their own, each with an id that is as odd.
  for (const text of ODD) ann.say(text);
  await hear(ann, ...ODD);
  for (const text of ODD) {
    bob.say(`${text} again`, text);
    await hear(bob, `${text} again`);
  }
  const all = [...ODD, ...ODD.map((text) => `${text} again`)];
  await hear(ann, ...all);
  await hear(bob, ...all);
  assertEquals(textsOf(ann), all);
  assertEquals(textsOf(bob), all);
  const ids = ann.heard.filter(({ type }) => type === "message")
    .map(({ id }) => id);
  assertEquals(ids, [...ODD, ...ODD]);

  // Those that are sent again are known; all are read as they were told.
  for (const text of ODD) ann.say("twice", text);
  ann.say("after");
  await hear(bob, "after");
  assertEquals(textsOf(bob), [...all, "after"]);
  await using cat = await join(two, { history: 200 });
  await hear(cat, "after");
  assertEquals(textsOf(cat), [...all, "after"]);
});

redisTest("odd keys and names leave nothing odd in Redis", async () => {
  await using cluster = await startCluster({}, { rate: 0 });
  const { redis, one, two } = cluster;
  await using ann = await join(one, { name: "Ann" });
  const { key } = ann.welcome;
  for (const text of ODD) {
    for (const odd of [text, `${text}.x`, `x.${text}`, `${key}${text}`]) {
      const asked = new URLSearchParams({ key: odd, name: text });
      // Each on a connection of its own, which may have only a few newcomers.
      const { status } = await post(
        `${two.http}/messages?${asked}`,
        "hello",
        { connection: "close" },
      );
      assertEquals(status, 200, odd);
    }
  }
  ann.say("still here");
  await hear(ann, "still here");
  const keys = (await redis.command("KEYS", "*")).split("\n");
  const known = new RegExp(
    "^partyline:(life|rooms|ids|standing|folded|looks|claims|nodes|(room|log|here):lobby|" +
      "(id|rooms|link):[\\w-]{12})$",
  );
  assertEquals(keys.filter((key) => !known.test(key)), []);
  const complaints = [...one.lines, ...two.lines]
    .filter((line) => / error /.test(line));
  assertEquals(complaints, []);
});
