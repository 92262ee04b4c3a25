// Owns what must hold when a run has come to rest: the log against what clients
// were shown, names and rooms against who is here, on each node. Never changes
// what it checks. Invariant: it reads the log as any client can, through
// connections of its own that did not see it grow.
import type { HistoryEvent, MessageEvent } from "../../chat/protocol.ts";
import { Client } from "../harness.ts";
import { type Life, type Mark, type RoomRecord, ROOMS } from "./ledger.ts";
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
  for (const guest of guests.plain) checkPlainMessages(world, guest);
  await checkRosters(world, present);
  for (const name of ROOMS) {
    const here = present.filter(({ room }) => room.name === name);
    await checkNewcomers(world, name, here);
  }
  for (const guest of present) guest.leave();
  for (const guest of [...guests.v1, ...guests.plain]) await guest.gone();
  for (const name of ROOMS) await checkNewcomers(world, name, []);
}

const urlOf = (port: number, room: string) =>
  `ws://127.0.0.1:${port}/ws?room=${room}`;

/** The log is what everybody was shown, and everybody was shown all of it. */
async function checkLog(world: World, room: RoomRecord, present: V1Guest[]) {
  const { nodes, redis, tally } = world;
  const heads = [];
  for (const { port } of nodes) {
    heads.push(await readLog(urlOf(port, room.name), room, tally.emptyings));
  }
  const [head = 0] = heads;
  const life = room.lives.at(-1);
  if (life === undefined || heads.some((other) => other !== head)) {
    throw new Error(`${room.name}: the nodes have ${heads} messages`);
  }
  const lost = life.entries.slice(head + 1).find((entry) => entry) ??
    room.findLost((atMs) => world.emptyingsSince(atMs) > 0);
  if (lost !== undefined) {
    throw new Error(`${room.name}: seq ${lost.seq} was shown and is lost`);
  }
  for (const guest of present) await guest.reach(life, head);
  const beyond = present.find(({ last }) => last > head);
  if (beyond) throw new Error(beyond.about("shown more than the log holds"));
  for (const life of room.lives) {
    checkOrder(
      room,
      life,
      (mark) => redis !== undefined && room.isExcused(mark),
    );
  }
  tally.stored += head;
  tally.shown += room.shown;
}

/** Reads all of it, in both directions. Returns the last seq. */
async function readLog(
  url: string,
  room: RoomRecord,
  emptyings: number,
): Promise<number> {
  await using reader = await Client.join(url, { history: 0 });
  const { epoch, seq } = reader.welcome;
  const life = room.life(epoch);
  if (life !== room.lives.at(-1) || room.lives.length > 1 + emptyings) {
    throw new Error(`${room.name}: the epoch is ${epoch}`);
  }
  await readForwards(url, room, life, seq);
  await readBackwards(reader, room, life, seq);
  return seq;
}

/** As a client does that lost everything but the epoch. */
async function readForwards(
  url: string,
  room: RoomRecord,
  life: Life,
  head: number,
) {
  const since = { epoch: life.epoch, seq: 0 };
  await using reader = await Client.join(url, { since });
  if (reader.welcome.recovered !== true || reader.welcome.seq !== head) {
    const welcome = JSON.stringify(reader.welcome);
    throw new Error(`${room.name}: not ${head} of ${life.epoch}: ${welcome}`);
  }
  for (let seq = 1; seq <= head; seq++) {
    seeNext(room, life, seq, await reader.nextOf("message"));
  }
}

/** As a client does that scrolls up to the beginning. */
async function readBackwards(
  reader: Client,
  room: RoomRecord,
  life: Life,
  head: number,
) {
  for (let before = head + 1; before > 1;) {
    reader.request({ type: "history", before, count: 200 });
    const { messages }: HistoryEvent = await reader.nextOf("history");
    const first = before - messages.length;
    if (first === before) throw new Error(`no history before ${before}`);
    for (const [i, event] of messages.entries()) {
      seeNext(room, life, first + i, event);
    }
    before = first;
  }
}

function seeNext(
  room: RoomRecord,
  life: Life,
  seq: number,
  event: MessageEvent,
): void {
  if (event.seq !== seq) {
    throw new Error(
      `${room.name}: seq ${event.seq} stands where ${seq} should`,
    );
  }
  room.see(event, life);
}

/** Messages of one author stand in the order in which they were sent. */
function checkOrder(
  room: RoomRecord,
  life: Life,
  isExcused: (mark: Mark) => boolean,
): void {
  const newest = new Map<number, number>();
  for (const entry of life.entries) {
    if (entry === undefined || isExcused(entry)) continue;
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

/**
 * What was acknowledged is stored, unless it was lost with all; who stayed has
 * all stored, with its id.
 */
function checkV1Messages(guest: V1Guest): void {
  const { room, sent, outbox, hasLeft } = guest;
  for (let n = 1; n <= sent; n++) {
    const mark = guest.mark(n);
    const told = outbox.acknowledged.get(n);
    const lives = room.livesOf(mark);
    if (told ? told.life.place(mark) !== told.seq : !hasLeft) {
      throw new Error(
        guest.about(
          `message ${n}, acknowledged at ${told?.seq}, is at ` +
            `${lives.map((life) => life.place(mark))}`,
        ),
      );
    }
    if (lives.length > 1 && !room.isExcused(mark)) {
      throw new Error(guest.about(`message ${n} was stored again unasked`));
    }
    for (const life of lives) {
      const entry = life.entries[life.place(mark) ?? 0];
      if (entry?.id !== `${n}` || !guest.name.all.has(entry.sender)) {
        throw new Error(
          guest.about(`message ${n} is ${entry?.id} of "${entry?.sender}"`),
        );
      }
    }
  }
}

function checkPlainMessages(world: World, guest: PlainGuest): void {
  for (let n = 1; n <= guest.sent; n++) {
    const mark = { author: guest.number, n };
    const [life, ...others] = guest.room.livesOf(mark);
    const place = life?.place(mark);
    const shown = guest.shown.get(n);
    const isLost = life === undefined && shown !== undefined &&
      world.emptyingsSince(shown.atMs) > 0;
    if (others.length > 0 || (shown && shown.seq !== place && !isLost)) {
      throw new Error(
        guest.about(`message ${n} was at ${shown?.seq}, is at ${place}`),
      );
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

/** Whoever comes, to whichever node, is told exactly who is here. */
async function checkNewcomers(world: World, room: string, present: V1Guest[]) {
  const expected = present.map(({ name }) => name.current).sort().join();
  for (const { port } of world.nodes) {
    const giveUpAtMs = performance.now() + DEADLINE_MS;
    while (true) {
      await using client = await Client.join(urlOf(port, room), { history: 0 });
      const { sender, members, count } = client.welcome;
      const others = members.filter((name) => name !== sender).sort().join();
      if (count === present.length + 1 && others === expected) break;
      // It may not have been noticed yet that the last ones hung up.
      if (performance.now() > giveUpAtMs) {
        throw new Error(
          `${room}: ${expected || "nobody"} should be here, ` +
            `not ${count}: ${members}`,
        );
      }
    }
  }
}
