// Owns what the browser tests share: one Chromium for all of them, a tab of
// its own for each visitor, axe. Knows how the page is used, not what is right.
// Invariant: a tab is disposable, and one whose console told of a script error
// or a CSP violation fails its test, whatever that test is about.
import axe from "npm:axe-core@4.14.1";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "npm:playwright-core@1.65.1";

const DEADLINE_MS = 10_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const executablePath = findChromium();
const isSkipped = executablePath === undefined &&
  Deno.env.get("CI") === undefined;
let browser: Browser | undefined;

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
  browser = await chromium.launch({ executablePath, args: FLAGS });
});

Deno.test.afterAll(async () => await browser?.close());

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

/** The page as one visitor has it, with storage and network of their own. */
export class Tab implements AsyncDisposable {
  /** What the console said that must not be said. */
  readonly faults: string[] = [];
  readonly sockets: string[] = [];
  readonly composer: Locator;
  readonly log: Locator;
  readonly lines: Locator;

  private constructor(readonly page: Page) {
    this.composer = page.getByRole("textbox", { name: "Message" });
    this.log = page.getByRole("log", { name: "Messages" });
    this.lines = this.log.getByRole("listitem");
    page.on("websocket", (socket) => this.sockets.push(socket.url()));
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.faults.push(message.text());
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

  async status(words: string): Promise<void> {
    await this.page.getByRole("status").getByText(words).waitFor();
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
    await this.composer.fill(text);
    await this.composer.press("Enter");
    return await this.line(text);
  }

  texts(): Promise<string[]> {
    return this.lines.locator(".text").allTextContents();
  }

  /** Who is named in each line, in bold. */
  senders(): Promise<string[]> {
    return this.lines.locator("b.sender").allTextContents();
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
   * each. Before, the wires are taken off, because over them it cannot measure,
   * and the panel is raised, because it does not know of the top layer.
   */
  async violations(): Promise<string[]> {
    await this.page.evaluate(axe.source);
    await this.page.evaluate(`
      const plain = new CSSStyleSheet();
      plain.replaceSync(
        "#transcript { background-image: none !important }" +
        "header::after, .line::before { display: none }" +
        "#panel { z-index: 1 }");
      document.adoptedStyleSheets = [plain];`);
    const { violations, incomplete } = await this.page.evaluate<axe.AxeResults>(
      "axe.run()",
    );
    return [
      ...violations,
      ...incomplete.filter(({ id }) => id === "color-contrast"),
    ].flatMap(({ id, nodes }) =>
      nodes
        // What the open panel covers cannot be read, whatever its contrast.
        .filter(({ any }) =>
          any[0]?.data?.messageKey !== "elmPartiallyObscured"
        )
        .map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
    );
  }

  async [Symbol.asyncDispose]() {
    await this.page.context().close();
    // A browser reports a lost connection there; the page cannot prevent it.
    const faults = this.faults.filter((fault) =>
      !fault.startsWith("WebSocket connection to ")
    );
    if (faults.length > 0) throw new Error(faults.join("\n"));
  }
}
