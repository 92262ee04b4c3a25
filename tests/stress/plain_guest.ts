// Owns a client of the plain dialect: it sends text, and reads events that come
// one by one. Never sends anything twice, for it cannot say that it did.
// Invariant: on one connection it is shown every message of the room from its
// first to its last, its own among them in the order it sent them.
import type {
  ErrorEvent,
  LeaveEvent,
  MessageEvent,
} from "../../chat/protocol.ts";
import { Call, Guest } from "./guest.ts";

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
  /** Numbers of messages sent and not shown yet, and when they were sent. */
  readonly waiting: { n: number; sentAtMs: number }[] = [];
}

export class PlainGuest extends Guest<PlainCall> {
  protected readonly protocol = undefined;
  /** Where its messages were shown to be, by their number. */
  readonly shown = new Map<number, number>();
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected newCall(generation: number): PlainCall {
    return new PlainCall(generation);
  }

  protected async join(): Promise<boolean> {
    this.call = await this.dial();
    return this.call !== undefined;
  }

  protected async act(call: PlainCall): Promise<void> {
    const { dice, world } = this;
    this.checkPatience(call.waiting[0]?.sentAtMs);
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
      () => call.hasEnded || call.waiting.length === 0,
      () => this.about(`${call.waiting.length} messages not shown`),
    );
    if (!call.hasEnded) this.close(call);
    await this.ended(call);
  }

  #say(call: PlainCall, count: number): void {
    for (; count > 0 && call.waiting.length < MAX_WINDOW; count--) {
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
    }
    throw this.fault(`it was sent ${text}`);
  }

  #hearMessage(call: PlainCall, event: MessageEvent): void {
    const { author, n, seq, sender, id } = this.see(event);
    if (call.seq !== undefined && seq !== call.seq + 1) {
      throw this.fault(`shown seq ${seq} after ${call.seq}`);
    }
    call.seq = seq;
    if (author !== this.number) return;
    const next = call.waiting[0]?.n;
    // One of an earlier connection may be stored only now.
    if (next === undefined || n < next) return this.#noteShown(n, seq);
    if (n !== next) {
      throw this.fault(`shown its message ${n} instead of ${next}`);
    }
    call.waiting.shift();
    call.name ??= sender;
    if (sender !== call.name || id !== undefined) {
      throw this.fault(`"${call.name}" is shown its message as ${sender}'s`);
    }
    this.#noteShown(n, seq);
  }

  #noteShown(n: number, seq: number): void {
    this.shown.set(n, seq);
    this.world.tally.acknowledged++;
  }
}
