// The JavaScript client in Node 22, which npx fetches: the oldest Node that has
// a WebSocket of its own.
import { skip, testClient } from "../support/clients.ts";

const { success, stdout } = await new Deno.Command("npx", {
  args: ["-y", "node@22", "-p", "process.execPath"],
  stderr: "null",
}).output().catch(() => ({ success: false, stdout: new Uint8Array() }));
const node = new TextDecoder().decode(stdout).trim();

testClient(
  "client.js in Node 22",
  "client.js",
  [node || "node"],
  skip(success, "Node 22"),
);
