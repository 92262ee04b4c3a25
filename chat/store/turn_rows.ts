// Turns as the stores keep them: a row of events; and pages of events, cut to a
// limit.
import { mendEncoded } from "../protocol/events.ts";
import type { ReadLimit } from "./store.ts";

/** A turn as it is stored: its events, one per line. */
export interface TurnRow {
  last_seq: number;
  events: string;
}

/** The events of a turn whose `seq` is above `after` and below `below`. */
export function eventsOf(row: TurnRow, after: number, below: number): string[] {
  const events = mendEncoded(row.events).split("\n");
  const first = row.last_seq - events.length + 1;
  return events.slice(
    Math.max(0, after + 1 - first),
    Math.max(0, below - first),
  );
}

/** As many of `events` as the limit allows, from the given end. */
export function cut(
  events: readonly string[],
  limit: ReadLimit,
  from: "start" | "end",
): string[] {
  let chars = 0;
  let count = 0;
  while (count < events.length && count < limit.count) {
    chars += events.at(from === "start" ? count : -1 - count)?.length ?? 0;
    if (count > 0 && chars > limit.chars) break;
    count++;
  }
  return from === "start"
    ? events.slice(0, count)
    : events.slice(events.length - count);
}
