// Watches what the whole process uses: bytes that wait for slow clients, memory,
// places, the lag of the event loop. Where too much waits in sum, it disconnects
// those for whom most does; what one client may have waiting depends on nobody
// else. It asks for the last resort when nothing else is left, and not again
// before that had time to work.
import { setImmediate } from "node:timers";
import type { Context } from "./context.ts";

const LOOK_EVERY_MS = 250;

/** Bytes handed to sockets after which it looks, however short the time. */
const LOOK_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * The part of the memory that may wait for slow clients, all together. Of more,
 * those are disconnected for whom most waits.
 */
const WAITING_SHARE = 1 / 4;

/** The part of its send limit that may wait for each client in any case. */
const LEAST_SEND_SHARE = 1 / 16;

/**
 * How long that much has to wait for a client before it counts as slow: what was
 * just sent waits for everyone.
 */
const SLOW_AFTER_MS = 200;

/**
 * The part of the memory above which nobody new is let in while it grows. What
 * was freed may stay with the process, so a high level alone means nothing.
 */
const TIGHT_SHARE = 3 / 4;
const GROWTH_SHARE = 1 / 64;
const GROWTH_LOOKS = 40;

/** The part of the places that closed connections which do not go may hold. */
const ENDED_SHARE = 1 / 2;
const FREE_PLACES_EVERY_MS = 60_000;

/** How long the last resort is given to work. */
const SETTLE_MS = 3_000;

/**
 * It is used again when memory reaches what it could not free, times this. What it
 * cannot free, it would not free in three seconds either: to close every connection
 * again and again would end the service, and free nothing. So it comes the less
 * often, the less it helps.
 */
const GROWTH = 1.25;

/** A connection, as far as it can burden the process. */
export interface Burden {
  /** Bytes that wait to be sent to it, also after it was closed. */
  readonly waitingBytes: number;
  /** It was closed, but does not go. */
  readonly hasEnded: boolean;
  /** Nothing shows yet that its client is still there. */
  readonly isUnconfirmed: boolean;
  disconnect(why: "slow_reader"): void;
}

export class Overload {
  /** Whether newcomers have to wait. */
  isTight = false;
  #handedOut = 0;
  #isLookDue = false;
  /** Those for whom much waited at a look while too much did in sum. */
  #slow: ReadonlySet<Burden> = new Set();
  #slowSinceMs = -Infinity;
  /** Memory as it was at the last looks. */
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
    /** Frees what nothing else can. */
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

  /** Notes bytes given to a socket, which may have to wait there. */
  handOut(bytes: number): void {
    this.#handedOut += bytes;
    if (this.#handedOut <= LOOK_EVERY_BYTES || this.#isLookDue) return;
    this.#isLookDue = true;
    // Not now: nobody could take anything while it is being handed out.
    setImmediate(() => {
      this.#isLookDue = false;
      this.look();
    });
  }

  /** All bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.#count().waiting;
  }

  /** What waits, in sum and for those who are here; and how many are not. */
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
   * Disconnects those first who may be gone, then the slowest, until `excess`
   * bytes less are waiting.
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
      // What came since then it could free: that raises nothing.
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
