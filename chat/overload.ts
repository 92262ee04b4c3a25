// Owns the watch over what the whole process uses: bytes that wait for slow
// clients, memory, places, the lag of the event loop. Never closes anything
// itself. Invariant: it asks for the last resort only when nothing else is
// left, and the last time is over and done with.
import type { World } from "./world.ts";

export const LOOK_EVERY_MS = 250;

/** Bytes handed to sockets after which it looks, however short the time. */
const LOOK_EVERY_BYTES = 64 * 1024 * 1024;

/**
 * The part of the memory that may wait for slow clients, all together. The more
 * of it is taken, the less each of them is granted.
 */
const WAITING_SHARE = 1 / 4;

/** What is left to each of its send limit in any case. */
const LEAST_SEND_SHARE = 1 / 4;

/**
 * The part of the memory above which nobody new is let in while it grows. What
 * was freed may stay with the process, so a high level alone means nothing.
 */
const TIGHT_SHARE = 3 / 4;
const GROWTH_SHARE = 1 / 64;
const GROWTH_LOOKS = 40;

/** The part of the places that may be held by who was closed long since. */
const ENDED_SHARE = 1 / 2;
const FREE_PLACES_EVERY_MS = 60_000;

/** How long the last resort is given to work. */
const SETTLE_MS = 3_000;

/** How much more than what it could not free makes it work again. */
const GROWTH = 1.25;

/** A connection, as far as it can burden the process. */
export interface Burden {
  /** Bytes that wait to be sent to it, also after it was closed. */
  readonly waitingBytes: number;
  /** It was closed, but does not go. */
  readonly hasEnded: boolean;
}

export class Overload {
  /** Bytes that may wait for one client at this moment. */
  sendLimit: number;
  /** Whether newcomers have to wait. */
  isTight = false;
  #handedOut = 0;
  /** Memory as it was at the last looks. */
  #past: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #dueMs = 0;
  #cutAtMs = -Infinity;
  #cutAbove: number;
  #freedAtMs = -Infinity;

  constructor(
    private readonly limits: {
      sendLimit: number;
      maxMemory: number;
      maxClients: number;
    },
    private readonly burdens: () => Iterable<Burden>,
    private readonly world: World,
    /** Frees what nothing else can. */
    private readonly lastResort: (reason: "memory" | "places") => void,
  ) {
    this.sendLimit = limits.sendLimit;
    this.#cutAbove = this.#maxBytes;
  }

  get #maxBytes(): number {
    return this.limits.maxMemory * 1024 * 1024;
  }

  start(): void {
    this.#dueMs = performance.now() + LOOK_EVERY_MS;
    this.#timer = setInterval(() => {
      const lateMs = performance.now() - this.#dueMs;
      this.#dueMs = performance.now() + LOOK_EVERY_MS;
      this.world.metrics.lag.observe(Math.max(0, lateMs) / 1000);
      this.look();
    }, LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Notes bytes given to a socket, which may have to wait there. */
  handOut(bytes: number): void {
    this.#handedOut += bytes;
    if (this.#handedOut > LOOK_EVERY_BYTES) this.look();
  }

  /** All bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.#count().waiting;
  }

  #count(): { waiting: number; ended: number } {
    let waiting = 0;
    let ended = 0;
    for (const { waitingBytes, hasEnded } of this.burdens()) {
      waiting += waitingBytes;
      if (hasEnded) ended++;
    }
    return { waiting, ended };
  }

  look(nowMs = performance.now()): void {
    this.#handedOut = 0;
    const bytes = this.world.memory().rss;
    const wasTight = this.isTight;
    this.#past.push(bytes);
    if (this.#past.length > GROWTH_LOOKS) this.#past.shift();
    this.isTight = bytes > this.#maxBytes * TIGHT_SHARE &&
      bytes > Math.min(...this.#past) + this.#maxBytes * GROWTH_SHARE;
    if (this.isTight !== wasTight) this.#tell(bytes);
    const { waiting, ended } = this.#count();
    const left = 1 - waiting / (this.#maxBytes * WAITING_SHARE);
    this.sendLimit = this.limits.sendLimit * Math.max(LEAST_SEND_SHARE, left);
    this.#guardPlaces(ended, nowMs);
    this.#guardMemory(bytes, nowMs);
  }

  #guardPlaces(ended: number, nowMs: number): void {
    const areFew = ended <= this.limits.maxClients * ENDED_SHARE;
    if (areFew || nowMs - this.#freedAtMs < FREE_PLACES_EVERY_MS) return;
    this.#freedAtMs = nowMs;
    this.lastResort("places");
  }

  #guardMemory(bytes: number, nowMs: number): void {
    if (nowMs - this.#cutAtMs < SETTLE_MS) {
      // What the last resort leaves is not what it can free.
      this.#cutAbove = Math.max(this.#maxBytes, bytes * GROWTH);
    } else if (bytes > this.#cutAbove) {
      this.#cutAtMs = nowMs;
      this.lastResort("memory");
    } else if (bytes <= this.#maxBytes) {
      this.#cutAbove = this.#maxBytes;
    }
  }

  #tell(bytes: number): void {
    const message = this.isTight
      ? "Memory becomes tight: no one new comes in."
      : "Memory is not tight any more.";
    const memoryMiB = Math.round(bytes / 1024 / 1024);
    this.world.logger.log("warn", "memory", message, { memoryMiB });
  }
}
