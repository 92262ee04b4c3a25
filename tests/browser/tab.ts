// What the browser tests share: one Chromium for each test file, a tab of its
// own for each visitor, and axe. A tab is disposable, and a tab whose console
// told of a script error or a CSP violation fails its test, whatever that test
// is about.
import axe from "npm:axe-core@4.14.1";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type ConsoleMessage,
  type Locator,
  type Page,
} from "npm:playwright-core@1.65.1";
import { Client, pause, startServer } from "../support/harness.ts";

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };
export const SMALL_PHONE = { width: 320, height: 568 };

const LONG_WORD = "Llanfairpwllgwyngyllgogerychwyrn".repeat(6);

/** Only a test that fails waits for so long; a busy machine must not fail one. */
const DEADLINE_MS = 30_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // For the servers of the tests: two public names, and one of the local
  // network, to which a browser says less than to this machine.
  "--host-resolver-rules=MAP class.example 127.0.0.1, " +
  "MAP foreign.example 127.0.0.1, MAP pi.local 127.0.0.1",
];

/** So that a text is as wide on every machine. */
const FONTS = new URL("fonts.conf", import.meta.url).pathname;

const executablePath = findChromium();
const isSkipped = executablePath === undefined &&
  Deno.env.get("CI") === undefined;
let browser: Browser | undefined;
let isDone = false;

function findChromium(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = ["/usr/bin", ...(Deno.env.get("PATH") ?? "").split(":")];
  return [
    ...folders.flatMap((folder) => names.map((name) => `${folder}/${name}`)),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  ].find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

Deno.test.beforeAll(async () => {
  if (executablePath === undefined) return;
  browser = await chromium.launch({
    executablePath,
    args: FLAGS,
    env: { ...Deno.env.toObject(), FONTCONFIG_FILE: FONTS },
  });
  // All tests of this file that follow fail then; .ci/run looks for this line.
  browser.on("disconnected", () => {
    if (!isDone) console.error("\nChromium itself ended.");
  });
});

Deno.test.afterAll(async () => {
  isDone = true;
  await browser?.close();
});

/**
 * A test that needs Chromium: skipped where there is none, except in CI. After
 * one that waited in vain, the next may fail for a timer that playwright left.
 */
export function test(
  name: string,
  fn: () => Promise<void>,
  { ignore = false } = {},
): void {
  Deno.test({
    name: isSkipped ? `${name} (skipped: there is no Chromium)` : name,
    ignore: isSkipped || ignore,
    fn,
  });
}

/**
 * A browser reports a lost or refused connection there, and the answer to the
 * question why; the page cannot prevent it.
 */
function tellsOfRefusal(message: ConsoleMessage): boolean {
  return message.text().startsWith("WebSocket connection to ") ||
    /\/(ws|events|messages|x-ray\/events)(\?|$)/.test(message.location().url);
}

/** Of the Chromium that runs the tests, like 156.0.8078.108. */
export const versionOfChromium = () => browser?.version() ?? "";

/** To be evaluated on an element. */
export const hasFocus = (it: { ownerDocument: { activeElement: unknown } }) =>
  it === it.ownerDocument.activeElement;

/** A message as it stands in the transcript. */
export interface Line {
  seq: number;
  sender: string;
  text: string;
}

/** The page as one visitor has it, with storage and network of their own. */
export class Tab implements AsyncDisposable {
  /** What the console said that must not be said. */
  readonly faults: string[] = [];
  readonly sockets: string[] = [];
  readonly composer: Locator;
  readonly log: Locator;
  /** What the room has. */
  readonly lines: Locator;
  /** What it does not have yet. */
  readonly unsent: Locator;
  readonly nameField: Locator;
  readonly codeField: Locator;
  /** Opens the panel; where the window is narrow, also to the other pages. */
  readonly panelButton: Locator;

  private constructor(readonly page: Page, private readonly isOnly = true) {
    this.composer = page.getByRole("textbox", { name: "Message" });
    this.log = page.getByRole("log", { name: "Messages" });
    this.lines = this.log.locator("#lines").getByRole("listitem");
    this.unsent = this.log.locator("#unsent").getByRole("listitem");
    this.nameField = page.getByRole("textbox", { name: "Your name" });
    this.codeField = page.getByRole("textbox", { name: "Invitation code" });
    this.panelButton = page.getByRole("button", { name: /^(Rooms|Menu)\b/ });
    page.on("websocket", (socket) => this.sockets.push(socket.url()));
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() !== "error" || tellsOfRefusal(message)) return;
      this.faults.push(message.text());
    });
  }

  static async open(
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<Tab> {
    if (browser === undefined) throw new Error("there is no Chromium");
    const context = await browser.newContext(options);
    context.setDefaultTimeout(DEADLINE_MS);
    const tab = new Tab(await context.newPage());
    await tab.page.goto(url);
    return tab;
  }

  /** Opens a tab and waits until it can chat. */
  static async join(...args: Parameters<typeof Tab.open>): Promise<Tab> {
    const tab = await Tab.open(...args);
    await tab.status("Connected");
    return tab;
  }

  /** Opens one more tab in the same browser. */
  async another(url = this.page.url(), words = "Connected"): Promise<Tab> {
    const tab = new Tab(await this.page.context().newPage(), false);
    await tab.page.goto(url);
    await tab.status(words);
    return tab;
  }

  /** Playwright keeps every page visible, so the page is told otherwise. */
  async setHidden(isHidden: boolean): Promise<void> {
    await this.page.evaluate(`
      Object.defineProperty(document, "hidden", { get: () => ${isHidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));`);
  }

  /** Ends the tab's process: the page learns of nothing. */
  async crash(): Promise<void> {
    const crashed = this.page.waitForEvent("crash");
    await this.page.goto("chrome://crash").catch(() => {});
    await crashed;
  }

  /** A tab that the page itself opens starts with a copy of its storage. */
  async duplicate(): Promise<Tab> {
    const opened = this.page.waitForEvent("popup");
    await this.page.evaluate("void open(location.href)");
    const tab = new Tab(await opened, false);
    await tab.status("Connected");
    return tab;
  }

  async status(words: string): Promise<void> {
    const status = this.page.getByRole("status");
    await status.getByText(words, { exact: true }).waitFor();
  }

  /** Waits until no message of this tab is on its way, or refused. */
  async nothingUnsent(): Promise<void> {
    await this.unsent.first().waitFor({ state: "detached" });
  }

  /** Waits for a line with this text and returns it. */
  async line(text: string): Promise<Locator> {
    const line = this.lines.filter({
      has: this.page.getByText(text, { exact: true }),
    });
    await line.waitFor();
    return line;
  }

  /** Says it and returns its line, which names this visitor. */
  async say(text: string): Promise<Locator> {
    await this.write(text);
    return await this.line(text);
  }

  /** Writes it and presses Enter, whether it can be sent or not. */
  async write(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** As write(); as if it was written when the limit was not known yet. */
  async writeTooMuch(text: string): Promise<void> {
    await this.page.evaluate(`(async () => {
      const { Outbox } = await import(new URL("client/outbox.js", document.baseURI));
      const { add } = Outbox.prototype;
      Outbox.prototype.add = function () {
        Outbox.prototype.add = add;
        return add.call(this, ${JSON.stringify(text)});
      };
    })()`);
    await this.write("x");
  }

  /** Waits until the expression is true in the page, whose policy has no eval. */
  async until(expression: string): Promise<void> {
    const giveUpAtMs = performance.now() + DEADLINE_MS;
    while (!await this.page.evaluate<boolean>(expression)) {
      if (performance.now() > giveUpAtMs) {
        throw new Error(`in vain: ${expression}`);
      }
      await pause(20);
    }
  }

  /** Takes the name that a page offers on the first visit. */
  async keepName(): Promise<void> {
    await this.page.getByRole("button", { name: "Keep this name" })
      .press("Enter");
  }

  async rename(name: string): Promise<void> {
    await this.nameField.fill(name);
    await this.nameField.press("Enter");
  }

  /** Renames and waits until the room knows. */
  async renameTo(name: string): Promise<void> {
    await this.rename(name);
    await this.page.getByText(`You are ${name} now.`).waitFor();
  }

  /** Waits until the list shows these people, and this visitor as "you". */
  async people(you: string, ...others: string[]): Promise<void> {
    const count = others.length + 1;
    const name = `${count} ${count === 1 ? "person" : "people"}`;
    const list = this.page.getByRole("list", { name, exact: true });
    for (const other of others) {
      await list.getByText(other, { exact: true }).waitFor();
    }
    await list.getByRole("listitem").filter({ hasText: /you$/ })
      .getByText(you, { exact: true }).waitFor();
  }

  /** The messages of the transcript, from top to bottom. */
  messages(): Promise<Line[]> {
    return this.lines.and(this.page.locator(".message")).evaluateAll((lines) =>
      lines.map((line) => ({
        seq: Number(line.dataset.seq),
        sender: line.querySelector(".sender").textContent,
        text: line.querySelector(".text").textContent,
      }))
    );
  }

  /** The lines that are no messages, and no comings and goings. */
  notes(): Promise<string[]> {
    return this.lines.and(this.page.locator(":not(.message, .presence)"))
      .locator(".text").allTextContents();
  }

  /** What is said in each line, but for comings and goings. */
  texts(): Promise<string[]> {
    return this.lines.and(this.page.locator(":not(.presence)"))
      .locator(".text").allTextContents();
  }

  /** Who is named in each of these lines, in bold. */
  senders(): Promise<string[]> {
    return this.lines.and(this.page.locator(":not(.presence)"))
      .locator("b.sender").allTextContents();
  }

  /** Pixels between the view and the end of the transcript. */
  belowPx(): Promise<number> {
    return this.log.evaluate((log) =>
      log.scrollHeight - log.clientHeight - log.scrollTop
    );
  }

  /** Scrolls the transcript and waits until the page has seen it. */
  async scrollTo(topPx: number): Promise<void> {
    await this.log.evaluate((log, topPx) =>
      new Promise((resolve) => {
        log.addEventListener("scroll", resolve, { once: true });
        log.scrollTop = topPx;
      }), topPx);
  }

  /** From here on the page's timers stand still; its sockets do not. */
  async stopClock(): Promise<void> {
    await this.page.clock.install();
    await this.page.clock.pauseAt(Date.now() + 60_000);
  }

  /**
   * What axe finds, and which text's contrast it could not measure: one line
   * each. Before, what is drawn beside the text is taken off or made a plain
   * background, because over pseudo-elements it cannot measure, and the panels are raised, because it does not know of the top layer.
   */
  async violations(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    await this.page.evaluate(`
      const plain = new CSSStyleSheet();
      plain.replaceSync(
        ".transcript { background-image: none !important }" +
        "header::after, .line::before, .mine::after { display: none }" +
        ".mine { background: var(--mine) }" +
        ".text pre { background: var(--code) !important }" +
        ".panel, .people { z-index: 1 }");
      document.adoptedStyleSheets = [plain];`);
    const { violations, incomplete } = await this.page.evaluate<axe.AxeResults>(
      "axe.run()",
    );
    return [
      ...violations,
      ...incomplete.filter(({ id }) => id === "color-contrast"),
    ].flatMap(({ id, nodes }) =>
      nodes
        // What the open panel covers cannot be read, whatever its contrast;
        // and a single digit is text, which axe doubts.
        .filter(({ any }) =>
          !["elmPartiallyObscured", "shortTextContent"].includes(
            any[0]?.data?.messageKey,
          )
        )
        // Of text in a drawing it cannot measure any.
        .filter(({ html }) => !html.startsWith("<text "))
        .map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
    );
  }

  async [Symbol.asyncDispose]() {
    await (this.isOnly ? this.page.context() : this.page).close();
    if (this.faults.length > 0) throw new Error(this.faults.join("\n"));
  }
}

/** Sends numbered messages in the plain dialect and waits for the last. */
export async function sendMany(client: Client, from: number, to: number) {
  for (let i = from; i < to; i++) client.send(`message ${i}`);
  while ((await client.next()).message !== `message ${to - 1}`) continue;
}

/** A server that refuses every third message, so that this can be seen too. */
export const startStrictServer = () =>
  startServer({ rate: 0.001, burst: 2, maxMessage: 250 });

/** A room on a strict server, with a bit of everything in it. */
export async function makeLively(tab: Tab, ws: string): Promise<void> {
  await tab.say("Hello?\nIs anybody on the line?");
  // All stay until the last has spoken: one who came after another had left would
  // have no more to say than that one had.
  await using guests = new AsyncDisposableStack();
  for (let i = 0; i < 4; i++) {
    const guest = guests.use(await Client.open(ws));
    await guest.say(`${LONG_WORD} ${i}`);
    await guest.say(`مرحبا ${i}`);
  }
  await tab.line("مرحبا 3");
  await guests.disposeAsync();
  await tab.lines.filter({ hasText: "4 people left" }).waitFor();
  await tab.say("One more.");
  await tab.writeTooMuch(LONG_WORD.repeat(2));
  await tab.unsent.getByText("At most 250 characters are allowed.").waitFor();
  await tab.status("A message was not sent.");
  await tab.write("One too many.");
  await tab.unsent.getByText("The page tries again.").waitFor();
}
