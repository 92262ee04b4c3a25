// The people in a room as one client sees them: those in the welcome, changed by
// the events after it. A name stands in it once; two names that are the same for
// a person are told as `twins`.
import type {
  JoinEvent,
  LeaveEvent,
  WelcomeEvent,
} from "../../chat/protocol/events.ts";

/** What makes two names the same for a person; not the server's. */
export function foldName(name: string): string {
  return name.normalize("NFKC").toLowerCase();
}

export class Roster {
  readonly #names = new Set<string>();

  get names(): string[] {
    return [...this.#names];
  }

  /** Names that differ in nothing but case or width. */
  get twins(): string[] {
    const { names } = this;
    const folded = names.map(foldName);
    return names.filter((name) => {
      const own = foldName(name);
      return folded.indexOf(own) !== folded.lastIndexOf(own);
    });
  }

  /** Starts anew; returns what is wrong with the list. */
  begin({ members, count, sender }: WelcomeEvent): string | undefined {
    this.#names.clear();
    for (const name of members) this.#names.add(name);
    if (!members.includes(sender)) return `"${sender}" is not in ${members}`;
    // The server lists a name that equals the client's own only once.
    if (this.#names.size !== count) return `${count} are here: ${members}`;
  }

  /**
   * Takes a join or a leave. One that happened before the welcome may come
   * after it, but the last event about a name says what is true.
   */
  change({ type, sender }: JoinEvent | LeaveEvent): void {
    if (type === "join") this.#names.add(sender);
    else this.#names.delete(sender);
  }

  rename(before: string, name: string): void {
    this.#names.delete(before);
    this.#names.add(name);
  }
}
