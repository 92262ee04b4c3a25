// The people in a room: how a turn changes the roster, and how a full list of
// names does. Every store tells joins, leaves and renames in these words.
import { encode, type JoinEvent, LEAVE_MESSAGE } from "../protocol/events.ts";
import type { Entry, Published, Stored, Subscriber } from "./store.ts";

/**
 * The events of a turn, in its order, on top of `roster`: each with the number
 * of people who are then in the room, and without events that change nothing.
 */
export function turnOf(
  entries: readonly Entry[],
  stored: readonly Stored[],
  roster: ReadonlySet<string>,
): Published[] {
  const changed = new Map<string, boolean>();
  const isHere = (name: string) => changed.get(name) ?? roster.has(name);
  let count = roster.size;
  let next = 0;
  const turn: Published[] = [];
  for (const entry of entries) {
    if (entry.kind === "message") {
      const message = stored[next++];
      if (message !== undefined && !message.isRepeat) turn.push(message);
      continue;
    }
    if (entry.kind === "ephemeral") {
      turn.push({ text: entry.text, seq: 0 });
      continue;
    }
    const { came, left } = namesIn(entry);
    if (left !== undefined) {
      if (!isHere(left)) continue;
      changed.set(left, false);
      count--;
    }
    if (came !== undefined) {
      // A member that was already told under the new name loses the old one.
      if (isHere(came) && left === undefined) continue;
      if (!isHere(came)) count++;
      changed.set(came, true);
    }
    turn.push(encodeChange(entry, count));
  }
  return turn;
}

/** Entries that change who is in the room. */
type Change = Extract<Entry, { at: string }>;

/** The name that comes into the room by a change, and the name that goes. */
function namesIn(change: Change): { came?: string; left?: string } {
  const { name } = change.member;
  switch (change.kind) {
    case "join":
      return { came: name };
    case "leave":
      return { left: name };
    case "rename":
      return { came: name, left: change.before };
  }
}

/** The event for a change, after which `count` people are in the room. */
export function encodeChange(change: Change, count: number): Published {
  const { at, member: { name } } = change;
  switch (change.kind) {
    case "join":
      return joinOf(at, name, count);
    case "leave":
      return leaveOf(at, name, count);
    case "rename":
      return renameOf(at, change.before, name);
  }
}

function joinOf(at: string, sender: string, count: number): Published {
  const join: JoinEvent = { type: "join", at, sender, count };
  return { text: encode(join), seq: 0, came: sender, join };
}

function leaveOf(at: string, sender: string, count: number): Published {
  const message = LEAVE_MESSAGE;
  const text = encode({ type: "leave", at, sender, message, count });
  return { text, seq: 0, left: sender };
}

function renameOf(at: string, sender: string, name: string): Published {
  const text = encode({ type: "rename", at, sender, name });
  return { text, seq: 0, came: name, left: sender };
}

/**
 * The events that make `names` all who are in a room, when joins and leaves
 * were not heard. A member here whose new name was not published yet is
 * renamed, and did not leave.
 */
export function turnOfChanges(
  { roster, renamed }: Pick<Subscriber, "roster" | "renamed">,
  names: Iterable<string>,
  nowMs: number,
): Published[] {
  const at = new Date(nowMs).toISOString();
  const after = new Set(names);
  const { size: count } = after;
  const turn: Published[] = [];
  const before = new Set(roster);
  for (const [name, known] of renamed) {
    // The turn that tells this rename is still to come.
    if (after.has(known) || !before.delete(known)) continue;
    before.add(name);
    turn.push(renameOf(at, known, name));
  }
  for (const name of before) {
    if (!after.has(name)) turn.push(leaveOf(at, name, count));
  }
  for (const name of after) {
    if (!before.has(name)) turn.push(joinOf(at, name, count));
  }
  return turn;
}
