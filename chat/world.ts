// Owns the shape of what a server is given from outside, so that a test can
// bring its own, and what is noted there. Never holds anything itself.
// Invariant: clock, chance and memory are read through here and nowhere else.
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface World {
  /** Milliseconds since 1970. */
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
  /** What the process takes of the machine's memory, in bytes. */
  memory: () => Pick<Deno.MemoryUsage, "rss" | "heapUsed">;
  logger: Logger;
  metrics: Metrics;
}

/** Tells the operator, once, that the log fails, or that it works again. */
export function noteLog(
  { metrics, logger }: Pick<World, "metrics" | "logger">,
  trouble?: unknown,
): void {
  const isWritable = trouble === undefined;
  if (metrics.isLogWritable === isWritable) return;
  metrics.isLogWritable = isWritable;
  if (isWritable) logger.log("info", "log", "Messages are stored again.");
  else logger.log("error", "log", `Nothing can be stored: ${trouble}`);
}
