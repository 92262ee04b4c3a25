// A turn: what happens in a room at one moment, as the store publishes it. It is
// encoded once for all members, in the form that each dialect sends.
import {
  encode,
  type ErrorCode,
  MAX_LISTED_MEMBERS,
  MAX_OTHERS,
} from "../protocol/events.ts";
import { encodeFrames, type EventFrame } from "../protocol/frames.ts";
import type { Entry, Published } from "../store/store.ts";

export class Turn {
  /** The `seq` of the first and of the last message, if there is one. */
  readonly firstSeq: number | undefined;
  readonly lastSeq: number | undefined;
  #frames: readonly EventFrame[] | undefined;
  #presence: readonly EventFrame[] | undefined;
  #plain: readonly EventFrame[] | undefined;

  private readonly published: readonly Published[];

  constructor(published: readonly Published[]) {
    this.published = shareJoins(published);
    this.firstSeq = published.find(({ seq }) => seq !== 0)?.seq;
    this.lastSeq = published.findLast(({ seq }) => seq !== 0)?.seq;
  }

  /** All of it, encoded. */
  get events(): readonly string[] {
    return this.published.map(({ text }) => text);
  }

  /** All of it, as frames of the full dialect. */
  get frames(): readonly EventFrame[] {
    return this.#frames ??= encodeFrames(this.events);
  }

  /** All but the messages, as frames of the full dialect. */
  get presence(): readonly EventFrame[] {
    const texts = this.published.filter(({ seq }) => seq === 0)
      .map(({ text }) => text);
    return this.#presence ??= texts.length === 0 ? [] : encodeFrames(texts);
  }

  /** What the plain dialect knows, a frame each: messages and leaves. */
  get plain(): readonly EventFrame[] {
    return this.#plain ??= this.published
      .filter(({ seq, came, left }) =>
        seq !== 0 || left !== undefined && came === undefined
      )
      .map(({ text }) => ({ text, events: [text] }));
  }
}

/**
 * The events of a turn, with one for all who came into a large room and of whom
 * nobody left or was renamed between them: else the bytes that are sent grow by
 * the square of those who come. It stands where the first of them stood.
 */
function shareJoins(published: readonly Published[]): readonly Published[] {
  const told: [Published, ...Published[]][] = [];
  let joins: Published[] | undefined;
  for (const event of published) {
    const { left, join } = event;
    if (join !== undefined && joins !== undefined) {
      joins.push(event);
      continue;
    }
    const alone: [Published] = [event];
    told.push(alone);
    if (left !== undefined) joins = undefined;
    else if (join !== undefined && join.count > MAX_LISTED_MEMBERS) {
      joins = alone;
    }
  }
  return told.length === published.length ? published : told.map(sharedJoin);
}

function sharedJoin([first, ...rest]: [Published, ...Published[]]): Published {
  const last = rest.at(-1)?.join;
  if (first.join === undefined || last === undefined) return first;
  const { type, at, sender } = first.join;
  const others = rest.slice(0, MAX_OTHERS).flatMap(({ came = [] }) => came);
  // In this order, in which older versions sent them.
  const join = { type, at, sender, others, count: last.count };
  return { ...first, text: encode(join), join };
}

/** Whoever sent a message hears what became of it. No method may throw or wait. */
export interface Author {
  /** Takes the event of a message that it sent again, with its `seq`. */
  acknowledge?(event: string, seq: number): void;
  /** Hears that its message was stored. */
  stored?(event: string, id: string | undefined): void;
  /** Hears that its message was not stored, and may be after `retryAfterMs`. */
  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void;
}

/** What waits for the next turn. A message has an author, who hears of it. */
export interface Waiting {
  entry: Entry;
  author?: Author;
}

/** Entries that may wait in one room, of messages and of all else each. */
export const MAX_QUEUED = 10_000;

/** About what an entry takes that is not a message, in characters. */
const PRESENCE_CHARS = 150;

/** The queue of a room: messages, and comings and goings, in their order. */
export class TurnQueue {
  #waiting: Waiting[] = [];
  #messageCount = 0;

  get length(): number {
    return this.#waiting.length;
  }

  get messageCount(): number {
    return this.#messageCount;
  }

  /** False, and nothing is queued, if too many of its kind wait already. */
  push(waiting: Waiting): boolean {
    const isMessage = waiting.author !== undefined;
    const count = isMessage
      ? this.#messageCount
      : this.#waiting.length - this.#messageCount;
    if (count >= MAX_QUEUED) return false;
    this.#waiting.push(waiting);
    if (isMessage) this.#messageCount++;
    return true;
  }

  /** Removes as much as one turn may carry, at least one entry. */
  nextTurn(maxChars: number): Waiting[] {
    let chars = 0;
    let count = 0;
    for (const { entry } of this.#waiting) {
      chars += entry.kind === "message" ? entry.text.length : PRESENCE_CHARS;
      if (count > 0 && chars > maxChars) break;
      count++;
    }
    const turn = this.#waiting.splice(0, count);
    this.#messageCount -= turn.filter(isMessage).length;
    return turn;
  }

  /** Removes all messages, or all that is none. */
  removeAll(kind: "messages" | "presence"): Waiting[] {
    const isRemoved = (waiting: Waiting) =>
      isMessage(waiting) === (kind === "messages");
    const removed = this.#waiting.filter(isRemoved);
    this.#waiting = this.#waiting.filter((waiting) => !isRemoved(waiting));
    if (kind === "messages") this.#messageCount = 0;
    return removed;
  }
}

function isMessage({ author }: Waiting): boolean {
  return author !== undefined;
}
