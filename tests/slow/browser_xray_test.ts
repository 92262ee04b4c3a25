// The X-ray in Chromium: the panel beside the chat and the projector, against
// real servers. What it shows is compared with what the page sent. With
// PARTYLINE_PICTURE set, pictures are put into that folder.
import { assert, assertEquals } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import { Client, startServer, until } from "../harness.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./browser.ts";

const MODERATOR = "otter-school";

const start = () => startServer({ moderator: MODERATOR });

async function openPanel({ page }: Tab): Promise<void> {
  await page.getByRole("button", { name: "X-ray" }).click();
  await page.getByText("was open before").waitFor();
}

const frames = (page: Page) =>
  page.getByRole("list", { name: "Frames, the newest first" })
    .getByRole("button");

/** The drawn bits, row by row, as one text. */
const bits = (page: Page) =>
  page.locator(".bits .bit").allTextContents().then((all) => all.join(""));

/** What a screen reader hears of a field. */
const field = (page: Page, name: string) =>
  page.locator(".fields dt").filter({ hasText: new RegExp(`^${name} `) })
    .locator("xpath=following-sibling::dd[1]");

const taps = (
  server: { connections: ReadonlyMap<{ tap: unknown }, unknown> },
) =>
  [...server.connections.keys()].filter(({ tap }) => tap !== undefined).length;

test("the panel shows one's own handshake and how its key is answered", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  const panel = page.getByRole("complementary", { name: "X-ray" });
  await panel.getByText("sec-websocket-protocol: partyline.v1").first()
    .waitFor();
  await panel.getByText("version unknown").first().waitFor();
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
  const text = await page.locator(".selected pre").textContent() ?? "";
  const length = new TextEncoder().encode(text).length;
  assertEquals(JSON.parse(text).message, "Grüße");
  assert(length < 126, text);
  const header = "1000" + "0001" + "1" + length.toString(2).padStart(7, "0");
  assertEquals(await bits(page), header + "?".repeat(32 + 64));
  assertEquals(
    await field(page, "MASK").textContent(),
    "1, masked, as everything from a client",
  );
  await field(page, "Masking-key").getByText("unknown").waitFor();
  await page.getByText(`${length} bytes of payload, ${length + 6} bytes`)
    .waitFor();
  const got = frames(page).filter({ hasText: "to client" })
    .filter({ hasText: '"type":"message"' });
  await got.first().click();
  const drawn = await bits(page);
  const answer = await page.locator(".selected pre").textContent() ?? "";
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

test("who holds the list may read a frame while others go by", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const { page } = tab;
  await using client = await Client.open(server.ws);
  await client.say("first");
  const first = frames(page).filter({ hasText: "first" });
  await first.click();
  for (let i = 0; i < 5; i++) await client.say(`later ${i}`);
  await page.getByText(/^Held\. \d+ more wait\.$/).waitFor();
  await page.getByText("5 more wait").waitFor();
  await page.locator(".selected pre", { hasText: "first" }).waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator(".selected pre", { hasText: "later 4" }).waitFor();
});

test("the list of frames is bounded, and what was dropped is counted", async () => {
  await using server = await startServer({ rate: 0, moderator: MODERATOR });
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  await using client = await Client.open(server.ws);
  for (let i = 0; i < 260; i++) await client.say(`number ${i}`);
  await frames(tab.page).filter({ hasText: "number 259" }).waitFor();
  await tab.page.getByText(/older ones were dropped/).waitFor();
  const rows = tab.page.locator(".frames > li");
  assertEquals(await rows.count(), 200);
});

test("a new connection of the same page is shown from its handshake on", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http);
  await openPanel(tab);
  const [session] = server.connections.keys();
  session?.dismiss("restarting", 1);
  await tab.page.getByText(/Code 1012 .*Service restart/).first().waitFor();
  await tab.status("Connected");
  await frames(tab.page).filter({ hasText: '"type":"hello"' }).waitFor();
  const shown = await tab.page.locator(".frames").textContent() ?? "";
  assert(/"key":"\*+"/.test(shown), shown);
});

test("nothing runs while the panel is closed, and it is remembered", async () => {
  await using server = await start();
  await using tab = await Tab.join(server.http, { viewport: DESKTOP });
  const { page } = tab;
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  const button = page.getByRole("button", { name: "X-ray" });
  assertEquals(await button.getAttribute("aria-expanded"), "false");
  assertEquals(taps(server), 0);
  await openPanel(tab);
  assertEquals(taps(server), 1);
  await page.reload();
  await page.getByText("opened.").or(page.getByText("was open before")).first()
    .waitFor();
  requests.length = 0;
  await page.getByRole("complementary", { name: "X-ray" })
    .getByRole("button", { name: "Close" }).click();
  await until(() => taps(server) === 0, "no taps");
  assertEquals(await button.getAttribute("aria-expanded"), "false");
  assert(await button.evaluate((it) => it === it.ownerDocument.activeElement));
  await page.reload();
  await tab.status("Connected");
  assertEquals(taps(server), 0);
  assertEquals(requests.filter((url) => url.includes("x-ray/events")), []);
});

for (const viewport of [PHONE, SMALL_PHONE]) {
  test(`on a screen of ${viewport.width} px the panel is a sheet that Escape closes`, async () => {
    await using server = await start();
    await using tab = await Tab.join(server.http, { viewport });
    await openPanel(tab);
    const { page } = tab;
    const box = await page.locator("#x-ray").boundingBox();
    assertEquals([box?.x, box?.width], [0, viewport.width]);
    const wide = await page.evaluate<number>(
      "document.querySelector('#x-ray').scrollWidth",
    );
    assert(wide <= viewport.width, `${wide}`);
    await page.keyboard.press("Escape");
    await page.locator("#x-ray").waitFor({ state: "hidden" });
    await until(() => taps(server) === 0, "no taps");
    await tab.say("back in the chat");
    await page.reload();
    await tab.status("Connected");
    assert(await page.locator("#x-ray").isHidden());
  });
}

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
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
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
    await tab.page.getByText("was open before").waitFor();
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
        if (
          state === "the panel" && await tab.page.locator("#x-ray").isHidden()
        ) {
          await openPanel(tab);
        }
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
