// Closes all connections at once: for good when the server stops, or to listen
// anew. Each client is asked to come back at a moment of its own, so that they
// do not all come at once.
import type { Connections } from "./connections.ts";
import type { Entrance } from "./entrance.ts";
import type { Listening } from "./listening.ts";
import type { Context } from "./ops/context.ts";
import type { Interruption } from "./protocol/close_codes.ts";

/** Clients that are asked to come back are spread over this time. */
const RETURN_AT_EARLIEST_MS = 1_000;
const RETURN_SPREAD_MS_PER_CLIENT = 5;
const RETURN_SPREAD_MAX_MS = 60_000;

/** How long clients have to answer a close frame before they are cut off. */
const CLOSE_MS = 250;

export class Shutdown {
  constructor(
    private readonly connections: Connections,
    private readonly entrance: Entrance,
    private readonly listening: Listening,
    private readonly context: Context,
  ) {}

  /**
   * Disconnects every client, ends the requests and messages that Deno cannot
   * end by itself because they are unfinished or endless, and listens anew.
   * Does nothing while the server is about to stop.
   */
  async reopen(reason: string, why: Interruption): Promise<void> {
    if (this.connections.isDraining) return;
    const { metrics, logger } = this.context;
    metrics.reopenings.add(1, reason);
    logger.log("warn", "reopening", "All connections are closed.", { reason });
    this.#disconnectAll(why);
    await within(CLOSE_MS, this.connections.areGone());
    if (this.connections.isDraining) return;
    this.listening.cut();
    this.connections.giveUpEnded();
  }

  /**
   * Admits nobody any more, disconnects every client, waits until all are gone,
   * at most `deadlineMs`, and stops listening.
   */
  async drain(deadlineMs: number): Promise<void> {
    const { xray, overload } = this.connections;
    this.entrance.close();
    this.connections.isDraining = true;
    xray.drain();
    this.#disconnectAll("shutting_down");
    await within(deadlineMs, this.connections.areGone());
    // Readers of the X-ray have seen how the connections ended.
    xray.close();
    // Only now: here Deno 2.9 cuts off sockets, even those about to close
    // cleanly.
    await within(CLOSE_MS, this.listening.close());
    overload.stop();
  }

  #disconnectAll(why: Interruption): void {
    const { sessions } = this.connections;
    const spreadMs = Math.min(
      RETURN_SPREAD_MAX_MS,
      sessions.size * RETURN_SPREAD_MS_PER_CLIENT,
    );
    const { random } = this.context;
    for (const session of sessions.keys()) {
      session.disconnect(why, RETURN_AT_EARLIEST_MS + random() * spreadMs);
    }
  }
}

/** Waits for `promise`, at the longest `deadlineMs`. */
async function within(deadlineMs: number, promise: Promise<void>) {
  const { promise: isLate, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, deadlineMs);
  await Promise.race([promise, isLate]);
  clearTimeout(timer);
}
