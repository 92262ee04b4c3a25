// Chance: numbers that look random and are decided by a seed. The same seed and
// stream give the same numbers, whatever other streams are asked for.

/** Spreads every bit of a 32-bit number over all of them (as MurmurHash3). */
export function scramble(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

export class Dice {
  #state: number;

  /** Streams of one seed are independent: a client's number names its own. */
  constructor(seed: number, stream: number) {
    this.#state = scramble(scramble(seed) ^ scramble(stream + 0x51ed27));
  }

  /** At least 0 and below 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    return scramble(this.#state) / 2 ** 32;
  }

  /** A whole number from 0 to `end` - 1. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** A whole number from `first` to `last`. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of the items, or undefined if there are none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** One of the names, each as often as its weight says. */
  choose<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    const sum = entries.reduce((sum, [, weight]) => sum + weight, 0);
    let rest = this.next() * sum;
    for (const [name, weight] of entries) {
      rest -= weight;
      if (rest < 0) return name;
    }
    throw new Error("nothing to choose from");
  }
}
