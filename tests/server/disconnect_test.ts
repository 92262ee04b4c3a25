// What a client hears when the server ends its connection without its fault,
// and what listening anew promises: nothing is lost, and what Deno alone would
// keep for ever is gone, or has lost its place.
import { assert, assertEquals } from "@std/assert";
import { Listener } from "../../chat/http/listener.ts";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import type { Session } from "../../chat/session/session.ts";
import { frame, Opcode } from "../../chat/check/frames.ts";
import {
  Client,
  hasNewHttp,
  newContext,
  RawClient,
  soon,
  startServer,
  until,
} from "../support/harness.ts";

Deno.test("a client that a stop disconnects is told when to come back", async () => {
  await using server = await startServer({}, { random: () => 0.5 });
  await using plain = await Client.open(server.ws);
  await using v1 = await Client.join(server.ws);
  const drained = server.drain(2_000);
  const { code, message, retryAfter } = await v1.nextOf("error");
  assertEquals([code, retryAfter], ["shutting_down", 1_005]);
  assertEquals(
    message,
    "The server is shutting down; come back in 2 s.",
  );
  for (const client of [plain, v1]) {
    const end = await soon(client.closed, "the close");
    assertEquals(end.code, 1001);
    assertEquals(end.reason, "the server is shutting down; come back in 2 s");
  }
  await drained;
});

Deno.test("the more are sent away, the longer their return is spread", async () => {
  const asked: number[] = [];
  await using server = await startServer({}, { random: () => 0.999 });
  const clients = await Promise.all(
    Array.from({ length: 100 }, () => Client.join(server.ws)),
  );
  const drained = server.drain(5_000);
  for (const client of clients) {
    asked.push((await client.nextOf("error")).retryAfter);
    await client[Symbol.asyncDispose]();
  }
  await drained;
  assertEquals(new Set(asked), new Set([1_000 + Math.ceil(0.999 * 500)]));
});

Deno.test("listening anew closes with 1012, and a client that returns missed nothing", async () => {
  await using server = await startServer();
  await using a = await Client.join(server.ws);
  a.request({ type: "message", message: "before", id: "1" });
  await a.messagesUpTo("before");
  const { key, epoch } = a.welcome;
  await server.reopen("test", "restarting");
  const { code, retryAfter } = await a.nextOf("error");
  assertEquals(code, "restarting");
  assert(retryAfter >= 1_000);
  assertEquals((await soon(a.closed, "the close")).code, 1012);
  const b = await eventually(() =>
    Client.join(server.ws, { key, since: { epoch, seq: 0 } })
  );
  await using _ = b;
  assertEquals(b.welcome.recovered, true);
  await b.messagesUpTo("before");
});

for (const dialect of ["", SUBPROTOCOL]) {
  Deno.test(`a restart amid a handshake leaves no ghost: "${dialect}"`, async () => {
    await using server = await startServer();
    const connections = server.connections as Map<Session, Promise<void>>;
    const kept = Promise.withResolvers<[Session, Promise<void>]>();
    const set = connections.set.bind(connections);
    connections.set = (session, isGone) => {
      kept.resolve([session, isGone]);
      return set(session, isGone);
    };
    const socket = new WebSocket(server.ws, dialect === "" ? [] : dialect);
    const closed = new Promise((resolve) => socket.onclose = resolve);
    const [session, isGone] = await kept.promise;
    assert(!session.hasOpened);
    await server.reopen("test", "restarting");
    await soon(closed, "the end");
    await until(() => connections.size === 0, "the session to go");
    assert(!session.hasOpened);
    assertEquals(server.hub.rooms.size, 0);
    // Deno 2.6 does not tell the end; then it is given up after 10 s.
    await soon(isGone, "the end at the server", 15_000);
  });
}

/** The port is taken for a moment longer. */
async function eventually<T>(open: () => Promise<T>): Promise<T> {
  const giveUpAtMs = performance.now() + 10_000;
  while (true) {
    try {
      return await open();
    } catch (error) {
      if (performance.now() > giveUpAtMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const ENDS = hasNewHttp
  ? "ends half a request and an endless message"
  : "ends half a request; an endless message loses its place, and Deno keeps it";

Deno.test(`listening anew ${ENDS}`, async () => {
  await using server = await startServer({ maxClients: 1 });
  using half = await RawClient.open(server.port);
  await half.write("GET / HT");
  using endless = await RawClient.upgrade(server.port);
  const part = frame(Opcode.text, "x".repeat(1_000), { fin: false });
  await endless.write(part);
  await until(() => server.connections.size === 1, "the connection");
  await server.reopen("test", "overloaded");
  assertEquals(await soon(half.readFrame(), "the end"), undefined);
  // Its close frame comes, though it never answers; and then the end.
  assertEquals(
    (await soon(endless.readFrame(), "a frame"))?.opcode,
    Opcode.close,
  );
  const end = endless.readFrame();
  if (hasNewHttp) assertEquals(await soon(end, "the end"), undefined);
  await until(() => server.connections.size === 0, "nobody is left");
  await using next = await eventually(() => Client.open(server.ws));
  assertEquals((await next.say("there is a place")).message.length, 16);
  if (!hasNewHttp) await endless.write(part);
});

Deno.test("a listener that fails listens again on the same port", async () => {
  const servers: Deno.HttpServer<Deno.NetAddr>[] = [];
  const failures: string[] = [];
  const finished: PromiseWithResolvers<void>[] = [];
  const context = newContext();
  context.logger.log = (_level, event) => failures.push(event);
  let failed = 0;
  const listener = new Listener(
    (port, signal) => {
      const server = Deno.serve(
        { port, hostname: "127.0.0.1", signal, onListen: () => {} },
        () => new Response("here"),
      );
      servers.push(server);
      const end = Promise.withResolvers<void>();
      finished.push(end);
      return Object.create(server, {
        finished: { value: end.promise },
        addr: { value: server.addr },
        shutdown: { value: () => server.shutdown() },
      });
    },
    0,
    context.logger,
    () => failed++,
  );
  const url = `http://127.0.0.1:${listener.address.port}`;
  assertEquals(await (await fetch(url)).text(), "here");
  await servers[0]?.shutdown();
  finished[0]?.reject(new Error("no descriptor is left"));
  assertEquals(await eventually(async () => (await fetch(url)).text()), "here");
  assertEquals([failed, servers.length], [1, 2]);
  assertEquals(failures, ["listener_failed"]);
  await listener.close();
  const { hostname, port } = listener.address;
  const error = await Deno.connect({ hostname, port }).catch((error) => error);
  assert(error instanceof Deno.errors.ConnectionRefused);
});
