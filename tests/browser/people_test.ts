// Who is who, in Chromium: names, the list of people, who is typing, and which
// tab of a browser is whom.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { PHONE, Tab, test } from "./tab.ts";

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

test("of a large room some people are listed, and the others on request", async () => {
  await using server = await startServer();
  await using guests = new AsyncDisposableStack();
  for (let n = 1; n <= 250; n++) {
    guests.use(await Client.join(server.ws, { name: `guest ${n}` }));
  }
  await using ada = await Tab.join(server.http);
  const heading = ada.page.locator("#people-heading");
  const more = ada.page.getByRole("button", { name: "Show more" });
  await heading.getByText("200 of 251 shown").waitFor();
  await more.click();
  await heading.getByText("251 people").waitFor();
  await more.waitFor({ state: "hidden" });
  const names = await ada.page.locator("#people-list li bdi").allTextContents();
  assertEquals(new Set(names).size, 251);
  await guests.disposeAsync();
  await heading.getByText("1 person").waitFor();
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
    "Ada!": "A name consists of letters",
    "two  spaces": "A name consists of letters",
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

test("a name that is too long is kept, said to be, and not asked for", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  const name = await nameOf(ada);
  const long = `${"Ada".repeat(8)}😀`;
  await ada.nameField.fill("");
  await ada.page.keyboard.insertText(long);
  const note = ada.page.locator("#name-note[aria-live]");
  const words = "Too long: a name has at most 24 characters; this one has 1 " +
    "too many.";
  await note.getByText(words, { exact: true }).waitFor();
  assertEquals(await nameOf(ada), long);
  await ada.nameField.press("Enter");
  assertEquals(await note.textContent(), words);
  assertEquals(await ada.nameField.getAttribute("aria-invalid"), "true");
  await ada.people(name);
  await ada.nameField.press("Backspace");
  assertEquals(await note.textContent(), "");
  assertEquals(await ada.nameField.getAttribute("aria-invalid"), null);
  await ada.nameField.press("Enter");
  await ada.people("Ada".repeat(8));
});

test("the server's own name is said to be reserved", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await ada.rename("Server");
  await ada.page.locator("#name-note").getByText("is reserved for the server")
    .waitFor();
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
  await copy.nothingUnsent();
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
  await first.status("Not connected: you continued in another tab");
  await tell("pageshow");
  await first.status("Connected");
  assert(await nameOf(first) !== "Ada");
  await third.status("Connected");
});

test("comings and goings that follow each other are one line, which opens to the names", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const guests = [];
  for (const name of ["Ada", "Bob", "Cleo"]) {
    guests.push(await Client.join(server.ws, { name }));
  }
  const came = tab.lines.filter({ hasText: "3 people came in" });
  await came.waitFor();
  await tab.say("hello");
  for (const guest of guests) await guest[Symbol.asyncDispose]();
  const left = tab.lines.filter({ hasText: "3 people left" });
  await left.waitFor();
  await left.getByText("3 people left").press("Enter");
  await left.getByText("Left: Ada, Bob, Cleo").waitFor();
  assertEquals(
    await came.getByText("Came in: Ada, Bob, Cleo").isVisible(),
    false,
  );
  assertEquals(await tab.violations(), []);
  await using dan = await Client.join(server.ws, { name: "Dan" });
  await left.getByText("1 person came in, 3 people left").waitFor();
  await left.getByText("Came in: Dan").waitFor();
  assertEquals(dan.welcome.count, 2);
});

test("the button of a person alone says that one person is here", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, { viewport: PHONE });
  await tab.page.getByRole("button", { name: "1 person" }).waitFor();
});
