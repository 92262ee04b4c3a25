// What came while the process was stopped, or the machine slept, is read before
// anything that has a deadline is called late.
import { assertEquals } from "@std/assert";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { HELLO_TIMEOUT_MS } from "../../chat/session/v1.ts";
import { POLL_TIMEOUT_MS } from "../../chat/transport/poll_places.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  RawClient,
  soon,
  START_DEADLINE_MS,
  until,
} from "../support/harness.ts";
import { get } from "../support/http_clients.ts";

const FAST_SERVER = new URL("../support/fast_server.ts", import.meta.url);
const FACTOR = 20;

async function startFastServer() {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", FAST_SERVER.pathname, `${FACTOR}`],
    stdout: "piped",
  }).spawn();
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.endsWith("\n")) {
    const next = soon(stdout.read(), "the port", START_DEADLINE_MS);
    text += (await next).value ?? "";
  }
  return {
    port: Number(text),
    /** Stops it for longer than `ms` of its own time, and meanwhile does this. */
    async sleep(ms: number, body: () => Promise<void>) {
      child.kill("SIGSTOP");
      const wakesAtMs = performance.now() + 1.2 * ms / FACTOR;
      await body();
      await until(() => performance.now() > wakesAtMs, "the morning");
      child.kill("SIGCONT");
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await stdout.cancel();
    },
  };
}

const isUnix = Deno.build.os !== "windows";

Deno.test({
  name: "a hello that came while the process was stopped is not late",
  ignore: !isUnix,
  fn: async () => {
    await using server = await startFastServer();
    for (let tries = 0; tries < 5; tries++) {
      using raw = await RawClient.upgrade(server.port, "/ws", {
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
      });
      await server.sleep(
        HELLO_TIMEOUT_MS,
        () => raw.write(frame(Opcode.text, '{"type":"hello"}')),
      );
      const first = await raw.readFrame();
      assertEquals(first?.opcode, Opcode.text);
      const text = new TextDecoder().decode(first?.payload);
      assertEquals(JSON.parse(text)[0].type, "welcome");
    }
  },
});

Deno.test({
  name: "a client whose poll came while the process was stopped is still here",
  ignore: !isUnix,
  fn: async () => {
    await using server = await startFastServer();
    const url = `http://127.0.0.1:${server.port}/messages`;
    const [{ key, epoch, seq }] = (await get(`${url}?line=a`)).body;
    const since = `key=${key}&since=${epoch}:${seq}`;
    for (let tries = 0; tries < 5; tries++) {
      // The first of them takes what is told about the coming.
      await get(`${url}?line=a&${since}&wait=0`);
      let poll: ReturnType<typeof get> | undefined;
      await server.sleep(POLL_TIMEOUT_MS, () => {
        poll = get(`${url}?line=a&${since}&wait=0`);
        return Promise.resolve();
      });
      assertEquals((await poll)?.status, 200);
    }
  },
});
