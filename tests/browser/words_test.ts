// What people write can be read, in Chromium: all of it, with its lines, on a
// wide screen and on a phone, whatever panel is open; names and rooms too.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./tab.ts";
import { cutOff, unseen } from "./readable.ts";

const WORD = "Donaudampfschifffahrtsgesellschaft";
const MESSAGES = {
  "two lines": "one\ntwo",
  "lines, empty ones too": "one\n\n\nfour\n    five, after four spaces",
  "eighty words": Array.from({ length: 80 }, (_, i) => `word${i}`).join(" "),
  "one long word": WORD.repeat(12),
  "an address":
    `Look at https://example.org/${WORD}/${WORD}?a=${WORD} in section 4.2.2`,
  "code": "```js\nfor (const member of room) {\n" +
    "\tif (member !== author) {\n    // " + "a long comment ".repeat(8) +
    "\n\t\tmember.send(`${sender}: ${message}`);\n\t}\n}\n```",
  "Hebrew": "שלום לכולם, זה עובד עכשיו\nשורה שנייה " + "ארוכה ".repeat(30),
  "Arabic and English": "مرحبا بالجميع: hello, ".repeat(12),
  "Japanese": "了解しました。フレームの長さを読みます。".repeat(8),
  "emoji": "👩‍👩‍👧‍👦🎉☎️🇩🇪👍🏽".repeat(20),
  "many short lines": Array.from({ length: 60 }, (_, i) => `${i}`).join("\n"),
};
const NAMES = [
  "W".repeat(24),
  "Élodie-Anne Marchand",
  "小林小林小林小林小林小林小林小林",
];
const ROOM = "a-room-with-a-name-of-32-letters";

/** A block of code is shown without its fences, and with a button. */
const shownOf = (message: string) =>
  message.replace(/^```js\n([^]*)\n```$/, "Copy\n$1");

/** That each of the messages is in the transcript as it was written. */
async function canBeRead(tab: Tab, where: string): Promise<void> {
  const texts = tab.lines.and(tab.page.locator(".message")).locator(".text");
  assertEquals(await texts.count(), Object.keys(MESSAGES).length);
  for (const [i, [what, message]] of Object.entries(MESSAGES).entries()) {
    const text = texts.nth(i);
    // As it is rendered: without its lines, where these are not shown.
    assertEquals(await text.innerText(), shownOf(message), `${what}, ${where}`);
    assertEquals(await unseen(text), [], `${what}, ${where}`);
  }
  assertEquals(await cutOff(tab.page), [], where);
}

for (const viewport of [DESKTOP, PHONE, SMALL_PHONE]) {
  test(`all of every message can be read, at ${viewport.width} x ${viewport.height}`, async () => {
    await using server = await startServer({ rate: 0 });
    const at = `?room=${ROOM}`;
    await using tab = await Tab.join(server.http + `/${at}`, { viewport });
    const { page } = tab;
    for (const [i, message] of Object.values(MESSAGES).entries()) {
      await using guest = await Client.join(server.ws + at, {
        name: NAMES[i] ?? `guest ${i}`,
      });
      guest.request({ type: "message", message, id: "1" });
      await guest.nextOf("message");
    }
    const count = Object.keys(MESSAGES).length;
    await tab.lines.filter({ hasText: `${count} people left` }).waitFor();
    await canBeRead(tab, "alone");

    await page.getByRole("button", { name: "X-ray" }).click();
    await page.locator(".x-ray-panel .handshake").waitFor();
    // That we are typing is a frame to draw.
    await tab.composer.fill("a");
    await page.locator(".x-ray-panel .frame").first().click();
    await page.locator(".x-ray-panel .bits").waitFor();
    await canBeRead(tab, "beside the X-ray");
    await page.getByRole("region", { name: "X-ray" })
      .getByRole("button", { name: "Close" }).click();

    await tab.panelButton.click();
    assertEquals(await cutOff(page), [], "in the panel of rooms");
  });

  test(`all else that people named or wrote can be read, at ${viewport.width} x ${viewport.height}`, async () => {
    await using server = await startServer({ maxMessage: 250, rate: 0 });
    const at = `?room=${ROOM}`;
    await using tab = await Tab.join(server.http + `/${at}`, { viewport });
    const { page } = tab;
    const isNarrow = viewport !== DESKTOP;
    await tab.keepName();
    if (isNarrow) await page.getByRole("button", { name: "1 person" }).click();
    await tab.rename("M".repeat(24));
    await page.getByRole("list", { name: "1 person" }).getByText("MMM")
      .waitFor();
    if (isNarrow) await page.keyboard.press("Escape");
    const guests: Client[] = [];
    for (const name of NAMES) {
      guests.push(await Client.join(server.ws + at, { name }));
    }
    await tab.writeTooMuch(WORD.repeat(10));
    await tab.unsent.getByText("At most 250 characters are allowed.").waitFor();
    for (const guest of guests.slice(0, 2)) guest.request({ type: "typing" });
    await page.getByText("are typing…").waitFor();
    assertEquals(await cutOff(page), []);
    if (isNarrow) await page.getByRole("button", { name: "4 people" }).click();
    for (const name of NAMES) {
      await page.getByRole("list", { name: "4 people" })
        .getByText(name, { exact: true }).waitFor();
    }
    assertEquals(await cutOff(page), []);
    for (const guest of guests) await guest[Symbol.asyncDispose]();
  });
}

test("the projector shows whole names, rooms and last frames, of few and of many", async () => {
  await using server = await startServer({ moderator: "teachers-code" });
  await using tab = await Tab.open(
    `${server.http}/x-ray#moderator=teachers-code`,
  );
  const guests: Client[] = [];
  for (const count of [3, 14, 42]) {
    while (guests.length < count) {
      const name = `${guests.length} ${"W".repeat(20)}`;
      guests.push(await Client.join(`${server.ws}?room=${ROOM}`, { name }));
    }
    await tab.page.getByText(`${count} connections in 1 room`).waitFor();
    guests[0]?.request({
      type: "message",
      message: `${count} ${MESSAGES["eighty words"]}`,
      id: `${count}`,
    });
    // On the many cards of a class there is no space for what was said.
    if (count < 9) {
      await tab.page.getByText(`message ${count} `).nth(count - 1).waitFor();
    }
    for (const viewport of [DESKTOP, SMALL_PHONE]) {
      await tab.page.setViewportSize(viewport);
      assertEquals(await cutOff(tab.page), [], `${count}, ${viewport.width}`);
    }
  }
  for (const guest of guests) await guest[Symbol.asyncDispose]();
});

test("what is cut off is found, whichever box does it", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.say("one\ntwo and more words than fit");
  assertEquals(await cutOff(tab.page), []);
  for (
    const rule of [
      // The rule that cut all messages to one line for six days.
      ".lines .text { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; width: 5em }",
      ".lines .text { max-height: 1.5em; overflow: hidden }",
      ".lines .line { width: 15em } .lines .text { white-space: pre }",
      ".lines { position: relative; left: -30em }",
      ".lines .text { display: block; margin-left: 100vw }",
    ]
  ) {
    const sheet = await tab.page.evaluateHandle(
      `document.adoptedStyleSheets = [Object.assign(new CSSStyleSheet())];
       document.adoptedStyleSheets[0].replaceSync(${
        JSON.stringify(rule.replaceAll("; ", " !important; "))
      });`,
    );
    await sheet.dispose();
    const found = await cutOff(tab.page);
    assert(found.some((line) => line.includes("two and more")), rule);
  }
});
