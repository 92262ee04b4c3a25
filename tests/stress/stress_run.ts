// What the clients of a run share: the servers and their store, the ledger, the
// tally, the end and the first fault. After a fault every wait ends, so that
// nothing outlives the run.
import type { Dice } from "./dice.ts";
import { Ledger } from "./ledger.ts";
import { Program } from "./program.ts";
import type { SharedRedis } from "./shared_redis.ts";

/**
 * Longest time in which anything that must happen has to happen. Whoever polls
 * and goes without a word is here for up to 20 s more.
 */
export const DEADLINE_MS = 40_000;

const POLL_MS = 5;

/** A small limit for slow clients: pages of history have a quarter of it. */
const FLAGS = [
  "--rate",
  "0",
  "--room-rate",
  "0",
  "--send-limit",
  "262144",
  "--keep",
  "10000000",
];

/** How long a node that died may seem to be there. */
export const LEASE_SECONDS = 2;
const NODE_FLAGS = [...FLAGS, "--lease", `${LEASE_SECONDS}`];

/** So that this process can read all that its many clients are sent. */
const IDLE_MS_PER_CLIENT = 2.5;

/** How often what happened; a run that never saw a kill proves nothing. */
export class Tally {
  clients = 0;
  connections = 0;
  /** Of those, the ones by Server-Sent Events and by long poll. */
  streams = 0;
  polls = 0;
  kills = 0;
  stops = 0;
  /** Of Redis: stopped and resumed, killed and started again, with all or nothing. */
  pauses = 0;
  restarts = 0;
  emptyings = 0;
  drops = 0;
  closes = 0;
  takeovers = 0;
  stalls = 0;
  /** Closed with 1013. */
  evictions = 0;
  /** Of those, the ones of clients that had not stalled. */
  hastyEvictions = 0;
  /** Ended by the server without a close frame that arrived. */
  cutOffs = 0;
  leavers = 0;
  sent = 0;
  acknowledged = 0;
  resent = 0;
  repeatsAnswered = 0;
  /** What a server could not do while Redis was away. */
  refusals = 0;
  recoveries = 0;
  /** Returns to a room whose history had been lost. */
  beginnings = 0;
  renames = 0;
  refusedNames = 0;
  pages = 0;
  /** Messages that answer another one. */
  answers = 0;
  /** Of those that are stored at the end. */
  deleted = 0;
  stored = 0;
  shown = 0;
}

export class StressRun {
  readonly ledger = new Ledger();
  readonly tally = new Tally();
  readonly nodes: readonly Program[];
  /** The longest time between two things that a client does. */
  readonly idleMs: number;
  /** Clients do nothing new any more and come to rest. */
  isOver = false;
  fault: Error | undefined;
  #clients = 0;
  readonly #wakers = new Set<() => void>();

  /**
   * `clients` is how many there are at a time. Where there is no `redis` that
   * nodes share, the only one keeps its own in the file `data`.
   */
  constructor(
    readonly seed: number,
    clients: number,
    ports: readonly number[],
    data: string,
    readonly redis?: SharedRedis,
  ) {
    this.idleMs = Math.max(40, clients * IDLE_MS_PER_CLIENT);
    const flags = redis === undefined ? FLAGS : NODE_FLAGS;
    const fail = (what: string) => this.fail(new Error(what));
    this.nodes = ports.map((port) => new Program(port, data, flags, fail));
  }

  /** One that is up, if there is any: a proxy before them would know. */
  pickNode(dice: Dice): Program {
    const up = this.nodes.filter(({ isUp }) => isUp);
    const node = dice.pick(up.length > 0 ? up : this.nodes);
    if (node === undefined) throw new Error("there are no nodes");
    return node;
  }

  /** How often nodes were ended. */
  get endings(): number {
    return this.tally.kills + this.tally.stops;
  }

  /** Whether what failed since then may be put down to the log. */
  hasLogFailed(sinceMs: number): boolean {
    return this.redis?.hasFailed(sinceMs, Date.now()) ?? false;
  }

  /** How often the log may have lost all since then. */
  emptyingsSince(ms: number): number {
    return this.redis?.emptyingsSince(ms) ?? 0;
  }

  nextNumber(): number {
    this.tally.clients++;
    return ++this.#clients;
  }

  fail(fault: Error): void {
    this.fault ??= fault;
    this.end();
  }

  end(): void {
    this.isOver = true;
    for (const wake of this.#wakers) wake();
  }

  /** A client's idle time, cut short by the end of the run. */
  async pause(ms: number): Promise<void> {
    if (this.isOver) ms = Math.min(ms, POLL_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wakers.add(resolve);
    await promise;
    this.#wakers.delete(resolve);
    clearTimeout(timer);
  }

  /** Waits until `condition` holds. Throws at the deadline and after a fault. */
  async until(
    condition: () => boolean,
    what: () => string,
    deadlineMs = DEADLINE_MS,
  ): Promise<void> {
    const giveUpAtMs = performance.now() + deadlineMs;
    while (!condition()) {
      if (this.fault) throw this.fault;
      if (performance.now() > giveUpAtMs) {
        throw new Error(`waited ${deadlineMs} ms in vain: ${what()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
