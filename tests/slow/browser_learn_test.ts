// The lesson in Chromium: every experiment is done by a script and its outcome
// checked, by mouse and by keyboard, with an invitation, below a base, on
// paper; axe finds nothing. What is measured is never compared with a number.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DRAW_SUBPROTOCOL } from "../../chat/protocol.ts";
import {
  Client,
  frame,
  Opcode,
  RawClient,
  startServer,
  type TestServer,
  until,
} from "../harness.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./browser.ts";

const openLesson = (server: TestServer, options = {}) =>
  Tab.open(`${server.http}/learn`, options);

/** Presses a button of an experiment and returns what came of it. */
async function run(tab: Tab, id: string, button = "run"): Promise<string> {
  await tab.page.locator(`#${id}-${button}`).click();
  return await outcomeOf(tab, id, button);
}

async function outcomeOf(tab: Tab, id: string, button: string) {
  await tab.page.locator(`#${id}-${button}:not([aria-disabled])`).waitFor();
  const outcome = tab.page.locator(`#${id}-outcome`);
  return await outcome.textContent() ?? "";
}

/** The body of a table, a list of texts for each row. */
function rowsOf(tab: Tab, id: string): Promise<string[][]> {
  return tab.page.locator(`#${id} tbody tr`).evaluateAll((rows) =>
    rows.map((row) =>
      [...row.children].map((cell) => cell.textContent as string)
    )
  );
}

const textOf = async (tab: Tab, selector: string) =>
  await tab.page.locator(selector).textContent() ?? "";

/** Waits until nobody of an experiment is connected any more. */
const isQuiet = (server: TestServer) =>
  until(() => server.connections.size === 0, "all connections to end");

test("chapter 1: a message comes back, and its bytes are counted", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await tab.page.getByLabel("Your message").fill("é👋");
  assertMatch(
    await run(tab, "what-try"),
    /^2 characters went out and came back, with the name [a-z-]+ that/,
  );
  const [out, back] = await rowsOf(tab, "what-try-table");
  assertEquals(out, ["to the server", "6", "6"]);
  assertEquals(back?.[0], "to the page");
  assert(Number(back?.[1]) > 60);
  await isQuiet(server);
});

test("chapter 2: the server answers 426, then opens", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "upgrade", "ask"), /answered 426/);
  const answer = await textOf(tab, "#upgrade-answer");
  assertMatch(answer, /^HTTP 426/);
  assertMatch(answer, /^upgrade: websocket$/m);
  assertMatch(answer, /ask for an upgrade/);
  assertMatch(await run(tab, "upgrade", "open"), /It opened .*was 1 \(OPEN\)/);
  await isQuiet(server);
});

test("chapter 2: the computed answer is the one that this server gives", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const computed = async () => (await rowsOf(tab, "accept-table"))[2]?.[1];
  assertEquals(await computed(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  await tab.page.locator("#accept-new").click();
  const key = await tab.page.getByLabel("Sec-WebSocket-Key").inputValue();
  using raw = await RawClient.open(server.port);
  await raw.write(
    `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n` +
      "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  const head = await raw.readHead();
  assertEquals(
    /^sec-websocket-accept: (.*)$/im.exec(head)?.[1]?.trim(),
    await computed(),
  );
  assert((await textOf(tab, "#accept-command")).includes(key));
  await tab.page.getByLabel("Sec-WebSocket-Key").fill("no key");
  assertMatch(await textOf(tab, "#accept-outcome"), /^A key is 16 bytes/);
  assert(await tab.page.locator("#accept-table").isHidden());
});

test("chapter 3: both sides talk at once on one connection", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertEquals(
    await run(tab, "duplex-try"),
    "8 messages went out and 8 + 8 came in on one connection; " +
      "nobody asked for them.",
  );
  const marks = tab.page.locator("#duplex-try-figure .mark");
  assertEquals(await marks.count(), 24);
  await isQuiet(server);
});

test("chapter 4: the same messages come by WebSocket and by SSE", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "choice-try"), /^All 4 came by both/);
  const rows = await rowsOf(tab, "choice-try-table");
  assertEquals(rows.map((row) => row.slice(1)), [
    ["1", "1"],
    ["2", "2"],
    ["3", "3"],
    ["4", "4"],
  ]);
  await isQuiet(server);
});

/** Draws with the mouse from one part of the board to another. */
async function drawLine(
  tab: Tab,
  from: [number, number],
  to: [number, number],
) {
  const canvas = tab.page.locator("#board-canvas");
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  assert(box);
  const { mouse } = tab.page;
  await mouse.move(box.x + box.width * from[0], box.y + box.height * from[1]);
  await mouse.down();
  await mouse.move(box.x + box.width * to[0], box.y + box.height * to[1], {
    steps: 4,
  });
  await mouse.up();
}

/** How many points of the board are not as empty ones. */
const inkOf = (tab: Tab) =>
  tab.page.locator("#board-canvas").evaluate((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    return data.filter((value: number, i: number) => i % 4 === 3 && value > 0)
      .length;
  });

const caption = (tab: Tab) => textOf(tab, "#board-try-which");

test("chapter 5: a stroke reaches the other boards of the room as bytes", async () => {
  await using server = await startServer();
  await using a = await openLesson(server);
  await using b = await openLesson(server);
  await using elsewhere = await Tab.open(`${server.http}/learn?room=art`);
  for (const tab of [a, b]) {
    assertMatch(await run(tab, "board-try"), /room “lobby”/);
  }
  assertMatch(await run(elsewhere, "board-try"), /room “art”/);
  await a.page.getByLabel("teal").check();
  await drawLine(a, [0.25, 0.25], [0.75, 0.5]);
  await b.page.getByText("The last frame, received").waitFor();
  assert(await inkOf(a) > 100);
  assertMatch(await caption(a), /^The last frame, sent: \d+ bytes$/);
  const rows = await rowsOf(b, "board-try-bytes");
  assertEquals(rows.slice(0, 2), [["01", "kind: a stroke"], [
    "03",
    "colour 3",
  ]]);
  assertMatch(rows[2]?.join() ?? "", /^(\w\w ){3}\w\w,x \d+, y \d+$/);
  const costs = await rowsOf(b, "board-try-costs");
  assertEquals(costs.map(([name]) => name), [
    "binary frame",
    "JSON in a text frame",
    "base64 over SSE",
  ]);
  const onWire = costs.map(([, , all]) => Number(all));
  assert(onWire.every((bytes) => bytes >= (onWire[0] ?? NaN)), `${onWire}`);
  assert(await inkOf(b) > 100);
  assertEquals(await inkOf(elsewhere), 0);
  // Nothing of it is in the chat.
  assertEquals(server.lobby.rooms.get("lobby")?.members.size, 0);
});

test("chapter 5: the keyboard draws, and a voice can say where", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  using other = await RawClient.upgrade(server.port, "/ws", {
    "Sec-WebSocket-Protocol": DRAW_SUBPROTOCOL,
  });
  await run(tab, "board-try");
  await tab.page.locator("#board-canvas").focus();
  const { keyboard } = tab.page;
  await keyboard.press("ArrowRight");
  assertEquals(
    await textOf(tab, "#board-try-where"),
    "Pen up, 52 % from the left, 50 % from the top.",
  );
  assertEquals(await inkOf(tab), 0);
  await keyboard.press(" ");
  await keyboard.press("ArrowDown");
  await keyboard.press(" ");
  assertEquals(
    await textOf(tab, "#board-try-where"),
    "Pen up, 52 % from the left, 52 % from the top.",
  );
  // The first frame, and maybe a second, hold the way from one to the other.
  const received = await other.readFrame();
  assertEquals(received?.opcode, Opcode.binary);
  assertEquals(received?.payload[0], 1);
  assert(await inkOf(tab) > 10);
  // What is no stroke is ignored, what is one is drawn.
  await other.write(frame(Opcode.binary, Uint8Array.of(9, 9, 9)));
  await other.write(
    frame(Opcode.binary, Uint8Array.of(1, 0, 0, 0, 0, 0, 64, 0, 64, 0)),
  );
  await tab.page.getByText("The last frame, received: 10 bytes").waitFor();
  await tab.page.locator("#board-try-clear").click();
  assertEquals(await inkOf(tab), 0);
});

test("chapter 5: a long stroke loses no point and stays below the rate", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  using other = await RawClient.upgrade(server.port, "/ws", {
    "Sec-WebSocket-Protocol": DRAW_SUBPROTOCOL,
  });
  await run(tab, "board-try");
  // Moves that come faster than any hand's, each to a point of its own.
  await tab.page.locator("#board-canvas").evaluate((canvas) => {
    const at = (type: string, part: number) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      canvas.dispatchEvent(
        new canvas.ownerDocument.defaultView.PointerEvent(type, {
          pointerId: 1,
          clientX: left + width * part,
          clientY: top + height / 2,
        }),
      );
    };
    // There is no such pointer to capture.
    canvas.setPointerCapture = () => {};
    canvas.hasPointerCapture = () => true;
    at("pointerdown", 0);
    for (let i = 1; i <= 3_000; i++) at("pointermove", i / 3_000);
    at("pointerup", 1);
  });
  const xs: number[] = [];
  while (xs.at(-1) !== 65_535) {
    const { payload } = await other.readFrame() ?? { payload: undefined };
    assert(payload);
    const view = new DataView(payload.buffer, payload.byteOffset);
    // The first point of a frame is the last of the one before.
    for (let at = xs.length === 0 ? 2 : 6; at < payload.length; at += 4) {
      xs.push(view.getUint16(at));
    }
  }
  assertEquals(xs.length, 3_001);
  assertEquals(xs, xs.toSorted((a, b) => a - b));
});

test("chapter 6: a busy page misses every deadline, and is judged", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const counts = (outcome: string) =>
    /^(\d+) deadlines met, (\d+) missed\.$/.exec(outcome)?.slice(1).map(Number);
  const [met = NaN, missed = NaN] = counts(await run(tab, "deadline-try")) ??
    [];
  assertEquals(met + missed, 10);
  const bars = tab.page.locator("#deadline-try-figure .bar");
  assertEquals(await bars.count(), 10);
  await tab.page.getByLabel("Keep the page busy").check();
  assertEquals(counts(await run(tab, "deadline-try")), [0, 10]);
  assertEquals(await bars.and(tab.page.locator(".late")).count(), 10);
  assertEquals(await rowsOf(tab, "deadline-try-table"), [
    ["soft", "10 late results are worth less, but used"],
    ["firm", "10 late results are thrown away; it goes on"],
    ["hard", "it has failed"],
  ]);
  await tab.page.getByRole("slider").fill("200");
  assertEquals(await textOf(tab, "#deadline-try-shown"), "200 ms");
  await isQuiet(server);
});

/** The steps of the diagram, without their times. */
const stepsOf = async (tab: Tab) =>
  (await tab.page.locator("#life-try-list li").allTextContents())
    .map((step) => step.replace(/ \([\d.]+ ms\)$/, ""));

test("chapter 7: the life of a connection is drawn as it was", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "life-try", "say"), /press Connect first/);
  assertMatch(await run(tab, "life-try", "connect"), /^Connected as/);
  assertEquals(server.connections.size, 1);
  assertMatch(await run(tab, "life-try", "say"), /it is stored/);
  assertMatch(await run(tab, "life-try", "ping"), /answered the ping/);
  assertMatch(await run(tab, "life-try", "close"), /^Closed with 1000/);
  const steps = await stepsOf(tab);
  assertEquals(steps.filter((step) => !step.endsWith("join")), [
    "page → server: GET, Upgrade",
    "server → page: 101 Switching Protocols",
    "page: event: open",
    "page → server: hello",
    "server → page: welcome",
    "page → server: message 1",
    "server → page: message, seq 1",
    "page → server: ping",
    "server → page: pong",
    "page → server: close 1000",
    "server → page: close 1000",
    "page: event: close, 1000",
  ]);
  const arrows = tab.page.locator("#life-try-figure line.arrow");
  assertEquals(await arrows.count(), steps.length - 2);
  await isQuiet(server);
});

test("chapter 7: who breaks a rule is closed with its code", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await run(tab, "life-try", "connect");
  assertEquals(
    await run(tab, "life-try", "break"),
    "The server closed with 1002: send JSON objects.",
  );
  assertEquals((await stepsOf(tab)).slice(-4), [
    "page → server: no JSON",
    "server → page: close 1002",
    "page → server: close, by the browser",
    "page: event: close, 1002",
  ]);
  assertMatch(await run(tab, "life-try", "connect"), /^Connected as/);
});

test("chapter 8: one message reaches everyone in the room", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await tab.page.getByLabel("Listeners").selectOption("30");
  assertMatch(
    await run(tab, "broadcast-try"),
    /^1 message in, 31 out, all with seq 1\. The first came/,
  );
  const marks = tab.page.locator("#broadcast-try-figure .mark");
  assertEquals(await marks.count(), 32);
  await isQuiet(server);
});

test("chapter 9: who comes back has missed nothing", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "recovery"), /^recovered: true\..* up to 2,/);
  assertEquals(await rowsOf(tab, "recovery-table"), [
    ["1", "one", "live"],
    ["2", "two", "live"],
    ["3", "three", "caught up on"],
    ["4", "four", "caught up on"],
    ["5", "five", "caught up on"],
    ["6", "six", "live"],
  ]);
  await isQuiet(server);
});

test("chapter 9: what is sent at once waits in the page", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertEquals(
    await run(tab, "buffer"),
    "2500 bytes were given to send(), which returned at once; " +
      "2500 bytes waited then, and 0 now.",
  );
  await isQuiet(server);
});

test("chapter 9: markup is shown as text", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const alerts: string[] = [];
  tab.page.on("dialog", (dialog) => {
    alerts.push(dialog.message());
    void dialog.dismiss();
  });
  assertMatch(await run(tab, "markup"), /it made 0 elements\.$/);
  assertMatch(
    await textOf(tab, "#markup-shown"),
    /^[a-z-]+: <img src=x onerror=alert\(1\)>$/,
  );
  assertEquals(alerts, []);
});

test("chapter 9: the command shows the refusal that the page quotes", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const command = await textOf(tab, "#origin-command");
  const [, origin = "", url = ""] =
    /'Origin: ([^']+)' \\\n\s+'([^']+)'$/.exec(command) ?? [];
  const response = await fetch(url, { headers: { origin } });
  assertEquals(response.status, 403);
  const quoted = await tab.page.locator('[data-file="chat/server.ts"]')
    .textContent() ?? "";
  const sentence = [...quoted.matchAll(/"(.*)"/g)].map(([, part]) => part)
    .join("");
  assertEquals(await response.text(), `${sentence}\n`);
});

test("chapter 10: the clients are shown, and the page hears one that calls", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  for (const name of ["client.js", "client.py"]) {
    const file = await (await fetch(`${server.http}/${name}`)).text();
    const shown = `#own-client-${name.replace(".", "-")}`;
    await tab.page.locator(shown).waitFor();
    assertEquals(await textOf(tab, shown), file.trimEnd());
  }
  assertMatch(await run(tab, "own-client"), /^Waiting in the room learn-/);
  const commands = await textOf(tab, "#own-client-commands");
  const url = /'(ws:[^']+)'/.exec(commands)?.[1] ?? "";
  await using client = await Client.open(url);
  const { sender } = await client.say("<b>Hello</b>");
  await client.messagesUpTo(`Hello, ${sender}!`);
  const list = tab.page.getByRole("list", { name: "What your client said" });
  await list.getByText(`${sender}: <b>Hello</b>`).waitFor();
  await tab.page.getByText(`${sender} has called.`).waitFor();
});

test("nobody in the class hears of the experiments", async () => {
  await using server = await startServer();
  await using member = await Client.join(server.ws);
  await member.nextOf("join");
  await using tab = await openLesson(server);
  for (
    const id of ["what-try", "duplex-try", "choice-try", "recovery", "markup"]
  ) await run(tab, id);
  member.request({ type: "message", message: "still alone", id: "1" });
  assertEquals((await member.next()).message, "still alone");
  const kept = await tab.page.evaluate<number>(
    "sessionStorage.length + localStorage.length",
  );
  assertEquals(kept, 0);
});

test("with an invitation the lesson asks for the code, and goes on with it", async () => {
  await using server = await startServer({ invite: "cuckoo-clock" });
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "what-try"), /An invitation is needed/);
  assert(await tab.codeField.isVisible());
  await tab.codeField.fill("cuckoo-clock");
  await tab.codeField.press("Enter");
  await tab.codeField.waitFor({ state: "hidden" });
  assertMatch(await run(tab, "what-try"), /characters went out/);
  assertMatch(await run(tab, "upgrade", "ask"), /answered 426/);
  assertMatch(await run(tab, "choice-try"), /^All 4/);
  assertMatch(await run(tab, "board-try"), /^You have a pen/);
});

test("a link with the code opens the lesson, and hides it from the address", async () => {
  await using server = await startServer({ invite: "cuckoo-clock" });
  await using tab = await Tab.open(`${server.http}/learn#invite=cuckoo-clock`);
  assertMatch(await run(tab, "what-try"), /characters went out/);
  assertEquals(new URL(tab.page.url()).hash, "");
  // The chat in the same tab is invited, too.
  await tab.page.getByRole("link", { name: "Chat", exact: true }).click();
  await tab.status("Connected");
});

test("below a base the lesson works, and is found from the chat", async () => {
  await using server = await startServer({ base: "/class/chat/" });
  await using tab = await Tab.join(`${server.http}/class/chat/`);
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  await tab.page.getByRole("link", { name: "Lesson", exact: true }).click();
  assertMatch(await run(tab, "what-try"), /characters went out/);
  assertMatch(await run(tab, "choice-try"), /^All 4/);
  assertMatch(await run(tab, "board-try"), /^You have a pen/);
  await tab.page.locator("#own-client-client-js").waitFor();
});

test("what goes wrong is told, and the experiment can be tried again", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using tab = await openLesson(server);
  {
    await using _client = await Client.open(server.ws);
    assertEquals(
      await run(tab, "what-try"),
      "This did not work. The server is full: try again later.",
    );
  }
  await isQuiet(server);
  assertMatch(await run(tab, "duplex-try"), /The server is full/);
  await isQuiet(server);
  assertMatch(await run(tab, "what-try"), /characters went out/);
});

test("a closed board says so, and can be opened again", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await run(tab, "board-try");
  await server.reopen("test", "restarting");
  await tab.page.getByText("The server closed the board: 1012").waitFor();
  await drawLine(tab, [0.2, 0.2], [0.4, 0.4]);
  assertEquals(await inkOf(tab), 0);
  assertMatch(await run(tab, "board-try"), /^You have a pen/);
});

test("all can be done by keyboard, and the focus stays where it was", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const button = tab.page.locator("#markup-run");
  await button.focus();
  await tab.page.keyboard.press("Enter");
  assertMatch(await outcomeOf(tab, "markup", "run"), /came back unchanged/);
  assert(await button.evaluate((it) => it === it.ownerDocument.activeElement));
  const question = tab.page.getByText("Who sends 1006?");
  await question.focus();
  await tab.page.keyboard.press(" ");
  await tab.page.getByText("It never stands in a frame").waitFor();
});

test("on paper the answers are open and there is nothing to press", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const answer = tab.page.getByText("It never stands in a frame");
  assert(await answer.isHidden());
  await tab.page.emulateMedia({ media: "print" });
  await answer.waitFor();
  for (const button of await tab.page.getByRole("button").all()) {
    assert(await button.isHidden());
  }
  await tab.page.emulateMedia({ media: "screen" });
  await answer.waitFor({ state: "hidden" });
});

/** Everything that can be seen, at once. */
async function doAll(tab: Tab): Promise<void> {
  for (
    const [id, button] of [
      ["what-try"],
      ["upgrade", "ask"],
      ["duplex-try"],
      ["choice-try"],
      ["board-try"],
      ["deadline-try"],
      ["life-try", "connect"],
      ["life-try", "say"],
      ["life-try", "ping"],
      ["life-try", "close"],
      ["broadcast-try"],
      ["recovery"],
      ["buffer"],
      ["markup"],
      ["own-client"],
    ] as const
  ) await run(tab, id, button);
  await drawLine(tab, [0.1, 0.2], [0.5, 0.8]);
  await drawLine(tab, [0.5, 0.8], [0.9, 0.1]);
  await tab.page.evaluate(
    "document.querySelectorAll('details').forEach((it) => it.open = true)",
  );
}

test("axe finds nothing in the lesson, light or dark, wide or narrow", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await doAll(tab);
  const folder = Deno.env.get("PARTYLINE_SHOTS");
  for (const [device, { width }] of Object.entries({ DESKTOP, PHONE })) {
    await tab.page.setViewportSize({ width, height: 900 });
    for (const colorScheme of ["light", "dark"] as const) {
      await tab.page.emulateMedia({ colorScheme });
      if (folder !== undefined) {
        const path = `${folder}/learn-${device}-${colorScheme}.png`;
        await tab.page.screenshot({ path, fullPage: true });
      }
      const { height } = await tab.page.locator("html").boundingBox() ??
        { height: 0 };
      await tab.page.setViewportSize({ width, height: Math.ceil(height) });
      // Words in a figure, which axe cannot measure, have the colours of text.
      const violations = (await tab.violations())
        .filter((violation) => !violation.startsWith("color-contrast: <text"));
      assertEquals(violations, [], `${colorScheme} ${width}`);
      await tab.page.setViewportSize({ width, height: 900 });
    }
  }
});

for (const viewport of [PHONE, SMALL_PHONE]) {
  test(`the lesson is no wider than a screen of ${viewport.width}`, async () => {
    await using server = await startServer();
    await using tab = await openLesson(server, { viewport });
    await doAll(tab);
    const tooWide = await tab.page.evaluate(`
      [...document.querySelectorAll("body *")]
        .filter((it) => it.getBoundingClientRect().right > innerWidth + 1)
        .filter((it) => !it.closest(".wide, pre, .for-voices, svg"))
        .map((it) => it.outerHTML.slice(0, 200))`);
    assertEquals(tooWide, []);
    const width = await tab.page.evaluate(
      "document.documentElement.scrollWidth",
    );
    assertEquals(width, viewport.width);
  });
}
