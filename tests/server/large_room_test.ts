// A room of more people than a `welcome` lists: what it costs to come and to go
// there, and how somebody learns who is in it.
import { assert, assertEquals } from "@std/assert";
import {
  MAX_LISTED_MEMBERS,
  MAX_OTHERS,
  type MembersEvent,
} from "../../chat/protocol/events.ts";
import { MAX_SENT_BYTES } from "../../chat/protocol/frames.ts";
import { SUBPROTOCOL } from "../../chat/protocol/requests.ts";
import { Members } from "../../static/client/members.js";
import { decodeFrame } from "../../static/client/protocol.js";
import {
  Client,
  range,
  soon,
  START_DEADLINE_MS,
  startServer,
  type TestServer,
  until,
  type WireEvent,
} from "../support/harness.ts";

/** A client that keeps the frames and, like the page, who is in the room. */
class Guest {
  readonly members = new Members();
  readonly frames: string[] = [];

  constructor(readonly socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => {
      this.frames.push(data);
      for (const event of decodeFrame(data, new Date())) {
        if (
          event.type === "welcome" || event.type === "members" ||
          event.type === "join" || event.type === "leave" ||
          event.type === "rename"
        ) this.members.hear(event);
      }
    });
  }

  get events(): WireEvent[] {
    return this.frames.flatMap((frame) => JSON.parse(frame));
  }

  get bytes(): number {
    return this.frames.reduce((sum, frame) => sum + frame.length, 0);
  }

  /** Asks for all names, page by page, and returns the answers. */
  async askForAll(): Promise<MembersEvent[]> {
    const pages = () => this.events.filter(({ type }) => type === "members");
    const { length: before } = pages();
    for (let count = before + 1;; count++) {
      const after = pages().slice(before).at(-1)?.members.at(-1);
      this.socket.send(JSON.stringify({ type: "members", after }));
      await until(() => pages().length === count, "a page of names");
      if (!pages().at(-1).more) return pages().slice(before);
    }
  }
}

/** Lets so many in at once, and waits until all are welcome. */
async function enter(server: TestServer, names: string[]): Promise<Guest[]> {
  const guests = names.map((name) => {
    const guest = new Guest(new WebSocket(server.ws, SUBPROTOCOL));
    const hello = JSON.stringify({ type: "hello", name });
    guest.socket.onopen = () => guest.socket.send(hello);
    return guest;
  });
  const areIn = () => guests.every(({ frames }) => frames.length > 0);
  await until(areIn, "all of them are welcome", START_DEADLINE_MS);
  return guests;
}

async function leave(guests: Guest[]): Promise<void> {
  await soon(
    Promise.all(guests.map(({ socket }) =>
      new Promise<void>((resolve) => {
        socket.onclose = () => resolve();
        socket.close();
      })
    )),
    "the end of all",
    START_DEADLINE_MS,
  );
}

const named = (count: number) => range(1, count).map((n) => `guest-${n}`);

function roomOf({ hub }: TestServer) {
  const [room] = hub.rooms.values();
  if (room === undefined) throw new Error("There is no room.");
  return room;
}

const types = (guest: Guest, type: string) =>
  guest.events.filter((event) => event.type === type);

Deno.test("1,000 who come and go cost bytes and frames by their number", async () => {
  await using server = await startServer();
  const [watcher] = await enter(server, ["watcher"]);
  assert(watcher);
  const guests = await enter(server, named(1_000));
  await until(() => watcher.members.count === 1_001, "all joins");
  const bytes = guests.reduce((sum, guest) => sum + guest.bytes, 0);
  // Told one by one, the joins alone would take 47 KB of each.
  assert(bytes < 20_000 * guests.length, `${bytes} bytes`);
  const others = types(watcher, "join").map(({ others = [] }) => others.length);
  assert(others.every((count) => count <= MAX_OTHERS), `${others}`);
  assert(others.some((count) => count > 0), "all joins were told one by one");
  const { length: before } = watcher.frames;
  await leave(guests);
  await until(() => watcher.members.count === 1, "all leaves");
  assertEquals(
    types(watcher, "leave").map(({ sender }) => sender).sort(),
    named(1_000).sort(),
  );
  const { length: frames } = watcher.frames.slice(before);
  assert(frames < 100, `${frames} frames`);
  assert(watcher.frames.every(({ length }) => length <= MAX_SENT_BYTES));
  await leave([watcher]);
});

Deno.test("up to 200 people each join is told, with nothing that is new", async () => {
  await using server = await startServer();
  const [watcher, ...guests] = await enter(server, [
    "watcher",
    ...named(MAX_LISTED_MEMBERS - 1),
  ]);
  assert(watcher);
  await until(() => watcher.members.names.length === 200, "all names");
  assertEquals(watcher.members.count, MAX_LISTED_MEMBERS);
  assert(types(watcher, "join").every((event) => !("others" in event)));
  await leave([watcher, ...guests]);
});

Deno.test("all names of a large room can be had, page by page, and stay true", async () => {
  await using server = await startServer({ rate: 0 });
  const guests = await enter(server, named(450));
  const [watcher] = await enter(server, ["watcher"]);
  assert(watcher);
  const { members, count } = watcher.events[0];
  assertEquals([members.length, members[0]], [MAX_LISTED_MEMBERS, "watcher"]);
  assertEquals(count, 451);
  await until(() => roomOf(server).roster.size === 451, "the last join");
  const pages = await watcher.askForAll();
  assertEquals(
    pages.map(({ members, more, count }) => [members.length, more, count]),
    [[200, true, 451], [200, true, 451], [51, false, 451]],
  );
  const names = pages.flatMap(({ members }) => members);
  assertEquals(names, [...named(450), "watcher"].sort());
  assertEquals(watcher.members.names.length, 451);

  // Some leave, some are renamed, and more come than are named.
  await leave(guests.splice(0, 100));
  guests.slice(0, 100).forEach(({ socket }, i) =>
    socket.send(JSON.stringify({ type: "rename", name: `new-${i}` }))
  );
  const late = await enter(server, named(60).map((name) => `late-${name}`));
  const isTold = () =>
    watcher.members.count === 411 && types(watcher, "rename").length === 100;
  await until(isTold, "all that happened");
  const roster = () => [...roomOf(server).roster].sort();
  const known = watcher.members.names;
  assert(known.every((name) => roomOf(server).roster.has(name)));
  await watcher.askForAll();
  assertEquals(watcher.members.names.toSorted(), roster());
  await leave([watcher, ...guests, ...late]);
});

Deno.test("in a large room a client that comes back misses nothing", async () => {
  await using server = await startServer({ rate: 0 });
  const guests = await enter(server, named(300));
  await using speaker = await Client.join(server.ws, { name: "speaker" });
  let position: { epoch: string; seq: number };
  let key: string;
  {
    await using gone = await Client.join(server.ws, { name: "gone" });
    key = gone.welcome.key;
    const { epoch, seq } = gone.welcome;
    position = { epoch, seq };
  }
  const texts = range(1, 50).map((n) => `missed ${n}`);
  for (const text of texts) {
    speaker.request({ type: "message", message: text, id: text });
  }
  await speaker.messagesUpTo("missed 50");
  await using back = await Client.join(server.ws, { key, since: position });
  const { recovered, sender, count, members } = back.welcome;
  assertEquals([recovered, sender, count], [true, "gone", 302]);
  assertEquals(members.length, MAX_LISTED_MEMBERS);
  const heard = await back.messagesUpTo("missed 50");
  assertEquals(heard.map(({ message }) => message), texts);
  await leave(guests);
});

Deno.test("those who come at once and wish for one name get different names", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const data of [":memory:", `${folder}/a.db`]) {
      await using server = await startServer({ data });
      const guests = await enter(server, Array(50).fill("Ada"));
      const names = guests.map(({ events }) => events[0].sender);
      assertEquals(new Set(names).size, 50);
      assertEquals(names.filter((name) => name === "Ada").length, 1);
      await leave(guests);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a request for names after a number is refused, and one after any text is not", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws, { name: "Ada" });
  ada.send('{"type":"members","after":1}');
  assertEquals((await ada.nextOf("error")).code, "invalid");
  ada.request({ type: "members", after: "zz" });
  const { members, more, after, count } = await ada.nextOf("members");
  assertEquals([members, more, after, count], [[], false, "zz", 1]);
});
