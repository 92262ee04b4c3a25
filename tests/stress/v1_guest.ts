// Owns the habits of a client of `partyline.v1`: what it does next, as the dice
// say, until it leaves or comes to rest. Never looks at what it is shown.
// Invariant: whatever it does to its connections, it comes back as the same.
import type { Request } from "../../chat/protocol.ts";
import { type V1Call, V1Client } from "./v1_client.ts";

/** Acknowledged messages that are sent again all the same. */
const MAX_DOUBTS = 4;

/**
 * Pages of history, of up to 64 KB, that are asked for before a long stall.
 * They more or less fill the system's buffers, which take some 4 MB on Linux,
 * so that what others say then reaches the send limit.
 */
const FILLING_PAGES = [10, 60] as const;
/** So many at a time stay below the send limit. */
const FILLING_STEP = 2;
/** So many at once go beyond it. */
const FLOOD_PAGES = 100;

const PING: Request = { type: "ping" };

const HABITS = {
  say: 60,
  page: 6,
  chatter: 3,
  stall: 2,
  drop: 2,
  rename: 2,
  takeOver: 2,
  close: 1,
  stallLong: 0,
  flood: 0,
  leave: 0.1,
};

const SLEEPER_HABITS = { ...HABITS, stallLong: 2, flood: 0.2 };

export class V1Guest extends V1Client {
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected async act(call: V1Call): Promise<void> {
    const { dice, world } = this;
    this.checkPatience(this.outbox.oldestAtMs);
    switch (dice.choose(this.#habits)) {
      case "say":
        return this.say(call, dice.between(1, 6));
      case "page":
        return this.askPage(call, dice.between(1, this.last + 1));
      case "chatter":
        return dice.chance(0.5)
          ? this.request(call, { type: "typing" })
          : this.ping(call);
      case "rename":
        return this.#rename(call);
      case "stall":
        return await this.#stall(call, () => world.pause(dice.below(100)));
      case "stallLong":
        return await this.#fallAsleep(call);
      case "flood":
        this.#askPages(call, FLOOD_PAGES);
        return await this.#stall(call, () => world.pause(dice.below(500)));
      case "drop":
        return this.#drop(call);
      case "takeOver":
        return await this.#takeOver(call);
      case "close":
        this.close(call);
        return await this.ended(call);
      case "leave":
        world.tally.leavers++;
        return this.leave();
    }
  }

  /** Goes for good, politely or not. */
  leave(): void {
    const { call, dice } = this;
    this.hasLeft = true;
    if (!call?.isOpen) return;
    if (dice.chance(0.5)) this.drop(call);
    else this.close(call);
  }

  /** Connects if need be, until all is acknowledged and answered. */
  protected async settle(): Promise<void> {
    const { world } = this;
    const giveUpAtMs = performance.now() + 20_000;
    while (performance.now() < giveUpAtMs) {
      if (!this.call?.isOpen && !await this.join()) continue;
      const { call } = this;
      if (call === undefined) continue;
      call.line?.resume();
      this.ping(call);
      await world.until(
        () => !call.isOpen || (call.pings.size === 0 && this.isAtRest),
        () =>
          this.about(
            `rest: ${this.outbox.describe()}, it is "${this.name.current}" ` +
              `and asked for ${this.name.asked.join() || "none"}`,
          ),
      );
      if (call.isOpen) return;
    }
    throw this.fault("it could not come to rest");
  }

  #askPages(call: V1Call, count: number): void {
    for (; count > 0; count--) this.askPage(call, this.last + 1);
  }

  /** Asks for names of its own, or for one that somebody has. */
  #rename(call: V1Call): void {
    const { dice } = this;
    // One answer at a time can be told apart.
    if (this.name.asked.length > 0) return;
    const kind = dice.choose({ one: 5, two: 2, taken: 3, invalid: 1 });
    const taken = dice.pick(this.roster.names);
    const names = kind === "one"
      ? [this.newName()]
      : kind === "two"
      ? [this.newName(), this.newName()]
      : kind === "invalid"
      ? [`<${this.number}>`]
      : taken !== undefined && !this.name.all.has(taken)
      ? [taken.toUpperCase()]
      : [];
    for (const name of names) {
      this.name.ask(name);
      this.request(call, { type: "rename", name });
    }
  }

  /** Reads nothing for long, while more and more is on its way. */
  async #fallAsleep(call: V1Call): Promise<void> {
    const { dice, world } = this;
    await this.#stall(call, async () => {
      for (let n = dice.between(...FILLING_PAGES); n > 0; n -= FILLING_STEP) {
        this.#askPages(call, FILLING_STEP);
        await world.pause(10);
      }
      await world.pause(dice.between(1_000, 3_000));
    });
  }

  async #stall(call: V1Call, idle: () => Promise<void>): Promise<void> {
    this.stall(call);
    await idle();
    call.line?.resume();
    // What it was not shown meanwhile does not count as late.
    this.outbox.restartClock();
  }

  /** The line breaks, and with it some acknowledgements were lost, it thinks. */
  #drop(call: V1Call): void {
    const { dice } = this;
    this.drop(call, dice.chance(0.3) ? '{"type":"message","mess' : undefined);
    const doubts = dice.below(MAX_DOUBTS + 1);
    for (let i = 0; i < doubts; i++) this.outbox.doubt(this.sent - i);
  }

  /**
   * Comes back while it is still connected, as a second tab would; the first
   * may be in the middle of sending, and is told all the same.
   */
  async #takeOver(old: V1Call): Promise<void> {
    const isBusy = this.dice.chance(0.5);
    old.isSuperseded = true;
    const isBack = await this.join(() => {
      for (let i = 0; isBusy && i < 20; i++) this.request(old, PING);
    });
    // Whoever did not get through leaves the old one where it was.
    if (!isBack && !old.hasEnded) this.drop(old);
    await this.ended(old);
  }
}
