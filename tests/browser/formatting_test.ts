// Code, emphasis, lists, quotes and links of messages in Chromium: what they look
// like, how they are written, and that no message makes any other element.
import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { Client, startServer } from "../support/harness.ts";
import { cutOff } from "./readable.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

const CODE = "for (const member of members) {\n\tmember.send(`*${text}*`);\n}";
const LONG = `const line = "${"long ".repeat(60)}";`;
const fenced = (code: string) => `\`\`\`\n${code}\n\`\`\``;

/** Pastes as a person does. */
async function paste(tab: Tab, text: string) {
  await tab.page.context().grantPermissions(["clipboard-write"]);
  await tab.composer.focus();
  const words = JSON.stringify(text);
  await tab.page.evaluate(`navigator.clipboard.writeText(${words})`);
  await tab.page.keyboard.press("Control+V");
}

for (
  const [width, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })
) {
  test(`code keeps its lines and is scrolled inside itself (${width})`, async () => {
    await using server = await startServer();
    await using tab = await Tab.join(server.http, { viewport: size });
    await tab.write(`Look:\n${fenced(`${CODE}\n${LONG}`)}\nDoes it run?`);
    const code = tab.lines.getByRole("region", { name: "Code" });
    await code.waitFor();
    assertEquals(await code.textContent(), `${CODE}\n${LONG}`);
    const button = tab.lines.getByRole("button", { name: "Copy this code" });
    const [box, beside] = [
      await code.boundingBox(),
      await button.boundingBox(),
    ];
    assert(box && beside);
    assert(beside.y + beside.height <= box.y, "the button covers the code");
    await code.focus();
    await tab.page.keyboard.press("ArrowRight");
    await tab.until("document.activeElement.scrollLeft > 0");
    assert(
      await tab.page.evaluate<boolean>(
        "document.documentElement.scrollWidth <= innerWidth",
      ),
    );
    assertEquals(await cutOff(tab.page), []);
    assertEquals(await tab.violations(), []);
  });
}

test("code is as wide as its message, with the time and the menu; the name stands beside its first line", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.write(fenced(LONG));
  await tab.nothingUnsent();
  await tab.write(`Look:\n${fenced(LONG)}`);
  const parts = (line: number) => {
    const it = tab.lines.and(tab.page.locator(".message")).nth(line);
    return {
      code: it.getByRole("region", { name: "Code" }),
      copy: it.getByRole("button", { name: "Copy this code" }),
      menu: it.getByRole("button", { name: "Actions" }),
      name: it.locator(".sender"),
    };
  };
  await parts(1).menu.waitFor();
  for (const viewport of [DESKTOP, PHONE]) {
    await tab.page.setViewportSize(viewport);
    for (const line of [0, 1]) {
      const [code, copy, menu] = await Promise.all([
        parts(line).code.boundingBox(),
        parts(line).copy.boundingBox(),
        parts(line).menu.boundingBox(),
      ]);
      assert(code && copy && menu);
      assert(code.x + code.width > menu.x + menu.width - 5, "too narrow");
      assert(code.y >= copy.y + copy.height, "the button covers the code");
      const apart = copy.x + copy.width <= menu.x ||
        copy.y >= menu.y + menu.height;
      assert(apart, "the button covers the menu");
    }
    const [name, menu] = await Promise.all([
      parts(0).name.boundingBox(),
      parts(0).menu.boundingBox(),
    ]);
    assert(name && menu);
    const offPx = name.y + name.height / 2 - menu.y - menu.height / 2;
    assert(Math.abs(offPx) <= 3, `${offPx} px off`);
  }
});

test("code is copied whole, by the keyboard, also where there is no new clipboard", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.page.context().grantPermissions(["clipboard-read"]);
  await tab.write(fenced(CODE));
  const button = tab.lines.getByRole("button", { name: "Copy this code" });
  for (const isOld of [false, true]) {
    if (isOld) {
      await tab.page.evaluate(
        "delete Clipboard.prototype.writeText, void 0",
      );
    }
    await button.press("Enter");
    await tab.lines.getByText("Copied", { exact: true }).waitFor();
    const copied = await tab.page.evaluate("navigator.clipboard.readText()");
    assertEquals(copied, CODE);
    await tab.lines.getByText("Copy", { exact: true }).waitFor();
    assert(
      await button.evaluate((it) => it === it.ownerDocument.activeElement),
    );
    await tab.page.evaluate("document.execCommand('cut')");
  }
});

test("a link opens in a tab of its own, and tells nobody where it was", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.say("nothing");
  await tab.write("See https://example.org/a?b=c, it *is* **there**.");
  const link = tab.lines.getByRole("link");
  await link.waitFor();
  assertEquals(await link.textContent(), "https://example.org/a?b=c");
  assertEquals(await link.getAttribute("href"), "https://example.org/a?b=c");
  assertEquals(await link.getAttribute("target"), "_blank");
  assertEquals(await link.getAttribute("rel"), "noopener noreferrer");
  assertEquals(await tab.lines.locator(".text em").textContent(), "is");
  assertEquals(await tab.lines.locator(".text strong").textContent(), "there");
});

test("several lines that are pasted can be marked as code, with one press", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const offer = tab.page.getByRole("button", { name: "Show them as code" });
  await tab.composer.fill("My loop: ");
  await tab.composer.press("End");
  await paste(tab, CODE);
  await offer.press("Enter");
  assertEquals(
    await tab.composer.inputValue(),
    `My loop: \n${fenced(CODE)}\n`,
  );
  await offer.waitFor({ state: "hidden" });
  await tab.page.keyboard.type("Why?");
  await tab.page.keyboard.press("Enter");
  const code = tab.lines.getByRole("region", { name: "Code" });
  await code.waitFor();
  assertEquals(await code.textContent(), CODE);
});

test("the offer ends when something else is written, and does not come for one line", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const offer = tab.page.getByText("Several lines were pasted.");
  await paste(tab, "one line\n");
  await tab.composer.fill("");
  await paste(tab, "one\ntwo");
  await offer.waitFor();
  await tab.page.keyboard.type("x");
  await offer.waitFor({ state: "hidden" });
  await tab.composer.fill("");
  await paste(tab, "one\ntwo");
  await offer.waitFor();
  await tab.page.keyboard.press("Enter");
  await tab.line("one\ntwo");
  await offer.waitFor({ state: "hidden" });
});

test("in a block of code Enter begins the next line, and after it sends", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  await tab.composer.focus();
  for (const line of ["```", "a = 1", "b = 2", "```"]) {
    await tab.page.keyboard.type(line);
    await tab.page.keyboard.press("Enter");
  }
  const code = tab.lines.getByRole("region", { name: "Code" });
  await code.waitFor();
  assertEquals(await code.textContent(), "a = 1\nb = 2");
});

const markup = fc.array(
  fc.constantFrom(
    ..."*_`>- \n\"'=&()",
    "```",
    "**",
    "\n- ",
    "\n1. ",
    "\n> ",
    "https://a.example/",
    "javascript:alert(1)",
    "<img src=x onerror=ran=1>",
    "<script>ran=1</script>",
    '" onclick="ran=1',
    "a",
    "\u202e",
  ),
  { maxLength: 40 },
).map((pieces) => pieces.join(""));

const ELEMENTS =
  "a blockquote br button code div em li mark ol p pre strong ul";
const ATTRIBUTES =
  "aria-label class dir href rel role start tabindex target type";

test("no message makes an element or an attribute that is not in the list", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const seed = Math.floor(Math.random() * 2 ** 31);
  const messages = fc.sample(markup, { numRuns: 3_000, seed });
  const others = await tab.page.evaluate(`(async () => {
    const { createRichText } = await import(
      new URL("chat/rich_text.js", document.baseURI));
    const others = new Set();
    for (const message of ${JSON.stringify(messages)}) {
      const root = createRichText(message);
      for (const it of [root, ...root.querySelectorAll("*")]) {
        const name = it.localName;
        if (!${
    JSON.stringify(ELEMENTS)
  }.split(" ").includes(name)) others.add(name);
        for (const { name, value } of it.attributes) {
          if (!${
    JSON.stringify(ATTRIBUTES)
  }.split(" ").includes(name)) others.add(name);
          if (name === "href" && !/^https?:/.test(it.href)) others.add(value);
        }
      }
    }
    return [...others, ..."ran" in globalThis ? ["ran"] : []];
  })()`);
  assertEquals(others, [], `seed ${seed}`);
});

test("code that turns the direction of the text shows that it does", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http);
  const code = "allowed = false // \u202e eslaf fi";
  await tab.write(fenced(code));
  const block = tab.lines.getByRole("region", { name: "Code" });
  await block.waitFor();
  assertEquals(
    await block.textContent(),
    code.replace("\u202e", "U+202E"),
  );
});

test("an answer to code quotes the code in one line, without its marks", async () => {
  await using server = await startServer();
  await using bo = await Client.join(server.ws, { name: "Bo" });
  const message = fenced("let a = 1;\n\n  let b;");
  bo.request({ type: "message", id: "1", message });
  await bo.messagesUpTo(message);
  bo.request({ type: "message", id: "2", message: "Why?", replyTo: 1 });
  await using tab = await Tab.join(server.http);
  const line = await tab.line("Why?");
  const quote = line.getByRole("button", { name: "In reply to" });
  assertEquals(
    await quote.textContent(),
    "In reply to Bo: let a = 1; let b;",
  );
});
