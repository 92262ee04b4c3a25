// What a person does with one message, in Chromium: answers it, copies it,
// deletes it; and how the page shows that somebody is spoken to.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

const WIDTHS = { desktop: DESKTOP, phone: PHONE };

/** Opens the menu of the message with this text, by the mouse or a finger. */
async function openMenu(tab: Tab, text: string) {
  const line = await tab.line(text);
  await line.getByRole("button", { name: "Actions" }).click();
  const menu = tab.page.getByRole("dialog");
  await menu.waitFor();
  return menu;
}

const hasFocus = (it: { ownerDocument: { activeElement: unknown } }) =>
  it === it.ownerDocument.activeElement;

for (const [width, viewport] of Object.entries(WIDTHS)) {
  test(`an answer shows the message that it answers, and leads there (${width})`, async () => {
    await using server = await startServer();
    await using ada = await Tab.join(server.http, { viewport });
    await using bo = await Tab.join(server.http);
    await ada.say("Is the key 16 bytes?");
    for (let i = 0; i < 40; i++) await bo.say(`in between ${i}`);
    const menu = await openMenu(bo, "Is the key 16 bytes?");
    await menu.getByRole("button", { name: "Reply" }).click();
    const bar = bo.page.locator("#reply-bar");
    await bar.getByText(/: Is the key 16 bytes\?$/).first().waitFor();
    assert(await bo.composer.evaluate(hasFocus));
    await bo.say("Yes, in base64.");
    assert(await bar.isHidden());
    const quote = ada.lines.getByRole("button", { name: "In reply to" });
    await quote.waitFor();
    assert((await quote.textContent())?.endsWith(": Is the key 16 bytes?"));
    assertEquals(await cutOff(ada.page), []);
    await quote.click();
    const answered = await ada.line("Is the key 16 bytes?");
    assert(await answered.evaluate(hasFocus));
    await bo.say("And a plain message.");
    assertEquals(await bo.lines.getByText("In reply to").count(), 1);
  });
}

test("an answer can be given up, by its button and by Escape", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.say("first");
  const bar = tab.page.locator("#reply-bar");
  for (const giveUp of ["Cancel reply", "Escape"]) {
    const menu = await openMenu(tab, "first");
    await menu.getByRole("button", { name: "Reply" }).click();
    await bar.waitFor();
    if (giveUp === "Escape") await tab.page.keyboard.press("Escape");
    else await tab.page.getByRole("button", { name: giveUp }).click();
    assert(await bar.isHidden());
    assert(await tab.composer.evaluate(hasFocus));
  }
  await tab.say("second");
  assertEquals(await tab.lines.getByText("In reply to").count(), 0);
});

test("an own message is deleted for everyone, also in answers and for those who come later", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bo = await Tab.join(server.http);
  await ada.say("my password is 1234");
  const others = await openMenu(bo, "my password is 1234");
  assert(await others.getByRole("button", { name: "Delete" }).isHidden());
  await others.getByRole("button", { name: "Reply" }).click();
  await bo.say("Delete that!");
  const menu = await openMenu(ada, "my password is 1234");
  // What comes meanwhile is not what the menu is about.
  await bo.say("Now!");
  await ada.line("Now!");
  await menu.getByRole("button", { name: "Delete", exact: true }).click();
  await menu.getByRole("button", { name: "Delete for everyone" }).click();
  await using late = await Tab.open(server.http);
  for (const tab of [ada, bo, late]) {
    const line = await tab.line("This message was deleted.");
    assertEquals(await line.getByRole("button").count(), 0);
    await line.and(tab.page.locator(".deleted")).waitFor();
    await tab.lines.getByText("(deleted)").waitFor();
    assertEquals(await tab.page.getByText("1234").count(), 0);
  }
});

test("a deleted answer shows no quote, and not the look of a message with its words", async () => {
  await using server = await startServer();
  await using live = await Tab.join(server.http);
  await live.say("first");
  const reply = (await openMenu(live, "first"))
    .getByRole("button", { name: "Reply" });
  await reply.click();
  await live.say("answer");
  const menu = await openMenu(live, "answer");
  await menu.getByRole("button", { name: "Delete", exact: true }).click();
  await menu.getByRole("button", { name: "Delete for everyone" }).click();
  await live.line("This message was deleted.");
  await live.write("This message was deleted.");
  await live.nothingUnsent();
  await using late = await Tab.join(server.http);
  for (const tab of [live, late]) {
    const lines = tab.lines.filter({ hasText: "This message was deleted." });
    await lines.nth(1).waitFor();
    assertEquals(
      await tab.lines.getByRole("button", { name: "In reply to" }).count(),
      0,
    );
    const looks = await lines.locator(".text").evaluateAll((texts) =>
      texts.map((text) => {
        const { color, fontStyle } = text.ownerDocument.defaultView
          .getComputedStyle(text);
        return `${color} ${fontStyle}`;
      })
    );
    assert(looks[0] !== looks[1], `${looks}`);
    assertEquals(await tab.violations(), []);
  }
});

test("a double click on Delete deletes nothing: it asks, and keeps the message if told to", async () => {
  await using server = await startServer();
  for (const viewport of [DESKTOP, PHONE]) {
    await using tab = await Tab.join(server.http, { viewport });
    await tab.say(`mine, ${viewport.width}`);
    const menu = await openMenu(tab, `mine, ${viewport.width}`);
    await menu.getByRole("button", { name: "Delete", exact: true }).dblclick();
    const keep = menu.getByRole("button", { name: "Keep it" });
    assert(await keep.evaluate(hasFocus));
    assert(
      await menu.getByRole("button", { name: "Delete for everyone" })
        .isVisible(),
    );
    assertEquals(await tab.violations(), []);
    await keep.click();
    assert(await menu.isHidden());
    await tab.say(`still here, ${viewport.width}`);
    await tab.line(`mine, ${viewport.width}`);
    // The menu begins anew.
    await openMenu(tab, `mine, ${viewport.width}`);
    assert(await menu.getByRole("button", { name: "Reply" }).isVisible());
    assert(await keep.isHidden());
  }
});

test("what another person said under a name that is mine now is not mine", async () => {
  await using server = await startServer();
  {
    await using other = await Client.join(server.ws, { name: "Ada" });
    other.request({ type: "message", message: "said before", id: "1" });
    await other.messagesUpTo("said before");
    other.request({ type: "rename", name: "Bea" });
    await other.nextOf("rename");
  }
  await using tab = await Tab.join(server.http);
  await tab.renameTo("Ada");
  const line = await tab.line("said before");
  assertEquals(await line.getByText("(you)").count(), 0);
  const menu = await openMenu(tab, "said before");
  assert(await menu.getByRole("button", { name: "Delete" }).isHidden());
});

test("of two who had one name, one after the other, nobody's words pass for the other's", async () => {
  await using server = await startServer();
  const say = async (client: Client, message: string) => {
    client.request({ type: "message", message, id: message });
    await client.messagesUpTo(message);
  };
  const others = "another person with this name";
  await using first = await Client.join(server.ws, { name: "Ada" });
  await say(first, "the first");
  await using live = await Tab.join(server.http);
  await live.line("the first");
  first.request({ type: "rename", name: "Bea" });
  await first.nextOf("rename");
  await using second = await Client.join(server.ws, { name: "Ada" });
  await say(second, "the second");
  await say(first, "the first again");
  await using late = await Tab.join(server.http);
  const toneOf = async (tab: Tab, text: string) =>
    /tone-\d+/.exec(await (await tab.line(text)).getAttribute("class") ?? "")
      ?.[0];
  for (const tab of [live, late]) {
    assertEquals(await tab.lines.getByText(others).count(), 1);
    const line = await tab.line("the second");
    await line.getByText(others).waitFor();
    const tones = [
      await toneOf(tab, "the first"),
      await toneOf(tab, "the second"),
    ];
    assert(tones[0] !== tones[1], `${tones}`);
    assertEquals(await toneOf(tab, "the first again"), tones[0]);
    assertEquals(await tab.violations(), []);
  }
});

test("the keyboard reaches the actions of every message, and comes back to it", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  for (const text of ["one", "two", "three"]) await tab.say(text);
  const { keyboard } = tab.page;
  const actions = async (text: string) =>
    (await tab.line(text)).getByRole("button", { name: "Actions" });
  await tab.log.focus();
  await keyboard.press("Tab");
  assert(await (await actions("three")).evaluate(hasFocus));
  await keyboard.press("ArrowUp");
  await keyboard.press("ArrowUp");
  assert(await (await actions("one")).evaluate(hasFocus));
  await keyboard.press("End");
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  const menu = tab.page.getByRole("dialog");
  assert((await menu.getByText("two").textContent())?.endsWith(": two"));
  assert(await menu.getByRole("button", { name: "Reply" }).evaluate(hasFocus));
  await keyboard.press("Escape");
  assert(await menu.isHidden());
  assert(await (await actions("two")).evaluate(hasFocus));
});

test("a message is copied as it was written", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.page.context().grantPermissions([
    "clipboard-read",
    "clipboard-write",
  ]);
  await tab.write("*one*\n`two`");
  await tab.lines.getByRole("button", { name: "Actions" }).click();
  const menu = tab.page.getByRole("dialog");
  await menu.getByRole("button", { name: "Copy text" }).click();
  await menu.getByText("Copied.").waitFor();
  assertEquals(
    await tab.page.evaluate("navigator.clipboard.readText()"),
    "*one*\n`two`",
  );
});

test("a message with @ and my name is marked, and so is the title of a hidden tab", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.renameTo("Ada L");
  await using bo = await Tab.join(server.http);
  await tab.setHidden(true);
  await bo.say("@Ada Lovelace wrote the first program");
  await bo.say("nothing for anybody");
  await tab.until("document.title.startsWith('(2) ')");
  await bo.say("and you, @ada l?");
  await tab.until("document.title.startsWith('(@ 3) ')");
  await bo.say("thanks");
  await tab.until("document.title.startsWith('(@ 4) ')");
  await tab.setHidden(false);
  await tab.line("thanks");
  const marked = await tab.lines.and(tab.page.locator(".for-me"))
    .locator(".text").allTextContents();
  assertEquals(marked, ["and you, @ada l?"]);
  assertEquals(await tab.page.title(), "lobby · Partyline");
});

test("a search finds old messages, and leads to one that the page did not have", async () => {
  await using server = await startServer({ rate: 0, roomRate: 0 });
  await using bo = await Client.join(server.ws, { name: "Bo" });
  const say = async (message: string) => {
    bo.request({ type: "message", message, id: message });
    await bo.messagesUpTo(message);
  };
  await say("The KEY is here");
  for (let i = 0; i < 1_700; i++) {
    bo.request({ type: "message", message: `filling ${i}`, id: `${i}` });
  }
  await bo.messagesUpTo("filling 1699");
  await say("another key");
  await using tab = await Tab.join(server.http);
  await tab.line("another key");
  const { page } = tab;
  await page.getByRole("button", { name: "Rooms" }).click();
  await page.getByRole("searchbox", { name: "Words in a message" }).fill("key");
  await page.keyboard.press("Enter");
  await page.getByText("1 message found in the newer messages.").waitFor();
  await page.getByRole("button", { name: "Search older messages" }).click();
  await page.getByText("2 messages found.").waitFor();
  assertEquals(await tab.violations(), []);
  await page.getByRole("button", { name: "Bo: The KEY is here" }).click();
  const found = await tab.line("The KEY is here");
  assert(await found.evaluate(hasFocus));
  await page.getByText("This is the beginning of the room.").waitFor();
  // What comes now is not shown at a place where it does not belong.
  await say("said meanwhile");
  await page.getByRole("button", { name: /^1 new message/ }).click();
  await tab.line("said meanwhile");
  const seqs = (await tab.messages()).map(({ seq }) => seq);
  assertEquals(seqs, seqs.map((_, i) => (seqs[0] ?? 0) + i));
});

test("an answer to a message that the page does not have leads to it", async () => {
  await using server = await startServer({ rate: 0, roomRate: 0 });
  await using bo = await Client.join(server.ws, { name: "Bo" });
  for (let i = 1; i <= 200; i++) {
    bo.request({ type: "message", message: `filling ${i}`, id: `${i}` });
  }
  await bo.messagesUpTo("filling 200");
  bo.request({ type: "message", message: "yes", id: "yes", replyTo: 7 });
  await bo.messagesUpTo("yes");
  await using tab = await Tab.join(server.http);
  await tab.lines.getByRole("button", { name: "an earlier message" }).click();
  assert(await (await tab.line("filling 7")).evaluate(hasFocus));
});

test("the rooms with people in them are told where the server tells them", async () => {
  for (const listRooms of [true, false]) {
    await using server = await startServer({ listRooms });
    await using _other = await Client.join(`${server.ws}?room=physics`);
    await using tab = await Tab.join(server.http);
    await tab.page.getByRole("button", { name: "Rooms" }).click();
    const heading = tab.page.getByText("Rooms with people in them");
    assertEquals(await heading.isVisible(), listRooms);
    if (!listRooms) continue;
    await tab.page.getByText("physics 1 person").waitFor();
    assertEquals(await cutOff(tab.page), []);
    await tab.page.getByRole("link", { name: "physics" }).click();
    await tab.status("Connected");
    assert(tab.page.url().endsWith("/?room=physics"));
  }
});

test("an @ offers the names of those who are here, to the keyboard and to the mouse", async () => {
  await using server = await startServer();
  await using _ada = await Client.join(server.ws, { name: "Ada" });
  await using _adam = await Client.join(server.ws, { name: "Adam" });
  await using tab = await Tab.join(server.http);
  await tab.renameTo("Zoe");
  const { page, composer } = tab;
  const options = page.getByRole("option");
  // Oneself is nobody to speak to.
  await composer.pressSequentially("@");
  assertEquals(await options.allTextContents(), ["Ada", "Adam"]);
  await composer.pressSequentially("z");
  assertEquals(await options.count(), 0);
  await composer.fill("");
  await composer.pressSequentially("mail a@b, @ad");
  assertEquals(await options.allTextContents(), ["Ada", "Adam"]);
  await composer.press("ArrowDown");
  const chosen = page.getByRole("option", { selected: true });
  assertEquals(await chosen.textContent(), "Adam");
  const id = await composer.getAttribute("aria-activedescendant");
  assertEquals(await chosen.getAttribute("id"), id);
  await composer.press("Enter");
  assertEquals(await composer.inputValue(), "mail a@b, @Adam ");
  await composer.pressSequentially("@a");
  await page.getByRole("option", { name: "Ada", exact: true }).click();
  assertEquals(await composer.inputValue(), "mail a@b, @Adam @Ada ");
  await composer.pressSequentially("@adam");
  assertEquals(await options.count(), 1);
  await composer.press("Escape");
  assert(await page.getByRole("listbox", { name: "Names" }).isHidden());
  await composer.press("Enter");
  await tab.line("mail a@b, @Adam @Ada @adam");
});

test("axe finds nothing in an answer and in the menu of a message, light or dark, wide or narrow", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.say("first");
  const menu = await openMenu(tab, "first");
  await menu.getByRole("button", { name: "Reply" }).click();
  await tab.say("second");
  await openMenu(tab, "first");
  await menu.getByRole("button", { name: "Reply" }).click();
  for (const state of ["bar", "menu"]) {
    if (state === "menu") await openMenu(tab, "first");
    for (const viewport of [DESKTOP, PHONE]) {
      await tab.page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        assertEquals(await cutOff(tab.page), [], colorScheme);
        assertEquals(await tab.violations(), [], colorScheme);
      }
    }
  }
});
