// Owns the shape of what a server is given from outside, so that a test can
// bring its own. Never holds anything itself.
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
