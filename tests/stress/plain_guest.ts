// Owns a client of the plain dialect: it sends text, and reads events that come
// one by one. Never sends anything twice, for it cannot say that it did.
// Invariant: on one connection it is shown every message of the room from its
// first to its last, its own among them in the order it sent them; but where
// history was lost there is a break, and after a refusal nobody knows which of
// its own it was about.
import type {
  ErrorEvent,
  LeaveEvent,
  MessageEvent,
} from "../../chat/protocol.ts";
import { Call, Guest, type Start } from "./guest.ts";

/** Messages not shown yet; fewer than may come before there is a name. */
const MAX_WINDOW = 6;

const HABITS = {
  say: 60,
  stall: 2,
  stallLong: 0,
  drop: 1,
  close: 1,
  leave: 0.2,
};

const SLEEPER_HABITS = { ...HABITS, stallLong: 2 };

class PlainCall extends Call {
  seq: number | undefined;
  name: string | undefined;
  /** Where it could see that history had been lost. */
  breaks = 0;
  /** Messages that were not stored, or nobody knows whether they were. */
  refusals = 0;
  /** Numbers of messages sent and not shown yet, and when they were sent. */
  readonly waiting: { n: number; sentAtMs: number }[] = [];
}

export class PlainGuest extends Guest<PlainCall> {
  protected readonly protocol = undefined;
  /** Where its messages were shown to be, on a connection of which time. */
  readonly shown = new Map<number, { seq: number; atMs: number }>();
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected newCall(start: Start): PlainCall {
    return new PlainCall(start);
  }

  protected async join(): Promise<boolean> {
    // A node that waits for Redis may store them after what is said now.
    this.#excuse(this.call?.waiting ?? []);
    this.call = await this.dial();
    return this.call !== undefined;
  }

  protected async act(call: PlainCall): Promise<void> {
    const { dice, world } = this;
    this.checkPatience(call.waiting[call.refusals]?.sentAtMs);
    switch (dice.choose(this.#habits)) {
      case "say":
        return this.#say(call, dice.between(1, 3));
      case "stall":
        return await this.#stall(call, dice.below(100));
      case "stallLong":
        return await this.#stall(call, dice.between(1_500, 3_000));
      case "drop":
        return this.drop(call, dice.chance(0.3) ? "half a mes" : undefined);
      case "close":
        this.close(call);
        return await this.ended(call);
      case "leave":
        this.hasLeft = true;
        world.tally.leavers++;
        return dice.chance(0.5) ? this.drop(call) : this.close(call);
    }
  }

  protected async settle(): Promise<void> {
    const { call } = this;
    if (call === undefined) return;
    call.line?.resume();
    await this.world.until(
      () => call.hasEnded || call.waiting.length <= call.refusals,
      () => this.about(`${call.waiting.length} messages not shown`),
    );
    if (!call.hasEnded) this.close(call);
    await this.ended(call);
  }

  #say(call: PlainCall, count: number): void {
    const free = MAX_WINDOW + call.refusals - call.waiting.length;
    for (let i = 0; i < Math.min(count, free); i++) {
      const n = ++this.sent;
      call.waiting.push({ n, sentAtMs: performance.now() });
      call.send(this.room.textOf({ author: this.number, n }));
      this.world.tally.sent++;
    }
  }

  async #stall(call: PlainCall, ms: number): Promise<void> {
    this.stall(call);
    await this.world.pause(ms);
    call.line?.resume();
    // What it was not shown meanwhile does not count as late.
    for (const message of call.waiting) message.sentAtMs = performance.now();
  }

  protected hear(call: PlainCall, text: string): void {
    const event: MessageEvent | LeaveEvent | ErrorEvent = JSON.parse(text);
    switch (event.type) {
      case "message":
        return this.#hearMessage(call, event);
      case "leave":
        if (event.message === "Client disconnected") return;
        break;
      case "error":
        if (this.hasLogFailed(call)) return this.#hearRefusal(call);
    }
    throw this.fault(`it was sent ${text}`);
  }

  #hearMessage(call: PlainCall, event: MessageEvent): void {
    const { atMs } = call.start;
    const entry = this.room.glimpse(event, atMs);
    this.checkSent(entry);
    const { author, n, seq, sender, id } = entry;
    if (call.seq !== undefined && seq !== call.seq + 1) {
      call.breaks++;
      if (call.breaks > this.emptyingsDuring(call)) {
        throw this.fault(`shown seq ${seq} after ${call.seq}`);
      }
    }
    call.seq = seq;
    if (author !== this.number) return;
    this.shown.set(n, { seq, atMs });
    this.world.tally.acknowledged++;
    const place = call.waiting.findIndex((message) => message.n === n);
    // One of an earlier connection may be stored only now.
    if (place === -1) return;
    if (place > 0 && call.refusals === 0) {
      const next = call.waiting[0]?.n;
      throw this.fault(`shown its message ${n} instead of ${next}`);
    }
    call.waiting.splice(place, 1);
    call.name ??= sender;
    if (sender !== call.name || id !== undefined) {
      throw this.fault(`"${call.name}" is shown its message as ${sender}'s`);
    }
  }

  /** It is not told which one could not be stored, or may have been. */
  #hearRefusal(call: PlainCall): void {
    call.refusals++;
    this.#excuse(call.waiting);
    this.world.tally.refusals++;
  }

  #excuse(messages: { n: number }[]): void {
    for (const { n } of messages) {
      this.room.excuse({ author: this.number, n });
    }
  }
}
