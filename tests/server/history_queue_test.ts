// Many clients ask for history at once, and those who talk hardly notice. What
// counts is the order in which the server reads pages and delivers what is said, and
// not the time that it takes.
import { assert, assertEquals } from "@std/assert";
import {
  HistoryQueue,
  type Purpose,
} from "../../chat/session/history_queue.ts";
import {
  Client,
  range,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";

const READERS = 100;

/** A server where history has no rate, and somebody in a room who said 200 kB. */
async function newScene(stack: AsyncDisposableStack) {
  const limits = { rate: 0, historyRate: 0 };
  const server = stack.use(await startServer(limits));
  const author = stack.use(await Client.join(server.ws));
  for (const i of range(1, 200)) {
    const message = `${i} `.padEnd(1_000);
    author.request({ type: "message", message, id: `${i}` });
    await author.messagesUpTo(message);
  }
  const { epoch } = author.welcome;
  return { server, author, since: { epoch, seq: 0 } };
}

/** As many clients as there are readers. */
async function comeAll(
  stack: AsyncDisposableStack,
  come: () => Promise<Client>,
): Promise<Client[]> {
  const clients = await Promise.all(range(1, READERS).map(come));
  for (const client of clients) stack.use(client);
  return clients;
}

/** Counts the pages that are read in the lobby from now on. */
function countReads({ hub }: TestServer): { count: number } {
  const lobby = hub.rooms.get("lobby");
  assert(lobby !== undefined);
  const reads = { count: 0 };
  for (const method of ["before", "missed", "after"] as const) {
    const read = lobby[method].bind(lobby) as (...args: unknown[]) => unknown;
    const counted = (...args: unknown[]) => {
      reads.count++;
      return read(...args);
    };
    Object.assign(lobby, { [method]: counted });
  }
  return reads;
}

/** Holds if what is said when all ask is heard before a quarter of it is read. */
async function assertIsHeard(
  server: TestServer,
  askAll: () => void,
  expected: number,
): Promise<void> {
  await using one = await Client.join(`${server.ws}?room=other`);
  await using two = await Client.join(`${server.ws}?room=other`);
  const reads = countReads(server);
  const room = server.hub.rooms.get("other");
  assert(room !== undefined);
  const publish = room.publish.bind(room);
  let before = Infinity;
  room.publish = (turn) => {
    if (turn.some(({ seq }) => seq > 0)) before = reads.count;
    publish(turn);
  };
  askAll();
  one.request({ type: "message", message: "hello, you", id: "1" });
  await two.messagesUpTo("hello, you");
  await until(() => reads.count >= expected, "all pages", 60_000);
  assert(before < expected / 4, `${before} of ${expected} pages came before`);
}

Deno.test("what is said goes out before most pages that a hundred members ask for at once", async () => {
  await using stack = new AsyncDisposableStack();
  const { server } = await newScene(stack);
  const readers = await comeAll(
    stack,
    () => Client.join(server.ws, { history: 0 }),
  );
  const page = { type: "history", before: 201, count: 200 } as const;
  await assertIsHeard(server, () => {
    for (const reader of readers) {
      for (const _ of range(1, 20)) reader.request(page);
    }
  }, READERS * 20);
});

Deno.test("what is said goes out before a hundred clients that come back got what they missed", async () => {
  await using stack = new AsyncDisposableStack();
  const { server, since } = await newScene(stack);
  const protocols = ["partyline.v1"];
  const readers = await comeAll(
    stack,
    () => Client.open(server.ws, { protocols }),
  );
  await assertIsHeard(server, () => {
    for (const reader of readers) reader.request({ type: "hello", since });
  }, READERS);
  for (const reader of readers) {
    for (const seq of range(1, 200)) {
      assertEquals((await reader.nextOf("message")).seq, seq);
    }
  }
});

Deno.test("what a client missed queues before the pages and searches that others ask for", async () => {
  await using stack = new AsyncDisposableStack();
  const { server, author, since } = await newScene(stack);
  const purposes: Purpose[] = [];
  const { enter } = HistoryQueue.prototype;
  stack.defer(() => {
    HistoryQueue.prototype.enter = enter;
  });
  HistoryQueue.prototype.enter = function (begin, purpose) {
    purposes.push(purpose);
    enter.call(this, begin, purpose);
  };
  author.request({ type: "history", before: 201 });
  await author.nextOf("history");
  author.request({ type: "search", text: "x" });
  await author.nextOf("found");
  assertEquals(purposes.splice(0), ["asked", "asked"]);
  for (const hello of [{}, { since }]) {
    await using client = await Client.join(server.ws, hello);
    await client.messagesUpTo("200 ".padEnd(1_000));
  }
  assert(purposes.length >= 2);
  assertEquals(new Set(purposes), new Set(["missed"]));
});
