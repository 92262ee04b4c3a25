// The page as people use it, in Chromium: real tabs against a real server.
// With PARTYLINE_PICTURE set (to anything) it also takes the README's picture,
// tests/slow/page.png; without, that step is ignored. Roles and labels find
// things here, so that what cannot be found by a screen reader fails.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../harness.ts";
import { Tab, test } from "./browser.ts";

const PHONE = { width: 390, height: 844 };
const SMALL_PHONE = { width: 320, height: 568 };
const DESKTOP = { width: 1280, height: 800 };
const LONG_WORD = "Llanfairpwllgwyngyllgogerychwyrn".repeat(6);

const CONVERSATION = [
  ["second", "Good evening! Is anybody on the line?"],
  ["page", "Evening! I just picked up the receiver."],
  ["third", "Me too. We all ring on this line: two long, one short is me."],
  ["second", "So is that how it was? One wire for the whole village?"],
  [
    "third",
    "Yes: up to twenty houses on one pair of wires.\n" +
    "Everyone had their own ring, and everyone could hear everyone.",
  ],
  ["page", "My great-aunt knew all the news before the newspaper did. ☎️"],
  ["second", "Ours too! She called it “rubbering”: listening, and not a word."],
  ["third", "And if the barn was on fire, you cranked one very long ring."],
  ["page", "One sends, all hear. That is a broadcast!"],
  ["third", "Only that here nobody can listen without being connected."],
  ["second", "Meet me at /?room=village, then the class can have this one."],
  ["third", "Got to go, the kettle is on. It was good to hear you both!"],
] as const;

/** A server that refuses every third message, so that this can be seen too. */
const startStrictServer = () => startServer({ rate: 0.001, burst: 2 });

/** A room on a strict server, with a bit of everything in it. */
async function makeLively(tab: Tab, ws: string): Promise<void> {
  await tab.say("Hello?\nIs anybody on the line?");
  for (let i = 0; i < 4; i++) {
    await using guest = await Client.open(ws);
    await guest.say(`${LONG_WORD} ${i}`);
    await guest.say(`مرحبا ${i}`);
  }
  await tab.line("مرحبا 3");
  await tab.lines.filter({ hasText: "Client disconnected" }).last().waitFor();
  await tab.say("One more.");
  await tab.composer.fill("One too many.");
  await tab.composer.press("Enter");
  await tab.line("only you see this");
}

async function sendMany(client: Client, from: number, to: number) {
  for (let i = from; i < to; i++) client.send(`message ${i}`);
  while ((await client.next()).message !== `message ${to - 1}`) continue;
}

test("two browsers talk, each under its own name in bold", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  let bobsName: string | undefined;
  {
    await using bob = await Tab.join(server.http);
    await ada.say("Hello?");
    await bob.line("Hello?");
    await bob.say("Speaking.");
    await ada.line("Speaking.");
    assertEquals(await ada.texts(), ["Hello?", "Speaking."]);
    assertEquals(await ada.texts(), await bob.texts());
    assertEquals(await ada.senders(), await bob.senders());
    const [adasName, second] = await ada.senders();
    assert(adasName !== second, second);
    bobsName = second;
  }
  const farewell = await ada.line("Client disconnected");
  const bold = farewell.locator("b.sender");
  assertEquals(await bold.textContent(), bobsName);
  const weight = await bold.evaluate((b) =>
    b.ownerDocument.defaultView.getComputedStyle(b).fontWeight
  );
  assertEquals(weight, "700");
});

test("markup in a message stays text", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bob = await Tab.join(server.http);
  const markup = `<img src=x onerror="globalThis.ran=1"><b>bold</b>` +
    `<script>globalThis.ran=1</script>&amp;`;
  await ada.say(markup);
  await bob.line(markup);
  for (const { page, log } of [ada, bob]) {
    assertEquals(await log.locator("img, script, .text b").count(), 0);
    assertEquals(await page.evaluate("typeof ran"), "undefined");
  }
});

test("a room that cannot be is named as text, and nothing is connected", async () => {
  await using server = await startServer();
  const room = `<b>x</b><img src=x onerror="globalThis.ran=1">`;
  await using tab = await Tab.open(
    `${server.http}/?room=${encodeURIComponent(room)}`,
  );
  const problem = tab.page.getByRole("alert");
  await problem.filter({ hasText: "cannot be a room’s name" }).waitFor();
  assert((await problem.textContent())?.includes("“<b>x</b><img src=x "));
  assertEquals(await tab.page.locator("img, #problem b").count(), 0);
  assertEquals(await tab.page.evaluate("typeof ran"), "undefined");
  await tab.status("Not connected");
  assert(await tab.composer.isDisabled());
  await tab.page.evaluate("dispatchEvent(new Event('online'))");
  assertEquals(tab.sockets, []);
  await tab.page.getByRole("link", { name: "Go to the lobby" }).click();
  await tab.status("Connected");
});

test("after a restart of the server the page comes back, text and all", async () => {
  const first = await startServer();
  await using tab = await Tab.join(first.http);
  await tab.say("before");
  await tab.composer.pressSequentially("half a thou");
  await first.drain(2_000);
  await tab.status("Reconnecting");
  await tab.composer.press("Enter");
  await tab.status("Not sent yet: your text is kept.");
  await tab.composer.pressSequentially("ght");

  await using second = await startServer({ port: first.port });
  await tab.line("Reconnected");
  await tab.status("Connected");
  assertEquals(await tab.page.locator("#status-note").textContent(), "");
  assertEquals(await tab.composer.inputValue(), "half a thought");
  await using client = await Client.open(second.ws);
  await tab.composer.press("Enter");
  assertEquals((await client.next()).message, "half a thought");
  await tab.line("half a thought");
  assertEquals(await tab.composer.inputValue(), "");
});

test("“Try now” connects without waiting", async () => {
  const first = await startServer();
  await using tab = await Tab.join(first.http);
  await tab.stopClock();
  await first.drain(2_000);
  await tab.status("Reconnecting");
  await using _second = await startServer({ port: first.port });
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.status("Connected");
  assert(await tab.page.locator("#try-now").isHidden());
});

test("when the network is back the page connects at once", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  // So that no timer, only the event, can bring it back.
  await tab.stopClock();
  await tab.page.context().setOffline(true);
  await tab.status("Offline: this device has no network");
  await tab.page.context().setOffline(false);
  await tab.status("Connected");
  assertEquals(tab.sockets.length, 2);
});

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

test("Enter sends, Shift+Enter starts a line", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.composer.pressSequentially("one");
  await tab.composer.press("Shift+Enter");
  await tab.composer.pressSequentially("two");
  assertEquals(await tab.texts(), []);
  await tab.composer.press("Enter");
  await tab.line("one\ntwo");
  await tab.composer.press("Enter");
  await tab.say("three");
  assertEquals(await tab.texts(), ["one\ntwo", "three"]);
});

test("an Enter that ends an input method's composition does not send", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.composer.focus();
  const devtools = await tab.page.context().newCDPSession(tab.page);
  await devtools.send("Input.imeSetComposition", {
    text: "にほん",
    selectionStart: 3,
    selectionEnd: 3,
  });
  await devtools.send("Input.dispatchKeyEvent", {
    type: "rawKeyDown",
    key: "Enter",
    windowsVirtualKeyCode: 13,
  });
  await devtools.send("Input.insertText", { text: "日本" });
  assertEquals(await tab.composer.inputValue(), "日本");
  await tab.composer.press("Enter");
  await tab.line("日本");
  assertEquals(await tab.texts(), ["日本"]);
});

test("everything can be reached with the keyboard", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const { keyboard } = tab.page;
  const reached = [];
  for (let i = 0; i < 7; i++) {
    await keyboard.press("Tab");
    reached.push(
      await tab.page.evaluate(
        "document.activeElement.id || document.activeElement.textContent",
      ),
    );
  }
  assertEquals(reached, [
    "Partyline",
    "panel-button",
    "transcript",
    "client.js",
    "client.py",
    "message",
    "send",
  ]);
  await tab.page.getByRole("button", { name: "Rooms" }).focus();
  await keyboard.press("Enter");
  const input = tab.page.getByRole("textbox", { name: "Room name" });
  await input.waitFor();
  await keyboard.press("Escape");
  await input.waitFor({ state: "hidden" });
  await keyboard.press("Enter");
  await keyboard.press("Tab");
  await keyboard.type("Physics 2");
  await keyboard.press("Enter");
  await tab.page.waitForURL("**/?room=physics-2");
  await tab.status("Connected");
});

test("rooms do not hear each other", async () => {
  await using server = await startServer();
  await using lobby = await Tab.join(server.http);
  await using physics = await Tab.join(`${server.http}/?room=physics`);
  await lobby.say("in the lobby");
  await physics.say("in physics");
  await lobby.say("still in the lobby");
  assertEquals(await lobby.texts(), ["in the lobby", "still in the lobby"]);
  assertEquals(await physics.texts(), ["in physics"]);
  for (
    const [{ page }, room] of [[lobby, "lobby"], [physics, "physics"]] as const
  ) {
    await page.getByRole("heading", { name: room, exact: true }).waitFor();
    assertEquals(await page.title(), `${room} · Partyline`);
  }
});

test("the title of a hidden tab counts what was not seen", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  const setHidden = (isHidden: boolean) =>
    tab.page.evaluate(`
      Object.defineProperty(document, "hidden", { get: () => ${isHidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));`);
  await client.say("seen");
  await tab.line("seen");
  await setHidden(true);
  await client.say("one");
  await client.say("two");
  await tab.page.waitForFunction("document.title === '(2) lobby · Partyline'");
  await setHidden(false);
  assertEquals(await tab.page.title(), "lobby · Partyline");
});

for (const viewport of [PHONE, SMALL_PHONE]) {
  test(`all of it fits a screen of ${viewport.width} x ${viewport.height}`, async () => {
    await using server = await startStrictServer();
    await using tab = await Tab.join(server.http, { viewport });
    await makeLively(tab, server.ws);
    const fits = async (id: string) => {
      const box = await tab.page.locator(`#${id}`).boundingBox();
      assert(box && box.x >= 0 && box.y >= 0, id);
      assert(box.x + box.width <= viewport.width, id);
      assert(box.y + box.height <= viewport.height, id);
    };
    for (const id of ["panel-button", "message", "send"]) await fits(id);
    await tab.page.getByRole("button", { name: "Rooms" }).click();
    await fits("panel");
    const overflowing = await tab.page.evaluate(`
      [...document.querySelectorAll("html, #panel, #transcript, .line")]
        .filter((box) => box.scrollWidth > box.clientWidth)
        .map((box) => box.outerHTML)`);
    assertEquals(overflowing, []);
  });
}

test("the page is dark where the system is", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, { colorScheme: "dark" });
  const color = await tab.page.evaluate<string>(
    "getComputedStyle(document.body).backgroundColor",
  );
  const parts = color.match(/\d+/g)?.map(Number) ?? [];
  assert(parts.length === 3 && parts.every((part) => part < 64), color);
});

const states: Record<string, (tab: Tab, ws: string) => Promise<void>> = {
  "an empty room": (tab) => tab.status("Connected"),
  "a lively room": async (tab, ws) => {
    await makeLively(tab, ws);
    // The hash of a name picks its colour: here each of the eight has its turn.
    await tab.page.evaluate(`
      document.querySelectorAll(".message").forEach((line, i) => {
        line.className = "line message tone-" + i % 8;
      });`);
  },
  "an open panel": async ({ page }) => {
    await page.getByRole("button", { name: "Rooms" }).click();
    await page.getByRole("textbox", { name: "Room name" }).fill("physics");
  },
  "a lost connection": async (tab, ws) => {
    await makeLively(tab, ws);
    await tab.page.context().setOffline(true);
    await tab.composer.press("a");
    await tab.composer.press("Enter");
    await tab.status("Not sent yet");
  },
  "a room that cannot be": async (tab) => {
    await tab.page.goto(`${tab.page.url()}?room=A%20room`);
    await tab.status("Not connected");
  },
};

for (const [state, enter] of Object.entries(states)) {
  test(`axe finds nothing in ${state}, light or dark, wide or narrow`, async () => {
    await using server = await startStrictServer();
    await using tab = await Tab.join(server.http);
    await enter(tab, server.ws);
    for (const { width } of [DESKTOP, PHONE]) {
      // High enough to show every line, or axe would not look at all of them.
      await tab.page.setViewportSize({ width, height: 3_000 });
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        assertEquals(
          await tab.violations(),
          [],
          `${colorScheme} ${width}`,
        );
      }
    }
  });
}

test("ordinary use leaves the console empty", async () => {
  await using server = await startStrictServer();
  await using tab = await Tab.join(server.http);
  await makeLively(tab, server.ws);
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  await tab.page.getByRole("button", { name: "Copy" }).click();
  await tab.page.getByText("Copied.").waitFor();
  await tab.page.getByLabel("Room name").fill("physics");
  await tab.page.getByRole("button", { name: "Go", exact: true }).click();
  await tab.page.getByRole("heading", { name: "physics" }).waitFor();
  await tab.say("hello");
  assertEquals(tab.faults, []);
});

test("a picture of a lively room is taken for the README", async () => {
  // The same names and times whenever it is taken.
  let nowMs = Date.parse("2026-03-10T18:56:00Z");
  let turn = 0.4;
  const random = () => turn = (turn + Math.SQRT1_2) % 1;
  await using server = await startServer({}, { now: () => nowMs, random });
  await using tab = await Tab.join(server.http, {
    viewport: DESKTOP,
    locale: "en-GB",
    timezoneId: "UTC",
  });
  await using second = await Client.open(server.ws);
  const third = await Client.open(server.ws);
  for (const [who, text] of CONVERSATION) {
    if (who === "page") await tab.say(text);
    else await (who === "second" ? second : third).say(text);
    await tab.line(text);
    nowMs += 25_000;
  }
  await third[Symbol.asyncDispose]();
  await tab.line("Client disconnected");
  await tab.composer.fill("Nobody sees this until I press Enter");
  const path = new URL("page.png", import.meta.url).pathname;
  await tab.page.screenshot({ path, animations: "disabled", caret: "hide" });
}, { ignore: Deno.env.get("PARTYLINE_PICTURE") === undefined });
