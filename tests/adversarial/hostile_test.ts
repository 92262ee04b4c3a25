// What bad clients may do: end themselves, and nothing else. Each case of
// hostile/ tries a rule over raw TCP beside a bystander who chats; afterwards no
// ghost is left. Where Deno does not do what the rule says, the case says so.
import { assert, assertEquals } from "@std/assert";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  handshake,
  RawClient,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { control } from "./hostile/control.ts";
import { framing } from "./hostile/framing.ts";
import { messages } from "./hostile/messages.ts";
import { play } from "./hostile/play.ts";
import { requests } from "./hostile/requests.ts";

/** The bystander still chats, and nothing of a bad client is left. */
async function assertUnharmed(server: TestServer, bystander: Client) {
  await until(() => server.connections.size === 1, "only the bystander");
  const [room] = server.hub.rooms.values();
  assertEquals(server.hub.rooms.size, 1);
  assertEquals(room?.members.size, 1);
  await bystander.say("still here");
}

for (const area of [framing, control, messages, requests]) {
  for (const tried of area) {
    const { what, rule, ends } = tried;
    Deno.test(`${what} (${rule}): ${ends}`, () => play(tried));
  }
}

Deno.test("a client that talks on after it was closed is not heard", async () => {
  await using server = await startServer();
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  using raw = await RawClient.upgrade(server.port);
  await raw.write(frame(Opcode.text, "hello"));
  assertEquals((await bystander.next()).message, "hello");
  await raw.write(frame(Opcode.binary, "x"));
  let next = await raw.readFrame();
  while (next && next.opcode !== Opcode.close) next = await raw.readFrame();
  assertEquals(next?.opcode, Opcode.close);
  for (let i = 0; i < 20; i++) {
    await raw.write(frame(Opcode.text, "psst"));
    await raw.write(frame(Opcode.ping, "psst"));
  }
  const [room] = server.hub.rooms.values();
  await until(() => room?.members.size === 1, "its leaving");
  assertEquals((await bystander.next()).type, "leave");
  await bystander.say("has it gone?");
  raw[Symbol.dispose]();
  await until(() => server.connections.size === 1, "the end");
  bystander.send("it has");
  assertEquals((await bystander.next()).message, "it has");
});

Deno.test("requests half sent or never sent disturb no one", async () => {
  const server = await startServer();
  await using bystander = await Client.open(server.ws);
  const raws = await Promise.all(
    ["", "GET", "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: webso"].map(
      async (text) => {
        const raw = await RawClient.open(server.port);
        await raw.write(text);
        return raw;
      },
    ),
  );
  await assertUnharmed(server, bystander);
  for (const raw of raws) raw[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

Deno.test("200 clients that vanish in the middle of the handshake leave nothing", async () => {
  await using server = await startServer();
  await using _bystander = await Client.open(server.ws);
  for (let i = 0; i < 200; i++) {
    using raw = await RawClient.open(server.port);
    await raw.write(handshake(server.port));
    if (i % 2 === 0) await raw.readHead();
  }
  await until(
    () => server.connections.size === 1,
    "the vanished to be noticed",
  );
  const [room] = server.hub.rooms.values();
  assertEquals(room?.members.size, 1);
});

Deno.test("a client that falls silent is let go after the idle time-out", async () => {
  await using server = await startServer({ idleTimeout: 2 });
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  // It reads nothing and answers no ping, as if its cable were cut.
  using _silent = await RawClient.upgrade(server.port);
  assertEquals((await bystander.next()).type, "leave");
});

Deno.test("a flood is answered with refusals, then cut off", async () => {
  await using server = await startServer();
  await using bystander = await Client.open(server.ws);
  await bystander.say("ready");
  using raw = await RawClient.upgrade(server.port);
  const flood = frame(Opcode.text, "spam");
  const writing = (async () => {
    for (let i = 0; i < 1_000; i++) await raw.write(flood);
  })().catch(() => {});
  assertEquals(await raw.closeCode(), 1008);
  await writing;
  let heard = 0;
  while ((await bystander.next()).type !== "leave") heard++;
  assert(heard <= 25, `${heard} messages of the flood came through`);
});
