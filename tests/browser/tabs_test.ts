// What many tabs of one browser do to each other, in Chromium: it opens six
// connections to a host for all of them together, and a stream keeps one for as
// long as it lasts. The network without WebSocket is a proxy on this machine.
import { assertEquals } from "@std/assert";
import { startBlockingProxy } from "../support/blocking_proxy.ts";
import { Client, startServer } from "../support/harness.ts";
import { Tab, test } from "./tab.ts";

const TABS = 10;
const WAYS = [
  ["sse", "Connected without WebSocket: by Server-Sent Events"],
  ["poll", "Connected without WebSocket: by long polling"],
] as const;

/** Opens ten tabs, each of which hides the one before; only the last is seen. */
async function openTabs(
  first: Tab,
  words: string,
  ready = async (_tab: Tab) => {},
): Promise<Tab[]> {
  const tabs = [first];
  await ready(first);
  while (tabs.length < TABS) {
    await tabs.at(-1)?.setHidden(true);
    const tab = await first.another(undefined, words);
    tabs.push(tab);
    await ready(tab);
  }
  return tabs;
}

/** What a person does who goes from one tab to another. */
async function turnTo(tabs: Tab[], shown: Tab): Promise<void> {
  for (const tab of tabs) if (tab !== shown) await tab.setHidden(true);
  await shown.setHidden(false);
}

const isWatching = async ({ page }: Tab) =>
  await page.getByText("was open before").last().waitFor();

test("ten tabs with WebSocket and the X-ray open all load, and the one that is seen watches", async () => {
  await using server = await startServer();
  // As from another machine: over plain http, without what only https has.
  await using first = await Tab.join(`http://pi.local:${server.port}/`);
  await first.page.getByRole("button", { name: "X-ray" }).click();
  const tabs = await openTabs(first, "Connected", isWatching);
  await turnTo(tabs, first);
  await first.say("seen in the X-ray");
  await first.page.getByRole("listbox", { name: "Frames, the newest first" })
    .getByRole("option").filter({ hasText: "seen in the X-ray" }).first()
    .waitFor();
});

test("the X-ray goes on in a hidden tab while there are few", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.page.getByRole("button", { name: "X-ray" }).click();
  await isWatching(first);
  await first.setHidden(true);
  await using second = await first.another();
  await isWatching(second);
  // A join in the frame of the message would fill the preview.
  await second.say("here");
  await first.line("here");
  await second.say("said in another tab");
  await first.page.getByRole("listbox", { name: "Frames, the newest first" })
    .getByRole("option").filter({ hasText: '"type":"message","seq":2,' })
    .waitFor();
});

test("windows side by side with the X-ray open leave connections to load another", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.page.getByRole("button", { name: "X-ray" }).click();
  await isWatching(first);
  const windows = [first];
  while (windows.length < 7) {
    const next = await first.another();
    await isWatching(next);
    windows.push(next);
  }
  const paused = first.page.getByText("Paused: other windows");
  await paused.waitFor();
  await first.page.evaluate("dispatchEvent(new Event('focus'))");
  await paused.waitFor({ state: "hidden" });
});

test("where streams are held back the X-ray says so", async () => {
  await using server = await startServer();
  await using proxy = startBlockingProxy(server.port, { holdsStreams: true });
  await using tab = await Tab.open(proxy.http);
  await tab.status("Connected without WebSocket: by long polling");
  await tab.page.getByRole("button", { name: "X-ray" }).click();
  await tab.page.getByText("holds streams back, and the X-ray needs one")
    .waitFor();
});

for (const [way, words] of WAYS) {
  const open = async (port: number) => {
    const proxy = startBlockingProxy(port, { holdsStreams: way === "poll" });
    const tab = await Tab.open(proxy.http);
    await tab.status(words);
    // The other tabs need not wait for a stream that brings nothing.
    if (way === "poll") {
      await tab.page.context().addInitScript("delete globalThis.EventSource");
    }
    return { proxy, tab };
  };

  test(`ten tabs by ${way} all load and stay in the room, and the one that is seen gets what is new at once`, async () => {
    await using server = await startServer();
    const { proxy, tab: first } = await open(server.port);
    await using _proxy = proxy;
    await using _first = first;
    const tabs = await openTabs(first, words);
    const last = tabs.at(-1) ?? first;
    await using other = await Client.join(server.ws, { name: "Bob" });
    for (let i = 0; i < 3; i++) {
      other.request({ type: "message", message: `news ${i}`, id: `${i}` });
      await last.line(`news ${i}`);
    }
    await last.say("from the tab that is seen");
    for (const tab of tabs.slice(0, -1)) {
      await tab.until("document.title === '(4) lobby · Partyline'");
    }
    assertEquals(server.connections.size, TABS + 1);
  });

  test(`by ${way} a hidden tab that is shown again has every message once, and the room hears of it once at most`, async () => {
    await using server = await startServer();
    const { proxy, tab: first } = await open(server.port);
    await using _proxy = proxy;
    await using _first = first;
    await using other = await Client.join(server.ws, { name: "Bob" });
    const tabs = await openTabs(first, words);
    for (let round = 0; round < 10; round++) {
      const tab = tabs[round * 7 % TABS] ?? first;
      const id = `${round}`;
      other.request({ type: "message", message: `meanwhile ${round}`, id });
      await turnTo(tabs, tab);
      await tab.say(`turn ${round}`);
      await tab.line(`meanwhile ${round}`);
    }
    const events = [];
    do events.push(await other.next()); while (
      events.at(-1).message !== "turn 9"
    );
    const left = events.filter(({ type }) => type === "leave")
      .map(({ sender }) => sender);
    assertEquals(left, [...new Set(left)]);
    const sent = events.filter(({ type }) => type === "message")
      .map(({ seq, sender, message }) => ({ seq, sender, text: message }));
    for (const tab of tabs) {
      await turnTo(tabs, tab);
      await tab.line("turn 9");
      await tab.page.getByRole("status").getByText(/^Connected/).waitFor();
      assertEquals(await tab.messages(), sent);
    }
  });
}
