// Owns the watch over what the whole process uses: bytes that wait for slow
// clients, memory, the lag of the event loop. Never closes anything itself.
// Invariant: it asks for the last resort only when memory grew beyond the
// limit and the last time is over and done with.
import type { World } from "./world.ts";

export const LOOK_EVERY_MS = 250;

/** Bytes handed to sockets after which it looks, however short the time. */
const LOOK_EVERY_BYTES = 64 * 1024 * 1024;

/** The part of the memory that may wait for slow clients, all together. */
const WAITING_SHARE = 1 / 4;

/** The part of the memory from which on nobody new is let in. */
const TIGHT_SHARE = 3 / 4;

/** The part of the send limit that is left to each when it is tight. */
const TIGHT_SEND_SHARE = 1 / 4;

/** How long the last resort is given to work. */
const SETTLE_MS = 3_000;

/** How much more than what it could not free makes it work again. */
const GROWTH = 1.25;

/** A connection, as far as it can burden the process. */
export interface Burden {
  /** Bytes that wait to be sent to it, also after it was closed. */
  readonly waitingBytes: number;
}

export class Overload {
  /** Bytes that may wait for one client at this moment. */
  sendLimit: number;
  /** Whether newcomers have to wait. */
  isTight = false;
  #handedOut = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #dueMs = 0;
  #cutAtMs = -Infinity;
  #cutAbove: number;

  constructor(
    private readonly limits: { sendLimit: number; maxMemory: number },
    private readonly burdens: () => Iterable<Burden>,
    private readonly world: World,
    /** Frees what nothing else can. */
    private readonly lastResort: () => void,
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
    let sum = 0;
    for (const { waitingBytes } of this.burdens()) sum += waitingBytes;
    return sum;
  }

  look(nowMs = performance.now()): void {
    this.#handedOut = 0;
    const bytes = this.world.memoryBytes();
    const wasTight = this.isTight;
    this.isTight = bytes > this.#maxBytes * TIGHT_SHARE ||
      this.waitingBytes > this.#maxBytes * WAITING_SHARE;
    this.sendLimit = this.limits.sendLimit *
      (this.isTight ? TIGHT_SEND_SHARE : 1);
    if (this.isTight !== wasTight) this.#tell(bytes);
    this.#guard(bytes, nowMs);
  }

  #guard(bytes: number, nowMs: number): void {
    if (nowMs - this.#cutAtMs < SETTLE_MS) {
      // What the last resort leaves is not what it can free.
      this.#cutAbove = Math.max(this.#maxBytes, bytes * GROWTH);
    } else if (bytes > this.#cutAbove) {
      this.#cutAtMs = nowMs;
      this.lastResort();
    } else if (bytes <= this.#maxBytes) {
      this.#cutAbove = this.#maxBytes;
    }
  }

  #tell(bytes: number): void {
    const message = this.isTight
      ? "Memory is tight: slow clients are let go sooner, no one new comes in."
      : "Memory is no longer tight.";
    const memoryMiB = Math.round(bytes / 1024 / 1024);
    this.world.logger.log("warn", "memory", message, { memoryMiB });
  }
}
