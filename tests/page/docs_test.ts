// The documentation in static/docs/ and the README: every page is whole without
// JavaScript, and nothing that they link to or name is missing.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseRequest, REQUEST_TYPES } from "../../chat/protocol/requests.ts";
import { codeOf, docsPage } from "../support/docs.ts";
import {
  Client,
  startServer,
  STATIC,
  until,
  type WireEvent,
} from "../support/harness.ts";

const ROOT = new URL("../../", import.meta.url);
const README = Deno.readTextFileSync(new URL("README.md", ROOT));

const NAMES = [...Deno.readDirSync(`${STATIC}/docs`)]
  .map(({ name }) => name.replace(/\.html$/, "")).sort();

function isFile(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

/** All that the page links to or loads. */
function addressesIn(page: string): string[] {
  return [...page.matchAll(/\s(?:href|src)="([^"]*)"/g)]
    .map(([, address = ""]) => address);
}

const isExternal = (address: string) => /^https:\/\//.test(address);

Deno.test("the documentation has an index and the pages that the README links to", () => {
  const linked = [...README.matchAll(/static\/docs\/([a-z-]+)\.html/g)]
    .map(([, name = ""]) => name);
  const others = NAMES.filter((name) => name !== "index");
  assertEquals([...new Set(linked)].sort(), others);
  const listed = addressesIn(docsPage("index")).filter((address) =>
    others.includes(address)
  );
  assertEquals(listed.sort(), others);
});

Deno.test("the documentation of the protocol names every request", () => {
  const [, section = ""] = /<section id="v1"([^]*?)<\/section>/
    .exec(docsPage("protocol")) ?? [];
  const named = [...section.matchAll(/<code\s*>(?:\{"type":\s*")?(\w+)/g)]
    .map(([, name]) => name);
  assertEquals(
    REQUEST_TYPES.filter((type) => !named.includes(type)),
    [],
    'not in <section id="v1"> of static/docs/protocol.html',
  );
});

Deno.test("the documentation of the protocol shows every request in a line", () => {
  const lines = codeOf("protocol", "The other requests").trim().split("\n");
  const types = lines.map((line) => parseRequest(line)?.type);
  assertEquals(
    types.toSorted(),
    REQUEST_TYPES.filter((type) => type !== "hello").toSorted(),
  );
});

/** An event with these fields of its own, which differ on each server. */
const ANY = { at: "", author: "", key: "", epoch: "" };
const plain = (event: WireEvent) =>
  Object.fromEntries(
    Object.entries(event).map(([field, value]) =>
      field in ANY ? [field, ""] : [field, value]
    ),
  );

Deno.test("the example in the documentation of the protocol is what happens", async () => {
  await using server = await startServer();
  const isEmpty = () =>
    [...server.hub.rooms.values()].every(({ members }) => members.size === 0);
  let client: Client | undefined;
  let mine = { key: "", epoch: "" };
  const example = codeOf("protocol", "An example in partyline.v1");
  for (const part of example.split(/\n+(?=[→←#])/)) {
    const text = part.slice(2);
    if (part.startsWith("# Your connection breaks.")) {
      await client?.[Symbol.asyncDispose]();
      await using ben = await Client.join(server.ws, { name: "Ben" });
      ben.request({ type: "message", message: "Hi, Ada!", id: "b1" });
      await ben.messagesUpTo("Hi, Ada!");
      client = undefined;
    } else if (part.startsWith("→")) {
      if (client === undefined) await until(isEmpty, "an empty room");
      client ??= await Client.open(server.ws, { protocols: ["partyline.v1"] });
      const request = JSON.parse(text);
      if (request.key) request.key = mine.key;
      if (request.since) request.since.epoch = mine.epoch;
      client.request(request);
    } else if (part.startsWith("←")) {
      for (const event of JSON.parse(text)) {
        const heard = await client?.next();
        assert(heard);
        assertEquals(plain(heard), plain(event));
        if (heard.type === "welcome") mine = heard;
      }
    }
  }
  assertEquals(mine.key === "", false, "the example has no welcome");
  await client?.[Symbol.asyncDispose]();
});

for (const name of NAMES) {
  const path = name === "index" ? "" : name;

  Deno.test(`/docs/${path} is a whole page without JavaScript`, async () => {
    await using server = await startServer({ base: "/class/" });
    const response = await fetch(`${server.http}/class/docs/${path}`);
    assertEquals(response.status, 200);
    const page = await response.text();
    assertEquals(page, docsPage(name));
    assertMatch(page, /<html lang="en">/);
    assertMatch(page, /<title>[^<]+ · Partyline<\/title>/);
    assertEquals(page.match(/<h1\b/g)?.length, 1);
    // The policy of the server allows neither, and a proxy may change the path.
    assert(!/<script|<style|\sstyle=|\son\w+=/.test(page), "not by itself");
    assertEquals(addressesIn(page).filter((it) => it.startsWith("/")), []);
  });

  Deno.test(`every link of /docs/${path} leads somewhere`, async () => {
    await using server = await startServer({ base: "/class/" });
    const here = new URL(`${server.http}/class/docs/${path}`);
    const bodies = new Map<string, Promise<[number, string]>>();
    for (const address of addressesIn(docsPage(name))) {
      if (isExternal(address)) continue;
      const { href, hash } = new URL(address, here);
      const url = href.slice(0, href.length - hash.length);
      if (!bodies.has(url)) bodies.set(url, load(url));
      const [status, body] = await bodies.get(url) ?? [];
      assertEquals(status, 200, address);
      const id = hash.slice(1);
      assert(id === "" || body?.includes(` id="${id}"`), address);
    }
  });

  Deno.test(`every file of the source that /docs/${path} names is there`, () => {
    const codes = docsPage(name).matchAll(/<code\s*>([^<]*)<\/code\s*>/g);
    for (const [, code = ""] of codes) {
      if (!/^(chat|static|tests)\/\S*\.\w+$|^main\.ts$/.test(code)) continue;
      assert(isFile(new URL(code, ROOT)), code);
    }
  });

  Deno.test(`every task of Deno that /docs/${path} names is there`, () => {
    const tasks = docsPage(name).matchAll(/\btask\s+([a-z:]+)/g);
    assertAreTasks([...tasks].map(([, task = ""]) => task));
  });
}

async function load(url: string): Promise<[number, string]> {
  const response = await fetch(url);
  return [response.status, await response.text()];
}

function assertAreTasks(names: string[]): void {
  const { tasks } = JSON.parse(
    Deno.readTextFileSync(new URL("deno.json", ROOT)),
  );
  for (const name of names) assert(name in tasks, name);
}

Deno.test("every link and every task of the README is there", () => {
  const tasks = README.matchAll(/\btask\s+([a-z:]+)/g);
  assertAreTasks([...tasks].map(([, task = ""]) => task));
  const links = [...README.matchAll(/\]\(([^)]+)\)/g)];
  assert(links.length > 5, "the links were not found");
  for (const [, address = ""] of links) {
    assert(isExternal(address) || isFile(new URL(address, ROOT)), address);
  }
});

Deno.test("every page has its name and the program's in its title, and its link marked", () => {
  for (const page of ["learn", "lab", "x-ray", "docs/index"]) {
    const text = Deno.readTextFileSync(`${STATIC}/${page}.html`);
    assertMatch(text, /<title>[^<]+ · Partyline<\/title>/, page);
    const marked = [
      ...text.matchAll(/<a href="([^"]+)" aria-current="page">/g),
    ];
    const address = page === "docs/index" ? "./" : page;
    assertEquals(marked.map(([, href]) => href), [address]);
  }
});

Deno.test("the README is two screens long", () => {
  const { length } = README.split("\n");
  assert(length <= 120, `${length} lines`);
});

Deno.test("the address of the documentation without a slash leads there", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.http}/docs`);
  assertEquals(response.url, `${server.http}/docs/`);
  assertEquals(await response.text(), docsPage("index"));
});
