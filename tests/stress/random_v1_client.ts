// A client of `partyline.v1` that does at each step what the dice say, until it
// leaves or comes to rest. Whatever it does to its connections, it comes back as
// the same person. What it is shown is judged in `v1_client.ts`.
import type { Request } from "../../chat/protocol/requests.ts";
import { MAX_WAITING_PAGES } from "../../chat/session/history_pager.ts";
import { V1Client, type V1Connection } from "./v1_client.ts";

/** Acknowledged messages that are sent again all the same. */
const MAX_DOUBTS = 4;

/**
 * Pages of history, of up to 32 KiB, that are asked for before a long stall.
 * They more or less fill the system's buffers, which take some 4 MB on Linux,
 * so that what others say then reaches the send limit.
 */
const FILLING_PAGES = [20, 120] as const;
/** So many at a time are sent before too many wait. */
const FILLING_STEP = 2;
/** More than may wait. */
const FLOOD_PAGES = 3 * MAX_WAITING_PAGES;

const PING: Request = { type: "ping" };

const HABITS = {
  say: 60,
  page: 6,
  chatter: 3,
  stall: 2,
  drop: 2,
  rename: 2,
  erase: 6,
  takeOver: 2,
  close: 1,
  stallLong: 0,
  flood: 0,
  leave: 0.1,
};

const SLEEPER_HABITS = { ...HABITS, stallLong: 2, flood: 0.2 };

export class RandomV1Client extends V1Client {
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected async act(connection: V1Connection): Promise<void> {
    const { dice, run } = this;
    this.checkPatience(this.recovering.waitsSinceMs);
    switch (dice.choose(this.#habits)) {
      case "say":
        return this.say(dice.between(1, 6));
      case "page":
        return this.askPage(connection, dice.between(1, this.last + 1));
      case "chatter":
        return dice.chance(0.5)
          ? this.request(connection, { type: "typing" })
          : this.ping(connection);
      case "rename":
        return this.#rename(connection);
      case "erase":
        return this.erase(connection);
      case "stall":
        return await this.#stall(connection, () => run.pause(dice.below(100)));
      case "stallLong":
        return await this.#fallAsleep(connection);
      case "flood":
        this.#askPages(connection, FLOOD_PAGES);
        return await this.#stall(connection, () => run.pause(dice.below(500)));
      case "drop":
        return this.#drop(connection);
      case "takeOver":
        return await this.#takeOver(connection);
      case "close":
        this.close(connection);
        return await this.ended(connection);
      case "leave":
        run.tally.leavers++;
        return this.leave();
    }
  }

  /** Goes for good, politely or not. */
  leave(): void {
    const { connection, dice } = this;
    this.hasLeft = true;
    if (!connection?.isOpen) return;
    if (dice.chance(0.5)) this.drop(connection);
    else this.close(connection);
  }

  /** Connects if need be, until all is acknowledged and answered. */
  protected async settle(): Promise<void> {
    const { run } = this;
    const giveUpAtMs = performance.now() + 20_000;
    while (performance.now() < giveUpAtMs) {
      if (!this.connection?.isOpen && !await this.join()) continue;
      const { connection } = this;
      if (connection === undefined) continue;
      connection.transport?.resume();
      this.ping(connection);
      await run.until(
        () =>
          !connection.isOpen || (connection.pings.size === 0 && this.isAtRest),
        () =>
          this.about(
            `rest: unacknowledged ${[
              ...this.recovering.unacknowledged.keys(),
            ]}, ` +
              `unanswered ${[...this.recovering.doubted]}, ` +
              `not deleted ${[...this.deleting]}, it is ` +
              `"${this.name.current}" and asked for ${
                this.name.asked.join() || "none"
              }`,
          ),
      );
      if (connection.isOpen) return;
    }
    throw this.fault("it could not come to rest");
  }

  #askPages(connection: V1Connection, count: number): void {
    for (; count > 0; count--) this.askPage(connection, this.last + 1);
  }

  /** Asks for names of its own, or for one that somebody has. */
  #rename(connection: V1Connection): void {
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
      this.request(connection, { type: "rename", name });
    }
  }

  /** Reads nothing for long, while more and more is on its way. */
  async #fallAsleep(connection: V1Connection): Promise<void> {
    const { dice, run } = this;
    await this.#stall(connection, async () => {
      for (let n = dice.between(...FILLING_PAGES); n > 0; n -= FILLING_STEP) {
        this.#askPages(connection, FILLING_STEP);
        await run.pause(10);
      }
      await run.pause(dice.between(1_000, 3_000));
    });
  }

  async #stall(
    connection: V1Connection,
    idle: () => Promise<void>,
  ): Promise<void> {
    this.stall(connection);
    await idle();
    connection.transport?.resume();
    // What it was not shown meanwhile does not count as late.
    this.recovering.restartClock();
  }

  /** The connection breaks, and some acknowledgements were lost, it thinks. */
  #drop(connection: V1Connection): void {
    const { dice } = this;
    this.drop(
      connection,
      dice.chance(0.3) ? '{"type":"message","mess' : undefined,
    );
    const doubts = dice.below(MAX_DOUBTS + 1);
    for (let n = this.sent; n > this.sent - doubts; n--) {
      if (this.places.has(n)) this.recovering.doubted.add(n);
    }
  }

  /**
   * Comes back while it is still connected, as a second tab would; the first
   * may be in the middle of sending, and is told all the same.
   */
  async #takeOver(old: V1Connection): Promise<void> {
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
