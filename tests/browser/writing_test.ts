// What is written in Chromium and cannot be sent as it is: a text that is too
// long stays whole in the box, and what the server refused leaves the view to
// the others.
import { assert, assertEquals } from "@std/assert";
import { startServer } from "../support/harness.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

/** Puts the text in as a paste does: in one go, where the caret is. */
async function paste(tab: Tab, text: string) {
  await tab.composer.focus();
  await tab.page.keyboard.insertText(text);
}

const tooLong = (tab: Tab, words: string) =>
  tab.page.locator("#too-long[aria-live]").getByText(words, { exact: true })
    .waitFor();

test("a paste that is too long stays whole, is not sent, and the reason is told", async () => {
  await using server = await startServer({ maxMessage: 10 });
  await using tab = await Tab.join(server.http);
  // Fifteen characters, as the server counts; and one line end of two signs.
  await paste(tab, "😀😀😀😀😀\r\n123456789");
  const whole = "😀😀😀😀😀\n123456789";
  assertEquals(await tab.composer.inputValue(), whole);
  await tab.page.getByText("5 characters too many", { exact: true }).waitFor();
  await tooLong(
    tab,
    "This message is too long to be sent. Shorten it, or send it in parts.",
  );
  assertEquals(await tab.composer.getAttribute("aria-invalid"), "true");
  const described = await tab.composer.getAttribute("aria-describedby");
  assertEquals(described, "remaining too-long");

  await tab.composer.press("Enter");
  await tooLong(
    tab,
    "Not sent: the message is too long. Shorten it, or send it in parts.",
  );
  assertEquals(await tab.page.getByText("5 characters too many").count(), 1);
  assertEquals(await tab.composer.inputValue(), whole);
  await tab.nothingUnsent();

  await tab.page.reload();
  await tab.page.getByText("5 characters too many", { exact: true }).waitFor();
  assertEquals(await tab.composer.inputValue(), whole);
  await tab.composer.focus();
  await tab.composer.press("Control+End");
  for (let i = 0; i < 4; i++) await tab.composer.press("Backspace");
  await tab.page.getByText("1 character too many", { exact: true }).waitFor();
  await tab.composer.press("Backspace");
  await tab.page.getByText("0 characters left", { exact: true }).waitFor();
  assertEquals(await tab.page.locator("#too-long").textContent(), "");
  assertEquals(await tab.composer.getAttribute("aria-invalid"), null);
  await tab.composer.press("Enter");
  await tab.line("😀😀😀😀😀\n1234");
  assertEquals(await tab.composer.inputValue(), "");
});

test("a message that was written offline and takes too large a frame is refused, and the page stays", async () => {
  const first = await startServer({ maxMessage: 1_000 });
  await using tab = await Tab.join(first.http);
  await first.drain(2_000);
  await tab.status("The server is shutting down.");
  const text = "😀".repeat(200);
  await tab.write(text);
  await tab.write("short");
  await using _second = await startServer({
    port: first.port,
    maxMessage: 1_000,
    maxFrame: 512,
  });
  await tab.unsent.getByText("Too long: this message was not sent.").waitFor();
  await tab.line("short");
  await tab.unsent.getByRole("button", { name: "Put back in the box" }).click();
  assertEquals(await tab.composer.inputValue(), text);
  await tab.page.getByText("104 characters too many", { exact: true })
    .waitFor();
});

for (const viewport of [DESKTOP, PHONE]) {
  test(`a long message that was refused leaves the view to the others, at ${viewport.width} px`, async () => {
    await using server = await startServer({ maxMessage: 250, rate: 0 });
    await using tab = await Tab.join(server.http, { viewport });
    for (let i = 0; i < 30; i++) await tab.say(`message ${i}`);
    const long = "A long thought that the server will not have. ".repeat(100);
    await tab.writeTooMuch(long);
    await tab.status("A message was not sent.");
    await tab.say("the newest message");
    const list = tab.log.locator("#unsent");
    const share = await list.evaluate((list) =>
      list.clientHeight / list.parentElement.clientHeight
    );
    assert(share > 0.2 && share < 0.45, `${share} of the view`);
    // The newest message, the buttons and the box are all in view.
    const boxOf = async (locator: ReturnType<typeof tab.page.locator>) => {
      const box = await locator.boundingBox();
      assert(box !== null);
      return { top: box.y, bottom: box.y + box.height };
    };
    const view = await boxOf(tab.log);
    const composer = await boxOf(tab.composer);
    assert(composer.bottom <= viewport.height);
    const discard = list.getByRole("button", { name: "Discard" });
    for (
      const part of [await tab.line("the newest message"), discard]
    ) {
      const { top, bottom } = await boxOf(part);
      assert(top >= view.top && bottom <= view.bottom + 1, `${top} ${bottom}`);
    }
    // The whole text can be read, by keyboard too.
    await list.focus();
    await tab.page.keyboard.press("Home");
    await tab.until("document.getElementById('unsent').scrollTop === 0");
    await tab.page.keyboard.press("End");
    await tab.until(`(() => {
      const list = document.getElementById("unsent");
      return list.scrollTop + list.clientHeight > list.scrollHeight - 2;
    })()`);
    assertEquals(await tab.violations(), []);
    await tab.unsent.getByRole("button", { name: "Put back in the box" })
      .click();
    assertEquals(await tab.composer.inputValue(), long);
    await tab.nothingUnsent();
  });
}
