// How the page looks, in Chromium: it fits, it is dark where the system is,
// axe finds nothing.
import { assert, assertEquals } from "@std/assert";
import { Client, startServer } from "../support/harness.ts";
import {
  DESKTOP,
  makeLively,
  PHONE,
  SMALL_PHONE,
  startStrictServer,
  Tab,
  test,
} from "./tab.ts";
import { cutOff } from "./readable.ts";

for (const viewport of [PHONE, SMALL_PHONE]) {
  test(`all of it fits a screen of ${viewport.width} x ${viewport.height}`, async () => {
    await using server = await startStrictServer();
    await using tab = await Tab.join(server.http, { viewport });
    await makeLively(tab, server.ws);
    const fits = async (id: string) => {
      const box = await tab.page.locator(`#${id}`).boundingBox();
      assert(box && box.x >= 0 && box.y >= 0, id);
      assert(box.x + box.width <= viewport.width, id);
      assert(box.y + box.height <= viewport.height, id);
    };
    for (const id of ["people-button", "panel-button", "message", "send"]) {
      await fits(id);
    }
    await tab.panelButton.click();
    await fits("panel");
    await tab.page.keyboard.press("Escape");
    await tab.page.getByRole("button", { name: "1 person" }).click();
    await fits("people");
    const overflowing = await tab.page.evaluate(`
      [...document.querySelectorAll("html, #panel, #people, #transcript, .line")]
        .filter((box) => box.scrollWidth > box.clientWidth)
        .map((box) => box.outerHTML)`);
    assertEquals(overflowing, []);
  });
}

for (const [width, where] of [[1024, "header"], [390, "panel"]] as const) {
  test(`the other pages are linked in the ${where} at ${width} px, each once`, async () => {
    await using server = await startServer();
    const viewport = { width, height: 720 };
    await using tab = await Tab.join(server.http, { viewport });
    const { page } = tab;
    const header = await page.getByRole("banner").boundingBox();
    await tab.panelButton.click();
    const names = ["Lesson", "Lab", "X-ray", "Docs"];
    const tops: number[] = [];
    for (const name of names) {
      const link = page.getByRole("link", { name, exact: true });
      tops.push((await link.boundingBox())?.y ?? 0);
    }
    assertEquals(tops, names.map(() => tops[0]));
    assert(header && header.height < 100, `${header?.height}`);
    const isInHeader = (tops[0] ?? 0) < header.height;
    assertEquals(isInHeader, where === "header");
  });
}

test("the page is dark where the system is", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, { colorScheme: "dark" });
  const color = await tab.page.evaluate<string>(
    "getComputedStyle(document.body).backgroundColor",
  );
  const parts = color.match(/\d+/g)?.map(Number) ?? [];
  assert(parts.length === 3 && parts.every((part) => part < 64), color);
});

const states: Record<string, (tab: Tab, ws: string) => Promise<void>> = {
  "an empty room": (tab) => tab.status("Connected"),
  "a lively room": async (tab, ws) => {
    await makeLively(tab, ws);
    // The hash of a name picks its colour: here each of the eight has its turn,
    // with and without the background of one's own messages.
    await tab.page.evaluate(`
      document.querySelectorAll("#lines .message").forEach((line, i) => {
        line.className = "line message tone-" + i % 8;
        const copy = line.cloneNode(true);
        copy.classList.add("mine");
        line.after(copy);
      });`);
  },
  "an open panel": async (tab) => {
    await tab.panelButton.click();
    await tab.page.getByRole("textbox", { name: "Room name" }).fill("physics");
  },
  "a lost connection": async (tab, ws) => {
    await makeLively(tab, ws);
    await tab.page.context().setOffline(true);
    await tab.write("a");
    await tab.unsent.getByText("a", { exact: true }).waitFor();
    await tab.status("Offline: this device has no network");
  },
  "a refused name": async (tab) => {
    await tab.rename("?");
    await tab.page.getByText("A name consists of letters").waitFor();
  },
  "a room that cannot be": async (tab) => {
    await tab.page.goto(`${tab.page.url()}?room=A%20room`);
    await tab.status("Not connected");
  },
};

for (const [state, enter] of Object.entries(states)) {
  test(`axe finds nothing in ${state}, light or dark, wide or narrow`, async () => {
    await using server = await startStrictServer();
    await using tab = await Tab.join(server.http);
    await enter(tab, server.ws);
    for (const { width } of [DESKTOP, PHONE]) {
      // High enough to show every line, or axe would not look at all of them.
      await tab.page.setViewportSize({ width, height: 3_000 });
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        assertEquals(await cutOff(tab.page), [], `${colorScheme} ${width}`);
        assertEquals(
          await tab.violations(),
          [],
          `${colorScheme} ${width}`,
        );
      }
    }
  });
}

test("axe finds nothing in the list of people on a phone", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, { viewport: PHONE });
  await tab.keepName();
  await using _other = await Client.join(server.ws, { name: "Bob" });
  await tab.page.getByRole("button", { name: "2 people" }).click();
  await tab.rename("Bob");
  await tab.page.getByText("is taken").waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.page.emulateMedia({ colorScheme });
    assertEquals(await tab.violations(), [], colorScheme);
  }
});

test("the X-ray's button stays where it is while others type", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(server.http, { viewport: SMALL_PHONE });
  await using a = await Client.join(server.ws, { name: "calm-otter" });
  await using b = await Client.join(server.ws, { name: "sparkling-lion" });
  const button = tab.page.getByRole("button", { name: "X-ray" });
  const before = await button.boundingBox();
  a.request({ type: "typing" });
  await tab.page.getByText("calm-otter is typing…").waitFor();
  assertEquals(await button.boundingBox(), before);
  b.request({ type: "typing" });
  await tab.page.getByText("2 are typing…").waitFor();
  assertEquals(await button.boundingBox(), before);
});

for (const [width, height] of [[390, 440], [320, 568]] as const) {
  test(`beside a draft of many lines the X-ray shows a frame (${width}x${height})`, async () => {
    await using server = await startServer();
    await using tab = await Tab.join(server.http, {
      viewport: { width, height },
    });
    await tab.page.getByRole("button", { name: "X-ray" }).click();
    const frames = tab.page.getByRole("listbox", {
      name: "Frames, the newest first",
    });
    await tab.composer.fill("one\ntwo\nthree\nfour\nfive\nsix\nseven");
    const top = (await frames.boundingBox())?.y ?? 0;
    const end = (await tab.page.locator(".foot").boundingBox())?.y ?? 0;
    assert(end - top >= 48, `${end - top} px of the frames can be seen`);
  });
}
