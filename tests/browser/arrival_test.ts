// How somebody who is new arrives, in Chromium: the message box has the focus on
// a computer, and the name that the server gave is offered beside it, once.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { hasFocus, SMALL_PHONE, Tab, test } from "./tab.ts";

/** Where the form for the name stands while the name is offered. */
const offer = ({ page }: Tab) => page.locator("#arrival form");
const isOffered = async (tab: Tab) => await offer(tab).count() === 1;

test("somebody who is new can change the offered name by keyboard, and is offered none again", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const { keyboard } = tab.page;
  const given = await offer(tab).getByLabel("Your name").inputValue();
  assert(await tab.composer.evaluate(hasFocus));
  await tab.page.locator("#arrival [aria-live]").getByText(
    `You are ${given} here. The field before the message box changes your name.`,
    { exact: true },
  ).waitFor();
  await keyboard.press("Shift+Tab");
  assert(
    await tab.page.getByRole("button", { name: "Keep this name" }).evaluate(
      hasFocus,
    ),
  );
  await keyboard.press("Shift+Tab");
  await keyboard.type("Ada");
  assert(await tab.page.getByRole("button", { name: "Rename" }).isVisible());
  await keyboard.press("Enter");
  await tab.people("Ada");
  assert(!await isOffered(tab));
  assert(await tab.composer.evaluate(hasFocus));
  await keyboard.type("hello");
  await keyboard.press("Enter");
  const line = await tab.line("hello");
  assertEquals(await line.locator(".sender").textContent(), "Ada");
  await tab.page.reload();
  await tab.status("Connected");
  await using second = await tab.another();
  for (const page of [tab, second]) {
    assert(!await isOffered(page));
    assert(await page.nameField.isVisible());
    assert(await page.page.getByRole("button", { name: "Rename" }).isVisible());
  }
});

const WAYS: Record<string, (tab: Tab) => Promise<unknown>> = {
  "its button": (tab) => tab.keepName(),
  "the Enter key": (tab) => tab.nameField.press("Enter"),
  "the Escape key, which forgets what was written": async (tab) => {
    await tab.nameField.fill("half a na");
    await tab.nameField.press("Escape");
  },
  "the first message": (tab) => tab.say("hello"),
};

for (const [way, take] of Object.entries(WAYS)) {
  test(`the offered name is kept by ${way}`, async () => {
    await using server = await startServer();
    await using tab = await Tab.join(server.http);
    const given = await offer(tab).getByLabel("Your name").inputValue();
    await take(tab);
    await offer(tab).waitFor({ state: "detached" });
    assert(await tab.composer.evaluate(hasFocus));
    assertEquals(await tab.nameField.inputValue(), given);
    await tab.people(given);
  });
}

test("a name that stands in the field is that of the first message", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.nameField.fill("Ada");
  const line = await tab.say("hello");
  assertEquals(await line.locator(".sender").textContent(), "Ada");
  await offer(tab).waitFor({ state: "detached" });
});

test("the word that a name was changed goes with the next message", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.renameTo("Ada");
  await tab.say("hello");
  await tab.page.getByText("You are Ada now.").waitFor({ state: "detached" });
});

test("how programs join stands there until the first message", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const hint = tab.log.getByRole("link", { name: "client.py" });
  await tab.renameTo("Ada");
  await using _bo = await Client.join(server.ws, { name: "Bo" });
  await tab.lines.nth(1).waitFor();
  assert(await hint.isVisible());
  assertEquals(await cutOff(tab.page), []);
  await tab.say("hello");
  assert(await hint.isHidden());
});

test("a name that cannot be had stays offered, with the reason", async () => {
  await using server = await startServer();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using tab = await Tab.join(server.http);
  const given = await tab.nameField.inputValue();
  await tab.nameField.fill("Ada");
  const line = await tab.say("hello");
  assertEquals(await line.locator(".sender").textContent(), given);
  await offer(tab).getByText("taken").waitFor();
  await tab.renameTo("Bea");
  assert(!await isOffered(tab));
});

test("on a small phone the offer fits, and no keyboard opens over the page", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, {
    viewport: SMALL_PHONE,
    hasTouch: true,
    isMobile: true,
  });
  assert(!await tab.composer.evaluate(hasFocus));
  await tab.rename("M".repeat(23) + "!");
  await offer(tab).getByText("A name consists of letters").waitFor();
  assertEquals(await cutOff(tab.page), []);
  const { width } = SMALL_PHONE;
  for (const part of await offer(tab).locator("input, button").all()) {
    const box = await part.boundingBox();
    assert(box && box.x >= 0 && box.x + box.width <= width, `${box?.width}`);
  }
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    assertEquals(await tab.violations(), [], colorScheme);
  }
});
