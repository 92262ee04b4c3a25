// The parts of the soak that decide what it says: counting, reading, cutting.
// The soak itself is `deno task soak`; no attack is made here.
import { assertEquals } from "@std/assert";
import { startServer, until } from "../support/harness.ts";
import { attacks } from "./soak/attacks.ts";
import { Conversation } from "./soak/conversation.ts";
import { shareOf } from "./soak/field.ts";
import { parseCpuMs, parseStatus } from "./soak/meter.ts";
import {
  evictionsOf,
  Fall,
  parseMetrics,
  quantile,
  unbalanced,
} from "./soak/statistics.ts";
import { readMark, textOf, Transcript } from "./soak/transcript.ts";

Deno.test("good clients lose nothing when the server closes them all, and are not named twice", async () => {
  await using server = await startServer();
  const conversation = new Conversation(server.port, 1);
  const { clients, transcript } = conversation;
  await conversation.begin();
  const saidBy = (count: number) => clients.every(({ said }) => said >= count);
  await until(() => saidBy(1), "everyone's first word");
  for (const session of server.connections.keys()) {
    session.disconnect("restarting", 0);
  }
  await until(() => conversation.interruptions >= clients.length, "the end");
  await until(() => saidBy(4), "everyone's fourth word");
  await conversation.finish();
  const { said } = conversation;
  const { lost, repeated, reordered, stored, faults } = transcript;
  assertEquals(faults, []);
  assertEquals({ lost, repeated, reordered, stored }, {
    lost: 0,
    repeated: 0,
    reordered: 0,
    stored: said,
  });
  await until(
    () => server.hub.rooms.get("busy")?.members.size === clients.length,
    "each to be here once",
  );
  await conversation.leave();
});

const shown = (seq: number, author: number, n: number) => ({
  seq,
  sender: `g${author}`,
  message: textOf({ author, n }),
});

function wrongs({ lost, repeated, reordered, stored }: Transcript) {
  return [lost, repeated, reordered, stored];
}

Deno.test("a transcript finds nothing wrong with what comes once and in order", () => {
  const transcript = new Transcript();
  for (const reader of [1, 2]) {
    assertEquals(transcript.see(reader, 0, shown(1, 1, 1)), 1);
    assertEquals(transcript.see(reader, 1, shown(2, 2, 1)), 2);
    const other = { seq: 3, sender: "bad", message: "good 1:x" };
    assertEquals(transcript.see(reader, 2, other), 3);
  }
  assertEquals(wrongs(transcript), [0, 0, 0, 2]);
  assertEquals(transcript.faults, []);
});

Deno.test("a transcript counts what one reader was not shown", () => {
  const transcript = new Transcript();
  transcript.see(1, 0, shown(1, 1, 1));
  assertEquals(transcript.see(1, 1, shown(4, 1, 2)), 4);
  assertEquals(wrongs(transcript), [2, 0, 0, 2]);
});

Deno.test("a transcript counts what was shown again, unless that was asked for", () => {
  const transcript = new Transcript();
  transcript.see(1, 0, shown(1, 1, 1));
  assertEquals(transcript.see(1, 1, shown(1, 1, 1), true), 1);
  assertEquals(wrongs(transcript), [0, 0, 0, 1]);
  transcript.see(1, 1, shown(1, 1, 1));
  assertEquals(wrongs(transcript), [0, 1, 0, 1]);
});

Deno.test("a transcript counts what stands at two places", () => {
  const transcript = new Transcript();
  transcript.see(1, 0, shown(1, 1, 1));
  transcript.see(1, 1, shown(2, 1, 1));
  assertEquals(wrongs(transcript), [0, 1, 0, 2]);
});

Deno.test("a transcript counts what stands before an earlier message, unless that was refused", () => {
  const transcript = new Transcript();
  transcript.see(1, 0, shown(1, 1, 3));
  transcript.see(1, 1, shown(2, 1, 1));
  assertEquals(wrongs(transcript), [0, 0, 1, 2]);
  transcript.excuse({ author: 1, n: 2 });
  transcript.see(1, 2, shown(3, 1, 2));
  assertEquals(wrongs(transcript), [0, 0, 1, 3]);
});

Deno.test("a transcript counts two readers who were shown different things", () => {
  const transcript = new Transcript();
  transcript.see(1, 0, shown(1, 1, 1));
  transcript.see(2, 0, shown(1, 2, 1));
  assertEquals(wrongs(transcript), [0, 0, 1, 1]);
});

Deno.test("a mark is read back from its text, and from no other", () => {
  assertEquals(readMark(textOf({ author: 3, n: 17 })), { author: 3, n: 17 });
  for (const text of ["", "good", "good 1:2 ", "xgood 1:2", "good 1:"]) {
    assertEquals(readMark(text), undefined);
  }
});

/** As a server sends it: without a mask. */
Deno.test("the processes of an attack have its whole size between them", () => {
  for (const [size, scale, of] of [[10_000, 1, 4], [100, 0.07, 3]] as const) {
    const sizes = Array.from(
      { length: of },
      (_, index) => shareOf(size, { scale, index, of }),
    );
    assertEquals(sizes.reduce((a, b) => a + b), Math.round(size * scale));
  }
  assertEquals(shareOf(4, { scale: 0.01, index: 0, of: 2 }), 1);
  assertEquals(shareOf(4, { scale: 0.01, index: 1, of: 2 }), 0);
});

Deno.test("no two attacks have one name", () => {
  const names = attacks.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
});

Deno.test("a quantile is one of the values", () => {
  const values = [30, 10, 20, 40];
  assertEquals(quantile(values, 0), 10);
  assertEquals(quantile(values, 0.5), 20);
  assertEquals(quantile(values, 0.99), 40);
  assertEquals(quantile(values, 1), 40);
  assertEquals(quantile([], 0.5), undefined);
});

Deno.test("numbers rest from the last time that one of them fell", () => {
  const fall = new Fall([5, 0]);
  assertEquals(fall.restsMs([100, 9], 0), 0);
  assertEquals(fall.restsMs([97, 9], 10), 10);
  assertEquals(fall.restsMs([120, 9], 20), 20);
  assertEquals(fall.restsMs([120, 8], 30), 0);
  assertEquals(fall.restsMs([94, 8], 40), 0);
  assertEquals(fall.restsMs([94, 8], 50), 10);
});

Deno.test("memory and CPU time are read as Linux writes them", () => {
  const status = "Name:\tdeno\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n";
  assertEquals(parseStatus(status), { rssMib: 100, peakMib: 200 });
  const stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
  assertEquals(parseCpuMs(stat), 1_750);
});

const SCRAPE = `# HELP rooms How many.
# TYPE rooms gauge
rooms 3
# TYPE clients gauge
clients{dialect="plain"} 2
clients{dialect="v1"} 20
# TYPE rss_bytes gauge
rss_bytes 1e8
# TYPE closes_total counter
closes_total{code="1001"} 4
closes_total{code="1013"} 5
`;

Deno.test("a scrape tells what did not come back, and who was let go", () => {
  const before = parseMetrics(SCRAPE);
  assertEquals(before.samples.get("rooms"), 3);
  assertEquals(evictionsOf(before), 5);
  assertEquals(evictionsOf(parseMetrics("rooms 3")), undefined);
  assertEquals(unbalanced(before, before), []);
  const after = parseMetrics(
    SCRAPE.replace('"v1"} 20', '"v1"} 21').replace("1e8", "2e8")
      .replace("} 4", "} 9"),
  );
  assertEquals(unbalanced(before, after), [
    'clients{dialect="v1"} was 20, is 21',
  ]);
});
