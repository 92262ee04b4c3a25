// What is left in the store itself, once a run is over: the texts of deleted messages
// must not be, neither in the data file nor in Redis.
import type { Redis } from "../support/redis.ts";
import { type RoomRecord, ROOMS } from "./ledger.ts";

/** A text begins with the numbers of its author and of the message. */
const TEXTS = /"message":"(\d+:\d+):/g;

/** The beginnings of the texts in all rooms of a Redis, and in what tells of them. */
const SCRIPT = `
  local found = {}
  local function look(text)
    for mark in string.gmatch(text, '"message":"(%d+:%d+):') do
      found[#found + 1] = mark
    end
  end
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
    for _, field in ipairs(entry[2]) do look(field) end
  end
  for _, told in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do look(told) end
  return found
`;

/** Throws if the text of a deleted message is in a file of the folder. */
export async function checkFiles(folder: string, rooms: RoomRecord[]) {
  const kept = new Set<string>();
  for await (const { name } of Deno.readDir(folder)) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    const text = new TextDecoder("latin1").decode(bytes);
    for (const [, mark = ""] of text.matchAll(TEXTS)) kept.add(mark);
  }
  check(kept, rooms);
}

/** Throws if the text of a deleted message is in Redis. */
export async function checkRedis(redis: Redis, rooms: RoomRecord[]) {
  const kept = new Set<string>();
  for (const room of ROOMS) {
    const keys = [`partyline:log:${room}`, `partyline:gone:${room}`];
    const found = await redis.command("EVAL", SCRIPT, "2", ...keys);
    for (const mark of found.split("\n")) kept.add(mark);
  }
  check(kept, rooms);
}

function check(kept: ReadonlySet<string>, rooms: RoomRecord[]): void {
  for (const room of rooms) {
    const life = room.lives.at(-1);
    const marks = life?.deletedMarks ?? [];
    const left = marks.filter((mark) => kept.has(mark));
    if (left.length > 0) {
      throw new Error(`${room.name}: deleted, and in the store: ${left}`);
    }
    // Or it was looked for in the wrong place.
    const entry = life?.entries.find((entry) =>
      entry !== undefined && !life.deleted.has(entry.seq)
    );
    if (entry !== undefined && !kept.has(`${entry.author}:${entry.n}`)) {
      throw new Error(
        `${room.name}: the text of seq ${entry.seq} was not found`,
      );
    }
  }
}
