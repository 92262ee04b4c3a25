// The pages of documents, in Chromium: axe finds nothing, and they fit. What they
// say is compared with the server in tests/server/conformance_test.ts and
// tests/page/close_test.ts and, for the examples, with the clients in
// tests/page/examples_test.ts.
import { assert, assertEquals } from "@std/assert";
import {
  Client,
  startServer,
  STATIC,
  type TestServer,
} from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, SMALL_PHONE, Tab, test } from "./tab.ts";

const DOCS = [...Deno.readDirSync(`${STATIC}/docs`)]
  .map(({ name }) => `docs/${name.replace(/(index)?\.html$/, "")}`).sort();

for (const path of [...DOCS, "close/", "examples/"]) {
  for (const viewport of [DESKTOP, SMALL_PHONE]) {
    test(`axe finds nothing in /${path}, and it fits a screen of ${viewport.width}`, async () => {
      await using server = await startServer();
      const address = `${server.http}/${path}`;
      await using tab = await Tab.open(address, { viewport });
      const { height } = await tab.page.locator("html").boundingBox() ??
        { height: 0 };
      await tab.page.setViewportSize({
        ...viewport,
        height: Math.ceil(height),
      });
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        assertEquals(await tab.violations(), [], colorScheme);
      }
      assertEquals(await cutOff(tab.page), []);
      const title = tab.page.locator("h1");
      const lines = await title.evaluate((element) => {
        const range = element.ownerDocument.createRange();
        range.selectNodeContents(element);
        return range.getClientRects().length;
      });
      const words = (await title.innerText()).split(/\s+/);
      assert(lines <= words.length, "a word of the title is broken");
      const width = await tab.page.evaluate(
        "document.documentElement.scrollWidth",
      );
      assertEquals(width, viewport.width);
    });
  }
}

for (const path of ["", "docs/", "x-ray", "learn", "lab"]) {
  test(`the title of /${path} can be read on paper, without its background`, async () => {
    await using server = await startServer();
    await using tab = await Tab.open(`${server.http}/${path}`);
    await tab.page.locator("h1").waitFor();
    await tab.page.emulateMedia({ media: "print" });
    const [title, text] = await tab.page.evaluate<string[]>(
      `["h1", "body"].map((name) =>
        getComputedStyle(document.querySelector(name)).color)`,
    );
    assertEquals(title, text);
  });
}

/** A visitor whose X-ray was open when the connection was closed with 4002. */
async function takenOver(server: TestServer, path = ""): Promise<Tab> {
  const tab = await Tab.join(`${server.http}/${path}`, { viewport: DESKTOP });
  await tab.page.getByRole("button", { name: "X-ray" }).click();
  await tab.page.locator(".x-ray-panel .handshake").waitFor();
  await tab.say("<b>My last words</b>");
  const key = await tab.page.evaluate<string>(
    `sessionStorage.getItem(Object.keys(sessionStorage)
      .find((name) => /^partyline.*\\.key$/.test(name)))`,
  );
  const ws = `${server.http}/${path}ws`.replace("http", "ws");
  await using _newer = await Client.join(ws, { key });
  await tab.page.getByText("The server closed.").first().waitFor();
  return tab;
}

for (const path of ["", "class/chat/"]) {
  test(`a close code of the chat below /${path} leads to its section, with the last frames`, async () => {
    await using server = await startServer({ base: `/${path}` });
    await using tab = await takenOver(server, path);
    const opened = tab.page.waitForEvent("popup");
    await tab.page.getByRole("link", { name: "Code 4002 explained" })
      .click();
    const page = await opened;
    await page.waitForURL(`${server.http}/${path}close/#4002`);
    const section = page.getByRole("region", {
      name: "4002 Taken over",
    });
    const frames = section.getByRole("table", {
      name: "The last frames of your own connection",
    });
    await frames.getByText("<b>My last words</b>").first().waitFor();
    await frames.getByText("4002 continued on another connection").first()
      .waitFor();
    const { y } = await section.boundingBox() ?? { y: NaN };
    assert(Math.abs(y) < DESKTOP.height / 4, `the section begins at ${y}`);
    const own = `${server.http}/${path}ws`.replace("http", "ws");
    await section.getByText(`new WebSocket("${own}"`).first().waitFor();
    await page.close();
  });
}

test("the X-ray's note of a close leads to its section", async () => {
  await using server = await startServer();
  await using tab = await takenOver(server);
  await tab.page.getByRole("option", { name: "The server closed." }).click();
  const link = tab.page.locator(".x-ray-panel .selected")
    .getByRole("link", { name: "4002 explained" }).first();
  assertEquals(await link.getAttribute("href"), "close/4002");
  assertEquals(await tab.violations(), []);
});

test("without JavaScript /close/1009 leads to its section", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/close/1009`, {
    javaScriptEnabled: false,
    viewport: SMALL_PHONE,
  });
  const section = tab.page.getByRole("region", {
    name: "1009 Message too big",
  });
  const { y } = await section.boundingBox() ?? { y: NaN };
  assert(Math.abs(y) < SMALL_PHONE.height / 4, `the section begins at ${y}`);
});

test("the commands of the examples have the address of this server, in words without JavaScript", async () => {
  await using server = await startServer({ base: "/chat/" });
  const url = `${server.http}/chat/examples/`;
  const address = server.ws.replace("/ws", "/chat/ws");
  await using tab = await Tab.open(url);
  const { page } = tab;
  const command = `python3 python_websockets.py ${address}`;
  await page.getByText(command).waitFor();
  assertEquals(await page.getByText("[ADDRESS]").isVisible(), false);
  await using plain = await Tab.open(url, { javaScriptEnabled: false });
  await plain.page.getByText("is the address of the server’s WebSocket")
    .waitFor();
  assertEquals(await plain.page.getByText(":8000").count(), 0);
});

test("a code without a section leads to the section on other codes", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/close/4444`);
  const section = tab.page.getByRole("region", { name: "Other codes" });
  const { y } = await section.boundingBox() ?? { y: NaN };
  assert(Math.abs(y) < 300, `the section begins at ${y}`);
});

test("a refused handshake leads to the section of its status", async () => {
  await using server = await startServer({ invite: "a code of twelve" });
  await using tab = await Tab.open(server.http, { viewport: SMALL_PHONE });
  const link = tab.page.getByRole("link", { name: "HTTP 401 explained" });
  assertEquals(await link.getAttribute("href"), "close/401");
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    assertEquals(await tab.violations(), [], colorScheme);
  }
  const width = await tab.page.evaluate("document.documentElement.scrollWidth");
  assertEquals(width, SMALL_PHONE.width);
});
