// The part of a `partyline.v1` client that recovers: over all its connections
// it keeps its key and its position, sends both to the server in each hello,
// and sends again every message that was not acknowledged. It opens no
// connection and judges nothing; its owner connects it, hands it each frame,
// and is told what the frame means.
import type {
  MessageEvent,
  ServerEvent,
  WelcomeEvent,
} from "../../chat/protocol/events.ts";
import {
  DEFAULT_HISTORY,
  type Hello,
  type Request,
} from "../../chat/protocol/requests.ts";

/**
 * The place of a message in the order: the next one; an answer, out of order,
 * to a message that was sent again; or one that the server must not send.
 */
export type Order = "next" | "answer" | "wrong";

export type OtherEvent = Exclude<ServerEvent, WelcomeEvent | MessageEvent>;

export interface Owner {
  /** The text of the client's message with this number, also its id. */
  textOf(n: number): string;
  /** The message that it answers, if it is an answer. */
  answeredBy?(n: number): number | undefined;
  /** Takes a message; returns its number if the client itself sent it. */
  see(event: MessageEvent): number | undefined;
  /** Called before the client moves on to that message. */
  ordered(event: MessageEvent, order: Order): void;
  /** Called once for each message, with the time at which it was first sent. */
  acknowledged(sentAtMs: number): void;
  /** Called before the client applies the welcome. */
  welcomed(event: WelcomeEvent): void;
  told(event: OtherEvent): void;
  sentAgain?(n: number): void;
  pause(ms: number): Promise<void>;
}

export class RecoveringClient {
  key: string | undefined;
  epoch: string | undefined;
  /** The last message that the client saw in order. */
  seq = 0;
  isWelcome = false;
  /** Messages by number, the oldest first, and when each was sent first. */
  readonly unacknowledged = new Map<number, number>();
  /** Acknowledged messages that are sent again: the server has to answer. */
  readonly doubted = new Set<number>();
  /** Messages sent again on this connection, without an answer so far. */
  readonly #resent = new Set<number>();
  /** How many of the newest messages the client gets if it cannot recover. */
  #history = 0;
  /** Those messages follow the welcome, and the first has not come yet. */
  #isHistoryComing = false;
  #waitsSinceMs = 0;
  #send = (_text: string) => {};

  constructor(private readonly owner: Owner) {}

  /** Since when the server could have acknowledged the oldest message. */
  get waitsSinceMs(): number | undefined {
    const [oldestAtMs] = this.unacknowledged.values();
    return oldestAtMs && Math.max(oldestAtMs, this.#waitsSinceMs);
  }

  /** To be called if there was a reason for the silence. */
  restartClock(): void {
    this.#waitsSinceMs = performance.now();
  }

  /**
   * Says hello on a new connection, with a wish for a name and for a number of
   * messages if the client has no key yet. The earlier connection is not used
   * any more.
   */
  begin(send: (text: string) => void, history: number, name?: string): void {
    const { key, epoch, seq } = this;
    this.#send = send;
    this.isWelcome = this.#isHistoryComing = false;
    this.#resent.clear();
    this.restartClock();
    const hello: Hello = { type: "hello" };
    if (key !== undefined) hello.key = key;
    else if (name !== undefined) hello.name = name;
    if (epoch === undefined) hello.history = this.#history = history;
    else {
      hello.since = { epoch, seq };
      this.#history = DEFAULT_HISTORY;
    }
    this.request(hello);
  }

  request(request: Request): void {
    this.#send(JSON.stringify(request));
  }

  /** Sends a message, now or after the welcome. */
  say(n: number): void {
    this.unacknowledged.set(n, performance.now());
    if (this.isWelcome) this.#sendMessage(n);
  }

  /** Sends a refused message again, unless that has been done. */
  async retry(n: number, afterMs: number): Promise<void> {
    const send = this.#send;
    await this.owner.pause(afterMs);
    const isSame = this.isWelcome && this.#send === send;
    if (isSame && this.unacknowledged.has(n)) this.#sendAgain(n);
  }

  #sendAgain(n: number): void {
    this.#resent.add(n);
    this.owner.sentAgain?.(n);
    this.#sendMessage(n);
  }

  #sendMessage(n: number): void {
    const message = this.owner.textOf(n);
    const replyTo = this.owner.answeredBy?.(n);
    this.request({
      ...{ type: "message", id: `${n}`, message },
      ...(replyTo !== undefined && { replyTo }),
    });
  }

  /** Reads a frame. */
  hear(text: string): void {
    const events: ServerEvent[] = JSON.parse(text);
    for (const event of events) {
      if (event.type === "welcome") this.#hearWelcome(event);
      else if (event.type === "message") this.#hearMessage(event);
      else this.owner.told(event);
    }
  }

  #hearWelcome(event: WelcomeEvent): void {
    this.owner.welcomed(event);
    this.key = event.key;
    this.epoch = event.epoch;
    if (event.recovered !== true) {
      // Acknowledged messages are lost, and nobody can answer for them.
      this.doubted.clear();
      // The newest messages follow, so they end with the room's last one.
      this.seq = event.seq;
      this.#isHistoryComing = this.#history * event.seq > 0;
    }
    this.isWelcome = true;
    this.restartClock();
    const again = [...this.doubted, ...this.unacknowledged.keys()];
    for (const n of again.sort((a, b) => a - b)) this.#sendAgain(n);
  }

  #hearMessage(event: MessageEvent): void {
    const n = this.owner.see(event);
    const order = this.#orderOf(event, n);
    this.owner.ordered(event, order);
    this.seq = order === "next" ? event.seq : Math.max(this.seq, event.seq);
    if (n === undefined) return;
    this.doubted.delete(n);
    const sentAtMs = this.unacknowledged.get(n);
    if (sentAtMs === undefined) return;
    this.unacknowledged.delete(n);
    this.owner.acknowledged(sentAtMs);
  }

  #orderOf({ seq }: MessageEvent, n: number | undefined): Order {
    if (this.#isHistoryComing) {
      this.#isHistoryComing = false;
      const isOne = seq > this.seq - this.#history && seq <= this.seq;
      return isOne ? "next" : "wrong";
    }
    if (seq === this.seq + 1) return "next";
    const isOwn = n !== undefined && this.#resent.delete(n);
    return isOwn && seq <= this.seq ? "answer" : "wrong";
  }
}
