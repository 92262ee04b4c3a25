// How the page asks for the invitation code, in Chromium: what it says when the server
// does not have it, when it comes back, how it asks for an invitation. All of
// it against real servers; what stands between is played by a small front.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Certificate } from "../../chat/http/certificate.ts";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { startBlockingProxy } from "../support/blocking_proxy.ts";
import {
  Client,
  soon,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { DESKTOP, PHONE, Tab, test } from "./tab.ts";

/** What a front does with a request; undefined passes it on as it is. */
type Rule = (request: Request, url: URL) => Response | string | undefined;

/**
 * A proxy in front of a server. Its rule answers a request itself or gives the
 * address to pass it on to.
 */
function startFront(rule: Rule) {
  /** Resolve when a socket is gone; Deno before 2.8.3 does not wait for them. */
  const ends: Promise<void>[] = [];
  const listener = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => {
      const verdict = rule(request, new URL(request.url));
      if (verdict === undefined) return new Response(null, { status: 404 });
      if (verdict instanceof Response) return verdict;
      return request.headers.has("upgrade")
        ? bridge(request, verdict.replace("http", "ws"), ends)
        : fetch(verdict, { redirect: "manual" });
    },
  );
  return {
    http: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      await soon(Promise.all(ends), "the end of the sockets");
      await listener.shutdown();
    },
  };
}

/** Joins the socket of a request with another one. */
async function bridge(
  request: Request,
  url: string,
  ends: Promise<void>[],
): Promise<Response> {
  const inner = new WebSocket(url, SUBPROTOCOL);
  await new Promise((resolve, reject) => {
    inner.onopen = resolve;
    inner.onerror = reject;
  });
  const { socket, response } = Deno.upgradeWebSocket(request, {
    protocol: SUBPROTOCOL,
  });
  socket.onmessage = ({ data }) => inner.send(data);
  ends.push(
    new Promise((resolve) => {
      socket.onclose = () => {
        inner.close();
        resolve();
      };
    }),
  );
  inner.onmessage = ({ data }) => socket.send(data);
  inner.onclose = () => socket.close();
  return response;
}

/** Waits until the server listens, as it may not yet after a restart. */
async function isUp(http: string): Promise<void> {
  let isUp = false;
  while (!isUp) {
    isUp = await fetch(`${http}/healthz`).then(
      (answer) => answer.body?.cancel().then(() => true) ?? true,
      () => false,
    );
  }
}

const countdown = (tab: Tab) => tab.page.locator("#status-countdown");
const shareAddress = async (tab: Tab) =>
  await tab.page.locator("#invite-address").inputValue();

test("a full server is heard, and asked again when it said", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using tab = await Tab.open(`${server.http}/?room=`);
  await tab.stopClock();
  {
    await using _client = await Client.open(server.ws);
    await tab.page.goto(server.http);
    await tab.status("The server is full: try again later.");
    // Spoken once, with the sentence; then silent.
    assertMatch(
      await countdown(tab).textContent() ?? "",
      /^ Next try in \d s\.$/,
    );
    assertEquals(await countdown(tab).getAttribute("aria-live"), null);
    await tab.page.clock.runFor(1_500);
    assertEquals(await countdown(tab).getAttribute("aria-live"), "off");
    await tab.page.clock.runFor(3_400);
    assertEquals(tab.sockets.length, 1);
  }
  await until(() => server.connections.size === 0, "space");
  await tab.page.clock.runFor(2_600);
  await tab.status("Connected");
  assertEquals(tab.sockets.length, 2);
  assertEquals(await countdown(tab).textContent(), "");
});

test("“Try now” asks a full server at once", async () => {
  await using server = await startServer({ maxClients: 1 });
  await using client = await Client.open(server.ws);
  await using tab = await Tab.open(server.http);
  await tab.status("The server is full: try again later.");
  client.socket.close();
  await until(() => server.connections.size === 0, "space");
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.status("Connected");
});

test("a page under a name that is not listed says so and stops, until someone acts", async () => {
  await using server = await startServer();
  await using tab = await Tab.open(`http://class.example:${server.port}/`);
  await tab.status(
    "This server accepts no connection from a page of another address. " +
      "Its operator can allow the address with --allow-origin.",
  );
  await tab.page.evaluate("dispatchEvent(new Event('online'))");
  assertEquals(tab.sockets.length, 1);
  await tab.page.getByRole("button", { name: "Try again" }).click();
  await until(() => tab.sockets.length === 2, "another attempt");
  await tab.page.getByRole("button", { name: "Try again" }).waitFor();
});

test("an answer in HTML is not shown, and not a reason to give up", async () => {
  await using server = await startServer();
  let isDown = true;
  await using front = startFront((_, { pathname, search }) =>
    isDown && pathname === "/ws"
      ? new Response("<h1>Bad Gateway</h1>", {
        status: 502,
        headers: { "content-type": "text/html" },
      })
      : server.http + pathname + search
  );
  await using tab = await Tab.open(front.http);
  await tab.status("The server does not answer.");
  isDown = false;
  await tab.status("Connected");
});

for (
  const [why, words] of [
    ["restarting", "The server is restarting."],
    ["overloaded", "The server has too much to do."],
    ["shutting_down", "The server is shutting down."],
  ] as const
) {
  test(`“${words}”: the page comes back by itself, not before it was told`, async () => {
    // Chance and one client make the hint: 1,000 + 0.6 * 5 ms.
    const first = await startServer({}, { random: () => 0.6 });
    await using tab = await Tab.join(first.http);
    await tab.say("before");
    await tab.stopClock();
    if (why === "shutting_down") await first.drain(2_000);
    else await first.reopen("a test", why);
    await tab.status(words);
    assertEquals(await countdown(tab).textContent(), " Next try in 2 s.");
    await tab.write("written meanwhile");
    if (why === "shutting_down") await first[Symbol.asyncDispose]();
    await using _second = why === "shutting_down"
      ? await startServer({ port: first.port })
      : first;
    await isUp(first.http);
    // Neither a look at the tab nor the network is a reason to come early.
    await tab.page.evaluate(`
      document.dispatchEvent(new Event("visibilitychange"));
      dispatchEvent(new Event("online"));`);
    await tab.page.clock.runFor(990);
    assertEquals(tab.sockets.length, 1);
    await tab.page.clock.runFor(20);
    await tab.status("Connected");
    await tab.page.clock.resume();
    await tab.line("written meanwhile");
    assertEquals(tab.sockets.length, 2);
  });
}

test("several pages come back to a server that was drained, each by itself", async () => {
  const first = await startServer();
  await using tab = await Tab.join(first.http);
  const tabs = [tab];
  for (let i = 0; i < 4; i++) tabs.push(await tab.another());
  await first[Symbol.asyncDispose]();
  await using second = await startServer({ port: first.port });
  for (const each of tabs) await each.status("Connected");
  for (const each of tabs) assertEquals(each.sockets.length, 2);
  assertEquals(second.connections.size, 5);
});

test("the form asks for the invitation; a wrong code is told, the right one lets in", async () => {
  await using server = await startServer({ invite: "cuckoo" });
  await using tab = await Tab.open(`${server.http}/?room=physics`);
  await tab.status("Not connected: an invitation is needed");
  await tab.page.getByRole("form", { name: "By invitation only" }).waitFor();
  assert(
    await tab.codeField.evaluate((e) => e === e.ownerDocument.activeElement),
  );
  assert(await tab.log.isHidden());
  assert(await tab.composer.isHidden());
  await tab.page.keyboard.type("magpie");
  await tab.page.keyboard.press("Enter");
  await tab.page.getByText("This invitation code is wrong").waitFor();
  assertEquals(await tab.codeField.getAttribute("aria-invalid"), "true");
  assert(
    await tab.codeField.evaluate((e) => e === e.ownerDocument.activeElement),
  );
  await tab.page.keyboard.type("cuckoo");
  assertEquals(await tab.codeField.inputValue(), "cuckoo");
  await tab.page.keyboard.press("Enter");
  await tab.status("Connected");
  assert(await tab.codeField.isHidden());
  assert(
    await tab.composer.evaluate((e) => e === e.ownerDocument.activeElement),
  );
  await tab.say("let in");
  assertEquals(
    await shareAddress(tab),
    `${server.http}/?room=physics#invite=cuckoo`,
  );

  await tab.page.reload();
  await tab.line("let in");
  await tab.page.getByRole("button", { name: "Rooms" }).click();
  await tab.page.getByText(
    "The addresses and the QR code contain the invitation code",
  ).waitFor();
  await tab.page.getByLabel("Room name").fill("maths");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForURL("**/?room=maths");
  await tab.status("Connected");
});

test("the code of a link lets in, and is seen nowhere but in the address to share", async () => {
  await using server = await startServer({ invite: "a+b c&d=#?%20ü" });
  const link = `${server.http}/?room=physics#invite=${
    encodeURIComponent("a+b c&d=#?%20ü")
  }`;
  await using tab = await Tab.join(link);
  assertEquals(tab.page.url(), `${server.http}/?room=physics`);
  assertEquals(await shareAddress(tab), link);
  assertEquals(
    await tab.page.locator("#socket-address").textContent(),
    `${server.ws}?room=physics`,
  );
  assertEquals(await tab.page.evaluate("Object.keys(localStorage)"), [
    "partyline.identities",
  ]);
  // A copy of the tab is someone else, but invited, too.
  const copy = await tab.duplicate();
  assert(
    await copy.nameField.inputValue() !== await tab.nameField.inputValue(),
  );
});

test("without an invitation there is none in the address to share", async () => {
  await using server = await startServer();
  await using tab = await Tab.join(`${server.http}/?room=physics`);
  assertEquals(await shareAddress(tab), `${server.http}/?room=physics`);
  assert(await tab.page.locator("#invite-note").isHidden());
});

test("a wrong code in a link is told once to the server, and can be corrected by another link", async () => {
  await using server = await startServer({ invite: "cuckoo" });
  await using tab = await Tab.open(`${server.http}/#invite=magpie`);
  await tab.page.getByText("This invitation code is wrong").waitFor();
  assertEquals(await tab.codeField.inputValue(), "magpie");
  assertEquals(tab.sockets, []);
  assertEquals(await shareAddress(tab), `${server.http}/`);
  await tab.page.goto(`${server.http}/#invite=cuckoo`);
  await tab.status("Connected");
  assertEquals(tab.page.url(), `${server.http}/`);
});

test("the whole link does as well as its code in the form", async () => {
  await using server = await startServer({ invite: "two words" });
  await using tab = await Tab.open(server.http);
  await tab.codeField.fill(`${server.http}/?room=a#invite=two%20words`);
  await tab.page.getByRole("button", { name: "Come in" }).click();
  await tab.status("Connected");
});

test("a wrong code among too many is told to be one, then asked for again", async () => {
  await using server = await startServer({ invite: "cuckoo" });
  await using tab = await Tab.open(server.http);
  await tab.codeField.fill("magpie");
  let isOver = false;
  let refused = 0;
  const flood = Array.from({ length: 65 }, async () => {
    while (!isOver) {
      const answer = await fetch(`${server.http}/ws?invite=x`);
      await answer.body?.cancel();
      if (answer.status === 429) refused++;
    }
  });
  await until(() => refused > 0, "more wrong codes than may wait");
  await tab.page.keyboard.press("Enter");
  await tab.page.getByText("too many others are wrong too").first()
    .waitFor();
  isOver = true;
  await Promise.all(flood);
  await tab.page.getByText("ask for the current one").first().waitFor();
  await tab.codeField.fill("cuckoo");
  await tab.page.keyboard.press("Enter");
  await tab.status("Connected");
});

test("who was in the room when the code changed keeps what was written and said", async () => {
  const first = await startServer({ invite: "old" });
  await using tab = await Tab.join(`${first.http}/#invite=old`);
  await tab.say("before");
  await tab.composer.fill("half a thou");
  await first[Symbol.asyncDispose]();
  await using _second = await startServer({ port: first.port, invite: "new" });
  await tab.codeField.waitFor();
  await tab.page.getByText("This invitation code is wrong").waitFor();
  await tab.codeField.fill("new");
  await tab.codeField.press("Enter");
  await tab.status("Connected");
  assertEquals(await tab.composer.inputValue(), "half a thou");
  await tab.say("after");
});

test("under a base the page finds everything, and so do its links", async () => {
  await using server = await startServer({ base: "/chat/", invite: "cuckoo" });
  await using tab = await Tab.join(`${server.http}/chat?room=a#invite=cuckoo`);
  assertEquals(tab.page.url(), `${server.http}/chat/?room=a`);
  await tab.say("hello");
  assertEquals(
    await shareAddress(tab),
    `${server.http}/chat/?room=a#invite=cuckoo`,
  );
  await tab.page.getByRole("link", { name: "Partyline" }).click();
  await tab.page.waitForURL(`${server.http}/chat/`);
  await tab.status("Connected");
  const { hrefs, url } = await tab.page.evaluate<
    { hrefs: string[]; url: string }
  >(`
    Promise.resolve({
      hrefs: performance.getEntriesByType("resource").map(({ name }) => name),
      url: document.querySelector("#hint a").href,
    })`);
  for (const href of [url, ...hrefs, ...tab.sockets]) {
    assertEquals(new URL(href).pathname.slice(0, 6), "/chat/", href);
  }
});

test("behind proxies that strip their path two servers share an origin, not their people", async () => {
  await using first = await startServer();
  await using second = await startServer();
  await using front = startFront((_, { pathname, search }) => {
    const [, name, rest] = /^\/(one|two)\/(.*)/.exec(pathname) ?? [];
    if (name === undefined) return undefined;
    return `${(name === "one" ? first : second).http}/${rest}${search}`;
  });
  await using one = await Tab.join(`${front.http}/one/`);
  await one.renameTo("Ada");
  const two = await one.another(`${front.http}/two/`);
  await two.renameTo("Bob");
  assertEquals(
    (await one.page.evaluate<string[]>("Object.keys(localStorage)")).sort(),
    ["partyline/one/.identities", "partyline/two/.identities"],
  );
  await two.page.goto(`${front.http}/one/?room=a`);
  await two.status("Connected");
  await two.page.goto(`${front.http}/two/`);
  await two.status("Connected");
  assertEquals(await two.nameField.inputValue(), "Bob");
  await one.page.reload();
  await one.status("Connected");
  assertEquals(await one.nameField.inputValue(), "Ada");
});

const states: Record<string, (tab: Tab, server: TestServer) => Promise<void>> =
  {
    "the form for the invitation": async (tab) => {
      await tab.codeField.waitFor();
    },
    "a refused invitation": async (tab) => {
      await tab.codeField.fill("magpie");
      await tab.codeField.press("Enter");
      await tab.page.getByText("This invitation code is wrong").waitFor();
    },
    "a full server": async (tab, server) => {
      await tab.page.goto(`${server.http}/#invite=cuckoo`);
      await tab.status("The server is full: try again later.");
    },
    "a restart": async (tab, server) => {
      for (const session of server.connections.keys()) {
        session.disconnect("restarting", 60_000);
      }
      await until(() => server.connections.size === 0, "space");
      await tab.page.goto(`${server.http}/#invite=cuckoo`);
      await tab.status("Connected");
      await tab.say("Hello?");
      for (const session of server.connections.keys()) {
        session.disconnect("restarting", 60_000);
      }
      await tab.status("The server is restarting.");
    },
  };

for (const [state, enter] of Object.entries(states)) {
  test(`axe finds nothing in ${state}, light or dark, wide or narrow`, async () => {
    await using server = await startServer({ maxClients: 1, invite: "cuckoo" });
    await using _client = await Client.open(`${server.ws}?invite=cuckoo`);
    await using tab = await Tab.open(server.http);
    await enter(tab, server);
    for (const [device, viewport] of Object.entries({ DESKTOP, PHONE })) {
      await tab.page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.page.emulateMedia({ colorScheme });
        assertEquals(await tab.violations(), [], `${colorScheme} ${device}`);
      }
    }
  });
}

test("over https the page uses wss by itself", async () => {
  const file = (name: string) =>
    new URL(`../support/certificates/first.${name}`, import.meta.url).pathname;
  const certificate = new Certificate(file("pem"), file("key"), Date.now);
  await using server = await startServer({}, {}, certificate);
  await using tab = await Tab.join(server.http, { ignoreHTTPSErrors: true });
  await tab.say("in secret");
  await tab.line("in secret");
  assertEquals(
    tab.sockets.map((url) => url.split("?")[0]),
    [`wss://127.0.0.1:${server.port}/ws`],
  );
});

/** Requests that the page below makes, each without saying which page asks. */
const FOREIGN_WAYS = 18;

/** Each part asks for an address without saying which page does. */
const FOREIGN_PAGE = (to: string) =>
  `<!doctype html>
<meta name="referrer" content="no-referrer">
<link rel="stylesheet" href="${to}link">
<link rel="prefetch" href="${to}prefetch">
<link rel="preload" as="fetch" href="${to}preload">
<img src="${to}img">
<iframe src="${to}iframe"></iframe>
<iframe sandbox src="${to}sandbox"></iframe>
<object data="${to}object"></object>
<embed src="${to}embed">
<video src="${to}video"></video>
<script src="${to}script"></script>
<script>
const init = { mode: "no-cors", cache: "no-store" };
for (const accept of ["", "*/*", "text/event-stream"]) {
  fetch("${to}fetch" + accept.length, { ...init, headers: { accept } });
  const headers = { accept, "accept-language": "*" };
  fetch("${to}language" + accept.length, { ...init, headers });
}
</script>
<form action="${to}" target="form"><input name="line" value="form"></form>
<iframe name="form"></iframe>
<a href="${to}a" target="a">a</a>
<iframe name="a"></iframe>
<script>
document.forms[0].submit();
document.querySelector("a").click();
</script>`;

test("nothing on a foreign page brings its visitor into a room in the local network", async () => {
  for (const path of ["events", "messages"]) {
    await using server = await startServer();
    const to = `http://pi.local:${server.port}/${path}?room=`;
    await using page = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () =>
        new Response(FOREIGN_PAGE(to), {
          headers: { "content-type": "text/html" },
        }),
    );
    const answers = async () => {
      const text = await (await fetch(`${server.http}/metrics`)).text();
      return [...text.matchAll(/^partyline_handshakes_total.* ([1-9]\d*)$/gm)]
        .map(([line, count]) => ({ line, count: Number(count) }));
    };
    await using tab = await Tab.open(
      `http://foreign.example:${page.addr.port}`,
    );
    assertEquals(await tab.page.locator("form").count(), 1);
    let given = await answers();
    for (
      const giveUpAtMs = performance.now() + 10_000;
      given.reduce((sum, { count }) => sum + count, 0) < FOREIGN_WAYS;
      given = await answers()
    ) {
      assert(performance.now() < giveUpAtMs, JSON.stringify(given));
    }
    const lines = given.map(({ line }) => line);
    assertEquals(lines.length, 1, lines.join());
    assertMatch(lines[0] ?? "", /status="403"/);
    assertEquals([server.connections.size, server.hub.rooms.size], [0, 0]);
    // The console tells of each refusal, which is as it should be.
    tab.faults.length = 0;
  }
});

for (const holdsStreams of [false, true]) {
  const way = holdsStreams ? "long polling" : "Server-Sent Events";
  test(`in the local network the server's own page joins by ${way}`, async () => {
    await using server = await startServer();
    await using proxy = startBlockingProxy(server.port, { holdsStreams });
    await using tab = await Tab.open(`http://pi.local:${proxy.port}/?room=a`);
    await tab.status(`Connected without WebSocket: by ${way}`);
    await tab.say("in by a request");
  });
}
