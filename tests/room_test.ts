// What room.ts promises: one order for all, turns, and no ghosts. Members are
// plain objects here; sockets come in plain_test.ts.
import { assert, assertEquals } from "@std/assert";
import {
  Lobby,
  MAX_QUEUED,
  type Member,
  NAME_REST_MS,
  Room,
} from "../chat/room.ts";

const TURN_CHARS = 256 * 1024;

class Listener implements Member {
  readonly heard: string[] = [];
  turns = 0;
  constructor(readonly name: string, private readonly then = () => {}) {}
  deliver(events: readonly string[]) {
    this.turns++;
    for (const event of events) this.heard.push(JSON.parse(event).message);
    this.then();
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

function roomOf(...members: Member[]): Room {
  const room = new Room(TURN_CHARS, () => 0);
  for (const member of members) room.join(member);
  return room;
}

function lobby({ now = () => 0, maxRooms = 10 } = {}): Lobby {
  return new Lobby({ maxRooms, maxTurnChars: TURN_CHARS }, now, Math.random);
}

Deno.test("messages of one moment share a turn, in order", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const room = roomOf(a, b);
  for (const text of ["1", "2", "3"]) room.say(a, text);
  assertEquals(b.heard, []);
  await nextTurn();
  assertEquals([a.heard, b.heard], [["1", "2", "3"], ["1", "2", "3"]]);
  assertEquals(b.turns, 1);
});

Deno.test("1,000 members see one turn's messages in the same order", async () => {
  const members = Array.from(
    { length: 1_000 },
    (_, i) => new Listener(`m${i}`),
  );
  const room = roomOf(...members);
  members.forEach((member, i) => room.say(member, `${i}`));
  await nextTurn();
  const order = members.map((_, i) => `${i}`);
  for (const { heard } of members) assertEquals(`${heard}`, `${order}`);
});

Deno.test("seq counts up by one and survives members coming and going", async () => {
  const seqs: number[] = [];
  const watcher = {
    name: "w",
    deliver: (events: readonly string[]) => {
      seqs.push(...events.map((event) => JSON.parse(event).seq));
    },
  };
  const room = roomOf(watcher);
  room.say(watcher, "a");
  room.say(watcher, "b");
  await nextTurn();
  room.say(watcher, "c");
  await nextTurn();
  assertEquals(seqs, [1, 2, 3]);
});

Deno.test("joining, leaving and sending during a broadcast are safe", async () => {
  const late = new Listener("late");
  const b = new Listener("b");
  const a: Listener = new Listener("a", () => {
    if (a.turns > 1) return;
    room.leave(b);
    room.join(late);
    room.say(a, "again");
  });
  const room = roomOf(a, b);
  room.say(a, "once");
  await nextTurn();
  await nextTurn();
  assertEquals(a.heard, ["once", "Client disconnected", "again"]);
  assertEquals(b.heard, []);
  assertEquals(late.heard, ["once", "Client disconnected", "again"]);
});

Deno.test("a leave comes after what the leaver said, and only once", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const room = roomOf(a, b);
  room.say(a, "bye");
  room.leave(a);
  room.leave(a);
  await nextTurn();
  assertEquals(b.heard, ["bye", "Client disconnected"]);
  assertEquals(a.heard, []);
});

Deno.test("a turn carries what fits, the next turn the rest", async () => {
  const a = new Listener("a");
  const room = new Room(1_000, () => 0);
  room.join(a);
  for (let i = 0; i < 10; i++) room.say(a, "x".repeat(300));
  await nextTurn();
  assert(a.heard.length < 10);
  for (let i = 0; i < 10; i++) await nextTurn();
  assertEquals(a.heard.length, 10);
  assert(a.turns >= 4);
});

Deno.test("a message longer than a turn still goes out", async () => {
  const a = new Listener("a");
  const room = new Room(10, () => 0);
  room.join(a);
  room.say(a, "x".repeat(100));
  await nextTurn();
  assertEquals(a.heard.length, 1);
});

Deno.test("a queue that is full refuses the message, not the leave", async () => {
  const [a, b] = [new Listener("a"), new Listener("b")];
  const room = roomOf(a, b);
  for (let i = 0; i < MAX_QUEUED; i++) assert(room.say(a, ""));
  assertEquals(room.say(a, "one too many"), false);
  room.leave(a);
  while (b.heard.length <= MAX_QUEUED) await nextTurn();
  assertEquals(b.heard.at(-1), "Client disconnected");
});

Deno.test("an empty room is forgotten", () => {
  const all = lobby();
  const a = new Listener("a");
  all.room("physics")?.join(a);
  assertEquals([...all.rooms.keys()], ["physics"]);
  all.leave("physics", a);
  all.leave("physics", a);
  assertEquals(all.rooms.size, 0);
});

Deno.test("one room too many is not made, an existing one is still open", () => {
  const all = lobby({ maxRooms: 1 });
  const room = all.room("physics");
  assertEquals(all.room("chemistry"), undefined);
  assertEquals(all.hasSpaceFor("chemistry"), false);
  assertEquals(all.room("physics"), room);
});

Deno.test("10,000 clients have 10,000 names", () => {
  const all = lobby();
  const names = Array.from({ length: 10_000 }, () => all.claimName());
  assertEquals(new Set(names).size, 10_000);
});

Deno.test("a name rests for a minute after its holder has gone", () => {
  let nowMs = 0;
  // Random draws that always make the same pair show what is remembered.
  const all = new Lobby(
    { maxRooms: 1, maxTurnChars: TURN_CHARS },
    () => nowMs,
    () => 0,
  );
  const name = all.claimName();
  all.releaseName(name);
  nowMs = NAME_REST_MS - 1;
  const other = all.claimName();
  assert(other !== name);
  all.releaseName(other);
  nowMs = NAME_REST_MS;
  assertEquals(all.claimName(), name);
});
