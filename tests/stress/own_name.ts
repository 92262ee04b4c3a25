// What one client knows of its own name: the name it has, and those it asked for
// and may have by now. A client keeps its name unless it asked for another one.
import { foldName } from "./roster.ts";

export class OwnName {
  current: string | undefined;
  /** Every name it ever asked for or was given. */
  readonly all = new Set<string>();
  readonly #asked = new Set<string>();
  /** Those of which it was told that nobody knows: it may be given them yet. */
  readonly #doubtful = new Set<string>();

  /** Names asked for and neither given nor refused. */
  get asked(): string[] {
    return [...this.#asked];
  }

  ask(name: string): void {
    this.#asked.add(name);
    this.all.add(name);
  }

  /** Nobody knows any more who it was. */
  forget(): void {
    this.current = undefined;
    this.#asked.clear();
    this.#doubtful.clear();
  }

  /** Whether it gets those that it asked for cannot be known. */
  doubt(): void {
    for (const name of this.#asked) this.#doubtful.add(name);
    this.#asked.clear();
  }

  /** A welcome says who it is. Throws if that is somebody else. */
  welcome(name: string, wish: string | undefined): void {
    const mayBe = this.#asked.has(name) || this.#doubtful.has(name);
    if (name !== this.current && this.current && !mayBe) {
      throw new Error(`"${this.current}" came back as "${name}"`);
    }
    this.#doubtful.delete(name);
    this.current = name;
    this.all.add(name);
    this.#asked.clear();
    // A wish that was not granted is answered after the welcome.
    if (wish !== undefined && wish !== name) this.#asked.add(wish);
  }

  /** Takes a rename, whoever it is about; true if it gives an asked name. */
  rename(before: string, name: string): boolean {
    if (before !== this.current) return false;
    if (!this.all.has(name)) {
      throw new Error(`"${before}" became "${name}" unasked`);
    }
    // One that was on its way before the welcome is known already.
    if (!this.#asked.delete(name) && !this.#doubtful.delete(name)) return false;
    this.current = name;
    return true;
  }

  /**
   * A name is refused: while one is being given the `busy` answer is about the
   * one after it, any other about the only one. Throws if there is none.
   */
  refuse(code: string): void {
    const [name, ...others] = this.asked.reverse();
    if (name === undefined || (others.length > 0 && code !== "busy")) {
      throw new Error(`${code}, of ${this.asked.join() || "no name"}`);
    }
    this.#asked.delete(name);
    if (foldName(name) === foldName(this.current ?? "")) {
      throw new Error(`"${name}" is refused its own name`);
    }
  }
}
