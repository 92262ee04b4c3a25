// One room on this server, as a listener to Redis. It hears the turns of all
// servers, in one order, but may miss some while the connection is away. Here
// gaps are filled from the history, a new life of the history is noticed, and
// unheard joins and leaves are found; so whole turns are published to the room,
// one after the other, as on a server that is alone.
import { Buffer } from "node:buffer";
import { mendEncoded, seqOf } from "../../protocol/events.ts";
import { MAX_HISTORY } from "../../protocol/requests.ts";
import { turnOfChanges } from "../roster.ts";
import {
  type Deletions,
  type Head,
  type Presence,
  type Published,
  type ReadLimit,
  type Snapshot,
  STORE_RETRY_MS,
  StoreError,
  type Subscriber,
} from "../store.ts";

/** Turns that may wait for missing ones; of more, all are read again. */
export const MAX_WAITING = 1_000;

/** A turn that was published to all servers. */
interface Heard {
  epoch: string;
  /** Redis' counter of what was published, in all rooms, at this turn. */
  clock: number;
  /** The `seq` of its first message, if there is one; the others follow it. */
  firstSeq: number | undefined;
  turn: Published[];
}

/** Where a room stands in Redis, after all turns with a `clock` up to this. */
export interface Position extends Snapshot {
  clock: number;
}

/** The functions that a subscription calls. */
interface SubscriptionHandlers {
  /** Rejects with a `StoreError`, like `sync`. */
  read(
    seq: number,
    limit: ReadLimit,
    epoch: string,
  ): Promise<string[] | undefined>;
  /** Makes `members` all that this server has in the room. */
  sync(members: readonly Presence[]): Promise<Position>;
  /** The events that tell what was deleted when `seq` was the newest, or later. */
  deletions(seq: number, epoch: string): Promise<Deletions>;
  /** Hears whether Redis could be asked. */
  noteStatus(trouble: StoreError | undefined): void;
  /** Called with the counter of what was published, as far as it was heard. */
  noteClock(clock: number): void;
}

export class Subscription {
  /** The roster has the changes of all turns with a `clock` up to this. */
  #clock = 0;
  /** Turns that were heard and cannot be published yet. */
  #waiting: Heard[] = [];
  /** The event of the last deletion that was published here. */
  #newestDeletion = "";
  #isSyncDue = false;
  #isCatchingUp = false;
  #isOpen = false;
  #isClosed = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  /** `node` is this server's id. */
  constructor(
    readonly subscriber: Subscriber,
    private readonly node: string,
    private readonly handlers: SubscriptionHandlers,
  ) {}

  get epoch(): string {
    return this.subscriber.head.epoch;
  }

  /** To be called once, when the channel is already followed. */
  async open(): Promise<void> {
    const { clock, ...snapshot } = await this.handlers.sync([]);
    if (this.#isClosed) return;
    this.#clock = clock;
    this.subscriber.begin(snapshot);
    this.#isOpen = true;
    this.#catchUp();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
  }

  /**
   * Receives a text that was published for the room. A turn that follows the
   * room's last one is published to it at once; another one waits for the
   * missing turns. Never throws.
   */
  readonly hear = (text: string): void => {
    if (this.#isClosed) return;
    try {
      if (text.startsWith("draw ")) return this.#drawn(text);
      const heard = readHeard(text);
      this.handlers.noteClock(heard.clock);
      if (!this.#isNext(heard)) return this.#keepWaiting(heard);
      this.#publish(heard.turn);
    } catch (error) {
      this.#fail(error);
    }
  };

  /** Whether no turn is missing before this one, and all of it is new. */
  #isNext({ epoch, clock, firstSeq }: Heard): boolean {
    const { head } = this.subscriber;
    return this.#isOpen && !this.#isCatchingUp && !this.#isSyncDue &&
      epoch === head.epoch && clock > this.#clock &&
      (firstSeq === undefined || firstSeq === head.seq + 1);
  }

  #keepWaiting(heard: Heard): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(heard);
    else {
      this.#waiting = [];
      this.#isSyncDue = true;
    }
    if (this.#isOpen) this.#catchUp();
  }

  /** Skips our own strokes: `draw` has shown them already. */
  #drawn(text: string): void {
    const [, node, frame = ""] = text.split(" ");
    if (node === this.node) return;
    const { buffer } = new Uint8Array(Buffer.from(frame, "base64"));
    this.subscriber.drawn(buffer);
  }

  /** Turns may have been missed, or changes of members here were lost. */
  resync(): void {
    this.#isSyncDue = true;
    if (this.#isOpen) this.#catchUp();
  }

  /** Publishes the turns that wait, and the missing ones before them. */
  async #catchUp(): Promise<void> {
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    clearTimeout(this.#retryTimer);
    try {
      while (this.#isSyncDue || this.#waiting.length > 0) {
        // A closed room may have a successor of the same name by now.
        if (this.#isClosed) return;
        if (this.#isSyncDue) await this.#sync();
        else await this.#publishLate(this.#waiting.shift() as Heard);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isCatchingUp = false;
    }
  }

  #fail(error: unknown): void {
    // These turns are read from the history when Redis can be asked again.
    this.#waiting = [];
    this.#isSyncDue = true;
    this.handlers.noteStatus(error as StoreError);
    if (this.#isClosed) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.resync(), STORE_RETRY_MS);
  }

  async #publishLate(
    { epoch, clock, firstSeq: first, turn }: Heard,
  ): Promise<void> {
    if (epoch !== this.epoch) {
      // The list of members was lost with the messages.
      this.#isSyncDue = true;
      if (first === undefined) return;
      this.subscriber.restart({ epoch, seq: first - 1 });
    }
    if (first !== undefined) await this.#fill(first - 1);
    const isNew = clock > this.#clock;
    const { head } = this.subscriber;
    this.#publish(
      turn.filter(({ seq }) => seq === 0 ? isNew : seq > head.seq),
    );
  }

  #publish(turn: readonly Published[]): void {
    this.subscriber.publish(turn);
    for (const { text, target } of turn) {
      if (target !== undefined) this.#newestDeletion = text;
    }
  }

  /** Publishes what was not heard, up to `seq`. */
  async #fill(seq: number): Promise<void> {
    const { subscriber } = this;
    const limit = { count: MAX_HISTORY, chars: subscriber.maxTurnChars };
    while (subscriber.head.seq < seq) {
      const { head } = subscriber;
      const events = await this.handlers.read(head.seq, limit, head.epoch);
      if (events === undefined || events.length === 0) {
        // The history no longer reaches back that far.
        return subscriber.skip(seq);
      }
      subscriber.publish(events.map(parsePublished));
    }
  }

  /** Tells Redis the members here, and takes over where the room stands. */
  async #sync(): Promise<void> {
    this.#isSyncDue = false;
    const { subscriber } = this;
    const { epoch, seq, clock, names } = await this.handlers.sync(
      subscriber.localMembers(),
    );
    this.handlers.noteStatus(undefined);
    const before = { ...subscriber.head };
    const unheard = await this.handlers.deletions(before.seq, before.epoch);
    await this.#reach({ epoch, seq });
    if (before.epoch === epoch) this.#publishDeletions(unheard);
    this.#clock = clock;
    // Joins and leaves of members here meanwhile will be heard.
    const here = subscriber.localMembers().map(({ name }) => name)
      .filter((name) => subscriber.roster.has(name));
    subscriber.publish(
      turnOfChanges(subscriber, [...names, ...here], Date.now()),
    );
  }

  /** The deletions after the last one that was heard; without it, all kept ones. */
  #publishDeletions({ events, isComplete }: Deletions): void {
    const heard = events.indexOf(this.#newestDeletion);
    this.#publish(events.slice(heard + 1).map(parsePublished));
    if (isComplete || heard >= 0) return;
    // Nobody here can know of those that are not kept, so all have to come again.
    this.subscriber.skip(this.subscriber.head.seq);
  }

  async #reach({ epoch, seq }: Head): Promise<void> {
    const { head } = this.subscriber;
    const isLost = epoch !== head.epoch || seq < head.seq;
    if (isLost) this.subscriber.restart({ epoch, seq });
    else await this.#fill(seq);
  }
}

/** Reads a published text: epoch and clock, then one event per line. */
function readHeard(text: string): Heard {
  const at = text.indexOf("\n");
  const [epoch = "", clock] = text.slice(0, at).split(" ");
  const events = mendEncoded(text.slice(at + 1)).split("\n");
  const turn = events.map(parsePublished);
  const firstSeq = turn.find(({ seq }) => seq > 0)?.seq;
  return { epoch, clock: Number(clock), firstSeq, turn };
}

/** An encoded event, with the change that it makes to the roster. */
function parsePublished(text: string): Published {
  const seq = seqOf(text);
  if (text.startsWith('{"type":"delete"')) {
    return { text, seq, target: JSON.parse(text).target };
  }
  if (seq > 0 || !/^\{"type":"(join|leave|rename)"/.test(text)) {
    return { text, seq };
  }
  const event = JSON.parse(text);
  const { type, sender, name = sender } = event;
  return {
    text,
    seq,
    ...type !== "leave" && { came: name },
    ...type !== "join" && { left: sender },
    ...type === "join" && { join: event },
  };
}
