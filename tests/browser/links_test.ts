// The link to a message, in Chromium: it leads to that message, wherever in the
// history it is, and says so where the message is not kept any more.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { Tab, test } from "./tab.ts";

/** Says "message 1" and so on, and returns who said it. */
async function fill(ws: string, count: number) {
  const client = await Client.join(ws, { name: "Bo" });
  for (let i = 1; i <= count; i++) {
    client.request({ type: "message", message: `message ${i}`, id: `${i}` });
  }
  await client.messagesUpTo(`message ${count}`);
  return client;
}

/** The link to the message with this text, from its menu. */
async function copyLink(tab: Tab, text: string): Promise<string> {
  await tab.page.context().grantPermissions([
    "clipboard-read",
    "clipboard-write",
  ]);
  const line = await tab.line(text);
  await line.getByRole("button", { name: "Actions" }).click();
  const menu = tab.page.getByRole("dialog");
  await menu.getByRole("button", { name: "Copy link" }).click();
  await menu.getByText("Copied.").waitFor();
  await tab.page.keyboard.press("Escape");
  return await tab.page.evaluate<string>("navigator.clipboard.readText()");
}

/** Waits until the tab is led to the message: the keyboard is on it, in sight. */
async function isLedTo(tab: Tab, text: string): Promise<void> {
  const line = await tab.line(text);
  await tab.until(
    `document.activeElement.querySelector(".text")?.textContent === "${text}"`,
  );
  const box = await line.boundingBox();
  const log = await tab.log.boundingBox();
  assert(box && log && box.y >= log.y);
  assert(box.y + box.height <= log.y + log.height);
}

/** The same link, to another message. */
const leadingTo = (link: string, seq: number) =>
  link.replace(/message=\d+/, `message=${seq}`);

const GONE = "This room does not have that message any more, or never had it.";

test("the link to a message leads to it, in a new tab and in the one that is open", async () => {
  await using server = await startServer({
    rate: 0,
    roomRate: 0,
    invite: "cuckoo",
  });
  await using _bo = await fill(`${server.ws}?room=b&invite=cuckoo`, 200);
  const address = `${server.http}/?room=b`;
  await using tab = await Tab.join(`${address}#invite=cuckoo`);
  const link = await copyLink(tab, "message 160");
  assert(link.startsWith(`${address}#invite=cuckoo&message=160&epoch=`), link);
  // One is among the newest, which the page has; the other is not.
  for (const [seq, text] of [[160, "message 160"], [7, "message 7"]] as const) {
    await using other = await Tab.open(leadingTo(link, seq));
    await isLedTo(other, text);
    assertEquals(other.page.url(), address);
    assertEquals(await other.page.getByText(GONE).count(), 0);
  }
  for (const seq of [7, 200, 7]) {
    await tab.page.goto(leadingTo(link, seq));
    await isLedTo(tab, `message ${seq}`);
  }
  assertEquals(tab.page.url(), address);
  // A reload shows the newest, as ever.
  await tab.page.reload();
  await tab.line("message 200");
  await tab.status("Connected");
  assertEquals(
    await tab.page.evaluate("document.activeElement.dataset.seq"),
    undefined,
  );
});

test("a link to a message that is not kept any more says so, and shows the newest", async () => {
  await using server = await startServer({ rate: 0, roomRate: 0, keep: 60 });
  await using _bo = await fill(server.ws, 200);
  await using tab = await Tab.join(server.http);
  const link = await copyLink(tab, "message 180");
  await using old = await Tab.open(leadingTo(link, 7));
  await old.page.getByText(GONE).waitFor();
  await old.line("message 200");
  // One of another life of this history is another message.
  await using other = await Tab.open(link.replace(/epoch=.*/, "epoch=other"));
  await other.page.getByText(GONE).waitFor();
  await other.line("message 200");
  await using future = await Tab.open(leadingTo(link, 999));
  await future.page.getByText(GONE).waitFor();
  await future.line("message 200");
  // No other message is shown as if it were the one.
  for (const { page } of [old, other, future]) {
    const framed = page.locator("[data-seq]:focus, [data-seq][tabindex]");
    assertEquals(await framed.count(), 0);
  }
});

test("a link to a message that was deleted leads to where it was", async () => {
  await using server = await startServer();
  await using bo = await fill(server.ws, 3);
  await using tab = await Tab.join(server.http);
  const link = await copyLink(tab, "message 2");
  bo.request({ type: "delete", seq: 2 });
  await tab.line("This message was deleted.");
  await using other = await Tab.open(link);
  await isLedTo(other, "This message was deleted.");
});

test("a link to no message is a link to the room", async () => {
  await using server = await startServer();
  for (const message of ["0", "-1", "1e3", "x", "9".repeat(400), ""]) {
    await using tab = await Tab.join(`${server.http}/#message=${message}`);
    await tab.say(`here: ${message}`);
    assertEquals(await tab.page.getByText(GONE).count(), 0);
  }
});
