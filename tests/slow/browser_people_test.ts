// Who is who, in Chromium: names, the list of people, who is typing, and which
// tab of a browser is whom.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../harness.ts";
import { Tab, test } from "./browser.ts";

const nameOf = (tab: Tab) => tab.nameField.inputValue();

test("the list of people follows joins, leaves and renames", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  const name = await nameOf(ada);
  await ada.people(name);
  {
    await using bob = await Client.join(server.ws, { name: "Bob" });
    await ada.people(name, "Bob");
    bob.request({ type: "rename", name: "Robert" });
    await ada.people(name, "Robert");
    await using plain = await Client.open(server.ws);
    const { sender } = await plain.say("hi");
    await ada.people(name, "Robert", sender);
    await ada.renameTo("Ada");
    await ada.people("Ada", "Robert", sender);
  }
  await ada.people("Ada");
});

test("a name that can be is taken, and everyone sees it", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bob = await Tab.join(server.http);
  const before = await nameOf(ada);
  await ada.renameTo("Ada Lovelace");
  const renamed = await bob.line("is now called Ada Lovelace");
  assertEquals(await renamed.locator("b.sender").textContent(), before);
  await ada.say("hello");
  const line = await bob.line("hello");
  assertEquals(await line.locator("b.sender").textContent(), "Ada Lovelace");
});

test("a name that cannot be is refused beside the field", async () => {
  await using server = await startServer();
  await using _bob = await Client.join(server.ws, { name: "Bob" });
  await using ada = await Tab.join(server.http);
  const name = await nameOf(ada);
  const problems = {
    "ＢＯＢ": "taken",
    "Ada!": "A name is made of letters",
    "two  spaces": "A name is made of letters",
  };
  for (const [wish, problem] of Object.entries(problems)) {
    await ada.rename(wish);
    await ada.page.locator("#name-note").getByText(problem).waitFor();
    assertEquals(await ada.nameField.getAttribute("aria-invalid"), "true");
    assertEquals(await nameOf(ada), wish);
    await ada.nameField.fill("");
    assertEquals(await ada.nameField.getAttribute("aria-invalid"), null);
  }
  await ada.people(name, "Bob");
  assertEquals(await ada.notes(), []);
  await ada.page.context().setOffline(true);
  await ada.status("Offline: this device has no network");
  await ada.rename("Ada");
  await ada.page.getByText("Not connected: try again").waitFor();
});

test("who is typing is named to the others until the message is there", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bob = await Tab.join(server.http);
  await bob.renameTo("Bob");
  await bob.composer.pressSequentially("hel");
  const sign = ada.page.getByText("Bob is typing…");
  await sign.waitFor();
  assertEquals(await bob.page.getByText("is typing…").count(), 0);
  await bob.composer.press("Enter");
  await sign.waitFor({ state: "hidden" });
  await ada.line("hel");
});

test("two tabs of one browser are two people", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await using second = await first.another();
  const names = [await nameOf(first), await nameOf(second)] as const;
  assert(names[0] !== names[1]);
  await first.people(...names);
  await second.people(names[1], names[0]);
  await first.say("one");
  await second.say("two");
  await first.line("two");
  assertEquals(await first.senders(), [...names]);
  assertEquals(first.sockets.length, 1);
});

test("who closes the tab has the chosen name again in the next", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.renameTo("Ada");
  {
    await using second = await first.another();
    await second.renameTo("Bob");
    await first.page.close();
    await using third = await second.another();
    assertEquals(await nameOf(third), "Ada");
    await third.people("Ada", "Bob");
  }
  await using fourth = await first.another(server.http);
  await using fifth = await fourth.another();
  const names = [await nameOf(fourth), await nameOf(fifth)];
  assertEquals(names.sort(), ["Ada", "Bob"]);
});

test("who reloads the tab keeps the name, whatever the other tabs do", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.renameTo("Ada");
  await using second = await first.another();
  await second.renameTo("Bob");
  for (const [tab, name] of [[first, "Ada"], [second, "Bob"]] as const) {
    await tab.page.reload();
    await tab.status("Connected");
    assertEquals(await nameOf(tab), name);
  }
  await first.people("Ada", "Bob");
});

test("after a crash of the tab the next one has the chosen name", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.renameTo("Ada");
  await first.crash();
  await using second = await first.another(server.http);
  assertEquals(await nameOf(second), "Ada");
});

test("a copy of a tab is someone new and sends nothing in its name", async () => {
  await using server = await startServer({ rate: 0.001, burst: 1 });
  await using first = await Tab.join(server.http);
  const name = await nameOf(first);
  await first.say("one");
  await first.write("waiting");
  await first.unsent.getByText("The page tries again.").waitFor();
  await using copy = await first.duplicate();
  assert(await nameOf(copy) !== name);
  await copy.people(await nameOf(copy), name);
  await copy.say("mine");
  assertEquals(await copy.unsent.count(), 0);
  assertEquals(await copy.texts(), ["one", "mine"]);
  await first.status("Connected");
  assertEquals(first.sockets.length, 1);
});

test("a page that the browser kept is who it was, or else someone new", async () => {
  await using server = await startServer();
  await using first = await Tab.join(server.http);
  await first.renameTo("Ada");
  // As when one goes back to a page that was left.
  const tell = (type: string) =>
    first.page.evaluate(
      `dispatchEvent(new PageTransitionEvent("${type}", { persisted: true }))`,
    );
  await tell("pagehide");
  await tell("pageshow");
  await using second = await first.another();
  assert(await nameOf(second) !== "Ada");
  await tell("pagehide");
  await using third = await first.another();
  assertEquals(await nameOf(third), "Ada");
  await first.status("Not connected: you went on in another tab");
  await tell("pageshow");
  await first.status("Connected");
  assert(await nameOf(first) !== "Ada");
  await third.status("Connected");
});
