// The transcript under a reader's eyes, in Chromium: following at the bottom,
// reading above, scrolling back. What is measured is the text, in pixels.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Client, startServer, type TestServer } from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, PHONE, sendMany, Tab, test } from "./tab.ts";

test("new messages follow at the bottom and never move a reader above", async () => {
  await using server = await startServer({ rate: 0 });
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  await sendMany(client, 0, 100);
  await tab.line("message 99");
  assert(await tab.belowPx() <= 1);

  await tab.scrollTo(500);
  const read = await tab.line("message 30");
  const before = await read.boundingBox();
  await sendMany(client, 100, 103);
  const button = tab.page.getByRole("button", { name: "3 new messages" });
  await button.waitFor();
  assertEquals(await read.boundingBox(), before);

  await button.click();
  await button.waitFor({ state: "hidden" });
  assert(await tab.belowPx() <= 1);
  await sendMany(client, 103, 104);
  await tab.line("message 103");
  assert(await tab.belowPx() <= 1);
});

test("the transcript keeps the last 2,000 lines, and the reader's place", async () => {
  await using server = await startServer({ rate: 0 });
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  for (let i = 0; i < 2_000; i += 100) await sendMany(client, i, i + 100);
  const read = await tab.line("message 1000");
  await tab.scrollTo(await read.evaluate((line) => line.offsetTop));
  const before = await read.boundingBox();
  await sendMany(client, 2_000, 2_100);
  await tab.line("message 2099");
  assertEquals(await tab.lines.count(), 2_000);
  const after = await read.boundingBox();
  assert(before && after && Math.abs(after.y - before.y) <= 1);
});

test("who sends while reading above is taken to the bottom", async () => {
  await using server = await startServer({ rate: 0 });
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  await sendMany(client, 0, 50);
  await tab.line("message 49");
  await tab.scrollTo(100);
  assert(await tab.belowPx() > 100);
  await tab.say("down I go");
  assert(await tab.belowPx() <= 1);
});

/** Goes up from the bottom by `move`, while each picture has a new line. */
async function leaveBusyBottom(
  { http, ws }: TestServer,
  room: string,
  move: (tab: Tab) => Promise<void>,
): Promise<void> {
  await using tab = await Tab.join(`${http}/?room=${room}`);
  await using client = await Client.open(`${ws}?room=${room}`);
  await sendMany(client, 0, 60);
  await tab.line("message 59");
  let next = 60;
  const timer = setInterval(() => client.send(`message ${next++}`), 8);
  try {
    // Once may be luck.
    for (let i = 0; i < 2; i++) {
      await move(tab);
      const button = tab.page.getByRole("button", { name: /new messages? ↓/ });
      await button.waitFor();
      assert(await tab.belowPx() > 1);
      await button.click();
      await button.waitFor({ state: "hidden" });
    }
  } finally {
    clearInterval(timer);
  }
}

test("ArrowUp, PageUp and the wheel lead away from the bottom of a busy room", async () => {
  await using server = await startServer({ rate: 0 });
  for (const key of ["ArrowUp", "PageUp"]) {
    const press = async ({ log }: Tab) => await log.press(key);
    await leaveBusyBottom(server, key.toLowerCase(), press);
  }
  await leaveBusyBottom(server, "wheel", async ({ log, page }) => {
    await log.hover();
    await page.mouse.wheel(0, -40);
  });
});

/**
 * Goes up and waits for older lines above, or for the beginning. Returns by
 * how many pixels the line at the top was moved by them.
 */
function readOlder({ log }: Tab): Promise<number> {
  return log.evaluate(async (log) => {
    const nextPicture = () =>
      new Promise((resolve) =>
        log.ownerDocument.defaultView
          .requestAnimationFrame(resolve)
      );
    const list = log.querySelector("#lines");
    const beginning = log.querySelector("#beginning");
    const first = list.firstElementChild;
    log.scrollTop = 60;
    const before = first.getBoundingClientRect().top;
    while (list.firstElementChild === first && beginning.hidden) {
      await nextPicture();
    }
    await nextPicture();
    return Math.abs(first.getBoundingClientRect().top - before);
  });
}

test("a thousand messages can be scrolled back, and the text stays where it is", async () => {
  await using server = await startServer({ rate: 0 });
  await using client = await Client.open(server.ws);
  for (let i = 0; i < 1_000; i += 100) await sendMany(client, i, i + 100);
  await using tab = await Tab.join(server.http);
  await tab.line("message 999");
  assertEquals((await tab.messages()).at(0)?.seq, 951);
  const beginning = tab.page.getByText("This is the beginning of the room.");
  let pages = 0;
  while (await beginning.isHidden()) {
    assert(await readOlder(tab) <= 1);
    pages++;
  }
  assert(pages >= 10, `${pages}`);
  assertEquals(
    (await tab.messages()).map(({ seq, text }) => `${seq} ${text}`),
    Array.from({ length: 1_000 }, (_, i) => `${i + 1} message ${i}`),
  );
  // The way back is as long, and nothing is lost on it.
  await tab.say("and down again");
  assert(await tab.belowPx() <= 1);
});

test("when the day changes, yesterday's lines get their date, also in a tab that slept", async () => {
  await using server = await startServer();
  await using tab = await Tab.open("about:blank", {
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const { clock } = tab.page;
  // Messages have the server's time, which is today; the page's is played.
  const day = new Date().toISOString().slice(0, 10);
  await clock.install({ time: `${day}T23:58:30Z` });
  await tab.page.goto(server.http);
  await tab.status("Connected");
  await tab.say("said before midnight");
  const time = tab.lines.locator("time").first();
  assertMatch(await time.innerText(), /^\d\d:\d\d$/);
  await clock.runFor(60_000);
  assertMatch(await time.innerText(), /^\d\d:\d\d$/);
  await clock.runFor(31_000);
  const withDate = /^\d{1,2} [A-Z][a-z]{2,3},? \d\d:\d\d$/;
  await time.filter({ hasText: withDate }).waitFor();
  assertEquals(
    await time.getAttribute("datetime").then((at) => at?.slice(0, 10)),
    day,
  );
});

/** The names that a person sees, from top to bottom. */
const visibleNames = (tab: Tab) =>
  tab.lines.and(tab.page.locator(".message")).locator("b.sender").evaluateAll((
    names,
  ) =>
    names.filter((it) => it.getBoundingClientRect().width > 2)
      .map((it) => it.textContent)
  );

const above = (tab: Tab) => tab.lines.locator(".above").allTextContents();

for (const [kind, viewport] of Object.entries({ DESKTOP, PHONE })) {
  test(`what one person says within five minutes stands under one name (${kind})`, async () => {
    let now = Date.now();
    await using server = await startServer({}, { now: () => now });
    await using tab = await Tab.join(server.http, { viewport });
    await using client = await Client.join(server.ws, { name: "Ada" });
    let id = 0;
    const say = async (text: string) => {
      client.request({ type: "message", message: text, id: `${id++}` });
      await tab.line(text);
    };
    await say("one");
    now += 4 * 60_000;
    await say("two");
    await tab.say("mine");
    await say("three");
    now += 6 * 60_000;
    await say("four");
    const own = (await tab.senders())[2] ?? "";
    assertEquals(await visibleNames(tab), ["Ada", own, "Ada", "Ada"]);
    assertEquals(await tab.senders(), ["Ada", "Ada", own, "Ada", "Ada"]);
    assertEquals(await cutOff(tab.page), []);
    assertEquals(await tab.violations(), []);
  });
}

test("where another day begins the line says so, also after older lines came", async () => {
  const noon = new Date().setHours(12, 0, 0, 0);
  let now = noon - 24 * 60 * 60_000;
  await using server = await startServer({ rate: 0 }, { now: () => now });
  await using client = await Client.open(server.ws);
  await sendMany(client, 0, 70);
  now = noon;
  await sendMany(client, 70, 73);
  await using tab = await Tab.join(server.http);
  await tab.line("message 72");
  assertEquals(await above(tab), ["Yesterday", "Today"]);
  await tab.scrollTo(0);
  await tab.line("message 0");
  assertEquals(await above(tab), ["Yesterday", "Today"]);
  const line = await tab.line("message 70");
  assertMatch(await line.textContent() ?? "", /^Today/);
});

test("what came while nobody looked begins with a mark, until they go away again", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  await client.say("seen");
  await tab.line("seen");
  await tab.setHidden(true);
  await client.say("new");
  await client.say("newer");
  await tab.setHidden(false);
  const line = await tab.line("new");
  assertEquals(await line.locator(".above").allTextContents(), [
    "New while you were away",
  ]);
  assertEquals((await above(tab)).length, 1);
  assertEquals(await cutOff(tab.page), []);
  await tab.setHidden(true);
  await tab.setHidden(false);
  assertEquals(await above(tab), []);
});
