// A turn: the events of a room at one moment, as the store publishes them. They
// are encoded once for all members, in the form that each dialect sends.
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

  /** All events, encoded. */
  get events(): readonly string[] {
    return this.published.map(({ text }) => text);
  }

  /** All events, as frames of the full dialect. */
  get frames(): readonly EventFrame[] {
    return this.#frames ??= encodeFrames(this.events);
  }

  /** All events but the messages, as frames of the full dialect. */
  get presence(): readonly EventFrame[] {
    const texts = this.published.filter(({ seq }) => seq === 0)
      .map(({ text }) => text);
    return this.#presence ??= texts.length === 0 ? [] : encodeFrames(texts);
  }

  /** Messages and leaves, which the plain dialect knows; one frame each. */
  get plain(): readonly EventFrame[] {
    return this.#plain ??= this.published
      .filter(({ seq, came, left }) =>
        seq !== 0 || left !== undefined && came === undefined
      )
      .map(({ text }) => ({ text, events: [text] }));
  }
}

/**
 * The events of a turn, with one shared join for people who came into a large
 * room without a leave or a rename between them; otherwise the bytes grow with
 * the square of the newcomers. It stands where the first of them stood.
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
  // Older versions sent the fields in this order.
  const join = { type, at, sender, others, count: last.count };
  return { ...first, text: encode(join), join };
}

/** The author hears what became of a message. No method may throw or wait. */
export interface Author {
  /** Receives the event of a message that was sent again, and its `seq`. */
  acknowledge?(event: string, seq: number): void;
  /** The message was stored. */
  stored?(event: string, id: string | undefined): void;
  /** The message was not stored; it may be after `retryAfterMs`. */
  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void;
}

/** An entry for the next turn. A message has an author, who hears of it. */
export interface Waiting {
  entry: Entry;
  author?: Author;
}

/** Entries that may wait in one room: of messages, and of all other kinds. */
export const MAX_QUEUED = 10_000;

/** About how many characters an entry takes that is not a message. */
const PRESENCE_CHARS = 150;

/** The queue of a room: messages, joins and leaves, in their order. */
export class TurnQueue {
  #waiting: Waiting[] = [];
  #messageCount = 0;

  get length(): number {
    return this.#waiting.length;
  }

  get messageCount(): number {
    return this.#messageCount;
  }

  /** Queues an entry; false if too many of its kind wait already. */
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

  /** Removes as many entries as one turn may carry, at least one. */
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

  /** Removes all messages, or all other entries. */
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
