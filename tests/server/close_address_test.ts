// /close/ as the server hands it out, and the lines on it in JavaScript and Python:
// each of them runs. Those in Java run in tests/deploy/java_test.ts.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { find, pipe, skip } from "../support/clients.ts";
import {
  closeSections,
  isEndless,
  type Language,
} from "../support/close_page.ts";
import { startServer, until } from "../support/harness.ts";

for (const base of ["/", "/class/chat/"]) {
  Deno.test(`below ${base} /close/CODE leads to the section, by a relative address`, async () => {
    await using server = await startServer({ base });
    const at = `${server.http}${base}`;
    const manual = { redirect: "manual" } as const;
    for (
      const [path, location] of [
        ["close/1009", "./#1009"],
        ["close/401", "./#401"],
        ["close/4999", "./#4999"],
      ]
    ) {
      const response = await fetch(at + path, manual);
      assertEquals(response.status, 302);
      assertEquals(response.headers.get("location"), location);
      await response.body?.cancel();
    }
    const page = await fetch(`${at}close/1009`);
    assertEquals(page.url.split("#")[0], `${at}close/`);
    assertStringIncludes(await page.text(), '<section id="1009"');
    for (const path of ["close/1", "close/10090", "close/x", "close/1009/"]) {
      const response = await fetch(at + path, manual);
      assertEquals(response.status, 404, path);
      await response.body?.cancel();
    }
  });
}

Deno.test("the page of an HTTP error leads to the section of its status", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.http}/ws`, {
    headers: { accept: "text/html" },
  });
  assertEquals(response.status, 426);
  assertStringIncludes(await response.text(), 'href="./close/426"');
});

/** Runs lines of the page against a server of its own; they print no error. */
async function run(command: string[], code: string): Promise<void> {
  await using server = await startServer();
  const here = code.replaceAll("localhost:8000", `127.0.0.1:${server.port}`);
  const [program = "", ...args] = command;
  if (!isEndless(code)) {
    const end = await pipe([program, ...args, here], "");
    assertEquals([end.code, end.stderr], [0, ""], here);
    return;
  }
  await using child = new Deno.Command(program, {
    args: [...args, here],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const joined = () => server.hub.census.members > 0;
  await until(joined, `a connection of ${here}`);
  if (code.includes("come back")) {
    await server.reopen("test", "restarting");
    await until(() => server.connections.size === 0, "the end of it");
    await until(joined, `another connection of ${here}`);
  }
  child.kill("SIGKILL");
  await child.status;
}

const pythons = ["python3", "/usr/bin/python3"];
const python = await find(pythons, "-c", "import websockets");
const missing = skip(python !== undefined, "Python's package websockets");

function testLines(language: Language, command: string[], skipped: string) {
  const ignore = skipped !== "";
  for (const { id, lines } of closeSections) {
    const code = lines[language];
    if (code === undefined) continue;
    const name = `the lines in ${language} about ${id} run${skipped}`;
    Deno.test({ name, ignore, fn: () => run(command, code) });
  }
}

Deno.test("the lines in JavaScript that ask for the reason of a refusal print it", async () => {
  await using server = await startServer({ invite: "course-2026-x" });
  const code = closeSections.find(({ id }) => id === "see")?.lines.JavaScript;
  const here = code?.replaceAll("localhost:8000", `127.0.0.1:${server.port}`);
  const end = await pipe([Deno.execPath(), "eval", here ?? ""], "");
  assertStringIncludes(
    end.stdout,
    "HTTP 401 This server asks for an invitation",
  );
});

testLines("JavaScript", [Deno.execPath(), "eval"], "");
testLines("Python", [python ?? "python3", "-c"], missing);
assert(closeSections.length > 0);
