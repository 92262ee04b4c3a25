// What must hold when a run has come to rest: on each server the history is what
// clients were shown, and names and rooms are those of the clients that are
// there. It reads the history as any client can, through connections of its own.
import type { HistoryEvent, MessageEvent } from "../../chat/protocol/events.ts";
import { Client } from "../support/harness.ts";
import { type Life, type Mark, type RoomRecord, ROOMS } from "./ledger.ts";
import type { PlainClient } from "./plain_client.ts";
import { foldName } from "./roster.ts";
import type { RandomV1Client } from "./random_v1_client.ts";
import { DEADLINE_MS, type StressRun } from "./stress_run.ts";

export interface Clients {
  v1: RandomV1Client[];
  plain: PlainClient[];
}

/** Everything, in the order in which it is needed: the last part empties it. */
export async function judge(run: StressRun, clients: Clients): Promise<void> {
  const present = clients.v1.filter(({ hasLeft }) => !hasLeft);
  for (const room of run.ledger.rooms) {
    await checkLog(run, room, present.filter((client) => client.room === room));
  }
  for (const client of clients.v1) checkV1Messages(client);
  for (const client of clients.plain) checkPlainMessages(run, client);
  await checkRosters(run, present);
  for (const name of ROOMS) {
    const here = present.filter(({ room }) => room.name === name);
    await checkNewcomers(run, name, here);
  }
  for (const client of present) client.leave();
  for (const client of [...clients.v1, ...clients.plain]) await client.gone();
  for (const name of ROOMS) await checkNewcomers(run, name, []);
}

const urlOf = (port: number, room: string) =>
  `ws://127.0.0.1:${port}/ws?room=${room}`;

/** The log is what everybody was shown, and everybody was shown all of it. */
async function checkLog(
  run: StressRun,
  room: RoomRecord,
  present: RandomV1Client[],
) {
  const { nodes, redis, tally } = run;
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
    room.findLost((atMs) => run.emptyingsSince(atMs) > 0);
  if (lost !== undefined) {
    throw new Error(`${room.name}: seq ${lost.seq} was shown and is lost`);
  }
  for (const client of present) await client.reach(life, head);
  await checkDeletions(run, room, life, present);
  const beyond = present.find(({ last }) => last > head);
  if (beyond) throw new Error(beyond.about("shown more than the log holds"));
  for (const life of room.lives) {
    checkOrder(
      room,
      life,
      (mark) => redis !== undefined && room.isExcused(mark),
    );
  }
  tally.deleted += life.deleted.size;
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
  const readings = [
    await readForwards(url, room, life, seq),
    await readBackwards(reader, room, life, seq),
  ];
  for (const deleted of readings) {
    const told = [...life.deleted].sort().join();
    if (deleted.sort().join() !== told) {
      throw new Error(`${room.name}: ${told} are deleted, not ${deleted}`);
    }
  }
  return seq;
}

/** What somebody asked to delete, who is here, is deleted; all here know of it. */
async function checkDeletions(
  run: StressRun,
  room: RoomRecord,
  life: Life,
  present: RandomV1Client[],
) {
  const here = new Set(present.map(({ number }) => number));
  for (const seq of life.wanted) {
    const author = life.entries[seq]?.author ?? NaN;
    if (here.has(author) && !life.deleted.has(seq)) {
      throw new Error(`${room.name}: seq ${seq} is not deleted`);
    }
  }
  for (const client of present) {
    const unknown = () =>
      [...life.deleted].filter((seq) =>
        seq >= client.first && !client.deleted.has(seq)
      );
    await run.until(
      () => unknown().length === 0,
      () => client.about(`still shown the text of ${unknown()}`),
    );
  }
}

/** As a client does that lost everything but the epoch. Returns what is deleted. */
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
  const deleted: number[] = [];
  for (let seq = 1; seq <= head; seq++) {
    const event = await reader.nextOf("message");
    seeNext(room, life, seq, event);
    if (event.deleted) deleted.push(seq);
  }
  return deleted;
}

/** As a client does that scrolls up to the beginning. Returns what is deleted. */
async function readBackwards(
  reader: Client,
  room: RoomRecord,
  life: Life,
  head: number,
) {
  const deleted: number[] = [];
  for (let before = head + 1; before > 1;) {
    reader.request({ type: "history", before, count: 200 });
    const { messages }: HistoryEvent = await reader.nextOf("history");
    const first = before - messages.length;
    if (first === before) throw new Error(`no history before ${before}`);
    for (const [i, event] of messages.entries()) {
      seeNext(room, life, first + i, event);
      if (event.deleted) deleted.push(event.seq);
    }
    before = first;
  }
  return deleted;
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
function checkV1Messages(client: RandomV1Client): void {
  const { room, sent, places, hasLeft } = client;
  for (let n = 1; n <= sent; n++) {
    const mark = client.mark(n);
    const told = places.get(n);
    const lives = room.livesOf(mark);
    if (told ? told.life.place(mark) !== told.seq : !hasLeft) {
      throw new Error(
        client.about(
          `message ${n}, acknowledged at ${told?.seq}, is at ` +
            `${lives.map((life) => life.place(mark))}`,
        ),
      );
    }
    if (lives.length > 1 && !room.isExcused(mark)) {
      throw new Error(client.about(`message ${n} was stored again unasked`));
    }
    for (const life of lives) {
      const entry = life.entries[life.place(mark) ?? 0];
      if (entry?.id !== `${n}` || !client.name.all.has(entry.sender)) {
        throw new Error(
          client.about(`message ${n} is ${entry?.id} of "${entry?.sender}"`),
        );
      }
    }
  }
}

function checkPlainMessages(run: StressRun, client: PlainClient): void {
  for (let n = 1; n <= client.sent; n++) {
    const mark = { author: client.number, n };
    const [life, ...others] = client.room.livesOf(mark);
    const place = life?.place(mark);
    const shown = client.shown.get(n);
    const isLost = life === undefined && shown !== undefined &&
      run.emptyingsSince(shown.atMs) > 0;
    if (others.length > 0 || (shown && shown.seq !== place && !isLost)) {
      throw new Error(
        client.about(`message ${n} was at ${shown?.seq}, is at ${place}`),
      );
    }
  }
}

/** Every client knows exactly who is here, and no two have one name. */
async function checkRosters(
  run: StressRun,
  present: RandomV1Client[],
): Promise<void> {
  const all = present.map(({ name }) => name.current ?? "");
  if (new Set(all.map(foldName)).size !== all.length) {
    throw new Error(`two have one name: ${all}`);
  }
  for (const client of present) {
    const names = () =>
      present.filter(({ room }) => room === client.room)
        .map(({ name }) => name.current).sort().join();
    const shown = () => client.roster.names.sort().join();
    await run.until(
      () => names() === shown(),
      () => client.about(`${names()} are here, it knows of ${shown()}`),
    );
  }
}

/** Whoever comes, to whichever node, is told exactly who is here. */
async function checkNewcomers(
  run: StressRun,
  room: string,
  present: RandomV1Client[],
) {
  const expected = present.map(({ name }) => name.current).sort().join();
  for (const { port } of run.nodes) {
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
