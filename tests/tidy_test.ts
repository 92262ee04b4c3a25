// The layers of DESIGN section 4: who may import whom, and that each file says
// at its top what it owns. Adding a file means adding it here.
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("..", import.meta.url);

/** What each file of chat/ may import from chat/. */
const layers: Record<string, string[]> = {
  "assets.ts": [],
  "certificate.ts": [],
  "doors.ts": ["limits.ts", "refusal.ts"],
  "echo.ts": ["refusal.ts", "sse.ts"],
  "frame_header.ts": [],
  "handshake.ts": [
    "protocol.ts",
    "refusal.ts",
    "session.ts",
    "session_draw.ts",
    "session_plain.ts",
    "session_v1.ts",
  ],
  "limits.ts": [],
  "listener.ts": ["logger.ts"],
  "lobby.ts": [
    "log.ts",
    "log_shared.ts",
    "names.ts",
    "protocol.ts",
    "room.ts",
    "room_shared.ts",
    "world.ts",
  ],
  "log.ts": ["protocol.ts"],
  "log_redis.ts": [
    "log.ts",
    "log_shared.ts",
    "protocol.ts",
    "redis_link.ts",
    "redis_scripts.ts",
  ],
  "log_shared.ts": ["log.ts"],
  "log_sqlite.ts": ["log.ts", "protocol.ts"],
  "logger.ts": ["limits.ts"],
  "metrics.ts": [],
  "names.ts": [],
  "opening.ts": [],
  "options.ts": ["proxy.ts"],
  "overload.ts": ["world.ts"],
  "poll.ts": ["protocol.ts", "session.ts"],
  "protocol.ts": [],
  "proxy.ts": [],
  "redis_link.ts": ["log.ts", "redis_scripts.ts"],
  "redis_scripts.ts": ["log.ts"],
  "refusal.ts": [],
  "room.ts": ["log.ts", "protocol.ts", "world.ts"],
  "room_shared.ts": [
    "log_shared.ts",
    "protocol.ts",
    "room.ts",
    "world.ts",
  ],
  "server.ts": [
    "assets.ts",
    "certificate.ts",
    "doors.ts",
    "echo.ts",
    "handshake.ts",
    "listener.ts",
    "lobby.ts",
    "log.ts",
    "log_shared.ts",
    "opening.ts",
    "options.ts",
    "overload.ts",
    "protocol.ts",
    "proxy.ts",
    "refusal.ts",
    "session.ts",
    "sse.ts",
    "status.ts",
    "transports.ts",
    "world.ts",
    "xray.ts",
  ],
  "session.ts": [
    "limits.ts",
    "lobby.ts",
    "log.ts",
    "overload.ts",
    "protocol.ts",
    "room.ts",
    "world.ts",
  ],
  "session_draw.ts": ["limits.ts", "protocol.ts", "room.ts", "session.ts"],
  "session_plain.ts": ["protocol.ts", "room.ts", "session.ts"],
  "session_v1.ts": [
    "lobby.ts",
    "log.ts",
    "names.ts",
    "protocol.ts",
    "room.ts",
    "session.ts",
  ],
  "sse.ts": ["protocol.ts", "session.ts"],
  "status.ts": ["lobby.ts", "overload.ts", "world.ts"],
  "std.d.ts": [],
  "tap.ts": [
    "frame_header.ts",
    "opening.ts",
    "protocol.ts",
    "session.ts",
    "watch.ts",
  ],
  "terminal.ts": ["options.ts"],
  "transports.ts": [
    "lobby.ts",
    "log.ts",
    "poll.ts",
    "protocol.ts",
    "refusal.ts",
    "room.ts",
    "session.ts",
    "session_v1.ts",
    "sse.ts",
  ],
  "watch.ts": ["protocol.ts", "sse.ts"],
  "world.ts": ["logger.ts", "metrics.ts"],
  "xray.ts": [
    "doors.ts",
    "lobby.ts",
    "opening.ts",
    "protocol.ts",
    "refusal.ts",
    "session.ts",
    "sse.ts",
    "tap.ts",
    "watch.ts",
    "world.ts",
  ],
};

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))]
    .filter(({ isFile }) => isFile)
    .map(({ name }) => name)
    .sort();
}

const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

Deno.test("every file of chat/ has its place in the layers", () => {
  assertEquals(filesIn("chat/"), Object.keys(layers).sort());
});

for (const [file, allowed] of Object.entries(layers)) {
  Deno.test(`chat/${file} imports only what its layer allows`, () => {
    const imports = [...read(`chat/${file}`).matchAll(/from "\.\/([^"]+)"/g)]
      .map(([, name = ""]) => name);
    assertEquals(imports.filter((name) => !allowed.includes(name)), []);
  });
}

Deno.test("every file opens with a comment of two to five lines", () => {
  const files = [
    "main.ts",
    ...filesIn("chat/").map((name) => `chat/${name}`),
    ...filesIn("tests/")
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `tests/${name}`),
    ...["static/", "static/learn/", "static/lab/", "static/x-ray/"]
      .filter((folder) => existsSync(new URL(folder, ROOT)))
      .flatMap((folder) => filesIn(folder).map((name) => folder + name))
      .filter((path) => path.endsWith(".js") && path !== "static/client.js"),
  ];
  for (const file of files) {
    const lines = read(file).split("\n").filter((line) =>
      line !== "// @ts-check"
    );
    const length = lines.findIndex((line) => !line.startsWith("//"));
    assert(length >= 2 && length <= 5, `${file}: ${length} lines`);
  }
});
