// Everything that a server is given from outside, so that a test can replace
// it: two clocks, randomness, memory, and where to report events.
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface Clocks {
  /** Milliseconds since 1970, by a clock that somebody may set at any time. */
  now: () => number;
  /**
   * Milliseconds since some moment before this process began, by a clock that
   * nobody can set: for rests, expiry and rates.
   */
  monotonic: () => number;
}

export interface Context extends Clocks {
  /** A random number from 0 up to, but not including, 1. */
  random: () => number;
  /** The memory that the process uses, in bytes. */
  memory: () => Pick<Deno.MemoryUsage, "rss" | "heapUsed">;
  /**
   * The machine's network interfaces. Throws without permission to see them.
   */
  interfaces: () => Deno.NetworkInterfaceInfo[];
  logger: Logger;
  metrics: Metrics;
}

/** Tells the operator, once, that the store fails, or that it works again. */
export function noteStore(
  { metrics, logger }: Pick<Context, "metrics" | "logger">,
  trouble?: unknown,
): void {
  const isWritable = trouble === undefined;
  if (metrics.isStoreWritable === isWritable) return;
  metrics.isStoreWritable = isWritable;
  if (isWritable) logger.log("info", "store", "Messages can be stored again.");
  else logger.log("error", "store", `Messages cannot be stored: ${trouble}`);
}
