// Watches what the whole process uses: bytes that wait for slow clients,
// memory, places, the lag of the event loop. If too many bytes wait in all, the
// clients with the most are disconnected; the limit of one client depends on no
// other client. When nothing else is left the last resort is called, and not
// again before that had time to work.
import { setImmediate } from "node:timers";
import type { Context } from "./context.ts";

const LOOK_EVERY_MS = 250;

/**
 * Bytes handed to sockets after which to look, however little time has passed.
 */
const LOOK_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * The part of the memory that may wait for all slow clients together. Above
 * that, the clients with the most waiting bytes are disconnected.
 */
const WAITING_SHARE = 1 / 4;

/** The part of its send limit that may wait for each client in any case. */
const LEAST_SEND_SHARE = 1 / 16;

/**
 * How long that much has to wait for a client before the client counts as slow:
 * bytes that were just sent wait for everyone.
 */
const SLOW_AFTER_MS = 200;

/**
 * The part of the memory above which no newcomer is let in while memory grows.
 * Freed memory may stay with the process, so a high level alone means nothing.
 */
const TIGHT_SHARE = 3 / 4;
const GROWTH_SHARE = 1 / 64;
const GROWTH_LOOKS = 40;

/**
 * The part of the places that closed connections may hold before they are cut.
 */
const ENDED_SHARE = 1 / 2;
const FREE_PLACES_EVERY_MS = 60_000;

/** How long the last resort has time to work. */
const SETTLE_MS = 3_000;

/**
 * The last resort is called again above this many times what it could not free.
 */
const GROWTH = 1.25;

/** A connection, by its cost for the process. */
export interface Burden {
  /** Bytes that wait to be sent on it, also after it was closed. */
  readonly waitingBytes: number;
  /** The connection was closed, but its socket is not gone yet. */
  readonly hasEnded: boolean;
  /** True until the client's second request, and after it broke one off. */
  readonly isUnconfirmed: boolean;
  disconnect(why: "slow_reader"): void;
}

export class Overload {
  /** Whether newcomers have to wait. */
  isTight = false;
  #handedOut = 0;
  #isLookDue = false;
  /** Clients that were behind at the last look, when too much waited in all. */
  #slow: ReadonlySet<Burden> = new Set();
  #slowSinceMs = -Infinity;
  /** Memory at the last looks, in bytes. */
  #past: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #dueMs = 0;
  #cutAtMs = -Infinity;
  /** The least memory since then. */
  #leftBytes = Infinity;
  #cutAbove: number;
  #freedAtMs = -Infinity;

  constructor(
    private readonly limits: {
      sendLimit: number;
      maxMemory: number;
      maxClients: number;
    },
    private readonly burdens: () => Iterable<Burden>,
    private readonly context: Context,
    /** Frees what nothing else can free. */
    private readonly lastResort: (reason: "memory" | "places") => void,
  ) {
    this.#cutAbove = this.#maxBytes;
  }

  /** Bytes that may wait for one client. */
  get sendLimit(): number {
    return this.limits.sendLimit;
  }

  get #maxBytes(): number {
    return this.limits.maxMemory * 1024 * 1024;
  }

  start(): void {
    this.#dueMs = performance.now() + LOOK_EVERY_MS;
    this.#timer = setInterval(() => {
      const lateMs = performance.now() - this.#dueMs;
      this.#dueMs = performance.now() + LOOK_EVERY_MS;
      this.context.metrics.lag.observe(Math.max(0, lateMs) / 1000);
      this.look();
    }, LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Counts bytes given to a socket, where they may have to wait. */
  handOut(bytes: number): void {
    this.#handedOut += bytes;
    if (this.#handedOut <= LOOK_EVERY_BYTES || this.#isLookDue) return;
    this.#isLookDue = true;
    // Later, because no client can take bytes while they are being handed out.
    setImmediate(() => {
      this.#isLookDue = false;
      this.look();
    });
  }

  /** All bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.#count().waiting;
  }

  /** Waiting bytes, of all and of open connections; the count of ended ones. */
  #count(): { waiting: number; forPresent: number; ended: number } {
    let waiting = 0;
    let forPresent = 0;
    let ended = 0;
    for (const { waitingBytes, hasEnded } of this.burdens()) {
      waiting += waitingBytes;
      if (hasEnded) ended++;
      else forPresent += waitingBytes;
    }
    return { waiting, forPresent, ended };
  }

  look(nowMs = performance.now()): void {
    this.#handedOut = 0;
    const bytes = this.context.memory().rss;
    const wasTight = this.isTight;
    this.#past.push(bytes);
    if (this.#past.length > GROWTH_LOOKS) this.#past.shift();
    this.isTight = bytes > this.#maxBytes * TIGHT_SHARE &&
      bytes > Math.min(...this.#past) + this.#maxBytes * GROWTH_SHARE;
    if (this.isTight !== wasTight) this.#tell(bytes);
    const { forPresent, ended } = this.#count();
    this.#letSlowGo(forPresent - this.#maxBytes * WAITING_SHARE, nowMs);
    this.#guardPlaces(ended, nowMs);
    this.#guardMemory(bytes, nowMs);
  }

  /**
   * Disconnects unconfirmed clients first, then the slowest, until `excess`
   * fewer bytes wait.
   */
  #letSlowGo(excess: number, nowMs: number): void {
    if (excess <= 0) {
      this.#slow = new Set();
      this.#slowSinceMs = -Infinity;
      return;
    }
    if (nowMs - this.#slowSinceMs < SLOW_AFTER_MS) return;
    const least = this.limits.sendLimit * LEAST_SEND_SHARE;
    const behind = [...this.burdens()]
      .filter(({ hasEnded }) => !hasEnded)
      .map((burden) => ({ burden, waiting: burden.waitingBytes }))
      .filter(({ waiting }) => waiting > least)
      .sort((a, b) =>
        Number(b.burden.isUnconfirmed) - Number(a.burden.isUnconfirmed) ||
        b.waiting - a.waiting
      );
    for (const { burden, waiting } of behind) {
      if (excess <= 0) break;
      if (!this.#slow.has(burden)) continue;
      burden.disconnect("slow_reader");
      excess -= waiting;
    }
    this.#slow = new Set(behind.map(({ burden }) => burden));
    this.#slowSinceMs = nowMs;
  }

  #guardPlaces(ended: number, nowMs: number): void {
    const areFew = ended <= this.limits.maxClients * ENDED_SHARE;
    if (areFew || nowMs - this.#freedAtMs < FREE_PLACES_EVERY_MS) return;
    this.#freedAtMs = nowMs;
    this.lastResort("places");
  }

  #guardMemory(bytes: number, nowMs: number): void {
    if (nowMs - this.#cutAtMs < SETTLE_MS) {
      // What came since then could be freed, so it does not raise the limit.
      this.#leftBytes = Math.min(this.#leftBytes, bytes);
      this.#cutAbove = Math.max(this.#maxBytes, this.#leftBytes * GROWTH);
    } else if (bytes > this.#cutAbove) {
      this.#cutAtMs = nowMs;
      this.#leftBytes = Infinity;
      this.lastResort("memory");
    } else if (bytes <= this.#maxBytes) {
      this.#cutAbove = this.#maxBytes;
    }
  }

  #tell(bytes: number): void {
    const message = this.isTight
      ? "Memory is running low: new clients are refused."
      : "There is enough memory again.";
    const memoryMiB = Math.round(bytes / 1024 / 1024);
    this.context.logger.log("warn", "memory", message, { memoryMiB });
  }
}
