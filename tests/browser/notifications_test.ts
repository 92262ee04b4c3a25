// Notifications for mentions, in Chromium: when the browser is asked to allow
// them, what they show and where they lead. Chromium shows none while it is
// tested, so a stand-in records what the page makes.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer, type TestServer } from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, hasFocus, SMALL_PHONE, Tab, test } from "./tab.ts";

type Permission = "default" | "granted" | "denied";

/** Notifications of a browser in which a person answers so when asked. */
const standIn = (before: Permission, answer: Permission) => `
  globalThis.asked = 0;
  globalThis.shown = [];
  globalThis.focus = () => { globalThis.gotFocus = true; };
  globalThis.Notification = class Notification extends EventTarget {
    static permission = "${before}";
    static requestPermission() {
      globalThis.asked++;
      Notification.permission = "${answer}";
      return Promise.resolve("${answer}");
    }
    isOpen = true;
    constructor(title, { body }) {
      super();
      this.words = title + " | " + body;
      if (Notification.permission === "granted") globalThis.shown.push(this);
    }
    close() { this.isOpen = false; }
  };`;

async function joinAsAda(server: TestServer, script: string): Promise<Tab> {
  const tab = await Tab.open("about:blank");
  await tab.page.addInitScript(script);
  await tab.page.goto(server.http);
  await tab.status("Connected");
  await tab.renameTo("Ada");
  return tab;
}

/** What the page has shown, without what it took away again. */
const shown = ({ page }: Tab) =>
  page.evaluate<string[]>(
    "shown.filter(({ isOpen }) => isOpen).map(({ words }) => words)",
  );
const asked = ({ page }: Tab) => page.evaluate<number>("asked");
const offer = ({ page }: Tab) =>
  page.getByRole("button", { name: "Tell me when somebody mentions me" });

async function say(tab: Tab, bo: Client, message: string): Promise<void> {
  bo.request({ type: "message", message, id: message });
  await bo.messagesUpTo(message);
  // A hidden tab is drawn here, as Playwright keeps it visible.
  await tab.line(message);
}

test("the browser is asked after the first mention that was missed; then a missed mention is notified of", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("default", "granted"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await say(tab, bo, "seen, @Ada");
  await tab.setHidden(true);
  await say(tab, bo, "nothing for anybody");
  assert(await offer(tab).isHidden());
  await say(tab, bo, "missed, @Ada");
  await tab.setHidden(false);
  await offer(tab).waitFor();
  assertEquals([await asked(tab), await shown(tab)], [0, []]);
  await offer(tab).press("Enter");
  await tab.status("You will be told of mentions while this tab is hidden.");
  assert(await offer(tab).isHidden());
  assert(
    await tab.composer.evaluate(hasFocus),
  );
  await say(tab, bo, "seen too, @Ada");
  await tab.setHidden(true);
  await say(tab, bo, "and then?");
  await say(tab, bo, "look, @ada");
  await say(tab, bo, "look again, @ada");
  assertEquals(await shown(tab), [
    "You were mentioned in lobby | Bo: look again, @ada",
  ]);
  assertEquals(await asked(tab), 1);
});

test("a notification leads to its message, and is gone when the tab is seen", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("granted", "granted"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await tab.setHidden(true);
  await say(tab, bo, "help, @Ada");
  await tab.page.evaluate(`shown[0].dispatchEvent(new Event("click"))`);
  assertEquals(await tab.page.evaluate("gotFocus"), true);
  assertEquals(await shown(tab), []);
  const line = await tab.line("help, @Ada");
  assert(await line.evaluate(hasFocus));
  await say(tab, bo, "thanks, @Ada");
  assertEquals((await shown(tab)).length, 1);
  await tab.setHidden(false);
  assertEquals(await shown(tab), []);
});

test("the notification of a message that is deleted is taken away", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("granted", "granted"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await tab.setHidden(true);
  await say(tab, bo, "@Ada my password is 1234");
  assertEquals((await shown(tab)).length, 1);
  const [{ seq } = { seq: 0 }] = await tab.messages();
  bo.request({ type: "delete", seq });
  await tab.line("This message was deleted.");
  assertEquals(await shown(tab), []);
});

test("where notifications are refused this is said, and the chat goes on", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("default", "denied"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await tab.setHidden(true);
  await say(tab, bo, "missed, @Ada");
  await tab.setHidden(false);
  await offer(tab).click();
  await tab.status("This browser does not allow notifications here.");
  await tab.setHidden(true);
  await say(tab, bo, "missed again, @Ada");
  assert(await offer(tab).isHidden());
  assertEquals([await asked(tab), await shown(tab)], [1, []]);
});

test("somebody who declines the offer is not asked again in this browser", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("default", "granted"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await tab.setHidden(true);
  await say(tab, bo, "missed, @Ada");
  await tab.setHidden(false);
  await tab.page.getByRole("button", { name: "Do not ask again" }).click();
  await tab.page.reload();
  await tab.line("missed, @Ada");
  await tab.status("Connected");
  await tab.setHidden(true);
  await say(tab, bo, "missed again, @Ada");
  assert(await offer(tab).isHidden());
  assertEquals([await asked(tab), await shown(tab)], [0, []]);
});

for (const permission of ["default", "granted"] as const) {
  test(`where a page cannot make a notification none is offered, and the chat goes on (${permission})`, async () => {
    await using server = await startServer();
    await using tab = await joinAsAda(
      server,
      `globalThis.Notification = function () { throw new TypeError(); };
       Notification.permission = "${permission}";`,
    );
    await using bo = await Client.join(server.ws, { name: "Bo" });
    await tab.setHidden(true);
    await say(tab, bo, "missed, @Ada");
    await say(tab, bo, "and then?");
    assert(await offer(tab).isHidden());
  });
}

test("axe finds nothing in the offer of notifications, light or dark, wide or narrow", async () => {
  await using server = await startServer();
  await using tab = await joinAsAda(server, standIn("default", "granted"));
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await tab.setHidden(true);
  await say(tab, bo, "missed, @Ada");
  await tab.setHidden(false);
  for (const viewport of [DESKTOP, SMALL_PHONE]) {
    await tab.page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"] as const) {
      await tab.page.emulateMedia({ colorScheme });
      assertEquals(await cutOff(tab.page), [], colorScheme);
      assertEquals(await tab.violations(), [], colorScheme);
    }
  }
});
