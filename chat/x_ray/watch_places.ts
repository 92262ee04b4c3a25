// The places of people who watch their own connections. While all are taken, they
// are shared fairly: a newcomer who has fewer places gets one from the group that
// has most. Groups are blocks of networks first, then networks, then keys. So many
// keys get nobody more, and a class behind one address loses places only while its
// block has the most.
import { HttpError, retryAfter } from "../http/http_error.ts";
import type { Owner } from "../http/proxy.ts";

/** Places in all, and for one key. */
export const MAX_OWN_WATCHERS = 256;
export const MAX_WATCHERS_PER_KEY = 4;

/** How long a place stays with a watcher who has no more than the newcomer. */
export const TURN_MS = 30_000;

const RETRY_MS = 5_000;

interface Watcher {
  key: string;
  from: Pick<Owner, "network" | "block">;
  sinceMs: number;
  /** Ends the stream: its place goes to somebody else, and the text says why. */
  end: (why: string) => void;
}

type Group = (watcher: Watcher) => string;

/** The groups that share the places, and the reason for a loser of each. */
const LEVELS: [group: Group, why: string][] = [
  [({ from }) => from.block, "your network has the most of them"],
  [({ from }) => from.network, "your address has the most of them"],
  [({ key }) => key, "you watch in several windows"],
];

const LONGEST = "you have watched for the longest time";

export class WatchPlaces {
  /** The watchers, those of the longest time first. */
  readonly #watchers = new Set<Watcher>();

  constructor(private readonly monotonic: () => number) {}

  get size(): number {
    return this.#watchers.size;
  }

  /**
   * Takes a place, and returns what gives it back; idempotent. Throws an
   * `HttpError` if there is none. `end` is called if it goes to somebody else.
   */
  take(key: string, from: Watcher["from"], end: Watcher["end"]): () => void {
    const watcher = { key, from, end, sinceMs: this.monotonic() };
    const own = [...this.#watchers].filter((other) => other.key === key);
    if (own.length >= MAX_WATCHERS_PER_KEY) throw tooMany(429);
    if (this.size >= MAX_OWN_WATCHERS) this.#endOneFor(watcher);
    if (this.size >= MAX_OWN_WATCHERS) throw tooMany(503);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * Ends the oldest watcher of the group that has most: at once if the group has
   * more than the newcomer's will have, and after its turn if it has as many.
   */
  #endOneFor(watcher: Watcher): void {
    let those = [...this.#watchers];
    let why: string | undefined;
    for (const [group, tooMany] of LEVELS) {
      const own = those.filter((other) => group(other) === group(watcher));
      const most = [...Map.groupBy(those, group).values()]
        .reduce((one, other) => other.length > one.length ? other : one);
      // Within its own group it is shared by what comes next.
      const isOwn = own.length === most.length;
      if (!isOwn) why ??= most.length > own.length + 1 ? tooMany : LONGEST;
      those = isOwn ? own : most;
    }
    const [oldest] = those;
    if (oldest === undefined || why === undefined) return;
    const isDue = oldest.sinceMs + TURN_MS <= this.monotonic();
    if (why !== LONGEST || isDue) oldest.end(tell(why));
  }
}

/** The explanation for a watcher whose place went to somebody else. */
function tell(why: string): string {
  return "Somebody else watches in this place, because all are taken and " +
    `${why}. Close and open the X-ray to watch again.`;
}

/** `status` is 429 for a key that has all of its places, else 503. */
export function tooMany(status: number): HttpError {
  const message = "Too many people are watching already: try again later.";
  return new HttpError(status, message, retryAfter(RETRY_MS));
}
