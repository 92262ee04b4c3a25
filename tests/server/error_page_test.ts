// What a person sees whose browser goes to an address that cannot be shown;
// over raw requests, because `fetch` sets what a browser's navigation sends.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { homeFrom } from "../../chat/http/error_page.ts";
import { RawClient, request, startServer } from "../support/harness.ts";

const NAVIGATION = {
  Accept: "text/html,application/xhtml+xml,*/*;q=0.8",
  "Sec-Fetch-Mode": "navigate",
};

async function ask(
  port: number,
  path: string,
  headers: Record<string, string>,
) {
  using raw = await RawClient.open(port);
  const Host = `127.0.0.1:${port}`;
  await raw.write(request(path, { Host, ...headers, Connection: "close" }));
  const { status, head } = await raw.readAnswer();
  return { status, head: head.toLowerCase(), body: await raw.readToEnd() };
}

for (
  const [path, status, sentence] of [
    ["/nothing", 404, "There is nothing at /nothing."],
    ["/wss", 404, "There is nothing at /wss. The WebSocket is at /ws."],
    ["/WS/", 404, "There is nothing at /WS/. The WebSocket is at /ws."],
    ["/websocket", 404, "The WebSocket is at /ws."],
    ["/not-found", 404, "There is nothing at /not-found."],
    ["/ws", 426, "WebSocket"],
    ["/ws?room=NOT+A+ROOM", 400, "A room&#39;s name has"],
    ["/x-ray/events", 403, "moderator"],
  ] as const
) {
  Deno.test(`${path} answers a browser's navigation with a page that leads home, to the lesson and to the lab`, async () => {
    await using server = await startServer();
    const { status: got, head, body } = await ask(
      server.port,
      path,
      NAVIGATION,
    );
    assertEquals(got, status);
    assertStringIncludes(head, "content-type: text/html; charset=utf-8");
    assertStringIncludes(head, "content-security-policy: default-src 'none'");
    assertStringIncludes(body, sentence);
    const home = path.endsWith("/") || path.startsWith("/x-ray/")
      ? "../"
      : "./";
    for (const page of ["", "learn", "lab", "x-ray"]) {
      assertStringIncludes(body, `<a href="${home}${page}">`);
    }
    assertStringIncludes(body, `href="${home}shared/base.css"`);
    assert(!/\{[A-Z]+\}|<script/.test(body), body);
  });
}

for (
  const [what, headers] of [
    ["a program", {}],
    ["a program that takes anything", { Accept: "*/*" }],
    ["a page's script", { ...NAVIGATION, "Sec-Fetch-Mode": "cors" }],
  ] as const
) {
  Deno.test(`${what} is told by one line of text that there is nothing`, async () => {
    await using server = await startServer();
    const { status, head, body } = await ask(server.port, "/nothing", headers);
    assertEquals(status, 404);
    assertStringIncludes(head, "content-type: text/plain");
    assertStringIncludes(body, "There is nothing at /nothing.\n");
    assert(!body.includes("<"), body);
  });
}

Deno.test("an address cannot put markup into the page", async () => {
  await using server = await startServer();
  const path = "/'\"><script>{HOME}&";
  const { body } = await ask(server.port, path, NAVIGATION);
  assert(!/<script|'"|&[^a-z#]/.test(body), body);
});

Deno.test("the way home is relative, from below the base and from beside it", () => {
  for (
    const [pathname, base] of [
      ["/x", "/"],
      ["/a/b/", "/"],
      ["//x", "/"],
      ["/class/chat/x", "/class/chat/"],
      ["/class/chat/a/b", "/class/chat/"],
      ["/other/x", "/class/chat/"],
      ["/x", "/class/chat/"],
    ] as const
  ) {
    const home = homeFrom(pathname, base);
    assert(!home.startsWith("/"), home);
    assertEquals(new URL(home, `http://a${pathname}`).pathname, base);
  }
});
