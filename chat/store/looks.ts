// How the names that are somebody's look, so that nobody gets one that looks the
// same. An older version gave such names, too: so each look is counted. It follows
// from the names, and a newer table of what looks alike changes it: so it is
// not stored where it can be made anew at every start.
import { lookOf } from "../protocol/look_alikes.ts";

export class Looks {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    const look = lookOf(name);
    this.#counts.set(look, (this.#counts.get(look) ?? 0) + 1);
  }

  delete(name: string): void {
    const look = lookOf(name);
    const count = this.#counts.get(look) ?? 0;
    if (count > 1) this.#counts.set(look, count - 1);
    else this.#counts.delete(look);
  }

  /** Whether a name looks like somebody's; `own` is the one of whoever asks. */
  has(name: string, own?: string): boolean {
    const look = lookOf(name);
    const isOwn = own !== undefined && lookOf(own) === look;
    return !isOwn && this.#counts.has(look);
  }
}
