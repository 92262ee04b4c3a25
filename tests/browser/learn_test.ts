// The lesson in Chromium: every experiment is done by a script and its outcome
// checked, by mouse and by keyboard, with an invitation, below a base, on
// paper; axe finds nothing. What is measured is never compared with a number.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DRAW_SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { start } from "../support/clients.ts";
import { commandsOf, FOLDER } from "../support/examples.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  handshake,
  RawClient,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { DESKTOP, PHONE, SMALL_PHONE, Tab, test } from "./tab.ts";
import { cutOff } from "./readable.ts";

const DEFAULT_ADDRESS = "ws://localhost:8000/ws";

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
    /^2 characters went out and came back\. The server calls .* [a-z]+-[a-z]+\.$/,
  );
  const [out, back] = await rowsOf(tab, "what-try-table");
  assertEquals(out, ["to the server", "6", "6"]);
  assertEquals(back?.[0], "to the page");
  assert(Number(back?.[1]) > 60);
  await isQuiet(server);
});

test("chapter 1: each character is shown with its bytes in UTF-8", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const sum = () => textOf(tab, "#what-try-sum");
  const units = tab.page.locator("#what-try-units li");
  assertEquals(
    await sum(),
    "13 characters, 17 bytes (11 × 1 + 1 × 2 + 1 × 4).",
  );
  assertEquals((await units.allTextContents()).slice(-4), [
    "ëU+00EBC3 AB",
    "!U+002121",
    "spaceU+002020",
    "👋U+1F44BF0 9F 91 8B",
  ]);
  const field = tab.page.getByLabel("Your message");
  await field.fill("€");
  assertEquals(await sum(), "1 character, 3 bytes (1 × 3).");
  assertEquals(await units.allTextContents(), ["€U+20ACE2 82 AC"]);
  await field.fill("é".repeat(61));
  assertMatch(await sum(), /^61 characters, 122 bytes .* first 60 characters/);
  assertEquals(await units.count(), 60);
});

test("chapter 2: the server answers 426, then opens", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "upgrade", "ask"), /answered 426/);
  const answer = await textOf(tab, "#upgrade-answer");
  assertMatch(answer, /^HTTP 426/);
  assertMatch(answer, /^upgrade: websocket$/m);
  assertMatch(answer, /send an opening handshake/);
  assertMatch(await run(tab, "upgrade", "open"), /It opened .*was 1 \(OPEN\)/);
  // The two answers stand beside each other.
  for (const answer of ["HTTP 426", "HTTP/1.1 101"]) {
    assert(await tab.page.locator("#upgrade").getByText(answer).isVisible());
  }
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
  const fields = { "Sec-WebSocket-Key": key };
  await raw.write(handshake(server.port, "/ws", fields));
  const { field } = await raw.readAnswer();
  assertEquals(field("sec-websocket-accept"), await computed());
  assert((await textOf(tab, "#accept-command")).includes(key));
  await tab.page.getByLabel("Sec-WebSocket-Key").fill("no key");
  assertMatch(await textOf(tab, "#accept-outcome"), /^A key is 16 bytes/);
  assert(await tab.page.locator("#accept-table").isHidden());
  assert(await tab.page.locator("#accept-command").isHidden());
});

test("chapter 3: messages of both sides are under way at the same time", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const figure = tab.page.locator("#duplex-try-figure");
  const sentence = await run(tab, "duplex-try");
  const [, passing] =
    /^6 messages went out and 6 from the other side came in\. (\d) of the 6 that went out were under way at the same time as one that came in: none waited for an answer\.$/
      .exec(sentence) ?? [];
  // Twice the two send in the same tick, before anything can arrive.
  assert(Number(passing) >= 2, sentence);
  assertEquals(await figure.locator(".way").count(), 12);
  assert(await figure.locator(".both").count() >= 12);
  await figure.getByRole("img", { name: sentence }).waitFor();
  await figure.getByText("shaded: both at once").waitFor();
  const pace = tab.page.getByLabel("This side sends");
  await pace.selectOption("a message every 15 ms");
  assertMatch(await run(tab, "duplex-try"), /^2 messages .* 2 of the 2 /);
  await pace.selectOption("nothing");
  assertEquals(
    await run(tab, "duplex-try"),
    "0 messages went out and 6 from the other side came in. " +
      "This side had asked for none of them.",
  );
  assertEquals(await figure.locator(".way").count(), 6);
  assertEquals(await figure.locator(".both").count(), 0);
  await isQuiet(server);
});

test("chapter 4: the same messages come by WebSocket and by SSE", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "choice-try"), /^All 4 arrived both ways/);
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
    assertMatch(await run(tab, "board-try"), /room “learn-lobby”/);
  }
  assertMatch(await run(elsewhere, "board-try"), /room “learn-art”/);
  await a.page.getByLabel("teal").check();
  await drawLine(a, [0.25, 0.25], [0.75, 0.5]);
  await b.page.getByText("The last frame, received").waitFor();
  assert(await inkOf(a) > 100);
  assertMatch(await caption(a), /^The last frame, sent: \d+ bytes$/);
  const rows = await rowsOf(b, "board-try-bytes");
  assertEquals(rows.slice(0, 2), [["01", "kind: a stroke"], [
    "03",
    "colour 3: teal",
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
  assertEquals(server.hub.rooms.get("learn-lobby")?.members.size, 0);
  assertEquals(server.hub.rooms.get("lobby"), undefined);
});

test("chapter 5: the keyboard draws, and a voice can say where", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  using other = await RawClient.upgrade(server.port, "/ws?room=learn-lobby", {
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
  using other = await RawClient.upgrade(server.port, "/ws?room=learn-lobby", {
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

test("chapter 6: a busy page misses deadlines, and is judged by the one that is set", async () => {
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
  const [, busy = NaN] = counts(await run(tab, "deadline-try")) ?? [];
  assert(busy >= 5, `${busy} missed`);
  const late = bars.and(tab.page.locator(".late"));
  assertEquals(await late.count(), busy);
  assertEquals(await rowsOf(tab, "deadline-try-table"), [
    ["hard", "the system has failed"],
    ["firm", `${busy} results are worth nothing; the service is degraded`],
    ["soft", `${busy} late results are worth less, but used`],
  ]);
  // The same ten, by another deadline: each was kept waiting for 25 ms.
  await tab.page.locator("#deadline-try-ms").fill("10");
  assertEquals(await textOf(tab, "#deadline-try-shown"), "10 ms");
  assertEquals(
    await textOf(tab, "#deadline-try-outcome"),
    "0 deadlines met, 10 missed.",
  );
  assertEquals(await late.count(), 10);
  await isQuiet(server);
});

test("chapter 6: the lab's last run, in whichever tab, is judged by a deadline that is set", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const { page } = tab;
  assertEquals(
    await page.getByText("Make a run in the lab first").isVisible(),
    true,
  );
  const told = page.getByText("which messages of your last run");
  const lab = await page.context().newPage();
  await lab.goto(`${server.http}/lab`);
  await lab.evaluate(() =>
    localStorage.setItem(
      "partyline.lab",
      JSON.stringify([
        { way: "WebSocket", latenciesMs: [1, 2, 60] },
        { way: "Polling", latenciesMs: [400, 900, 1000] },
        { way: "Broken", latenciesMs: ["x"] },
      ]),
    )
  );
  await page.getByText("Make a run in the lab first").waitFor({
    state: "hidden",
  });
  assertEquals(await rowsOf(tab, "deadline-ways-table"), [
    ["WebSocket", "2 of 3", "60 ms"],
    ["Polling", "0 of 3", "1,000 ms"],
  ]);
  assert(await told.isVisible());
  await page.locator("#deadline-ways-ms").fill("900");
  assertEquals(await rowsOf(tab, "deadline-ways-table"), [
    ["WebSocket", "3 of 3", "60 ms"],
    ["Polling", "2 of 3", "1,000 ms"],
  ]);
  await isQuiet(server);
});

/** The steps of the diagram, without their times. */
const stepsOf = async (tab: Tab) =>
  (await tab.page.locator("#life-try-list li").allTextContents())
    .map((step) => step.replace(/ \([\d.,]+ ms\)$/, ""));

test("chapter 7: the life of a connection is drawn as it was", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "life-try", "say"), /press Connect first/);
  assertMatch(await run(tab, "life-try", "connect"), /^Connected as/);
  assertEquals(server.connections.size, 1);
  assertMatch(await run(tab, "life-try", "say"), /has stored it/);
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

test("chapter 7: a client that breaks a rule is closed, and the code is explained", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await run(tab, "life-try", "connect");
  assertEquals(
    await run(tab, "life-try", "break"),
    "The server closed with 1002: send JSON objects. Code 1002 explained",
  );
  assertEquals((await stepsOf(tab)).slice(-4), [
    "page → server: not JSON",
    "server → page: close 1002",
    "page → server: close, by the browser",
    "page: event: close, 1002",
  ]);
  const rule = tab.page.getByLabel("Break a rule");
  const outcomes = {
    "binary data": "1003: send text, not binary.",
    "70,000 bytes": "1009: frame too large.",
  };
  for (const [name, outcome] of Object.entries(outcomes)) {
    assertMatch(await run(tab, "life-try", "connect"), /^Connected as/);
    await rule.selectOption(name);
    const sentence = await run(tab, "life-try", "break");
    assert(sentence.includes(`closed with ${outcome}`), sentence);
  }
  // The page about it shows the frames of this connection.
  const opening = tab.page.context().waitForEvent("page");
  await tab.page.getByRole("link", { name: "Code 1009 explained" }).click();
  const explanation = await opening;
  const framesOf = async (code: number) => {
    const rows = explanation.locator(`section[id="${code}"] tbody tr`);
    await rows.last().waitFor();
    return (await rows.allTextContents()).slice(-2).join("\n");
  };
  assertMatch(
    await framesOf(1009),
    /by youtext, 70,000 bytes x{300}…\n.*by the serverclose, 17 bytes 1009 frame/,
  );
  assertMatch(
    await framesOf(1003),
    /by youbinary, 3 bytes 00 00 00\n.*by the serverclose, 23 bytes 1003 send/,
  );
});

test("chapter 8: one message reaches everyone in the room", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await tab.page.getByLabel("Listeners").selectOption("30");
  assertMatch(
    await run(tab, "broadcast-try"),
    /^1 message in, 31 out, all with seq 1\. The first arrived/,
  );
  const marks = tab.page.locator("#broadcast-try-figure .mark");
  assertEquals(await marks.count(), 32);
  await isQuiet(server);
});

for (const [button, code] of [["close", 1000], ["break", 1003]] as const) {
  test(`chapter 8: the room is told of a connection that ended with ${code}`, async () => {
    await using server = await startServer();
    await using tab = await openLesson(server);
    const outcome = await run(tab, "leave-try", button);
    const [, name = ""] = /^([a-z-]+) left with close code/.exec(outcome) ?? [];
    assert(outcome.includes(`close code ${code}. The room was told after `));
    assertEquals(await rowsOf(tab, "leave-try-table"), [
      ["message", name, "Hello!"],
      ["leave", name, "Client disconnected"],
    ]);
    await isQuiet(server);
  });
}

test("chapter 9: who comes back has missed nothing", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(
    await run(tab, "recovery"),
    /^The client said .* up to 2, .* says recovered: true\.$/,
  );
  assertEquals(await rowsOf(tab, "recovery-table"), [
    ["1", "one", "live"],
    ["2", "two", "live"],
    ["3", "three", "recovered"],
    ["4", "four", "recovered"],
    ["5", "five", "recovered"],
    ["6", "six", "live"],
  ]);
  await isQuiet(server);
});

test("chapter 9: what is sent at once waits in the page, until the network has it", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  assertMatch(
    await run(tab, "buffer"),
    /^send\(\) took 409,600 bytes in .* ms later the buffer was empty\.$/,
  );
  const amounts = (await rowsOf(tab, "buffer-table")).map(([, amount]) =>
    amount
  );
  assertEquals(amounts.slice(0, 4), [
    "102,400",
    "204,800",
    "307,200",
    "409,600",
  ]);
  assertEquals(amounts.at(-1), "0");
  await isQuiet(server);
});

const SAMPLES = [
  ["a fake form", "What is typed in is sent to “https://thief.example”."],
  ["a link", "a click runs “javascript:alert(2)” as a script of this page."],
  ["a script", "does not run a script that came by innerHTML."],
] as const;

test("chapter 9: markup is shown as text, and what it would do is drawn", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const alerts: string[] = [];
  tab.page.on("dialog", (dialog) => {
    alerts.push(dialog.message());
    void dialog.dismiss();
  });
  assertMatch(
    await run(tab, "markup"),
    /textContent made 0 elements of it; innerHTML would make 1\.$/,
  );
  assertEquals(
    await textOf(tab, "#markup-shown"),
    "<img src=x onerror=alert(1)>",
  );
  const drawn = tab.page.locator("#markup-list li");
  assertEquals(await drawn.allInnerTexts(), [
    "<img>\n\nThe browser requests “x”.\n\n" +
    "onerror: the browser runs “alert(1)” as a script of this page.",
    "No text is shown.",
  ]);
  for (const [sample, effect] of SAMPLES) {
    await tab.page.getByLabel("A stranger’s message").selectOption(sample);
    await run(tab, "markup");
    await drawn.filter({ hasText: effect }).waitFor();
  }
  const made = tab.page.locator("#markup-ways :is(img, form, a, script)");
  assertEquals(await made.count(), 0);
  assertEquals(alerts, []);
});

/** A message, the elements that the page says it would make, and its text. */
const TYPED = [
  ["Hello, 1 < 2", [], "Hello, 1 < 2"],
  ["a<!-- <img src=x onerror=alert(4)> -->b", [], "ab"],
  ["<body onload=alert(5)>home", [], "home"],
  ["<style>* { display: none }</style>", ["style"], ""],
  [
    "<textarea><style><img src=y></textarea>",
    ["textarea"],
    "<style><img src=y>",
  ],
  ["<img src=z style='color: red' onerror=alert(6)>!", ["img"], "!"],
  ["<tr><td>cell", [], "cell"],
] as const;

test("chapter 9: the browser’s own parser says which elements a message would make", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const requested: string[] = [];
  tab.page.on("request", (request) => {
    if (/\/[xyz]$/.test(request.url())) requested.push(request.url());
  });
  const drawn = tab.page.locator("#markup-list li");
  for (const [message, names, text] of TYPED) {
    await tab.page.getByLabel("Message", { exact: true }).fill(message);
    await run(tab, "markup");
    const shown = text === "" ? "No text is shown." : `Text: “${text}”`;
    await drawn.filter({ hasText: shown }).waitFor();
    assertEquals(
      await drawn.locator("code").allTextContents(),
      names.map((name) => `<${name}>`),
      message,
    );
  }
  assertEquals(requested, []);
});

test("chapter 9: the command shows the refusal", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const command = await textOf(tab, "#origin-command");
  const [, origin = "", url = ""] =
    /'Origin: ([^']+)' \\\n\s+'([^']+)'$/.exec(command) ?? [];
  const response = await fetch(url, { headers: { origin } });
  assertEquals(response.status, 403);
  assertMatch(
    await response.text(),
    /^This server accepts no connection from a page of another/,
  );
});

test("chapter 10: the small server and its client run as they stand on the page", async () => {
  await using server = await startServer();
  await using lesson = await openLesson(server);
  const folder = await Deno.makeTempDir();
  const code = await textOf(lesson, "#small-server");
  assert(code.includes("port: 8080"));
  Deno.writeTextFileSync(
    `${folder}/server.js`,
    code.replace("port: 8080", "port: 0"),
  );
  Deno.writeTextFileSync(
    `${folder}/client.html`,
    await textOf(lesson, "#small-client"),
  );
  const command = await textOf(lesson, "#small-command");
  // With Node alone, npx gets the same Deno.
  const withNode = command.replace(/^deno /, "npx -y deno@2.8.2 ");
  await lesson.page.getByText(withNode).waitFor();
  const deno = command.replace(/^deno /, `${Deno.execPath()} `);
  await using small = start(["sh", "-c", `cd ${folder} && exec ${deno}`]);
  const listening = /Listening on (http:\/\/127\.0\.0\.1:\d+\/)/;
  const said = await small.stderr.until(listening);
  const [, address = ""] = listening.exec(said) ?? [];
  await using b = await Tab.open(address);
  await b.page.getByText("Connected.").waitFor();
  {
    await using a = await Tab.open(address);
    await a.page.getByText("Connected.").waitFor();
    await a.page.getByLabel("Message").fill("<b>Hello</b>");
    await a.page.keyboard.press("Enter");
    await a.page.getByText("guest-2: <b>Hello</b>").waitFor();
    await b.page.getByText("guest-2: <b>Hello</b>").waitFor();
    await a.page.keyboard.press("Enter");
    await a.page.getByLabel("Message").fill("the next");
    await a.page.keyboard.press("Enter");
    await b.page.getByText("guest-2: the next").waitFor();
    // Nothing was typed between the two.
    assertEquals(await b.page.getByText("guest-2:").count(), 2);
  }
  await b.page.getByText("guest-2: Client disconnected").waitFor();
  const { port } = new URL(address);
  using foreign = await RawClient.open(Number(port));
  const fields = { Origin: "http://foreign.example" };
  await foreign.write(handshake(Number(port), "/", fields));
  assertEquals((await foreign.readAnswer()).status, 403);
  await b.page.evaluate("socket.close()");
  await b.page.getByText("Closed with 1005.").waitFor();
  const field = b.page.getByLabel("Message");
  await field.fill("not lost");
  await field.press("Enter");
  assertEquals(await field.inputValue(), "not lost");
  await Deno.remove(folder, { recursive: true });
});

test("chapter 10: the client of each language has the address of the page's room", async () => {
  await using server = await startServer({ invite: "cuckoo-clock" });
  await using tab = await Tab.open(`${server.http}/learn#invite=cuckoo-clock`);
  const { page } = tab;
  const language = page.getByLabel("Your language");
  const files: string[] = await language.locator("option").evaluateAll(
    (options) => options.map(({ value }) => value),
  );
  const addresses = new Set<string>();
  for (const file of files) {
    await language.selectOption(file);
    await page.getByRole("link", { name: file, exact: true }).waitFor();
    const code = await textOf(tab, "#own-client-code");
    const [, address = ""] = /["'](ws:\/\/[^"']+)["']/.exec(code) ?? [];
    addresses.add(address);
    const original = Deno.readTextFileSync(`${FOLDER}/${file}`).trimEnd();
    assertEquals(code.replaceAll(address, DEFAULT_ADDRESS), original);
    const commands = await textOf(tab, "#own-client-commands");
    assertEquals(
      commands.split("\n"),
      commandsOf(file).map((line) => line.replace(" [ADDRESS]", "")),
    );
  }
  const [address = ""] = addresses;
  assertEquals(addresses.size, 1);
  const { searchParams } = new URL(address);
  assertEquals(address.split("?")[0], server.ws.split("?")[0]);
  assertMatch(searchParams.get("room") ?? "", /^learn-/);
  assertEquals(searchParams.get("invite"), "cuckoo-clock");
});

test("chapter 10: a client that was saved from the page calls it", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const { page } = tab;
  assertMatch(await run(tab, "own-client"), /^Waiting in the room learn-/);
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "node_builtin.mjs" }).click();
  const download = await downloading;
  assertEquals(download.suggestedFilename(), "node_builtin.mjs");
  const path = await download.path();
  const file = await Deno.makeTempFile({ suffix: ".mjs" });
  await Deno.copyFile(path, file);
  await using client = start([Deno.execPath(), "run", "--allow-net", file]);
  await client.write("<b>Hello</b>\n");
  await client.stdout.until(/: Hello, [a-z-]+!\n/);
  const list = page.getByRole("list", { name: "Messages of your client" });
  await list.getByText(": <b>Hello</b>").waitFor();
  const outcome = page.locator("#own-client-outcome");
  await outcome.getByText(" is connected.").waitFor();
  // The code keeps its lines: what is indented does not go on at the left.
  const code = page.locator("#own-client-code");
  assertEquals(
    await code.evaluate((it) => it.clientWidth < it.scrollWidth),
    true,
  );
  await client.closeInput();
  await outcome.getByText(" was connected and has left.").waitFor();
  await Deno.remove(file);
});

test("chapter 10: a client that was saved finds the page after a reload", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const address = /ws:\/\/[^"']+/;
  const read = async () => {
    await tab.page.locator("#own-client-shown").waitFor();
    return address.exec(await textOf(tab, "#own-client-code"))?.[0];
  };
  const saved = await read();
  assertMatch(saved ?? "", /room=learn-/);
  await tab.page.reload();
  assertEquals(await read(), saved);
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
  const kept = await tab.page.evaluate<string[]>(
    "[...Object.keys(sessionStorage), ...Object.keys(localStorage)]",
  );
  assertEquals(kept, ["partyline.own-client-room"]);
});

test("with an invitation the lesson asks for the code, and goes on with it", async () => {
  await using server = await startServer({ invite: "cuckoo-clock" });
  await using tab = await openLesson(server);
  assertMatch(await run(tab, "what-try"), /This server asks for an invitation/);
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
  await tab.page.getByRole("link", { name: "Lesson", exact: true }).click();
  assertMatch(await run(tab, "what-try"), /characters went out/);
  assertMatch(await run(tab, "choice-try"), /^All 4/);
  assertMatch(await run(tab, "board-try"), /^You have a pen/);
  await tab.page.locator("#own-client-code").waitFor();
});

test("what goes wrong is told, and the experiment can be tried again", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using tab = await openLesson(server);
  {
    await using _client = await Client.open(server.ws);
    assertEquals(
      await run(tab, "what-try"),
      "This did not work. The server is full: try again later. " +
        "HTTP 503 explained",
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
  // It needs a moment to listen anew.
  const answers = () => fetch(server.http).then((answer) => answer.text());
  for (let text = ""; text === "";) text = await answers().catch(() => "");
  await drawLine(tab, [0.2, 0.2], [0.4, 0.4]);
  assertEquals(await inkOf(tab), 0);
  await tab.page.getByText("Press “Take a pen” first.").waitFor();
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
  await tab.page.locator("#question-1006 summary").last().focus();
  await tab.page.keyboard.press(" ");
  await tab.page.getByText("ended without a close frame").waitFor();
});

test("Enter sends what was typed, and a sample that was changed is one no more", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  await tab.page.getByLabel("Your message").fill("Hi");
  await tab.page.getByLabel("Your message").press("Enter");
  await tab.page.getByText("2 characters went out").waitFor();
  const message = tab.page.getByLabel("Message", { exact: true });
  await message.fill("<b>Hi</b>");
  await message.press("Enter");
  await tab.page.getByText("Text: “Hi”").waitFor();
  const sample = tab.page.getByLabel("A stranger’s message");
  assertEquals(await sample.inputValue(), "");
  assertEquals(new URL(tab.page.url()).search, "");
});

test("what is too long is refused in a sentence, and stays as it was typed", async () => {
  await using server = await startServer({ maxMessage: 300 });
  await using tab = await openLesson(server);
  const long = `${"long ".repeat(59)}enough`;
  for (const id of ["what-try", "markup"]) {
    const field = tab.page.locator(`#${id}-text`);
    await field.fill("");
    await field.focus();
    await tab.page.keyboard.insertText(long);
    assertEquals(await field.inputValue(), long);
    assertMatch(
      await run(tab, id),
      /^This did not work\. Too long: .* 300 characters are allowed\.$/,
    );
    await field.fill(long.slice(0, 300));
    assertMatch(await run(tab, id), /came back/);
  }
  const key = tab.page.getByLabel("Sec-WebSocket-Key");
  await key.fill("");
  await key.focus();
  await tab.page.keyboard.insertText("  dGhlIHNhbXBsZSBub25jZQ==");
  assertMatch(await textOf(tab, "#accept-outcome"), /^The server must answer/);
  await tab.page.keyboard.insertText("more");
  assertMatch(await textOf(tab, "#accept-outcome"), /^A key is 16 bytes/);
});

test("a choice is told why, and the first choices make a score that stays", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const { page } = tab;
  const mask = page.getByRole("group", { name: "masking key protect?" });
  const boundaries = page.getByRole("group", { name: "How do they arrive?" });
  const score = page.locator("#score");
  const again = page.getByRole("button", { name: "Start over" });
  assert(await again.isHidden());
  await mask.getByText("It keeps the message secret.").click();
  await mask.getByText("The key is in the frame").waitFor();
  await score.getByText("1 of 20 questions answered, 0 right").waitFor();
  // The right one, after the wrong one, tells why and does not count.
  await mask.getByText("Programs on the way").click();
  await mask.getByText("A page does not know the key").waitFor();
  await boundaries.getByText("in pieces of any size").click();
  await score.getByText("2 of 20 questions answered, 1 right").waitFor();
  await page.reload();
  await score.getByText("2 of 20 questions answered, 1 right").waitFor();
  await page.getByText("Questions: 1 of 2 right").waitFor();
  assert(await mask.getByText("The key is in the frame").isVisible());
  assert(await mask.getByText("A page does not know the key").isHidden());
  await again.click();
  await mask.getByText("The key is in the frame").waitFor({ state: "hidden" });
  assert(await again.isHidden());
  assertEquals(await score.textContent(), "Your answers are forgotten.");
  assert(await score.evaluate((it) => it === it.ownerDocument.activeElement));
  await page.reload();
  await page.locator("#what-try-run:enabled").waitFor();
  assertEquals(await score.textContent(), "");
});

test("the list of chapters marks the one that is read", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const current = tab.page.locator("#contents [aria-current]");
  assertEquals(await current.count(), 0);
  await tab.page.locator("#contents").getByText("Broadcasting").click();
  await current.getByText("Broadcasting").waitFor();
  await tab.page.locator("#deadlines").evaluate((it) => it.scrollIntoView());
  await current.getByText("Real time").waitFor();
  assertEquals(await current.count(), 1);
});

test("the first key leads past the list of chapters", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const { keyboard } = tab.page;
  const skip = tab.page.getByRole("link", { name: "Skip to the chapters" });
  await keyboard.press("Tab");
  assert((await skip.boundingBox())!.width > 100);
  await keyboard.press("Enter");
  await keyboard.press("Tab");
  const isIn = await tab.page.locator("main :focus").count();
  assertEquals(isIn, 1);
  assert((await skip.boundingBox())!.width <= 1);
});

test("on paper the questions have no answers, nothing is white on white or to press", async () => {
  await using server = await startServer();
  await using tab = await openLesson(server);
  const mask = tab.page.locator("#question-mask details");
  await mask.first().locator("summary").click();
  const steps = tab.page.locator("#life-try-list").locator("xpath=..");
  assertEquals(await steps.getAttribute("open"), null);
  await tab.page.emulateMedia({ media: "print" });
  await tab.page.locator("#life-try details[open]").waitFor();
  assertEquals(await tab.page.locator(".question p:visible").count(), 0);
  assert(await mask.last().isVisible());
  assertEquals(
    await mask.first().locator("summary").evaluate((it) =>
      it.ownerDocument.defaultView.getComputedStyle(it, "::before").content
    ),
    `"○"`,
  );
  for (const button of await tab.page.getByRole("button").all()) {
    assert(await button.isHidden());
  }
  for (const selector of [".layers li:nth-child(2)", "h1"]) {
    const colours = await tab.page.locator(selector).evaluate((it) => {
      const { color } = it.ownerDocument.defaultView.getComputedStyle(it);
      const { body } = it.ownerDocument;
      return [color, it.ownerDocument.defaultView.getComputedStyle(body).color];
    });
    assertEquals(colours[0], colours[1], selector);
  }
  await tab.page.emulateMedia({ media: "screen" });
  await steps.and(tab.page.locator(":not([open])")).waitFor();
  await tab.page.getByText("1 of 20 questions answered").waitFor();
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
      ["leave-try", "close"],
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
    assertEquals(await cutOff(tab.page), []);
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
