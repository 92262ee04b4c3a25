// Takes the pictures of the page that the README shows: `deno task
// pictures:readme`. Look at them before you commit them. In all other runs this
// file's test is ignored.
import { PNG } from "npm:pngjs@7.0.0";
import { Client, startServer } from "../support/harness.ts";
import { Tab, test } from "./tab.ts";

/** Small enough to be sharp in the README, wide enough for the list of people. */
const PICTURES = {
  "page.png": { width: 1120, height: 680 },
  "page-on-a-phone.png": { width: 360, height: 680 },
};

type Speaker = "Ada" | "Noor" | "Tomás";

/** Who says what, and which message that answers, from 1. */
const CONVERSATION: readonly (readonly [Speaker, string, number?])[] = [
  ["Noor", "Good morning! Is anybody on the line?"],
  ["Ada", "Morning! My client connects, but it never hears anything."],
  ["Tomás", "Do you listen to `message`, and on the right object?"],
  [
    "Ada",
    "```\nconst socket = new WebSocket(url);\n" +
    "socket.onopen = greet;\nsocket.onMessage = show;\n```",
  ],
  ["Noor", "It is `onmessage`, in small letters.", 4],
  ["Ada", "Oh! **Now it works**, thank you. 🎉"],
  ["Tomás", "@Ada now open the X-ray: you can see it arrive, bit by bit."],
];

test("the pictures for the README are taken", async () => {
  let nowMs = Date.parse("2026-03-10T08:56:00Z");
  await using server = await startServer({ rate: 0 }, { now: () => nowMs });
  await using tab = await Tab.open("about:blank", {
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const { page } = tab;
  // Today, so that the lines show no date.
  await page.clock.setFixedTime(nowMs);
  await page.setViewportSize(PICTURES["page.png"]);
  await page.goto(server.http);
  await tab.status("Connected");
  await tab.renameTo("Ada");
  await using noor = await Client.join(server.ws, { name: "Noor" });
  await using tomas = await Client.join(server.ws, { name: "Tomás" });
  await using jun = await Client.join(server.ws, { name: "Jun" });
  for (const [i, [who, message, replyTo]] of CONVERSATION.entries()) {
    if (who === "Ada") await tab.write(message);
    else {
      const guest = who === "Noor" ? noor : tomas;
      const answer = replyTo === undefined ? {} : { replyTo };
      guest.request({ type: "message", id: `${i}`, message, ...answer });
    }
    await tab.until(`document.querySelector('[data-seq="${i + 1}"]') !== null`);
    nowMs += 25_000;
  }
  await tab.composer.fill("Nobody sees this until I press Enter");
  jun.request({ type: "typing" });
  await page.getByText("Jun is typing…").waitFor();
  for (const [name, viewport] of Object.entries(PICTURES)) {
    await page.setViewportSize(viewport);
    // The page has been laid out anew, and the transcript is at its end.
    await page.evaluate(`new Promise((resolve) => requestAnimationFrame(() =>
      requestAnimationFrame(resolve)))`);
    const path = new URL(name, import.meta.url).pathname;
    const picture = PNG.sync.read(
      await page.screenshot({ animations: "disabled", caret: "hide" }),
    );
    // Of text alone these are the smallest: no filter, no transparency.
    const bytes = PNG.sync.write(picture, {
      filterType: 0,
      deflateStrategy: 0,
      colorType: 2,
    });
    await Deno.writeFile(path, bytes);
  }
}, { ignore: Deno.env.get("PARTYLINE_PICTURES") !== "readme" });
