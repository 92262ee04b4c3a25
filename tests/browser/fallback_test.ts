// What the page does in networks that let no WebSocket through, in Chromium: it
// goes on by Server-Sent Events or long polling, says so, and loses nothing
// more than with a WebSocket. The network is a proxy on this machine.
import { assert, assertEquals } from "@std/assert";
import {
  type BlockingProxy,
  startBlockingProxy,
} from "../support/blocking_proxy.ts";
import { Client, startServer } from "../support/harness.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

const WAYS = [
  ["sse", "Connected without WebSocket: by Server-Sent Events"],
  ["poll", "Connected without WebSocket: by long polling"],
] as const;

/** Opens the page through the proxy and waits until it can chat. */
async function open(
  proxy: BlockingProxy,
  words: string,
  path = "/",
): Promise<Tab> {
  const tab = await Tab.open(proxy.http + path);
  await tab.status(words);
  return tab;
}

const texts = async (tab: Tab) =>
  (await tab.messages()).map(({ text }) => text);

for (const [way, words] of WAYS) {
  const holdsStreams = way === "poll";

  test(`where only ${way} gets through the page chats as ever, and says how`, async () => {
    await using server = await startServer();
    await using proxy = startBlockingProxy(server.port, { holdsStreams });
    await using tab = await open(proxy, words);
    await tab.page.getByText(
      "Something between this page and the server blocks",
    ).waitFor();
    await using other = await Client.join(server.ws, { name: "Bob" });
    await tab.renameTo("Ada");
    await tab.say("by requests alone");
    assertEquals((await other.nextOf("message")).sender, "Ada");
    other.request({ type: "typing" });
    await tab.page.getByText("Bob is typing…").waitFor();
    other.request({ type: "message", id: "1", message: "<b>heard</b>" });
    await tab.line("<b>heard</b>");
    await tab.people("Ada", "Bob");
    await tab.page.reload();
    await tab.status(words);
    await tab.line("<b>heard</b>");
    await tab.people("Ada", "Bob");
    assertEquals(await texts(tab), ["by requests alone", "<b>heard</b>"]);
  });

  test(`by ${way} a lost network and a restart of the server cost nothing`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "partyline-" });
    const data = `${folder}/log.db`;
    const first = await startServer({ data });
    await using proxy = startBlockingProxy(first.port, { holdsStreams });
    await using tab = await open(proxy, words);
    const name = await tab.nameField.inputValue();
    for (let i = 0; i < 5; i++) {
      await tab.write(`cut ${i}`);
      proxy.cut();
      await tab.line(`cut ${i}`);
    }
    await tab.status(words);
    await first[Symbol.asyncDispose]();
    await tab.status("The server is shutting down.");
    await tab.write("meanwhile");
    await using second = await startServer({ data, port: first.port });
    await tab.line("meanwhile");
    await tab.status(words);
    await tab.say("after");
    assertEquals(await texts(tab), [
      "cut 0",
      "cut 1",
      "cut 2",
      "cut 3",
      "cut 4",
      "meanwhile",
      "after",
    ]);
    await using other = await Client.join(second.ws);
    const stored = await other.messagesUpTo("after");
    assertEquals(
      await tab.messages(),
      stored.map(({ seq, sender, message }) => ({
        seq,
        sender,
        text: message,
      })),
    );
    assertEquals(new Set(stored.map(({ sender }) => sender)), new Set([name]));
    await Deno.remove(folder, { recursive: true });
  });

  test(`by ${way} a message that is refused is shown as such, one that is too early is sent later`, async () => {
    await using server = await startServer({
      rate: 0.5,
      burst: 2,
      maxMessage: 250,
    });
    await using proxy = startBlockingProxy(server.port, { holdsStreams });
    await using tab = await open(proxy, words);
    await tab.writeTooMuch("x".repeat(251));
    await tab.unsent.getByText("At most 250 characters are allowed.").waitFor();
    await tab.page.getByRole("button", { name: "Discard" }).click();
    for (const text of ["one", "two", "three"]) await tab.write(text);
    await tab.unsent.getByText("The page tries again.").waitFor();
    await tab.line("three");
    assertEquals(await texts(tab), ["one", "two", "three"]);
    await tab.nothingUnsent();
  });
}

test("below a path, with an invitation, the page falls back as well", async () => {
  await using server = await startServer({ base: "/chat/", invite: "cuckoo" });
  await using proxy = startBlockingProxy(server.port);
  await using tab = await open(
    proxy,
    "Connected without WebSocket: by Server-Sent Events",
    "/chat/?room=a#invite=cuckoo",
  );
  await tab.say("hello");
  const asked = proxy.requests.filter((line) => line.includes("/events"));
  assertEquals(asked.length, 1);
  assert(asked[0]?.startsWith("GET /chat/events?room=a&invite=cuckoo&"));
});

test("a code that holds no more brings the form, and the next one the room", async () => {
  const first = await startServer({ invite: "old" });
  await using proxy = startBlockingProxy(first.port);
  await using tab = await open(proxy, WAYS[0][1], "/#invite=old");
  await tab.say("before");
  await first[Symbol.asyncDispose]();
  await using _second = await startServer({ port: first.port, invite: "new" });
  await tab.page.getByText("This invitation code is wrong").waitFor();
  await tab.codeField.fill("new");
  await tab.codeField.press("Enter");
  await tab.status(WAYS[0][1]);
  await tab.say("after");
});

test("another network may have WebSocket, and the page takes it", async () => {
  await using server = await startServer();
  await using proxy = startBlockingProxy(server.port);
  await using tab = await open(proxy, WAYS[0][1]);
  await tab.say("by requests");
  proxy.unblock();
  await tab.page.context().setOffline(true);
  await tab.status("Offline: this device has no network");
  await tab.page.context().setOffline(false);
  await tab.status("Connected");
  await tab.say("by a socket");
  assertEquals(await texts(tab), ["by requests", "by a socket"]);
});

test("axe finds nothing in a page without WebSocket, light or dark, wide or narrow", async () => {
  await using server = await startServer();
  await using proxy = startBlockingProxy(server.port);
  await using tab = await open(proxy, WAYS[0][1]);
  for (const [device, viewport] of Object.entries({ DESKTOP, PHONE })) {
    await tab.page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"] as const) {
      await tab.page.emulateMedia({ colorScheme });
      assertEquals(await tab.violations(), [], `${colorScheme} ${device}`);
    }
  }
});
