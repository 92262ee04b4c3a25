// A client of the plain dialect: it sends text and reads events that come one by
// one. It cannot send anything twice. On one connection it is shown every
// message of the room from the first to the last, its own among them in the
// order in which it sent them; only where history was lost is there a break, and
// after a refusal nobody knows which of its own messages it was about.
import type {
  ErrorEvent,
  LeaveEvent,
  MessageEvent,
} from "../../chat/protocol/events.ts";
import { ClientConnection, type Start, StressClient } from "./stress_client.ts";

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

class PlainConnection extends ClientConnection {
  seq: number | undefined;
  name: string | undefined;
  /** Where it could see that history had been lost. */
  breaks = 0;
  /** Messages that were not stored, or nobody knows whether they were. */
  refusals = 0;
  /** Numbers of messages sent and not shown yet, and when they were sent. */
  readonly waiting: { n: number; sentAtMs: number }[] = [];
}

export class PlainClient extends StressClient<PlainConnection> {
  protected readonly protocol = undefined;
  /** Where its messages were shown to be, on a connection of which time. */
  readonly shown = new Map<number, { seq: number; atMs: number }>();
  readonly #habits = this.isSleeper ? SLEEPER_HABITS : HABITS;

  protected newConnection(start: Start): PlainConnection {
    return new PlainConnection(start);
  }

  protected async join(): Promise<boolean> {
    // A node that waits for Redis may store them after what is said now.
    this.#excuse(this.connection?.waiting ?? []);
    this.connection = await this.dial();
    return this.connection !== undefined;
  }

  protected async act(connection: PlainConnection): Promise<void> {
    const { dice, run } = this;
    this.checkPatience(connection.waiting[connection.refusals]?.sentAtMs);
    switch (dice.choose(this.#habits)) {
      case "say":
        return this.#say(connection, dice.between(1, 3));
      case "stall":
        return await this.#stall(connection, dice.below(100));
      case "stallLong":
        return await this.#stall(connection, dice.between(1_500, 3_000));
      case "drop":
        return this.drop(
          connection,
          dice.chance(0.3) ? "half a mes" : undefined,
        );
      case "close":
        this.close(connection);
        return await this.ended(connection);
      case "leave":
        this.hasLeft = true;
        run.tally.leavers++;
        return dice.chance(0.5)
          ? this.drop(connection)
          : this.close(connection);
    }
  }

  protected async settle(): Promise<void> {
    const { connection } = this;
    if (connection === undefined) return;
    connection.transport?.resume();
    await this.run.until(
      () =>
        connection.hasEnded || connection.waiting.length <= connection.refusals,
      () => this.about(`${connection.waiting.length} messages not shown`),
    );
    if (!connection.hasEnded) this.close(connection);
    await this.ended(connection);
  }

  #say(connection: PlainConnection, count: number): void {
    const free = MAX_WINDOW + connection.refusals - connection.waiting.length;
    for (let i = 0; i < Math.min(count, free); i++) {
      const n = ++this.sent;
      connection.waiting.push({ n, sentAtMs: performance.now() });
      connection.send(this.room.textOf({ author: this.number, n }));
      this.run.tally.sent++;
    }
  }

  async #stall(connection: PlainConnection, ms: number): Promise<void> {
    this.stall(connection);
    await this.run.pause(ms);
    connection.transport?.resume();
    // What it was not shown meanwhile does not count as late.
    for (const message of connection.waiting) {
      message.sentAtMs = performance.now();
    }
  }

  protected hear(connection: PlainConnection, text: string): void {
    const event: MessageEvent | LeaveEvent | ErrorEvent = JSON.parse(text);
    switch (event.type) {
      case "message":
        return this.#hearMessage(connection, event);
      case "leave":
        if (event.message === "Client disconnected") return;
        break;
      case "error":
        if (this.hasLogFailed(connection)) return this.#hearRefusal(connection);
    }
    throw this.fault(`it was sent ${text}`);
  }

  #hearMessage(connection: PlainConnection, event: MessageEvent): void {
    const { atMs } = connection.start;
    const entry = this.room.glimpse(event, atMs);
    this.checkSent(entry);
    const { author, n, seq, sender, id } = entry;
    if (connection.seq !== undefined && seq !== connection.seq + 1) {
      connection.breaks++;
      if (connection.breaks > this.emptyingsDuring(connection)) {
        throw this.fault(`shown seq ${seq} after ${connection.seq}`);
      }
    }
    connection.seq = seq;
    if (author !== this.number) return;
    this.shown.set(n, { seq, atMs });
    this.run.tally.acknowledged++;
    const place = connection.waiting.findIndex((message) => message.n === n);
    // One of an earlier connection may be stored only now.
    if (place === -1) return;
    if (place > 0 && connection.refusals === 0) {
      const next = connection.waiting[0]?.n;
      throw this.fault(`shown its message ${n} instead of ${next}`);
    }
    connection.waiting.splice(place, 1);
    connection.name ??= sender;
    if (sender !== connection.name || id !== undefined) {
      throw this.fault(
        `"${connection.name}" is shown its message as ${sender}'s`,
      );
    }
  }

  /** It is not told which one could not be stored, or may have been. */
  #hearRefusal(connection: PlainConnection): void {
    connection.refusals++;
    this.#excuse(connection.waiting);
    this.run.tally.refusals++;
  }

  #excuse(messages: { n: number }[]): void {
    for (const { n } of messages) {
      this.room.excuse({ author: this.number, n });
    }
  }
}
