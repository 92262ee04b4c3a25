// The chat page without a mouse and without a screen, in Chromium: all of it once
// by keyboard alone, and what a screen reader finds, from the top to the end.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import { hasFocus, PHONE, Tab, test } from "./tab.ts";

/** What has the focus, as a screen reader names it, such as `button "Send"`. */
async function focused({ page }: Tab): Promise<string> {
  const focus = page.locator(":focus");
  if (await focus.count() === 0) return "the document";
  const [first = ""] = (await focus.ariaSnapshot()).split("\n");
  return first.replace(/^- '?/, "");
}

/** Presses the key until that has the focus; a page has fewer than 60 stops. */
async function goTo(tab: Tab, wanted: string, key = "Tab"): Promise<void> {
  const passed: string[] = [];
  while (!passed.at(-1)?.startsWith(wanted)) {
    if (passed.length === 60) throw new Error(`no ${wanted} in ${passed}`);
    await tab.page.keyboard.press(key);
    passed.push(await focused(tab));
  }
}

const back = (tab: Tab, wanted: string) => goTo(tab, wanted, "Shift+Tab");

async function isAt(tab: Tab, wanted: string): Promise<void> {
  assertEquals((await focused(tab)).slice(0, wanted.length), wanted);
}

test("all of the page can be used by keyboard alone", async () => {
  await using server = await startServer({ listRooms: true });
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await using _cleo = await Client.join(`${server.ws}?room=physics`, {
    name: "Cleo",
  });
  await using tab = await Tab.join(server.http);
  const { page } = tab;
  const { keyboard } = page;
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);

  // Arrive, and choose a name.
  await isAt(tab, 'textbox "Message"');
  await back(tab, 'textbox "Your name"');
  await keyboard.type("Ada");
  await keyboard.press("Enter");
  await tab.people("Ada", "Bo");
  await isAt(tab, 'textbox "Message"');

  // Write, in two lines.
  await keyboard.type("Good morning!");
  await keyboard.press("Shift+Enter");
  await keyboard.type("Who can help me?");
  await keyboard.press("Enter");
  await tab.line("Good morning!\nWho can help me?");

  // Answer somebody.
  bo.request({ type: "message", message: "I can. What is it?", id: "1" });
  await tab.line("I can. What is it?");
  await back(tab, 'button "Actions"');
  await keyboard.press("Enter");
  await isAt(tab, 'button "Reply"');
  await keyboard.press("Enter");
  await isAt(tab, 'textbox "Message"');
  await keyboard.type("The accept header");
  await keyboard.press("Enter");
  await tab.line("The accept header");

  // Go from the answer to what it answers.
  await back(tab, 'button "In reply to Bo: I can. What is it?"');
  await keyboard.press("Enter");
  assert(await (await tab.line("I can. What is it?")).evaluate(hasFocus));

  // Copy a message, and delete it.
  await goTo(tab, 'button "Actions"');
  await keyboard.press("Enter");
  await goTo(tab, 'button "Copy text"');
  await keyboard.press("Enter");
  await page.getByRole("dialog").getByText("Copied.").waitFor();
  const copied = await page.evaluate("navigator.clipboard.readText()");
  assertEquals(copied, "The accept header");
  await goTo(tab, 'button "Delete"');
  await keyboard.press("Enter");
  await isAt(tab, 'button "Keep it"');
  await back(tab, 'button "Delete for everyone"');
  await keyboard.press("Enter");
  const deleted = await tab.line("This message was deleted.");
  assert(await deleted.evaluate(hasFocus));

  // Search, and jump to what was found.
  await back(tab, 'button "Rooms, search & invite"');
  await keyboard.press("Enter");
  await goTo(tab, 'searchbox "Words in a message"');
  await keyboard.type("HELP");
  await keyboard.press("Enter");
  await page.getByText("1 message found.").waitFor();
  await goTo(tab, 'button "Ada: Good morning!');
  await keyboard.press("Enter");
  const found = await tab.line("Good morning!\nWho can help me?");
  assert(await found.evaluate(hasFocus));

  // Go to another room.
  await back(tab, 'button "Rooms, search & invite"');
  await keyboard.press("Enter");
  await goTo(tab, 'link "physics"');
  await keyboard.press("Enter");
  await page.waitForURL("**/?room=physics");
  await tab.people("Ada", "Cleo");

  // On a phone with a keyboard: the people, and the other pages.
  await page.setViewportSize(PHONE);
  await back(tab, 'button "2 people"');
  await keyboard.press("Enter");
  await goTo(tab, 'textbox "Your name"');
  await keyboard.press("Escape");
  await isAt(tab, 'button "2 people"');
  await goTo(tab, 'button "Menu"');
  await keyboard.press("Enter");
  await goTo(tab, 'link "Lesson"');
  await keyboard.press("Enter");
  await page.waitForURL("**/learn");
});

/** As Playwright writes it: each role with its name, and what belongs to it below. */
const READ_OUT = `
- banner:
  - link "Partyline":
    - /url: ./
  - heading "lobby" [level=1]
  - button "Rooms, search & invite"
  - navigation "Pages":
    - link "Lesson":
      - /url: learn
    - link "Lab":
      - /url: lab
    - link "X-ray":
      - /url: x-ray
    - link "Docs":
      - /url: docs/
- main:
  - log "Messages":
    - paragraph: This is the beginning of the room.
    - list:
      - listitem:
        - text: X is now called Ada
        - time: 09:30
      - listitem:
        - group: 2 people came in
        - time: 09:30
      - listitem:
        - text: Ada (you) Good morning!
        - time: 09:30
        - button "Actions"
      - listitem:
        - text: Bo Hello @Ada, does this
        - strong: work
        - text: "?"
        - time: 09:30
        - button "Actions"
      - listitem:
        - text: Bo
        - button "Copy this code": Copy
        - region "Code": let key = 1;
        - paragraph:
          - text: or
          - code: let key
          - text: ", as on"
          - link "https://deno.com/":
            - /url: https://deno.com/
        - time: 09:30
        - button "Actions"
      - listitem:
        - text: Bo
        - 'button "In reply to Bo: Hello @Ada, does this **work**?"'
        - text: Yes.
        - time: 09:30
        - button "Actions"
      - listitem:
        - text: Bo This message was deleted.
        - time: 09:30
  - status: Connected
  - button "X-ray"
  - paragraph: "Reply to Bo: Yes."
  - button "Cancel reply"
  - paragraph
  - text: Message
  - textbox "Message":
    - /placeholder: Say something
    - text: Thank you
  - button "Send"
- complementary "3 people":
  - heading "3 people" [level=2]
  - text: Your name
  - textbox "Your name": Ada
  - button "Rename"
  - paragraph
  - list "3 people":
    - listitem: Ada you
    - listitem: Bo
    - listitem: Cleo
`;

const NOW = Date.parse("2026-03-10T09:30:00Z");

test("a screen reader finds a conversation in this order", async () => {
  await using server = await startServer({}, { now: () => NOW });
  await using tab = await Tab.open("about:blank", {
    locale: "en-GB",
    timezoneId: "UTC",
  });
  await tab.page.clock.setFixedTime(NOW);
  await tab.page.goto(server.http);
  await tab.status("Connected");
  await tab.renameTo("Ada");
  await using bo = await Client.join(server.ws, { name: "Bo" });
  await using _cleo = await Client.join(server.ws, { name: "Cleo" });
  const tell = async (message: string, more: { replyTo?: number } = {}) => {
    const id = message.slice(0, 20);
    bo.request({ type: "message", id, message, ...more });
    await bo.messagesUpTo(message);
  };
  await tab.say("Good morning!");
  await tell("Hello @Ada, does this **work**?");
  await tell("```\nlet key = 1;\n```\nor `let key`, as on https://deno.com/");
  await tell("Yes.", { replyTo: 2 });
  await tell("my password is 1234");
  bo.request({ type: "delete", seq: 5 });
  await tab.line("This message was deleted.");
  const answer = tab.lines.filter({ hasText: "Yes." });
  await answer.getByRole("button", { name: "Actions" }).click();
  await tab.page.getByRole("button", { name: "Reply", exact: true }).click();
  await tab.composer.fill("Thank you");
  const tree = await tab.page.locator("body").ariaSnapshot();
  // The name that she had first is another in each run.
  const words = tree.replace(
    /text: \S+ is now called/,
    "text: X is now called",
  );
  assertEquals(words.split("\n"), READ_OUT.trim().split("\n"));
});
