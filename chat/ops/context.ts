// What a server is given from outside, so that a test can bring its own: two
// clocks, chance, memory, and where to tell what happens.
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface Clocks {
  /** Milliseconds since 1970, by a clock that somebody may set at any time. */
  now: () => number;
  /**
   * Milliseconds since some moment before this process began, by a clock that
   * nobody can set: for all that rests, expires or has a rate.
   */
  monotonic: () => number;
}

export interface Context extends Clocks {
  /** From 0 up to 1. */
  random: () => number;
  /** What the process takes of the machine's memory, in bytes. */
  memory: () => Pick<Deno.MemoryUsage, "rss" | "heapUsed">;
  /** The machine's network interfaces. Throws if it may not tell. */
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
  if (isWritable) logger.log("info", "log", "Messages can be stored again.");
  else logger.log("error", "log", `Messages cannot be stored: ${trouble}`);
}
