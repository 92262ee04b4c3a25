// The pages start in Chromium whatever the browser refuses or has kept: each
// API that a browser can lack, or that throws by its settings, is taken away
// one by one; storage is filled with what the page never wrote; and without
// JavaScript no page pretends to connect.
import fc from "npm:fast-check@4.10.2";
import { assert, assertEquals } from "@std/assert";
import { startServer } from "../support/harness.ts";
import { Tab, test } from "./tab.ts";

const REFUSE = `throw new DOMException("not allowed", "SecurityError");`;

/** Makes looking at the property throw, as a browser's settings can. */
const locked = (object: string, name: string) =>
  `Object.defineProperty(${object}, "${name}", { get() { ${REFUSE} } });`;
const missing = (object: string, name: string) =>
  `Object.defineProperty(${object}, "${name}", { value: undefined });`;
const throwing = (object: string, name: string) =>
  // Some are there only where a page is trusted, as about:blank is not.
  `if ("${object.split(".")[0]}" in globalThis) {
    ${object}.${name} = function () { ${REFUSE} };
  }`;

/** What is not as it should be, and the script that makes it so. */
const refusals: Record<string, string> = {
  "a BroadcastChannel that cannot be made": throwing(
    "globalThis",
    "BroadcastChannel",
  ),
  "no BroadcastChannel": missing("globalThis", "BroadcastChannel"),
  "no locks": missing("Navigator.prototype", "locks"),
  "locks that are refused": throwing("LockManager.prototype", "request"),
  "storage that may not be looked at": locked("globalThis", "localStorage") +
    locked("globalThis", "sessionStorage"),
  "no storage": `for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(globalThis, name, { value: null });
  }`,
  "storage that cannot be read": throwing("Storage.prototype", "getItem"),
  "storage that is full": throwing("Storage.prototype", "setItem"),
  "storage that can only be read": throwing("Storage.prototype", "setItem") +
    throwing("Storage.prototype", "removeItem"),
  "no randomUUID": missing("Crypto.prototype", "randomUUID"),
  "no crypto.subtle": missing("Crypto.prototype", "subtle"),
  "no notifications": missing("globalThis", "Notification"),
  "no clipboard": missing("Navigator.prototype", "clipboard"),
  "a clipboard that is refused": throwing("Clipboard.prototype", "writeText"),
  "no command to copy": throwing("Document.prototype", "execCommand") +
    missing("Navigator.prototype", "clipboard"),
  "no share": missing("Navigator.prototype", "share"),
  "no matchMedia": missing("globalThis", "matchMedia"),
  "an address that may not be replaced": throwing(
    "History.prototype",
    "replaceState",
  ),
  "no WebSocket": missing("globalThis", "WebSocket"),
  "a WebSocket that cannot be made": throwing("globalThis", "WebSocket"),
  "neither WebSocket nor EventSource": missing("globalThis", "WebSocket") +
    missing("globalThis", "EventSource"),
};

async function openWith(script: string, url: string): Promise<Tab> {
  const tab = await Tab.open("about:blank");
  await tab.page.addInitScript(script);
  await tab.page.goto(url);
  return tab;
}

const isConnected = (tab: Tab) =>
  tab.page.locator("body[data-line=open]").waitFor();

for (const [name, script] of Object.entries(refusals)) {
  test(`with ${name} every page starts, and a message is sent and seen`, async () => {
    await using server = await startServer({ invite: "cuckoo", rate: 0 });
    await using tab = await openWith(script, server.http);
    const { page } = tab;
    await tab.codeField.fill("cuckoo");
    await tab.codeField.press("Enter");
    await isConnected(tab);
    await tab.say("Hello?");
    await page.getByRole("button", { name: "Rooms" }).click();
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText(/^Copied\.$|^Selected: /).waitFor();

    await page.goto("about:blank");
    await page.goto(`${server.http}/?room=link#invite=cuckoo`);
    await isConnected(tab);
    await tab.say("By a link.");
    assert(!page.url().includes("cuckoo"), page.url());

    await page.goto(`${server.http}/learn#invite=cuckoo`);
    await page.locator("#what-try-run:enabled").waitFor();
    await page.goto(`${server.http}/lab#invite=cuckoo`);
    await page.getByRole("button", { name: "Run" }).and(
      page.locator(":enabled"),
    ).waitFor();
    await page.goto(`${server.http}/x-ray#moderator=wrong-one`);
    await page.getByRole("textbox", { name: "Moderator’s code" }).waitFor();
    assert(!page.url().includes("wrong-one"), page.url());
  });
}

/** All that the pages keep, by its storage. */
const KEPT = {
  sessionStorage: [
    "key",
    "name",
    "invite",
    "draft.lobby",
    "outbox.lobby",
    "moderator",
  ],
  localStorage: ["identities", "notifications", "x-ray"],
};
const HUGE = "x".repeat(100_000);
const STRANGE = [
  "",
  "null",
  "0",
  "-1e999",
  "true",
  '""',
  "[",
  "[]",
  "{}",
  "[[[[]]]]",
  "[null]",
  '[{"__proto__":{"key":"a"}}]',
  '{"__proto__":null,"length":3}',
  '{"length":1,"0":{"id":"1","text":"x"}}',
  '[{"id":1,"text":2,"key":3,"name":4,"holder":5}]',
  '[{"id":{},"text":[],"key":{},"name":[],"holder":null}]',
  '[{"id":"a","key":"a","name":"a","holder":"a"}]',
  "a\nb\r\n\0c",
  "\ud83d",
  "__proto__",
  HUGE,
  JSON.stringify([{ id: HUGE, text: HUGE, key: HUGE, name: HUGE, holder: "" }]),
  JSON.stringify([
    { id: "long", text: HUGE, problem: null, isRefused: false },
  ]),
];

test("whatever is kept, the page starts, and a message is sent and seen", async () => {
  await using server = await startServer({ rate: 0 });
  await using tab = await Tab.join(server.http);
  const fill = (strange: string) =>
    tab.page.evaluate(
      ([kept, strange]) => {
        for (const [storage, keys] of Object.entries(kept)) {
          for (const key of keys) {
            Reflect.get(globalThis, storage)
              .setItem(`partyline.${key}`, strange);
          }
        }
      },
      [KEPT, strange] as const,
    );
  const seed = Date.now() % 1e9;
  const found = fc.sample(fc.oneof(fc.json(), fc.string()), {
    seed,
    numRuns: 6,
  });
  for (const [i, strange] of [...STRANGE, ...found].entries()) {
    // A page that is left writes what it knows: from another one.
    await tab.page.goto(`${server.http}/lab`);
    await fill(strange);
    await tab.page.goto(server.http);
    const words = `seed ${seed}, value ${i}: ${strange.slice(0, 60)}`;
    await isConnected(tab).catch((error) => {
      throw new Error(`${words} ${error}`);
    });
    await tab.say(`still here ${i}`);
    assertEquals(tab.faults, [], words);
  }
  for (const path of ["learn", "lab", "x-ray"]) {
    for (const strange of ["[null]", "a\nb", HUGE]) {
      await fill(strange);
      await tab.page.goto(`${server.http}/${path}`);
      assertEquals(tab.faults, [], `${path}: ${strange.slice(0, 60)}`);
    }
  }
});

test("all that a page keeps is known to the test above", async () => {
  await using server = await startServer({ moderator: "the-moderator" });
  await using tab = await Tab.join(`${server.http}/#invite=code`);
  await tab.say("hello");
  await tab.page.locator("#notify-decline").dispatchEvent("click");
  await tab.page.getByRole("button", { name: "X-ray" }).click();
  await tab.composer.fill("half a");
  const keysOf = (storage: string) =>
    tab.page.evaluate<string[]>(
      `Object.keys(${storage}).map((key) => key.replace("partyline.", ""))`,
    );
  const [shared, own] = [
    await keysOf("localStorage"),
    await keysOf("sessionStorage"),
  ];
  await tab.page.goto(`${server.http}/x-ray#moderator=the-moderator`);
  await tab.page.locator("#summary").waitFor();
  const all = new Set([...own, ...await keysOf("sessionStorage")]);
  assertEquals(shared.sort(), KEPT.localStorage.toSorted());
  assertEquals([...all].sort(), KEPT.sessionStorage.toSorted());
});

test("a second tab where nobody can be asked is someone new, and takes nothing over", async () => {
  await using server = await startServer();
  await using ada = await openWith(
    refusals["no BroadcastChannel"] ?? "",
    server.http,
  );
  await ada.say("one");
  // A context's init scripts are the page's own here: the copy has a channel,
  // which nobody answers. It waits, then it would take what is not answered
  // for; so it is given the same script.
  await ada.page.context().addInitScript(
    refusals["no BroadcastChannel"] ?? "",
  );
  await using bob = await ada.another(server.http);
  await bob.say("two");
  const senders = await bob.senders();
  assert(senders[0] !== senders[1], senders.join());
  await ada.status("Connected");
});

for (const path of ["/", "/?room=a#invite=code", "/learn", "/lab", "/x-ray"]) {
  test(`without JavaScript ${path} says so, and does not pretend to connect`, async () => {
    await using server = await startServer({ invite: "cuckoo" });
    await using tab = await Tab.open(server.http + path, {
      javaScriptEnabled: false,
    });
    const { page } = tab;
    await page.getByText(/needs? JavaScript|without JavaScript/).first()
      .waitFor();
    const words = await page.getByRole("status").allInnerTexts();
    assertEquals(words.filter((words) => words.trim() !== ""), []);
    const usable = page.locator(
      "button:visible:enabled:not([popovertarget], form[method] *)",
    );
    assertEquals(await usable.allInnerTexts(), []);
    if (!path.startsWith("/?") && path !== "/") return;
    assertEquals(await page.getByRole("textbox").count(), 0);
    assertEquals(await page.getByRole("button").count(), 0);
  });
}
