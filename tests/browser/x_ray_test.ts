// The X-ray in Chromium: the panel beside the chat and the projector, against
// real servers. What it shows is compared with what the page sent. With
// PARTYLINE_PICTURE set, pictures are put into that folder.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  MAX_OWN_WATCHERS,
  MAX_WATCHERS_PER_KEY,
} from "../../chat/x_ray/watch_places.ts";
import {
  Client,
  RawClient,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./tab.ts";

const MODERATOR = "otter-school";

const start = () => startServer({ moderator: MODERATOR });

async function openPanel({ page }: Tab): Promise<void> {
  await page.getByRole("button", { name: "X-ray" }).click();
  await page.getByRole("option", { name: "was open before" }).waitFor();
}

const frames = (page: Page) =>
  page.getByRole("listbox", { name: "Frames, the newest first" })
    .locator(".frame");

/** The drawn bits, row by row, as one text. */
const bits = (page: Page) =>
  page.locator(".bits .bit").allTextContents().then((all) => all.join(""));

/** What a screen reader hears of a field. */
const field = (page: Page, name: string) =>
  page.locator(".fields dt").filter({ hasText: new RegExp(`^${name} `) })
    .locator("xpath=following-sibling::dd[1]");

const recorders = (
  server: { connections: ReadonlyMap<{ recorder: unknown }, unknown> },
) =>
  [...server.connections.keys()].filter(({ recorder }) =>
    recorder !== undefined
  ).length;

test("the panel shows one's own handshake and how its key is answered", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  const panel = page.getByRole("region", { name: "X-ray" });
  await panel.getByText("sec-websocket-protocol: partyline.v1").first()
    .waitFor();
  await panel.getByText(/^GET \/ws\S* HTTP\/1\.1$/).waitFor();
  await panel.getByText("HTTP/1.1 101 Switching Protocols").waitFor();
  const [asked = "", answered = ""] = await panel.locator("mark")
    .allTextContents();
  const key = asked.split(": ")[1] ?? "";
  const [own, joined, sha1 = "", accept] = await panel.locator(".steps code")
    .allTextContents();
  assertEquals(own, key);
  assertEquals(joined, `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  const digest = await crypto.subtle.digest(
    "SHA-1",
    new TextEncoder().encode(joined),
  );
  const bytes = new Uint8Array(digest);
  assertEquals(accept, btoa(String.fromCharCode(...bytes)));
  assertEquals(parseInt(sha1.slice(0, 2), 16), bytes[0]);
  assertEquals(answered, `sec-websocket-accept: ${accept}`);
});

test("the panel draws the frames of one's own messages, both ways", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  await tab.say("Grüße");
  const sent = frames(page).filter({ hasText: "to server" })
    .filter({ hasText: "Grüße" });
  await sent.click();
  const text = await page.locator(".selected .text").textContent() ?? "";
  const length = new TextEncoder().encode(text).length;
  assertEquals(JSON.parse(text).message, "Grüße");
  assert(length < 126, text);
  const header = "1000" + "0001" + "1" + length.toString(2).padStart(7, "0");
  assertEquals(await bits(page), header + "?".repeat(32 + 64));
  assertEquals(
    await field(page, "MASK").textContent(),
    "1, masked, like every frame from a client",
  );
  await field(page, "Masking-key").getByText("unknown").waitFor();
  await page.getByText(`${length} bytes of payload, ${length + 6} bytes`)
    .waitFor();
  const got = frames(page).filter({ hasText: "to client" })
    .filter({ hasText: '"type":"message"' });
  await got.first().click();
  const drawn = await bits(page);
  const answer = await page.locator(".selected .text").textContent() ?? "";
  const size = new TextEncoder().encode(answer).length;
  const first = [...new TextEncoder().encode(answer).subarray(0, 8)]
    .map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const [code, extended] = size < 126
    ? [size, ""]
    : [126, size.toString(2).padStart(16, "0")];
  assertEquals(
    drawn,
    `100000010${code.toString(2).padStart(7, "0")}${extended}${first}`,
  );
});

test("a frame can be read while others go by, when the list is paused", async () => {
  await using server = await start();
  await using client = await Client.open(server.ws);
  // It has joined: a join in the frame of its message would fill the preview.
  await client.say("before");
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  await client.say("first");
  const first = frames(page).filter({ hasText: "first" });
  await first.click();
  for (let i = 0; i < 5; i++) await client.say(`later ${i}`);
  await page.getByText("Paused: 5 newer to come.").waitFor();
  await page.locator(".selected .text", { hasText: "first" }).waitFor();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator(".selected .text", { hasText: "later 4" }).waitFor();
});

test("the list of frames is bounded, and what was dropped is counted", async () => {
  await using server = await startServer({ rate: 0, moderator: MODERATOR });
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await using client = await Client.open(server.ws);
  for (let i = 0; i < 260; i++) await client.say(`number ${i}`);
  await frames(tab.page).filter({ hasText: "number 259" }).waitFor();
  await tab.page.getByText(/older rows were dropped/).waitFor();
  const rows = tab.page.getByRole("option");
  assertEquals(await rows.count(), 200);
});

test("a new connection of the same page is shown from its handshake on", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const [session] = server.connections.keys();
  session?.disconnect("restarting", 1);
  await tab.page.getByText(/Code 1012 .*restarting/).first().waitFor();
  await tab.status("Connected");
  await frames(tab.page).filter({ hasText: '"type":"hello"' }).waitFor();
  const shown = await tab.page.locator(".frames").textContent() ?? "";
  assert(/"key":"\*+"/.test(shown), shown);
});

test("a connection that was open before can begin again, to be watched from its hello on", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  const again = page.getByRole("button", { name: "Connect again and watch" });
  await again.click();
  await frames(page).filter({ hasText: "to server" })
    .filter({ hasText: '"type":"hello"' }).waitFor();
  await frames(page).filter({ hasText: "to client" })
    .filter({ hasText: '"type":"welcome"' }).waitFor();
  await again.waitFor({ state: "hidden" });
});

test("how a server that stops ends the connection is shown, and stays when it is away", async () => {
  const server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await server[Symbol.asyncDispose]();
  await tab.page.getByText(/Code 1001 .*shutting down/).first().waitFor();
  // Attempts to come back have failed by then.
  await tab.status("The server went away: perhaps it was stopped (code 1001).");
  assertEquals(
    await tab.page.getByRole("link", { name: "Code 1001 explained" }).count(),
    1,
  );
  const kept = await tab.page.evaluate("sessionStorage['partyline.frames']");
  assertMatch(String(kept), /"code":1001.*shutting down/);
});

test("nothing runs while the panel is closed, and it is remembered", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http, { viewport: DESKTOP });
  const { page } = tab;
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  const button = page.getByRole("button", { name: "X-ray" });
  assertEquals(await button.getAttribute("aria-expanded"), "false");
  assertEquals(recorders(server), 0);
  await openPanel(tab);
  assertEquals(recorders(server), 1);
  await page.reload();
  await page.getByText("opened.").or(page.getByText("was open before")).first()
    .waitFor();
  requests.length = 0;
  await page.getByRole("region", { name: "X-ray" })
    .getByRole("button", { name: "Close" }).click();
  await until(() => recorders(server) === 0, "no recorders");
  assertEquals(await button.getAttribute("aria-expanded"), "false");
  assert(await button.evaluate((it) => it === it.ownerDocument.activeElement));
  await page.reload();
  await tab.status("Connected");
  assertEquals(recorders(server), 0);
  assertEquals(requests.filter((url) => url.includes("x-ray/events")), []);
});

test("the list of frames is one tab stop, and arrow keys go through it", async () => {
  await using server = await start();
  await using client = await Client.open(server.ws);
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  for (const text of ["first", "second", "third"]) {
    await client.say(text);
    await frames(page).filter({ hasText: text }).waitFor();
  }
  const selected = page.getByRole("option", { selected: true });
  const isShown = async (text: string) => {
    await page.locator(".selected .text", { hasText: text }).waitFor();
    await selected.filter({ hasText: text }).waitFor();
    assert(await selected.evaluate((it) => it.matches(":focus")), text);
  };
  const list = page.getByRole("listbox");
  const stops = () => list.locator("[tabindex='0']").count();
  await page.getByRole("button", { name: "Pause" }).focus();
  await page.keyboard.press("Tab");
  await isShown("third");
  assertEquals(await stops(), 1);
  await page.keyboard.press("ArrowDown");
  await isShown("second");
  await page.keyboard.press("End");
  await selected.filter({ hasText: "was open before" }).waitFor();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  await isShown("third");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await isShown("first");
  assertEquals(await stops(), 1);
  await page.keyboard.press("Tab");
  const isInList = await list.evaluate((it) => it.matches(":focus-within"));
  assertEquals(isInList, false);
});

test("the payload of a text frame is shown in hexadecimal, too", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  await tab.say("Grüße ☎");
  await frames(page).filter({ hasText: "to server" })
    .filter({ hasText: "Grüße" }).click();
  const text = await page.locator(".selected .text").textContent() ?? "";
  const rows = (await page.locator(".selected .hex").textContent())?.split("\n")
    .map((row) => /^([\da-f]{3}) {2}((?:[\da-f]{2} )+) *(.*)$/.exec(row)) ?? [];
  const shown = rows.flatMap((row) => row?.[2]?.trim().split(" ") ?? []);
  const sent = [...new TextEncoder().encode(text)];
  assertEquals(shown.map((byte) => parseInt(byte, 16)), sent);
  assertEquals(
    rows.map((row) => parseInt(row?.[1] ?? "", 16)),
    [
      ...rows.keys(),
    ].map((i) => 8 * i),
  );
  const characters = rows.map((row) => row?.[3]).join("");
  assert(characters.includes("Gr··") && characters.length === sent.length);
});

const WINDOWS = [
  { width: 1920, height: 1080 },
  DESKTOP,
  { width: 1100, height: 800 },
  PHONE,
  // With the keyboard of the phone up.
  { width: PHONE.width, height: 504 },
  SMALL_PHONE,
  { width: 844, height: 390 },
];

for (const viewport of WINDOWS) {
  const { width, height } = viewport;
  test(`one can write and watch at the same time at ${width} x ${height}`, async () => {
    await using server = await start();
    await using tab = await Tab.join(server.http, { viewport });
    await openPanel(tab);
    const { page } = tab;
    await tab.say("seen in both");
    await frames(page).filter({ hasText: "to server" })
      .filter({ hasText: "seen in both" }).waitFor();
    const panel = await page.locator("#x-ray").boundingBox();
    const foot = await page.locator("#foot").boundingBox();
    const hall = await page.locator("#hall").boundingBox();
    assert(panel && foot && hall);
    assert(panel.height >= 150 && panel.y + panel.height <= height, "panel");
    assert(foot.y + foot.height <= height + 1, "message box");
    assert(hall.height >= 100, "transcript");
    for (const other of [foot, hall]) {
      const isApart = other.y + other.height <= panel.y + 1 ||
        panel.y + panel.height <= other.y + 1 ||
        other.x + other.width <= panel.x + 1;
      assert(isApart, "the panel covers nothing");
    }
    const wide = await page.evaluate<number>(
      "document.querySelector('#x-ray').scrollWidth",
    );
    assert(wide <= Math.ceil(panel.width), `${wide}`);
  });

  test(`an open panel leaves people and name form where they were at ${width} x ${height}`, async () => {
    await using server = await start();
    await using tab = await Tab.join(server.http, { viewport });
    const { page } = tab;
    await tab.keepName();
    const isBeside = await tab.nameField.isVisible();
    await openPanel(tab);
    if (!isBeside) await page.getByRole("button", { name: "1 person" }).click();
    await tab.rename("Ada");
    await page.getByRole("list", { name: "1 person" }).getByText("Ada")
      .waitFor();
  });
}

for (const viewport of [DESKTOP, PHONE, SMALL_PHONE]) {
  test(`the text of the drawing has at least 12 px in a window of ${viewport.width} px`, async () => {
    await using server = await start();
    await using tab = await Tab.join(server.http, { viewport });
    await openPanel(tab);
    await tab.say("to be drawn");
    await frames(tab.page).filter({ hasText: "to be drawn" }).first().click();
    const sizes = await tab.page.locator(".bits text").evaluateAll((texts) =>
      texts.map((text) =>
        text.getScreenCTM().a *
        parseFloat(
          text.ownerDocument.defaultView.getComputedStyle(text).fontSize,
        )
      )
    );
    assert(sizes.length > 0);
    assert(Math.min(...sizes) >= 12, `${Math.min(...sizes)} px`);
  });
}

for (const width of [390, 360]) {
  test(`the drawing of a card fits a projector of ${width} px`, async () => {
    await using server = await start();
    const viewport = { width, height: 844 };
    await using tab = await openProjector(server.http, { viewport });
    const { page } = tab;
    await using _ada = await Client.join(server.ws, { name: "Ada" });
    await lines(page).click();
    await frames(page).first().click();
    await page.getByRole("img", { name: "rows of 16 bits" }).waitFor();
    const [shown = 0, whole] = await page.locator(".bits").evaluate((bits) => [
      bits.clientWidth,
      bits.scrollWidth,
    ]);
    assert(shown > 0);
    assertEquals(whole, shown);
  });
}

test("the drawing has longer rows where there is space for them", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http, { viewport: PHONE });
  await openPanel(tab);
  const inRowsOf = (bits: number) =>
    tab.page.getByRole("img", { name: `rows of ${bits} bits` }).waitFor();
  await tab.say("to be drawn");
  await inRowsOf(16);
  await tab.page.setViewportSize({ width: 1920, height: 1080 });
  await inRowsOf(32);
});

test("the Escape key closes the panel and leads back to its button", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http, { viewport: PHONE });
  await openPanel(tab);
  const { page } = tab;
  await page.locator("#x-ray").getByRole("button", { name: "Pause" }).focus();
  await page.keyboard.press("Escape");
  await page.locator("#x-ray").waitFor({ state: "hidden" });
  await until(() => recorders(server) === 0, "no recorders");
  const button = page.getByRole("button", { name: "X-ray" });
  assert(await button.evaluate((it) => it === it.ownerDocument.activeElement));
});

/** Opens an X-ray of one's own, as a page does; it is not read. */
async function watch({ http }: TestServer, key: string) {
  const { status, body } = await fetch(`${http}/x-ray/events?key=${key}`);
  assertEquals(status, 200);
  return { [Symbol.asyncDispose]: async () => await body?.cancel() };
}

test("the panel says why its place went to somebody else, and comes back when it is opened anew", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  const [own] = server.connections.keys();
  const streams: string[] = [];
  page.on("request", (request) => streams.push(request.url()));
  {
    await using stack = new AsyncDisposableStack();
    const keys = [own?.key ?? ""];
    while (keys.length <= MAX_OWN_WATCHERS / MAX_WATCHERS_PER_KEY) {
      const url = `${server.ws}?room=room-${keys.length}`;
      keys.push(stack.use(await Client.join(url)).welcome.key);
    }
    const last = keys.pop() ?? "";
    const all = keys.flatMap((key) => Array(MAX_WATCHERS_PER_KEY).fill(key));
    // One is the panel's own.
    for (const key of all.slice(1)) stack.use(await watch(server, key));
    stack.use(await watch(server, last));
    await page.getByRole("region", { name: "X-ray" }).getByText(
      "Somebody else watches in this place, because all are taken and you " +
        "watch in several windows. Close and open the X-ray to watch again.",
    ).waitFor();
  }
  await until(() => recorders(server) === 0, "no recorders");
  const button = page.getByRole("button", { name: "X-ray" });
  await button.click();
  assertEquals(streams, []);
  await openPanel(tab);
  assertEquals(recorders(server), 1);
});

/** The projector, opened with the link of the banner. */
async function openProjector(http: string, options = {}): Promise<Tab> {
  const tab = await Tab.open(`${http}/x-ray#moderator=${MODERATOR}`, options);
  await tab.page.getByText(/^\d+ connections? in/).waitFor();
  return tab;
}

const lines = (page: Page) => page.locator("#lines").getByRole("button");

test("the projector shows all clients, sorted, and what they do", async () => {
  await using server = await start();
  await using clients = new AsyncDisposableStack();
  const all = [];
  for (let i = 0; i < 24; i++) {
    const room = i % 2 === 0 ? "b" : "a";
    const name = `Pupil ${String(i).padStart(2, "0")}`;
    const client = await Client.join(`${server.ws}?room=${room}`, { name });
    all.push(clients.use(client));
  }
  await using tab = await openProjector(server.http, { viewport: DESKTOP });
  const { page } = tab;
  await page.getByText("24 connections in 2 rooms").waitFor();
  assertEquals(new URL(page.url()).hash, "");
  const who = () => page.locator("#lines .who").allTextContents();
  const order = [...Array(24).keys()].sort((a, b) => b % 2 - a % 2 || a - b)
    .map((i) => `Pupil ${String(i).padStart(2, "0")}`);
  assertEquals(await who(), order);
  all[5]?.request({ type: "message", message: "Look at me!", id: "1" });
  await lines(page).filter({ hasText: "Pupil 07" })
    .filter({ hasText: "message Look at me!" }).waitFor();
  await all[5]?.[Symbol.asyncDispose]();
  await page.getByText("23 connections in 2 rooms").waitFor();
  assertEquals(await who(), order.filter((name) => name !== "Pupil 05"));
  all[3]?.request({ type: "rename", name: "Grace" });
  await lines(page).filter({ hasText: "Grace" }).waitFor();
  assertEquals((await who()).indexOf("Grace"), 1);
});

test("a line of the projector opens that connection in full, with the keyboard", async () => {
  await using server = await start();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using bob = await Client.join(server.ws, { name: "Bob" });
  await using tab = await openProjector(server.http);
  const { page } = tab;
  const line = lines(page).filter({ hasText: "Bob" });
  await line.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Bob in lobby" });
  await dialog.getByText("Sec-WebSocket", { exact: false }).or(
    dialog.getByText("sec-websocket-key", { exact: false }),
  ).first().waitFor();
  bob.request({ type: "message", message: "seen by all", id: "1" });
  await frames(page).filter({ hasText: "to server" })
    .filter({ hasText: "seen by all" }).waitFor();
  await bob[Symbol.asyncDispose]();
  await dialog.getByText("The client closed.").first().waitFor();
  const selected = page.getByRole("option", { selected: true });
  await selected.filter({ hasText: "close" }).waitFor();
  await page.keyboard.press("ArrowDown");
  assert(await selected.evaluate((it) => it.matches(":focus")));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
});

test("a class of 35 fits a screen of 1280 x 720, and the sum tells of those who left", async () => {
  await using server = await startServer({ moderator: MODERATOR, rate: 0 });
  const viewport = { width: 1280, height: 720 };
  await using tab = await openProjector(server.http, { viewport });
  const { page } = tab;
  await using clients = new AsyncDisposableStack();
  for (let i = 0; i < 35; i++) {
    const client = await Client.join(server.ws, { name: `Pupil ${i}` });
    clients.use(client).request({ type: "message", message: "x", id: "1" });
  }
  await (await Client.join(server.ws))[Symbol.asyncDispose]();
  await page.getByText(/^35 connections in 1 room .* · 1 just closed$/)
    .waitFor();
  const box = await lines(page).last().boundingBox();
  assert(box && box.y + box.height <= viewport.height, JSON.stringify(box));
});

test("forty cards fit a screen of 1920 x 1080, whatever was said last", async () => {
  await using server = await start();
  await using clients = new AsyncDisposableStack();
  const all = [];
  for (let i = 0; i < 40; i++) {
    const name = `Élodie-Anne Marchand ${i}`;
    all.push(clients.use(await Client.join(server.ws, { name })));
  }
  const viewport = { width: 1920, height: 1080 };
  await using tab = await openProjector(server.http, { viewport });
  const { page } = tab;
  const message = "many words that make a long line ".repeat(9);
  all[0]?.request({ type: "message", message, id: "1" });
  await lines(page).filter({ hasText: "message many words" }).nth(39).waitFor();
  const box = await lines(page).last().boundingBox();
  assert(box && box.y + box.height <= viewport.height, JSON.stringify(box));
  assertEquals(await cutOff(page), []);
});

test("a card shows what was sent before it was opened, and after the close", async () => {
  await using server = await start();
  await using tab = await openProjector(server.http);
  const { page } = tab;
  await using ada = await Client.join(server.ws, { name: "Ada" });
  ada.request({ type: "message", message: "said early", id: "1" });
  await lines(page).filter({ hasText: "said early" }).click();
  const early = frames(page).filter({ hasText: "to server" })
    .filter({ hasText: "said early" });
  await early.waitFor();
  await page.keyboard.press("Escape");
  const [session] = server.connections.keys();
  session?.disconnect("flood");
  const closed = page.getByRole("region", { name: "Closed in the last minute" })
    .getByRole("button", { name: "Ada" });
  await closed.filter({ hasText: "The server closed · Code 1008" }).waitFor();
  await lines(page).waitFor({ state: "detached" });
  await closed.click();
  await early.waitFor();
  await page.getByRole("option", { name: "The server closed. Code 1008" })
    .waitFor();
});

test("a card says that its connection was open before only where that is so", async () => {
  await using server = await start();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using tab = await openProjector(server.http);
  const { page } = tab;
  await using _bob = await Client.join(server.ws, { name: "Bob" });
  await lines(page).filter({ hasText: "Ada" }).click();
  await page.getByRole("option", { name: "was open before" }).waitFor();
  await page.keyboard.press("Escape");
  await lines(page).filter({ hasText: "Bob" }).click();
  await page.getByRole("option", { name: /Connection \d+ opened\./ }).waitFor();
  await frames(page).filter({ hasText: "hello" }).first().waitFor();
  const before = page.getByRole("option", { name: "was open before" });
  assertEquals(await before.count(), 0);
});

test("a connection that the server has closed waits for its client, and counts no more", async () => {
  await using server = await start();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using tab = await openProjector(server.http);
  const { page } = tab;
  using raw = await RawClient.upgrade(server.port);
  await page.getByText("2 connections in 1 room").waitFor();
  await raw.write(frame(Opcode.binary, Uint8Array.of(1)));
  await lines(page).filter({
    hasText: "Closed with 1003, waiting for the client",
  }).waitFor();
  await page.getByText(/^1 connection in 1 room .* · 1 closing/).waitFor();
});

test("a card of a closed connection has the error that ended it", async () => {
  await using server = await start();
  await using tab = await openProjector(server.http);
  const { page } = tab;
  using raw = await RawClient.upgrade(server.port);
  await lines(page).waitFor();
  await raw.write(frame(Opcode.close, Uint8Array.of(0x03, 0xe7)));
  await page.getByRole("region", { name: "Closed in the last minute" })
    .getByRole("button", { name: "lost: Invalid close code" }).waitFor();
});

test("with a class, a card and its dialog say how the client is connected", async () => {
  await using server = await start();
  await using clients = new AsyncDisposableStack();
  for (let i = 0; i < 9; i++) clients.use(await Client.open(server.ws));
  const posted = await fetch(`${server.http}/messages`, {
    method: "POST",
    body: "by POST",
  });
  await posted.body?.cancel();
  const stream = await fetch(`${server.http}/events?name=Eve`);
  await using tab = await openProjector(server.http);
  const { page } = tab;
  for (const [way, count] of [["WebSocket · plain", 9], ["SSE · party", 1]]) {
    const ways = page.locator("#lines").getByText(`${way}`);
    await ways.first().waitFor();
    assertEquals(await ways.count(), count);
  }
  // What waits for the next poll is no sign of a slow client.
  const poll = lines(page).filter({ hasText: "long poll · partyline.v1" });
  const queued = poll.getByText(/wait for the next poll/);
  await queued.waitFor();
  assertEquals(await poll.locator(".waiting").count(), 0);
  await lines(page).filter({ hasText: "Eve" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("SSE · partyline.v1", { exact: true }).waitFor();
  await clients.use(await Client.open(server.ws)).say("hello, Eve");
  await dialog.getByText(
    /^\d+ messages?: [\d,]+ bytes of content, without the headers of HTTP\.$/,
  ).waitFor();
  await stream.body?.cancel();
});

test("a pen of the drawing board has a name on the projector", async () => {
  await using server = await start();
  using _pen = await RawClient.upgrade(server.port, "/ws", {
    "Sec-WebSocket-Protocol": "partyline.draw.v1",
  });
  await using tab = await openProjector(server.http);
  await lines(tab.page).filter({ hasText: "drawing board, connection 1" })
    .click();
  await tab.page.getByRole("dialog", {
    name: "drawing board, connection 1 in lobby",
  })
    .waitFor();
});

test("an echo client has a name on the projector", async () => {
  await using server = await start();
  using _caller = await RawClient.upgrade(server.port, "/echo");
  await using tab = await openProjector(server.http);
  await lines(tab.page).filter({ hasText: "echo, connection 1" }).waitFor();
});

test("without the code, or with a wrong one, the projector asks for it", async () => {
  await using server = await start();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using tab = await Tab.open(`${server.http}/x-ray#moderator=wrong-code`);
  const { page } = tab;
  await page.getByText("This is not the moderator's code").waitFor();
  assertEquals(await lines(page).count(), 0);
  const input = page.getByRole("textbox", { name: "Moderator’s code" });
  await input.fill(`${server.http}/x-ray#moderator=${MODERATOR}`);
  await page.getByRole("button", { name: "Watch" }).click();
  await lines(page).filter({ hasText: "Ada" }).waitFor();
  await page.reload();
  await lines(page).filter({ hasText: "Ada" }).waitFor();
  assert(!page.url().includes(MODERATOR));
});

test("the moderator's link leads to the chat, too, where that needs an invitation", async () => {
  await using server = await startServer({
    moderator: MODERATOR,
    invite: "cuckoo-7",
  });
  const codes = `moderator=${MODERATOR}&invite=cuckoo-7`;
  await using tab = await Tab.open(`${server.http}/x-ray#${codes}`);
  const { page } = tab;
  await page.getByText(/^\d+ connections? in/).waitFor();
  assertEquals(new URL(page.url()).hash, "");
  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await tab.status("Connected");
  assert(!page.url().includes(MODERATOR));
});

test("markup in names and messages stays text in the X-ray", async () => {
  await using server = await start();
  const markup = `<img src=x onerror="globalThis.ran=1"><b>bold</b>`;
  await using client = await Client.open(server.ws);
  await using tab = await openProjector(server.http);
  await client.say(markup);
  const { page } = tab;
  await lines(page).first().click();
  await client.say(markup);
  await frames(page).filter({ hasText: "<img src=x" }).first().waitFor();
  assertEquals(await page.locator("img, b:not(pre b)").count(), 0);
  assertEquals(await page.evaluate("typeof ran"), "undefined");
});

test("a lost server is said on the projector, and it comes back", async () => {
  await using server = await start();
  await using tab = await openProjector(server.http);
  await tab.page.context().setOffline(true);
  await server.reopen("a test", "restarting");
  await tab.page.getByText("The server cannot be reached.").waitFor();
  await tab.page.context().setOffline(false);
  await tab.page.getByText("The server cannot be reached.").waitFor({
    state: "hidden",
  });
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await lines(tab.page).filter({ hasText: "Ada" }).waitFor();
});

const states: Record<string, (http: string, ws: string) => Promise<Tab>> = {
  "the panel": async (http) => {
    const tab = await Tab.join(http);
    await openPanel(tab);
    await tab.say("hello again");
    await frames(tab.page).filter({ hasText: "to server" }).first().click();
    for (const summary of await tab.page.locator("summary").all()) {
      const isOpen = await summary.evaluate((it) => it.parentElement.open);
      if (!isOpen) await summary.click();
    }
    return tab;
  },
  "the projector": (http) => openProjector(http),
  "the projector's view of one": async (http) => {
    const tab = await openProjector(http);
    await lines(tab.page).first().click();
    await tab.page.getByRole("option", { name: "was open before" }).waitFor();
    return tab;
  },
  "the projector's form": async (http) => {
    const tab = await Tab.open(`${http}/x-ray#moderator=wrong-code`);
    await tab.page.getByText("This is not the moderator's code").waitFor();
    return tab;
  },
};

for (const [state, enter] of Object.entries(states)) {
  test(`axe finds nothing in ${state}, light or dark, wide or narrow`, async () => {
    await using server = await start();
    await using clients = new AsyncDisposableStack();
    for (let i = 0; i < 3; i++) {
      clients.use(await Client.join(server.ws, { name: `Pupil ${i}` }));
    }
    await using plain = await Client.open(server.ws);
    await plain.say("hello");
    await using tab = await enter(server.http, server.ws);
    for (const { width } of [DESKTOP, PHONE]) {
      await tab.page.setViewportSize({ width, height: 3_000 });
      const name = state.replaceAll(/\W+/g, "-");
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        const folder = Deno.env.get("PARTYLINE_XRAY_PICTURES");
        if (folder) {
          const path = `${folder}/${name}-${width}-${colorScheme}.png`;
          await tab.page.screenshot({ path });
        }
        assertEquals(await tab.violations(), [], `${colorScheme} ${width}`);
      }
    }
  });
}
