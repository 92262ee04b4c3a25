// The page as people use it, in Chromium: real tabs against a real server.
// Roles and labels find things here, so that what cannot be found by a screen
// reader fails.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { makeLively, startStrictServer, Tab, test } from "./tab.ts";

test("two browsers talk, each under its own name in bold", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  let bobsName: string | undefined;
  {
    await using bob = await Tab.join(server.http);
    await ada.say("Hello?");
    await bob.line("Hello?");
    await bob.say("Speaking.");
    await ada.line("Speaking.");
    assertEquals(await ada.texts(), ["Hello?", "Speaking."]);
    assertEquals(await ada.texts(), await bob.texts());
    assertEquals(await ada.senders(), await bob.senders());
    const [adasName, second] = await ada.senders();
    assert(adasName !== second, second);
    bobsName = second;
  }
  const leave = await ada.line("Client disconnected");
  const bold = leave.locator("b.sender");
  assertEquals(await bold.textContent(), bobsName);
  const weight = await bold.evaluate((b) =>
    b.ownerDocument.defaultView.getComputedStyle(b).fontWeight
  );
  assertEquals(weight, "700");
});

test("markup in a message stays text", async () => {
  await using server = await startServer();
  await using ada = await Tab.join(server.http);
  await using bob = await Tab.join(server.http);
  const markup = `<img src=x onerror="globalThis.ran=1"><b>bold</b>` +
    `<script>globalThis.ran=1</script>&amp;`;
  await ada.say(markup);
  await bob.line(markup);
  for (const { page, log } of [ada, bob]) {
    assertEquals(await log.locator("img, script, .text b").count(), 0);
    assertEquals(await page.evaluate("typeof ran"), "undefined");
  }
});

test("a room that cannot be is named as text, and nothing is connected", async () => {
  await using server = await startServer();
  const room = `<b>x</b><img src=x onerror="globalThis.ran=1">`;
  await using tab = await Tab.open(
    `${server.http}/?room=${encodeURIComponent(room)}`,
  );
  const problem = tab.page.getByRole("alert");
  await problem.filter({ hasText: "cannot be a room’s name" }).waitFor();
  assert((await problem.textContent())?.includes("“<b>x</b><img src=x "));
  assertEquals(await tab.page.locator("img, #problem b").count(), 0);
  assertEquals(await tab.page.evaluate("typeof ran"), "undefined");
  await tab.status("Not connected");
  assert(await tab.composer.isDisabled());
  await tab.page.evaluate("dispatchEvent(new Event('online'))");
  assertEquals(tab.sockets, []);
  await tab.page.getByRole("link", { name: "Go to the lobby" }).click();
  await tab.status("Connected");
});

test("an address with an empty name of a room says that it is empty", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`${server.http}/?room=`);
  await tab.page.getByRole("alert").getByText(
    "The address asks for a room without a name.",
  ).waitFor();
  assertEquals(tab.sockets, []);
});

test("a room's name that is too long is kept, and said to be", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  const field = tab.page.getByLabel("Room name");
  await field.focus();
  await tab.page.keyboard.insertText("r".repeat(34));
  const note = tab.page.locator("#room-note[aria-live]");
  await note.getByText(
    "Too long: a room’s name has at most 32 characters; this one has 2 too " +
      "many.",
    { exact: true },
  ).waitFor();
  await field.press("Enter");
  assertEquals(await field.inputValue(), "r".repeat(34));
  assertEquals(new URL(tab.page.url()).search, "");
  await field.press("Backspace");
  await field.press("Backspace");
  assertEquals(await note.textContent(), "");
  await field.press("Enter");
  await tab.page.waitForURL(`**/?room=${"r".repeat(32)}`);
});

test("what a room's name consists of is said, by the page and by the browser", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  const field = tab.page.getByLabel("Room name");
  const says = "A room's name has 1 to 32 characters: a to z, 0 to 9 and -.";
  await field.fill("Physik für alle");
  await tab.page.locator("#room-note").getByText(says, { exact: true })
    .waitFor();
  assertEquals(await field.evaluate((it) => it.validationMessage), says);
  await field.press("Enter");
  assertEquals(new URL(tab.page.url()).search, "");
  const answer = await fetch(`${server.http}/events?room=x!`);
  assert((await answer.text()).includes(says), "the server says the same");
  await field.fill("Physik 2");
  await field.press("Enter");
  await tab.page.waitForURL("**/?room=physik-2");
});

test("Enter sends, Shift+Enter starts a line", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.composer.pressSequentially("one");
  await tab.composer.press("Shift+Enter");
  await tab.composer.pressSequentially("two");
  assertEquals(await tab.texts(), []);
  await tab.composer.press("Enter");
  await tab.line("one\ntwo");
  await tab.composer.press("Enter");
  await tab.say("three");
  assertEquals(await tab.texts(), ["one\ntwo", "three"]);
});

test("an Enter that ends an input method's composition does not send", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.composer.focus();
  const devtools = await tab.page.context().newCDPSession(tab.page);
  await devtools.send("Input.imeSetComposition", {
    text: "にほん",
    selectionStart: 3,
    selectionEnd: 3,
  });
  await devtools.send("Input.dispatchKeyEvent", {
    type: "rawKeyDown",
    key: "Enter",
    windowsVirtualKeyCode: 13,
  });
  await devtools.send("Input.insertText", { text: "日本" });
  assertEquals(await tab.composer.inputValue(), "日本");
  await tab.composer.press("Enter");
  await tab.line("日本");
  assertEquals(await tab.texts(), ["日本"]);
});

test("everything can be reached with the keyboard", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const { keyboard } = tab.page;
  const reached = [];
  await tab.page.getByRole("link", { name: "Partyline" }).focus();
  for (let i = 0; i < 15; i++) {
    if (i > 0) await keyboard.press("Tab");
    reached.push(
      await tab.page.evaluate(
        "document.activeElement.id || document.activeElement.textContent",
      ),
    );
  }
  assertEquals(reached, [
    "Partyline",
    "panel-button",
    "Lesson",
    "Lab",
    "X-ray",
    "Docs",
    "transcript",
    "client.js",
    "client.py",
    "lesson",
    "x-ray-button",
    "name-input",
    "name-button",
    "message",
    "send",
  ]);
  await tab.page.getByRole("button", { name: "Rooms" }).focus();
  await keyboard.press("Enter");
  const input = tab.page.getByRole("textbox", { name: "Room name" });
  await input.waitFor();
  await keyboard.press("Escape");
  await input.waitFor({ state: "hidden" });
  await keyboard.press("Enter");
  await keyboard.press("Tab");
  await keyboard.type("Physics 2");
  await keyboard.press("Enter");
  await tab.page.waitForURL("**/?room=physics-2");
  await tab.status("Connected");
});

test("rooms do not hear each other", async () => {
  await using server = await startServer();
  await using lobby = await Tab.join(server.http);
  await using physics = await Tab.join(`${server.http}/?room=physics`);
  await lobby.say("in the lobby");
  await physics.say("in physics");
  await lobby.say("still in the lobby");
  assertEquals(await lobby.texts(), ["in the lobby", "still in the lobby"]);
  assertEquals(await physics.texts(), ["in physics"]);
  for (
    const [{ page }, room] of [[lobby, "lobby"], [physics, "physics"]] as const
  ) {
    await page.getByRole("heading", { name: room, exact: true }).waitFor();
    assertEquals(await page.title(), `${room} · Partyline`);
  }
});

test("the title of a hidden tab counts what was not seen", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await using client = await Client.open(server.ws);
  await client.say("seen");
  await tab.line("seen");
  await tab.setHidden(true);
  await client.say("one");
  await client.say("two");
  await tab.page.waitForFunction("document.title === '(2) lobby · Partyline'");
  await tab.setHidden(false);
  assertEquals(await tab.page.title(), "lobby · Partyline");
});

test("ordinary use leaves the console empty", async () => {
  await using server = await startStrictServer();
  await using tab = await Tab.join(server.http);
  await makeLively(tab, server.ws);
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  await tab.page.getByRole("button", { name: "Copy", exact: true }).click();
  await tab.page.getByText("Copied.").waitFor();
  await tab.page.getByLabel("Room name").fill("physics");
  await tab.page.getByRole("button", { name: "Go", exact: true }).click();
  await tab.page.getByRole("heading", { name: "physics" }).waitFor();
  // The rate is that of the person, in whatever room.
  await tab.write("hello");
  await tab.unsent.getByText("The page tries again.").waitFor();
  assertEquals(tab.faults, []);
});

test("what the server will not have can be put back in the box, or away", async () => {
  await using server = await startServer({ maxMessage: 5 });
  await using tab = await Tab.join(server.http);
  await tab.writeTooMuch("too long");
  await tab.status("A message was not sent.");
  const refused = tab.unsent.filter({ hasText: "too long" });
  await refused.getByText("Too long: this message was not sent.").waitFor();
  await tab.composer.fill("more");
  await refused.getByRole("button", { name: "Put back in the box" }).click();
  assertEquals(await tab.composer.inputValue(), "too long\nmore");
  await tab.nothingUnsent();
  await tab.writeTooMuch("too long");
  await refused.getByRole("button", { name: "Discard" }).click();
  await tab.nothingUnsent();
  await tab.say("short");
  assertEquals(await tab.texts(), ["short"]);
});

for (const path of ["/?room=physics", "/learn", "/lab"]) {
  test(`what needs the scripts of ${path} can be pressed when they are there`, async () => {
    await using server = await startServer();
    await using tab = await Tab.open("about:blank");
    const held = Promise.withResolvers<void>();
    await tab.page.route("**/*.js", async (route) => {
      await held.promise;
      await route.continue();
    });
    await tab.page.goto(server.http + path, { waitUntil: "commit" });
    await tab.page.evaluate(`new Promise((resolve) => {
      const look = () => document.readyState !== "loading" && resolve();
      document.addEventListener("readystatechange", look);
      look();
    })`);
    // Popovers open, and a form with a method is sent, without any script.
    const needy = tab.page.locator(
      "button:not([popovertarget], form[method] *)",
    );
    const enabled = needy.and(tab.page.locator(":enabled:visible"));
    const disabled = needy.and(tab.page.locator(":disabled"));
    assert(await needy.count() > 0);
    assertEquals(await enabled.allTextContents(), []);
    held.resolve();
    // The lab's Stop waits for a run.
    const last = disabled.and(tab.page.locator(":not(#stop)")).first();
    await last.waitFor({ state: "detached" });
  });
}
