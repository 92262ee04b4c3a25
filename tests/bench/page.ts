// What the chat page costs a browser: its bytes as they are sent, and what the page's
// thread does to show 1,000 messages, and a longest message of each kind of markup.
// Needs Chromium. With the address of a running server it tells the bytes alone.
// `deno task bench:page [URL]`
import {
  type Browser,
  type CDPSession,
  chromium,
  type Page,
} from "npm:playwright-core@1.65.1";
import { Client, range, startServer } from "../support/harness.ts";
import { median, printRow } from "./table.ts";

const ROUNDS = 3;

const CODE =
  "for (const member of members) {\n  member.send(`*${text}*`);\n}\n";
const fenced = (code: string) => `\`\`\`js\n${code}\`\`\``;

/** What is said, and how often in a row. */
interface Shape {
  name: string;
  text: string;
  count: number;
}

/** One that fills the longest message, several times so that it can be measured. */
const longest = (name: string, text: string, chars: number): Shape => ({
  name: `longest: ${name}`,
  text: text.repeat(Math.floor(chars / text.length)).trim(),
  count: 20,
});

const shapesFor = (chars: number): Shape[] => [
  { name: "short", text: "Yes, that is right.", count: 1_000 },
  {
    name: "with code",
    text: `Look:\n${fenced(CODE.repeat(4))}\nDoes it run?`,
    count: 1_000,
  },
  longest("letters", "a", chars),
  longest("blocks of code", `${fenced("a\n")}\n`, chars),
  longest("inline code", "`a`", chars),
  longest("emphasis", "*a*", chars),
  longest("emphasis in emphasis", "*a **b** c* ", chars),
  longest("links", "http://a.b ", chars),
  longest("lists", "- a\n", chars),
  longest("quotes and lists", "> a\n- b\n", chars),
  longest("nothing closed", "*`_[", chars),
  longest("mentions", "@a ", chars),
];

/** How long the page's thread was busy so far, in ms: with all, and with what. */
async function readTimes(cdp: CDPSession) {
  const { metrics } = await cdp.send("Performance.getMetrics");
  const ms = (wanted: string) =>
    1000 * (metrics.find(({ name }) => name === wanted)?.value ?? NaN);
  return {
    all: ms("TaskDuration"),
    script: ms("ScriptDuration"),
    layout: ms("LayoutDuration") + ms("RecalcStyleDuration"),
  };
}

async function open(browser: Browser, url: string) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Performance.enable");
  await page.goto(url);
  await page.getByText("Connected", { exact: true }).waitFor();
  return { page, cdp, close: () => context.close() };
}

/** Has the shape said, and measures from there to where all of it is shown. */
async function measure(browser: Browser, { text, count }: Shape) {
  await using server = await startServer({ rate: 0, roomRate: 0 });
  await using client = await Client.join(server.ws);
  const { page, cdp, close } = await open(browser, server.http);
  const before = await readTimes(cdp);
  for (const n of range(1, count)) {
    client.request({ type: "message", message: text, id: `${n}` });
  }
  await page.locator(`[data-seq="${count}"]`).waitFor();
  await nextPicture(page);
  const after = await readTimes(cdp);
  await close();
  return {
    all: after.all - before.all,
    script: after.script - before.script,
    layout: after.layout - before.layout,
  };
}

async function nextPicture(page: Page): Promise<void> {
  await page.evaluate(
    "new Promise((go) => requestAnimationFrame(() => setTimeout(go)))",
  );
}

/** All that the page loads, in bytes: as it is sent, and as it is then. */
async function tellBytes(browser: Browser, url: string): Promise<void> {
  const { page, close } = await open(browser, url);
  const [count, sent, whole] = await page.evaluate<number[]>(`(() => {
    const all = performance.getEntries().filter((it) => "encodedBodySize" in it);
    const sum = (key) => all.reduce((sum, it) => sum + it[key], 0);
    return [all.length, sum("encodedBodySize"), sum("decodedBodySize")];
  })()`);
  await close();
  console.log(
    `The chat page: ${count} files, ${sent} bytes sent, ${whole} uncompressed.`,
  );
}

const COLUMNS = [
  "messages".padEnd(30),
  "count",
  "characters",
  "script ms",
  "layout ms",
  "all ms",
  "a message ms",
];

async function tellTimes(browser: Browser): Promise<void> {
  printRow(COLUMNS, COLUMNS);
  await using server = await startServer();
  await using client = await Client.join(server.ws);
  for (const shape of shapesFor(client.welcome.limits.message)) {
    const rounds = [];
    for (const _ of range(1, ROUNDS)) {
      rounds.push(await measure(browser, shape));
    }
    const all = median(rounds.map(({ all }) => all));
    printRow(COLUMNS, [
      shape.name,
      `${shape.count}`,
      `${shape.text.length}`,
      median(rounds.map(({ script }) => script)).toFixed(0),
      median(rounds.map(({ layout }) => layout)).toFixed(0),
      all.toFixed(0),
      (all / shape.count).toFixed(2),
    ]);
  }
}

const [url] = Deno.args;
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  if (url === undefined) {
    await using server = await startServer();
    await tellBytes(browser, server.http);
    await tellTimes(browser);
  } else await tellBytes(browser, url);
} finally {
  await browser.close();
}
