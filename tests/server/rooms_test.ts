// The list of rooms: off unless the operator wants it, the fullest first, bounded.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeFrame } from "../../static/client/protocol.js";
import { MAX_LISTED_ROOMS } from "../../chat/protocol/events.ts";
import { ROOM_LIST_MS } from "../../chat/room/hub.ts";
import {
  Client,
  range,
  startServer,
  type TestServer,
  until,
} from "../support/harness.ts";
import { EventSourceClient, post } from "../support/http_clients.ts";

async function list(client: Client) {
  client.request({ type: "rooms" });
  const { rooms, more } = await client.nextOf("rooms");
  return { rooms, more };
}

/** So many clients in a room, of either dialect, when all of them are told. */
async function fillRoom(server: TestServer, name: string, count: number) {
  const stack = new AsyncDisposableStack();
  const url = `${server.ws}?room=${name}`;
  for (const n of range(1, count)) {
    stack.use(await (n % 2 ? Client.open(url) : Client.join(url)));
  }
  const size = () => server.hub.rooms.get(name)?.roster.size;
  await until(() => size() === count, `${count} people in ${name}`);
  return stack;
}

Deno.test("the rooms with people in them are listed, the fullest first", async () => {
  const clock = { ms: 0 };
  await using server = await startServer({ listRooms: true }, {
    monotonic: () => clock.ms,
  });
  const physics = await fillRoom(server, "physics", 3);
  await using _others = await fillRoom(server, "art", 1);
  await using ada = await Client.join(server.ws);
  assertEquals(ada.welcome.listsRooms, true);
  await until(() => server.hub.rooms.get("lobby")?.roster.size === 1, "Ada");
  assertEquals(await list(ada), {
    rooms: [
      { name: "physics", count: 3 },
      { name: "art", count: 1 },
      { name: "lobby", count: 1 },
    ],
    more: false,
  });
  await physics.disposeAsync();
  await until(() => !server.hub.rooms.has("physics"), "the end of physics");
  clock.ms += ROOM_LIST_MS;
  const { rooms } = await list(ada);
  assertEquals(rooms.map(({ name }: { name: string }) => name), [
    "art",
    "lobby",
  ]);
});

Deno.test("of very many rooms the fullest are listed, and that there are more", async () => {
  await using server = await startServer({ listRooms: true });
  const names = range(1, MAX_LISTED_ROOMS + 1).map((n) => `r${n}`);
  await using stack = new AsyncDisposableStack();
  const join = async (room: string) => {
    stack.use(await Client.join(`${server.ws}?room=${room}`));
  };
  await Promise.all(names.map(join));
  await join("r201");
  const full = () => server.hub.rooms.get("r201")?.roster.size === 2;
  const isAll = () =>
    names.every((name) => server.hub.rooms.get(name)?.roster.size);
  await until(() => full() && isAll(), "everyone");
  await using ada = await Client.join(`${server.ws}?room=r201`);
  const { rooms, more } = await list(ada);
  assertEquals([rooms.length, more, rooms[0].name], [
    MAX_LISTED_ROOMS,
    true,
    "r201",
  ]);
});

Deno.test("those who ask in one second share what the store was asked for", async () => {
  const clock = { ms: 0 };
  await using server = await startServer({ listRooms: true, rate: 0 }, {
    monotonic: () => clock.ms,
  });
  await using ada = await Client.join(server.ws);
  const { hub } = server;
  assertEquals(hub.listRooms(), hub.listRooms());
  const first = hub.listRooms();
  await list(ada);
  assert(hub.listRooms() === first);
  clock.ms += ROOM_LIST_MS;
  assert(hub.listRooms() !== first);
});

Deno.test("without --list-rooms a welcome says so, and the error says what to do", async () => {
  await using server = await startServer();
  await using ada = await Client.join(server.ws);
  assertEquals(ada.welcome.listsRooms, false);
  ada.request({ type: "rooms" });
  const { code, message } = await ada.nextOf("error");
  assertEquals(code, "invalid");
  assertMatch(message, /does not list its rooms.*--list-rooms/);
});

Deno.test("questions for the rooms have the rate of requests", async () => {
  const clock = { ms: 1 };
  await using server = await startServer({ burst: 2, listRooms: true }, {
    monotonic: () => clock.ms,
  });
  await using ada = await Client.join(server.ws);
  await list(ada);
  await list(ada);
  ada.request({ type: "rooms" });
  assertEquals((await ada.nextOf("error")).code, "rate_limited");
});

Deno.test("a question for the rooms that is posted is answered by SSE, and the page reads it", async () => {
  await using server = await startServer({ listRooms: true });
  await using stream = await EventSourceClient.open(`${server.http}/events`);
  const { data: welcome } = await stream.next("welcome");
  await until(() => server.hub.rooms.get("lobby")?.roster.size === 1, "it");
  const url = `${server.http}/messages?key=${welcome.key}`;
  const headers = { "content-type": "application/json" };
  assertEquals((await post(url, '{"type":"rooms"}', headers)).status, 202);
  const { data } = await stream.next("rooms");
  const frame = JSON.stringify([data, { ...data, rooms: [{ name: 1 }] }]);
  const rooms = [{ name: "lobby", count: 1 }];
  assertEquals<unknown>(decodeFrame(frame, new Date()), [
    { type: "rooms", rooms, more: false },
    { type: "rooms", rooms: [], more: false },
  ]);
});
