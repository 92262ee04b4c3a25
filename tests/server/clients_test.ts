// The short clients that are shown and the ones that the server hands out:
// they are run as a student would, and the latter point at their server.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { find, pipe, skip, testClient } from "../support/clients.ts";
import { RawClient, request, startServer, STATIC } from "../support/harness.ts";

const deno = [Deno.execPath(), "run", "--no-prompt", "--allow-net"];
testClient("client.js in Deno", "client.js", deno, "");

const pythons = ["python3", "/usr/bin/python3"];
const python = await find(pythons, "-c", "import websockets");
testClient(
  "client.py",
  "client.py",
  [python ?? "python3"],
  skip(python !== undefined, "Python's package websockets"),
);

/** What the server hands out when it is asked under such a name. */
async function handedOut(
  port: number,
  path: string,
  fields: Record<string, string>,
): Promise<{ head: string; body: string }> {
  using client = await RawClient.open(port);
  await client.write(request(path, { ...fields, Connection: "close" }));
  const head = await client.readHead();
  return { head, body: await client.readToEnd() };
}

for (const file of ["client.js", "client.py"]) {
  Deno.test(`${file} that is handed out points at its server`, async () => {
    const onDisk = await Deno.readTextFile(`${STATIC}/${file}`);
    const cases: [string, Record<string, string>, string][] = [
      ["/", { Host: "192.168.1.20:8000" }, "ws://192.168.1.20:8000/ws"],
      ["/", { Host: "[::1]:8000" }, "ws://[::1]:8000/ws"],
      ["/a/", { Host: "pi.local" }, "ws://pi.local/a/ws"],
      ["/", { Host: "chat.example.org" }, "wss://chat.example.org/ws"],
      ["/", {
        Host: "localhost:8000",
        "X-Forwarded-Host": "school.lan",
        "X-Forwarded-Proto": "https",
      }, "wss://school.lan/ws"],
      ["/", {
        Host: "localhost:8000",
        "X-Forwarded-Host": 'x";evil()',
      }, "ws://localhost:8000/ws"],
    ];
    for (const [base, fields, address] of cases) {
      await using server = await startServer({
        base,
        invite: "course-2026-x",
        trustProxy: ["127.0.0.1"],
        allowOrigin: ["https://chat.example.org"],
      });
      const path = `${base}${file}?invite=course-2026-x`;
      const { head, body } = await handedOut(server.port, path, fields);
      assertStringIncludes(head.toLowerCase(), "cache-control: no-store");
      assertEquals(
        body,
        onDisk.replace("ws://localhost:8000/ws", () => address),
      );
    }
  });
}

Deno.test("client.js says which flag Deno needs", async () => {
  const command = [Deno.execPath(), "run", "--no-prompt"];
  const end = await pipe([...command, `${STATIC}/client.js`], "");
  assertEquals([end.code, end.stderr.trim().split("\n").length], [1, 1]);
  assertStringIncludes(end.stderr, "deno run --allow-net");
});

const noNode = skip(await find(["node"], "-v") !== undefined, "Node");

Deno.test({
  name: `client.js says that a Node without WebSocket is too old${noNode}`,
  ignore: noNode !== "",
  fn: async () => {
    // Node 20 has none, a newer one can do without.
    const command = ["node", "--no-experimental-websocket"];
    const end = await pipe([...command, `${STATIC}/client.js`], "");
    assertStringIncludes(end.stderr, "use Node 22 or newer");
    assertEquals(end.code, 1);
  },
});

Deno.test({
  name: `client.py says which package is missing${
    skip(python !== undefined, "Python")
  }`,
  ignore: skip(python !== undefined, "Python") !== "",
  fn: async () => {
    // Isolated and without site-packages, no Python has it.
    const command = [python ?? "python3", "-I", "-S"];
    const end = await pipe([...command, `${STATIC}/client.py`], "");
    assertStringIncludes(end.stderr, "pip install websockets");
    assertEquals(end.code, 1);
  },
});
