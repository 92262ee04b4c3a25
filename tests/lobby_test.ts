// What lobby.ts promises: rooms that come and go, and names that one person
// has at a time. No socket is involved.
import { setImmediate } from "node:timers";
import { assert, assertEquals } from "@std/assert";
import { Lobby, NAME_REST_MS, NameError } from "../chat/lobby.ts";
import { MemoryLog } from "../chat/log.ts";
import type { Member } from "../chat/room.ts";
import { newWorld } from "./harness.ts";

const guest = (name = "guest"): Member => ({
  name,
  deliver() {},
  acknowledge() {},
  refuse() {},
  restart() {},
});

function lobbyOf({
  now = (): number => 0,
  random = Math.random,
  maxRooms = 10,
  log = new MemoryLog(10),
} = {}): Lobby {
  return new Lobby(
    { maxRooms, maxTurnChars: 1_000 },
    log,
    newWorld({ now, random }),
  );
}

class Holder {
  hasGivenWay = false;
  giveWay() {
    this.hasGivenWay = true;
  }
}

Deno.test("a room is here as long as a guest is, and then forgotten", () => {
  const lobby = lobbyOf();
  const [a, b] = [guest(), guest()];
  const room = lobby.enter("physics", a);
  assert(room && room === lobby.enter("physics", b));
  lobby.leave(room, a);
  assertEquals([...lobby.rooms.keys()], ["physics"]);
  lobby.leave(room, b);
  lobby.leave(room, b);
  assertEquals(lobby.rooms.size, 0);
});

Deno.test("a room whose last words are being stored waits for them", async () => {
  const lobby = lobbyOf();
  const a = guest();
  const room = lobby.enter("physics", a);
  assert(room);
  room.members.add(a);
  room.say(a, "last words");
  lobby.leave(room, a);
  assertEquals(lobby.rooms.size, 1);
  while (lobby.rooms.size > 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assertEquals(room.head.seq, 1);
});

Deno.test("one room too many is not made, an existing one is still open", () => {
  const lobby = lobbyOf({ maxRooms: 1 });
  const room = lobby.enter("physics", guest());
  assertEquals(lobby.enter("chemistry", guest()), undefined);
  assertEquals(lobby.hasSpaceFor("chemistry"), false);
  assertEquals(lobby.enter("physics", guest()), room);
});

Deno.test("10,000 clients have 10,000 names", async () => {
  const lobby = lobbyOf();
  const names = new Set<string>();
  for (let i = 0; i < 5_000; i++) {
    names.add(await lobby.claimName(new Holder()));
    names.add((await lobby.register(undefined, new Holder())).name);
  }
  assertEquals(names.size, 10_000);
});

Deno.test("a name rests for a minute after its holder has gone", async () => {
  let nowMs = 0;
  // Random draws that always make the same pair show what is remembered.
  const lobby = lobbyOf({ now: () => nowMs, random: () => 0 });
  const name = await lobby.claimName(new Holder());
  lobby.releaseName(name);
  nowMs = NAME_REST_MS - 1;
  const other = await lobby.claimName(new Holder());
  assert(other !== name);
  lobby.releaseName(other);
  nowMs = NAME_REST_MS;
  assertEquals(await lobby.claimName(new Holder()), name);
});

Deno.test("when the friendly names are reserved by absent people, numbers are added", async () => {
  // Random draws that always make the same pair: to this lobby, all is taken.
  const lobby = lobbyOf({ random: () => 0 });
  const absent = new Holder();
  const { key: _, ...identity } = await lobby.register(undefined, absent);
  lobby.release(identity, absent);
  const names = new Set<string>();
  for (let i = 0; i < 100; i++) {
    names.add(await lobby.claimName(new Holder()));
    names.add((await lobby.register(undefined, new Holder())).name);
  }
  assertEquals(names.size, 200);
  assert([...names].every((name) => /^[a-z]+-\d+$/.test(name)));
});

Deno.test("a name that has rested can be taken without anybody else coming", async () => {
  let nowMs = 0;
  const lobby = lobbyOf({ now: () => nowMs });
  const name = await lobby.claimName(new Holder());
  lobby.releaseName(name);
  nowMs = NAME_REST_MS;
  assertEquals((await lobby.register(name, new Holder())).name, name);
});

Deno.test("a key brings back its identity, and whoever held it gives way", async () => {
  const lobby = lobbyOf();
  const [first, second] = [new Holder(), new Holder()];
  const { id, name, key } = await lobby.register("Ada", first);
  assertEquals(name, "Ada");
  assertEquals(await lobby.reclaim(key, second), { id, name, hold: 0 });
  assertEquals([first.hasGivenWay, second.hasGivenWay], [true, false]);
  // The first one's end must not take the name from the second.
  lobby.release({ id, name, hold: 0 }, first);
  assert((await lobby.register("Ada", new Holder())).name !== "Ada");
});

Deno.test("a wrong key brings back nothing", async () => {
  const lobby = lobbyOf();
  const { id, key } = await lobby.register("Ada", new Holder());
  for (const wrong of ["", "x", id, `${id}.`, `${key}x`, key.slice(0, -1)]) {
    assertEquals(await lobby.reclaim(wrong, new Holder()), undefined);
  }
});

Deno.test("an absent holder's name stays reserved for its key", async () => {
  const lobby = lobbyOf();
  const [ada, eve] = [new Holder(), new Holder()];
  const { key, ...identity } = await lobby.register("Ada", ada);
  lobby.release(identity, ada);
  assert((await lobby.register("ada", eve)).name !== "ada");
  assertEquals((await lobby.reclaim(key, ada))?.name, "Ada");
});

Deno.test("names differ in more than case and width", async () => {
  const lobby = lobbyOf();
  await lobby.register("Ada", new Holder());
  const eve = new Holder();
  const { key: _, ...identity } = await lobby.register("Eve", eve);
  for (const name of ["ada", "ADA", "Ａｄａ", "adA"]) {
    const error = await lobby.rename(identity, name, eve).catch((e) => e);
    assert(error instanceof NameError && error.code === "name_taken", name);
  }
  await lobby.rename(identity, "EVE", eve);
  assertEquals(identity.name, "EVE");
});

Deno.test("a new name frees the old one", async () => {
  const lobby = lobbyOf();
  const [ada, eve] = [new Holder(), new Holder()];
  const { key: _a, ...identity } = await lobby.register("Ada", ada);
  await lobby.rename(identity, "Lovelace", ada);
  assertEquals((await lobby.register("Ada", eve)).name, "Ada");
});

Deno.test("a name changed 10,000 times leaves one name", async () => {
  const log = new MemoryLog(10);
  const lobby = lobbyOf({ log });
  const ada = new Holder();
  const { key: _, ...identity } = await lobby.register("Ada", ada);
  for (let i = 0; i < 10_000; i++) {
    await lobby.rename(identity, `Ada ${i}`, ada);
  }
  assertEquals(await log.isReserved("Ada 9999"), true);
  assertEquals(await log.isReserved("Ada 9998"), false);
  assertEquals(
    (await lobby.register("Ada 9998", new Holder())).name,
    "Ada 9998",
  );
});
