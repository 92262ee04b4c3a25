// The transcript under a reader's eyes, in Chromium: following at the bottom,
// reading above, scrolling back. What is measured is the text, in pixels.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer, type TestServer } from "../harness.ts";
import { sendMany, Tab, test } from "./browser.ts";

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
  const beginning = tab.page.getByText("The line begins here.");
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
