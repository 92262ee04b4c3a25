// The lab, in Chromium: its four rows and whether they are to be believed, how
// it stops, what it says where it cannot measure, and how it looks. Against a
// real server, like a student would use it.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { startBlockingProxy } from "../support/blocking_proxy.ts";
import { startServer, until } from "../support/harness.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./tab.ts";

const RUN_MS = 120_000;

interface Row {
  way: string;
  messages: number;
  medianMs: number;
  sendingMs: number;
  receivingMs: number;
  heard: number;
  requests: number;
  pushed: number;
  framing: number;
  content: number;
}

const button = (tab: Tab, name: string) =>
  tab.page.getByRole("button", { name, exact: true });

async function run(tab: Tab, { lag = 0, talkers = 0 } = {}): Promise<void> {
  const { page } = tab;
  await page.getByLabel("Messages", { exact: true }).selectOption("10");
  await page.getByLabel("Latency added").fill(`${lag}`);
  await page.getByLabel("Others who talk").fill(`${talkers}`);
  await button(tab, "Run").click();
}

/** Waits for the end of a run. */
async function isDone(tab: Tab): Promise<void> {
  await tab.page.getByRole("status").getByText("Done.", { exact: true })
    .waitFor({ timeout: RUN_MS });
}

const number = (text = "") => Number(text.replace(/[^\d.]/g, ""));
const bytes = (text = "") => number(text) * (text.endsWith("kB") ? 1_000 : 1);

/** The table, as a reader has it. */
async function rows(tab: Tab): Promise<Row[]> {
  const texts = await tab.page.locator("#results tr").evaluateAll((rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.textContent))
  ) as string[][];
  return texts.map((cells) => ({
    way: cells[0] ?? "",
    messages: number(cells[1]),
    medianMs: number(cells[2]),
    sendingMs: number(cells[4]),
    receivingMs: number(cells[5]),
    heard: number(cells[6]),
    requests: number(cells[7]),
    pushed: number(cells[9]),
    framing: bytes(cells[10]),
    content: bytes(cells[11]),
  }));
}

test("the lab measures four ways, and their order is to be believed", async () => {
  await using server = await startServer({ base: "/chat/", invite: "cuckoo" });
  await using tab = await Tab.open(`${server.http}/chat/lab#invite=cuckoo`);
  assertEquals(tab.page.url(), `${server.http}/chat/lab`);
  await run(tab);
  await isDone(tab);
  const [socket, stream, long, plain] = await rows(tab);
  assert(socket && stream && long && plain);
  assertEquals([socket, stream, long, plain].map(({ way }) => way), [
    "WebSocket",
    "SSE + POST",
    "Long poll + POST",
    "Plain polling + POST",
  ]);
  for (const row of [socket, stream, long, plain]) {
    assertEquals([row.messages, row.heard], [10, 20], row.way);
    assert(row.medianMs > 0 && row.sendingMs > 0, row.way);
  }
  for (const row of [socket, stream, long]) {
    assert(row.medianMs < plain.medianMs, row.way);
  }
  assertEquals(socket.requests, 2);
  assertEquals(stream.requests, 12);
  assert(long.requests > stream.requests);
  assert(socket.framing < stream.framing && stream.framing < long.framing);
  assert(socket.pushed >= 20 && stream.pushed >= 20);
  assertEquals([long.pushed, plain.pushed], [0, 0]);
  // Its answers wait for the clock; its POSTs do not.
  assert(plain.receivingMs > plain.sendingMs);
  assertEquals(await tab.page.locator("#latency .dot").count(), 40);
  assertEquals(await tab.page.locator("#latency .ring").count(), 40);
  await tab.page.goto(`${server.http}/chat/learn#deadlines`);
  const judged = tab.page.locator("#deadline-ways-table tbody tr");
  assertEquals(await judged.count(), 4);
  // Those who asked are waited for; the others have left.
  await until(() => server.connections.size <= 4, "the end");
  for (const session of server.connections.keys()) {
    session.disconnect("server_fault");
  }
});

test("in a busy room each way has the same work, and added latency counts twice", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/lab`);
  await run(tab, { lag: 100, talkers: 20 });
  await isDone(tab);
  const all = await rows(tab);
  const [socket, stream, long] = all;
  assert(socket && stream && long);
  for (const { way, medianMs, heard } of all) {
    assert(medianMs >= 195, way);
    assertEquals(heard, socket.heard, way);
  }
  // Twenty talk for at least a second and a half, and two hear them.
  assert(socket.heard >= 2 * (10 + 20 * 2), `${socket.heard}`);
  // An answer and another request lie between two of them: 200 ms at best.
  assert(long.medianMs > socket.medianMs);
});

test("a preset sets all and runs; earlier runs stay until they are forgotten", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/lab`);
  const runs = tab.page.getByRole("region", { name: "Your runs" })
    .locator("tbody tr");
  await run(tab, { talkers: 2 });
  await isDone(tab);
  await tab.page.reload();
  await button(tab, "150 ms away").click();
  await tab.status("Measuring WebSocket (1 of 4)…");
  await isDone(tab);
  const heads = tab.page.locator("#earlier th");
  assertEquals(await heads.allTextContents(), [
    "20 messages, 3 a second, +150 ms",
    "10 messages, 3 a second, 2 others talk",
  ]);
  for (const text of await runs.locator("td").allInnerTexts()) {
    assertMatch(
      text,
      /^[\d.,]+ ms\nslowest [\d.,]+ ms\n[\d.]+\sk?B a message$/,
    );
  }
  await button(tab, "Forget these runs").click();
  await runs.first().waitFor({ state: "hidden" });
  await tab.page.reload();
  assert(await tab.page.locator("#runs").isHidden());
});

test("a run can be stopped, and begun again", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/lab`);
  await run(tab, { talkers: 3 });
  await tab.page.locator("#latency .way-websocket .dot").first().waitFor();
  assert(await button(tab, "Run").isDisabled());
  await button(tab, "Stop").click();
  await tab.status("Stopped.");
  await until(() => server.connections.size === 0, "the end");
  assert(await button(tab, "Stop").isDisabled());
  await button(tab, "Run").click();
  await tab.status("Measuring WebSocket (1 of 4)…");
});

test("the lab asks for the invitation, and takes it", async () => {
  await using server = await startServer({ invite: "cuckoo" });
  await using tab = await Tab.open(`${server.http}/lab`);
  await button(tab, "Run").click();
  await tab.page.getByText("This server asks for an invitation").waitFor();
  await tab.codeField.fill("cuckoo");
  await tab.page.keyboard.press("Enter");
  await tab.status("Measuring WebSocket (1 of 4)…");
  assert(await tab.codeField.isHidden());
});

test("where WebSocket is blocked the other three are measured all the same", async () => {
  await using server = await startServer();
  await using proxy = startBlockingProxy(server.port);
  await using tab = await Tab.open(`${proxy.http}/lab`);
  await run(tab);
  await isDone(tab);
  await tab.page.locator("#latency").getByText("WebSocket was cut off.")
    .waitFor();
  const counts = (await rows(tab)).map(({ messages }) => messages);
  assertEquals(counts, [0, 10, 10, 10]);
  // Nobody listens by WebSocket, so sending is not shown apart.
  assertEquals(await tab.page.locator("#latency .ring").count(), 0);
  const words = await tab.page.locator("#summary").innerText();
  assertMatch(words, /^In this run half of the messages by /);
  assert(!words.includes("To send"), words);
});

test("axe finds nothing in the lab, before a run and after it, and all of it fits", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/lab`);
  const look = async (when: string) => {
    for (const viewport of [DESKTOP, PHONE, SMALL_PHONE]) {
      await tab.page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        const what = `${when} ${colorScheme} ${viewport.width}`;
        assertEquals(await tab.violations(), [], what);
      }
      const overflowing = await tab.page.evaluate(`
        [...document.querySelectorAll("html, form, .rows")]
          .filter((box) => box.scrollWidth > box.clientWidth)
          .map((box) => box.id || box.tagName)`);
      assertEquals(overflowing, [], `${when} ${viewport.width}`);
    }
  };
  await look("before");
  await run(tab);
  await isDone(tab);
  await look("after");
});
