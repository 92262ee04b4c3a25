// The good clients of a soak: they talk, measure how long their messages take,
// and check that each message comes once and in order to each of them. A message
// is either shown to everyone or counted as lost.
import { Dice } from "../../stress/dice.ts";
import { until } from "../../support/harness.ts";
import { pause } from "./field.ts";
import { GoodClient, type Talk } from "./good_client.ts";
import { quantile } from "./statistics.ts";
import { Transcript } from "./transcript.ts";

const CLIENTS = 20;

/** How long the last messages may be on their way. */
const END_DEADLINE_MS = 60_000;

/** Milliseconds from saying to hearing, over some time. */
export interface Latency {
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  maxMs: number | undefined;
  messages: number;
}

export class Conversation implements Talk {
  readonly transcript = new Transcript();
  readonly clients: GoodClient[];
  /** Why connections ended and what was refused. */
  readonly tally: Record<string, number> = {};
  isEnding = false;
  isOver = false;
  readonly #heard: { saidAtMs: number; ms: number }[] = [];
  #stays: Promise<void>[] = [];

  constructor(readonly port: number, seed: number) {
    this.clients = Array.from(
      { length: CLIENTS },
      (_, i) => new GoodClient(this, i, new Dice(seed, 1_000 + i)),
    );
  }

  heard(saidAtMs: number, ms: number): void {
    this.#heard.push({ saidAtMs, ms });
  }

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }

  /** Everyone comes; then they begin to talk. */
  async begin(): Promise<void> {
    this.#stays = this.clients.map((client) => client.stay());
    await until(
      () => this.clients.every(({ isHere }) => isHere),
      "all good clients to come",
    );
    this.#stays.push(...this.clients.map((client) => client.speak()));
  }

  /** Of the messages that were said from then to then. */
  latency(fromMs: number, toMs: number): Latency {
    const all = this.#heard
      .filter(({ saidAtMs }) => saidAtMs >= fromMs && saidAtMs < toMs)
      .map(({ ms }) => ms);
    return {
      p50Ms: quantile(all, 0.5),
      p99Ms: quantile(all, 0.99),
      maxMs: quantile(all, 1),
      messages: all.length,
    };
  }

  /** All that was said. */
  get said(): number {
    return this.clients.reduce((sum, { said }) => sum + said, 0);
  }

  /** How often one of them was cut off or could not come. */
  get interruptions(): number {
    return Object.entries(this.tally)
      .filter(([what]) => /^(closed|could not)/.test(what))
      .reduce((sum, [, count]) => sum + count, 0);
  }

  /** Nobody speaks any more; waits until everyone was shown everything. */
  async finish(): Promise<void> {
    this.isEnding = true;
    const { clients, transcript } = this;
    const giveUpAtMs = performance.now() + END_DEADLINE_MS;
    const isDone = () => {
      const head = Math.max(...clients.map(({ last }) => last));
      return clients.every(({ isHere, last, waiting }) =>
        isHere && waiting === 0 && last === head
      );
    };
    while (!isDone() && performance.now() < giveUpAtMs) await pause(50);
    const head = Math.max(...clients.map(({ last }) => last));
    for (const [i, { waiting, last, isHere }] of clients.entries()) {
      if (waiting === 0 && last === head) continue;
      transcript.lost += waiting;
      transcript.fault(
        `client ${i} (${isHere ? "here" : "away"}): ${waiting} of its ` +
          `messages were not shown, it was shown ${last} of ${head}`,
      );
    }
    if (transcript.stored !== this.said) {
      transcript.fault(`${this.said} said, ${transcript.stored} stored`);
    }
  }

  async leave(): Promise<void> {
    this.isEnding = this.isOver = true;
    for (const client of this.clients) client.leave();
    await Promise.all(this.#stays);
  }
}
