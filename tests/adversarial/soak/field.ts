// What an attack is given: the server's address, its share of the attack's size,
// dice, and a tally of what happened. The shares of all processes of an attack
// add up to its whole size.
import type { Dice } from "../../stress/dice.ts";
import { Refused } from "./peer.ts";

/** How many connections are opened at the same time. */
const PARALLEL = 48;

/** Whoever was cut off comes back after this time. */
const RETURN_MS = 1_000;

export interface Share {
  /** Of the size in `attacks.ts`. */
  scale: number;
  /** Which of the attack's processes this is, from 0. */
  index: number;
  of: number;
}

/** How much of `size` one process has: at least 1 for the first of them. */
export function shareOf(size: number, { scale, index, of }: Share): number {
  const total = Math.max(1, Math.round(size * scale));
  return Math.floor(total / of) + (index < total % of ? 1 : 0);
}

export class Field {
  readonly tally: Record<string, number> = {};

  /** `begun` is called when the attack has its whole size. */
  constructor(
    readonly port: number,
    readonly share: Share,
    readonly dice: Dice,
    readonly begun: () => void,
  ) {}

  size(size: number): number {
    return shareOf(size, this.share);
  }

  get isFirst(): boolean {
    return this.share.index === 0;
  }

  /** A number that no other process of this attack has for its `i`. */
  number(i: number): number {
    return i * this.share.of + this.share.index;
  }

  count(what: string, by = 1): void {
    this.tally[what] = (this.tally[what] ?? 0) + by;
  }

  /** Does `act` for 0 to `count` - 1, some at a time; failures are counted. */
  async each(count: number, act: (i: number) => Promise<void>): Promise<void> {
    let next = 0;
    const run = async () => {
      while (next < count) {
        await act(next++).catch((error) => this.countFailure(error));
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, count) }, run));
  }

  /**
   * Opens `count` clients, says that it has begun and keeps them: whoever was
   * cut off is opened again. `stay` calls `opened` when it is there, and
   * resolves at its end, with the close code if there was one. Never returns.
   */
  async hold(
    count: number,
    stay: (i: number, opened: () => void) => Promise<number | void>,
  ): Promise<never> {
    const open = (i: number) =>
      new Promise<void>((resolve) => {
        const opened = () => {
          this.count("opened");
          resolve();
        };
        stay(i, opened)
          .then((code) => this.count(code ? `closed with ${code}` : "cut off"))
          .catch((error) => this.countFailure(error))
          .then(() => {
            resolve();
            setTimeout(() => open(i), RETURN_MS);
          });
      });
    await this.each(count, open);
    this.begun();
    return await new Promise(() => {});
  }

  countFailure(error: unknown): void {
    const isRefused = error instanceof Refused;
    this.count(isRefused ? error.message : String(error).slice(0, 80));
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
