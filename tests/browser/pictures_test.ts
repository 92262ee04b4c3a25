// Each page against its reference pictures, in Chromium: a wide screen in light,
// dark and forced colours, and a phone. `deno task pictures` takes those anew
// that differ. Look at them, and let them change in a commit of their own that
// shows why.
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { assert } from "@std/assert";
import pixelmatch from "npm:pixelmatch@8.0.0";
import type { Locator, Page } from "npm:playwright-core@1.65.1";
import { PNG } from "npm:pngjs@7.0.0";
import {
  Client,
  pause,
  startServer,
  type TestServer,
} from "../support/harness.ts";
import { DESKTOP, Tab, test, versionOfChromium } from "./tab.ts";

const FOLDER = new URL("pictures/", import.meta.url);
/** The Chromium that took them. */
const VERSION = new URL("chromium.txt", FOLDER);
const IS_RENEWING = Deno.env.get("PARTYLINE_PICTURES") === "renew";
/** Of the pixels, may differ: letters' edges between versions of Chromium. */
const TOLERANCE = 0.002;
const FONTS = [
  "dejavu/DejaVuSans.ttf",
  "droid/DroidSansFallbackFull.ttf",
  "noto/NotoColorEmoji.ttf",
].map((name) => `/usr/share/fonts/truetype/${name}`);
const hasFonts = FONTS.every(existsSync) || Deno.env.get("CI") !== undefined;

const LOOKS = {
  light: { viewport: DESKTOP, colorScheme: "light", forcedColors: "none" },
  dark: { viewport: DESKTOP, colorScheme: "dark", forcedColors: "none" },
  phone: {
    viewport: { width: 360, height: 720 },
    colorScheme: "light",
    forcedColors: "none",
  },
  forced: { viewport: DESKTOP, colorScheme: "light", forcedColors: "active" },
} as const;

const NOW = Date.parse("2026-03-10T09:30:00Z");
const CODE = "teachers-code";

/** Who says what, and which message that answers. */
const TALK: readonly (readonly [string, string, number?])[] = [
  ["Ada", "Good morning! Can everyone read this?"],
  ["Bo", "yes"],
  [
    "Chidi",
    "My server answers the handshake, and then the browser closes the " +
    "connection at once. Yesterday it worked; since then I changed only the " +
    "function that computes the accept header. Where would you look first?",
  ],
  ["Ada", "socket.onmessage = ({ data }) => {\n  show(JSON.parse(data));\n};"],
  ["יעל", "אצלי זה עובד עכשיו"],
  ["小林", "了解しました。次の2バイトを読みます。"],
  ["Bo", "Is the key 24 characters long? 🔑"],
  ["Chidi", "I had forgotten to append the GUID. It works! 🎉"],
];

/** The longest names that there can be, code and answers, in a room for it. */
const CODE_ROOM = "/?room=code";
const LONG_NAME = "Wilhelmina-Wintermeister";
const ABOUT_CODE: typeof TALK = [
  [LONG_NAME, "Why does this send to *one* member only?"],
  [
    LONG_NAME,
    "```\nfor (const member of members) {\n" +
    "  member.send(text);\n" +
    "  return; // one long line, which is scrolled sideways inside the block\n" +
    "}\n```",
  ],
  [
    "Ada",
    "`return` ends the whole function. You mean:\n- `continue`, or\n- nothing",
    2,
  ],
  [
    "WWWWWWWWWWWWWWWWWWWWWWWW",
    "> ends the whole function\n\nThat is in https://developer.mozilla.org/",
    3,
  ],
  [
    LONG_NAME,
    "Like this?\n```\nfor (const member of members) member.send(text);\n```",
    3,
  ],
];

/** A class that talks in a room; those who listen have names alone. */
async function fill(
  server: TestServer,
  path: string,
): Promise<AsyncDisposable> {
  const isCode = path === CODE_ROOM;
  const talk = isCode ? ABOUT_CODE : TALK;
  const names = isCode
    ? new Set(talk.map(([name]) => name))
    : ["Ada", "Bo", "Chidi", "יעל", "小林", "Fay", "Gil", "Hoa"];
  const guests = new Map<string, Client>();
  for (const name of names) {
    const address = server.ws + (isCode ? "?room=code" : "");
    guests.set(name, await Client.join(address, { name }));
  }
  for (const [i, [name, message, replyTo]] of talk.entries()) {
    const guest = guests.get(name);
    const answer = replyTo === undefined ? {} : { replyTo };
    guest?.request({ type: "message", message, id: `${i}`, ...answer });
    await guest?.messagesUpTo(message);
  }
  return {
    async [Symbol.asyncDispose]() {
      for (const guest of guests.values()) await guest[Symbol.asyncDispose]();
    },
  };
}

/** The page with a clock that stands still, and a server with the same. */
async function take(
  name: string,
  path: string,
  ready: (tab: Tab) => Promise<void>,
  part?: string,
): Promise<void> {
  // The same names whenever it is taken.
  let turn = 0.4;
  await using server = await startServer(
    { moderator: CODE, maxClients: 100 },
    { now: () => NOW, random: () => turn = (turn + Math.SQRT1_2) % 1 },
  );
  await using _class = await fill(server, path);
  await using tab = await Tab.open("about:blank", {
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const { page } = tab;
  await page.clock.setFixedTime(NOW);
  await page.goto(server.http + path);
  await ready(tab);
  const faults: string[] = [];
  for (const [look, { viewport, ...media }] of Object.entries(LOOKS)) {
    await page.setViewportSize(viewport);
    await page.emulateMedia(media);
    // The page has been laid out anew, and what watches its size was told.
    await page.evaluate(`document.fonts.ready.then(() =>
      new Promise((resolve) => requestAnimationFrame(() =>
        requestAnimationFrame(resolve)))).then(() =>
          document.querySelector(":target")?.scrollIntoView())`);
    const picture = await atRest(
      part === undefined ? page : page.locator(part),
    );
    const fault = await compare(`${name}-${look}.png`, picture);
    if (fault !== undefined) faults.push(fault);
  }
  // A picture of the page tells nothing if the console is told of errors.
  tab.faults.splice(0, path === "/nothing-here" ? tab.faults.length : 0);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/**
 * A picture that is the same twice in a row: after scrolling, the lesson marks
 * the current chapter a moment later. One that never rests fails by its pixels.
 */
async function atRest(shown: Page | Locator): Promise<Uint8Array> {
  const shoot = async () => {
    await pause(100);
    return await shown.screenshot({ animations: "disabled", caret: "hide" });
  };
  let picture = await shoot();
  for (let i = 0; i < 20; i++) {
    const next = await shoot();
    if (next.equals(picture)) break;
    picture = next;
  }
  return picture;
}

/** What differs, with where it can be seen; in a renewal there is nothing. */
async function compare(
  name: string,
  picture: Uint8Array,
): Promise<string | undefined> {
  const file = new URL(name, FOLDER);
  const now = PNG.sync.read(Buffer.from(picture));
  const before = existsSync(file)
    ? PNG.sync.read(Buffer.from(await Deno.readFile(file)))
    : undefined;
  const diff = new PNG({ width: now.width, height: now.height });
  let share = 1;
  if (before?.width === now.width && before.height === now.height) {
    const { width, height } = now;
    share = pixelmatch(before.data, now.data, diff.data, width, height) /
      (width * height);
  }
  if (share <= (IS_RENEWING ? 0 : TOLERANCE)) return undefined;
  if (IS_RENEWING) {
    await Deno.writeFile(file, picture);
    await Deno.writeTextFile(VERSION, `${versionOfChromium()}\n`);
    return undefined;
  }
  const folder = await Deno.makeTempDir({ prefix: "pictures-" });
  await Deno.writeFile(`${folder}/${name}`, picture);
  await Deno.writeFile(`${folder}/diff-${name}`, PNG.sync.write(diff));
  const by = (await Deno.readTextFile(VERSION)).trim();
  return `${name}: ${(share * 100).toFixed(2)} % of the pixels differ; ` +
    `see the new picture and the difference in ${folder}. The reference is ` +
    `by Chromium ${by}, this is ${versionOfChromium()}. If the page is right, ` +
    "run `deno task pictures` and commit what it changed with the reason.";
}

function look(
  name: string,
  ...args: Parameters<typeof take> extends [string, ...infer Rest] ? Rest
    : never
): void {
  test(
    `the ${name.replaceAll("-", " ")} looks as in its pictures`,
    async () => {
      await take(name, ...args);
    },
    { ignore: !hasFonts },
  );
}

look("chat", "/", async (tab) => {
  await tab.status("Connected");
  await tab.keepName();
  await tab.line("I had forgotten to append the GUID. It works! 🎉");
});
look("code-long-names-and-replies", CODE_ROOM, async (tab) => {
  await tab.status("Connected");
  await tab.keepName();
  await tab.lines.filter({ hasText: "Like this?" }).waitFor();
});
look("search", CODE_ROOM, async (tab) => {
  await tab.status("Connected");
  await tab.panelButton.click();
  await tab.page.getByRole("searchbox").fill("Whole Function");
  await tab.page.keyboard.press("Enter");
  await tab.page.getByText("2 messages found.").waitFor();
}, ".search");
look("empty-room", "/?room=quiet", async (tab) => {
  await tab.status("Connected");
  // Its port is another each time.
  await tab.page.locator("#socket-address").evaluate((address) => {
    address.textContent = "ws://127.0.0.1:8000/ws?room=quiet";
  });
});
look(
  "room-that-cannot-be",
  "/?room=A%20room",
  (tab) => tab.status("Not connected"),
);
look(
  "lesson",
  "/learn",
  (tab) => tab.page.locator("#own-client-shown").waitFor(),
);
look(
  "lesson-with-a-slider",
  "/learn#deadlines",
  (tab) => tab.page.locator("#own-client-shown").waitFor(),
);
look(
  "conformance",
  "/docs/conformance",
  (tab) => tab.page.getByText("closes with 1002").first().waitFor(),
);
const canRun = (tab: Tab) =>
  tab.page.getByRole("button", { name: "Run", exact: true })
    .and(tab.page.locator(":enabled")).waitFor();
look("lab", "/lab", canRun);
// By itself, or a slider that is gone would be within the tolerance.
look("settings-of-the-lab", "/lab", canRun, ".settings-form");
look("projector", `/x-ray#moderator=${CODE}`, (tab) =>
  tab.page.getByText(
    "8 connections in 1 room · 0 B/s to the server · 0 B/s to the clients",
  ).waitFor());
look(
  "code-of-the-projector",
  "/x-ray",
  (tab) => tab.page.getByRole("button", { name: "Watch" }).waitFor(),
);
look("page-of-the-examples", "/examples/", async (tab) => {
  assert(await tab.page.locator("#python").isVisible());
  // Its port is another each time.
  await tab.page.locator("pre").evaluateAll((all) => {
    for (const pre of all) {
      pre.textContent = pre.textContent?.replace(
        /ws:\/\/127\.0\.0\.1:\d+/,
        "ws://127.0.0.1:8000",
      ) ?? "";
    }
  });
});
look("page-that-is-not-there", "/nothing-here", async (tab) => {
  assert(await tab.page.locator("body").isVisible());
});
look("drawing-of-a-frame", "/", async (tab) => {
  const { page } = tab;
  await tab.status("Connected");
  await page.getByRole("button", { name: "X-ray" }).click();
  await page.locator(".x-ray-panel .handshake").waitFor();
  // It is the same whenever it is sent: that we are typing.
  await tab.composer.fill("a");
  await page.locator(".x-ray-panel .frame.in", { hasText: "typing" }).click();
  await page.locator(".x-ray-panel .bits").waitFor();
}, ".x-ray-panel .selected .drawing");
