// Owns what must hold when a run has come to rest: the log against what clients
// were shown, names and rooms against who is here. Never changes what it checks.
// Invariant: it reads the log as any client can, through a connection of its
// own that did not see it grow.
import type { HistoryEvent, MessageEvent } from "../../chat/protocol.ts";
import { Client } from "../harness.ts";
import { type RoomRecord, ROOMS } from "./ledger.ts";
import type { PlainGuest } from "./plain_guest.ts";
import { foldName } from "./roster.ts";
import type { V1Guest } from "./v1_guest.ts";
import { DEADLINE_MS, type World } from "./world.ts";

export interface Guests {
  v1: V1Guest[];
  plain: PlainGuest[];
}

/** Everything, in the order in which it is needed: the last part empties it. */
export async function judge(world: World, guests: Guests): Promise<void> {
  const present = guests.v1.filter(({ hasLeft }) => !hasLeft);
  for (const room of world.ledger.rooms) {
    await checkLog(world, room, present.filter((guest) => guest.room === room));
  }
  for (const guest of guests.v1) checkV1Messages(guest);
  for (const guest of guests.plain) checkPlainMessages(guest);
  await checkRosters(world, present);
  for (const guest of present) guest.leave();
  for (const guest of [...guests.v1, ...guests.plain]) await guest.gone();
  for (const name of ROOMS) await checkEmpty(world, name);
}

/** The log is what everybody was shown, and everybody was shown all of it. */
async function checkLog(world: World, room: RoomRecord, present: V1Guest[]) {
  const url = `ws://127.0.0.1:${world.program.port}/ws?room=${room.name}`;
  const head = await readForwards(url, room);
  await readBackwards(url, room, head);
  const lost = room.entries.slice(head + 1).find((entry) => entry);
  if (lost !== undefined) {
    throw new Error(`${room.name}: seq ${lost.seq} was shown and is lost`);
  }
  for (const guest of present) await guest.reach(head);
  const beyond = present.find(({ last }) => last > head);
  if (beyond) throw new Error(beyond.about("shown more than the log holds"));
  checkOrder(room);
  world.tally.stored += head;
  world.tally.shown += room.shown;
}

/** As a client does that lost everything but the epoch. Returns the last seq. */
async function readForwards(url: string, room: RoomRecord): Promise<number> {
  const since = { epoch: room.epoch ?? "", seq: 0 };
  await using reader = await Client.join(url, { since });
  const { recovered, seq: head } = reader.welcome;
  if (recovered !== true) {
    throw new Error(`${room.name}: the epoch ${room.epoch} is gone`);
  }
  for (let seq = 1; seq <= head; seq++) {
    seeNext(room, seq, await reader.nextOf("message"));
  }
  return head;
}

/** As a client does that scrolls up to the beginning. */
async function readBackwards(url: string, room: RoomRecord, head: number) {
  await using reader = await Client.join(url, { history: 0 });
  for (let before = head + 1; before > 1;) {
    reader.request({ type: "history", before, count: 200 });
    const { messages }: HistoryEvent = await reader.nextOf("history");
    const first = before - messages.length;
    if (first === before) throw new Error(`no history before ${before}`);
    for (const [i, event] of messages.entries()) {
      seeNext(room, first + i, event);
    }
    before = first;
  }
}

function seeNext(room: RoomRecord, seq: number, event: MessageEvent): void {
  if (event.seq !== seq) {
    throw new Error(
      `${room.name}: seq ${event.seq} stands where ${seq} should`,
    );
  }
  room.see(event);
}

/** Messages of one author stand in the order in which they were sent. */
function checkOrder(room: RoomRecord): void {
  const newest = new Map<number, number>();
  for (const entry of room.entries) {
    if (entry === undefined) continue;
    const before = newest.get(entry.author) ?? 0;
    if (entry.n <= before) {
      throw new Error(
        `${room.name}: client ${entry.author}'s message ${entry.n} stands ` +
          `after ${before}, at seq ${entry.seq}`,
      );
    }
    newest.set(entry.author, entry.n);
  }
}

/** What was acknowledged is stored; who stayed has all stored, with its id. */
function checkV1Messages(guest: V1Guest): void {
  const { number, room, sent, outbox, hasLeft } = guest;
  for (let n = 1; n <= sent; n++) {
    const seq = room.place({ author: number, n });
    const wasTold = outbox.acknowledged.get(n);
    if (wasTold !== undefined ? seq !== wasTold : !hasLeft) {
      throw new Error(
        guest.about(`message ${n}, acknowledged at ${wasTold}, is at ${seq}`),
      );
    }
    const entry = seq === undefined ? undefined : room.entries[seq];
    if (entry && (entry.id !== `${n}` || !guest.name.all.has(entry.sender))) {
      throw new Error(
        guest.about(`message ${n} is ${entry.id} of "${entry.sender}"`),
      );
    }
  }
}

function checkPlainMessages(guest: PlainGuest): void {
  for (const [n, seq] of guest.shown) {
    const place = guest.room.place({ author: guest.number, n });
    if (place !== seq) {
      throw new Error(guest.about(`message ${n} was at ${seq}, is ${place}`));
    }
  }
}

/** Every client knows exactly who is here, and no two have one name. */
async function checkRosters(world: World, present: V1Guest[]): Promise<void> {
  const all = present.map(({ name }) => name.current ?? "");
  if (new Set(all.map(foldName)).size !== all.length) {
    throw new Error(`two have one name: ${all}`);
  }
  for (const guest of present) {
    const names = () =>
      present.filter(({ room }) => room === guest.room)
        .map(({ name }) => name.current).sort().join();
    const shown = () => guest.roster.names.sort().join();
    await world.until(
      () => names() === shown(),
      () => guest.about(`${names()} are here, it knows of ${shown()}`),
    );
  }
}

/** Whoever comes into a room that all have left is alone in it. */
async function checkEmpty(world: World, room: string): Promise<void> {
  const url = `ws://127.0.0.1:${world.program.port}/ws?room=${room}`;
  const giveUpAtMs = performance.now() + DEADLINE_MS;
  while (true) {
    await using client = await Client.join(url, { history: 0 });
    const { sender, members, count } = client.welcome;
    if (count === 1 && members.join() === sender) return;
    // The server may not have noticed yet that the last ones hung up.
    if (performance.now() > giveUpAtMs) {
      throw new Error(`${room}: ghosts among ${count}: ${members}`);
    }
  }
}
