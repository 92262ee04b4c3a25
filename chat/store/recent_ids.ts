// The ids that an identity gave its newest messages. By these a store notices
// that a message is sent again.
import { REMEMBERED_IDS } from "./store.ts";

/** The pairs of room and id that an identity used last, with their `seq`. */
export class RecentIds {
  readonly #seqs: Map<string, number>;

  constructor(entries: [string, number][] = []) {
    this.#seqs = new Map(entries);
  }

  /**
   * The `seq` of the pair: `seq`, unless another one is known already. `room`
   * is the room's number, not its name: a room that was forgotten and began
   * again is another room.
   */
  remember(room: number, id: string, seq: number): number {
    const pair = `${room} ${id}`;
    const known = this.#seqs.get(pair);
    if (known !== undefined) return known;
    this.#seqs.set(pair, seq);
    if (this.#seqs.size > REMEMBERED_IDS) {
      const [oldest = ""] = this.#seqs.keys();
      this.#seqs.delete(oldest);
    }
    return seq;
  }

  /** Whether no message ever had an id. */
  get isEmpty(): boolean {
    return this.#seqs.size === 0;
  }

  get entries(): [string, number][] {
    return [...this.#seqs];
  }
}
