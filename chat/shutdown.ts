// How all connections are closed at once: for good when the server stops, or to
// listen anew. Every client is asked to come back at a moment of its own, so that
// they do not come all at once.
import type { Connections } from "./connections.ts";
import type { Entrance } from "./entrance.ts";
import type { Listening } from "./listening.ts";
import type { Context } from "./ops/context.ts";
import type { Interruption } from "./protocol/close_codes.ts";

/** Clients that are asked to come back do so spread over this time. */
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
   * Disconnects every client, ends what Deno alone cannot end (unfinished
   * requests, endless messages), and listens anew. Does nothing while the server
   * is about to stop.
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
   * Lets no one in any more, disconnects every client, waits until all are gone,
   * at the longest `deadlineMs`, and listens no more.
   */
  async drain(deadlineMs: number): Promise<void> {
    const { xray, overload } = this.connections;
    this.entrance.close();
    this.connections.isDraining = true;
    xray.drain();
    this.#disconnectAll("shutting_down");
    await within(deadlineMs, this.connections.areGone());
    // Whoever watches has seen how it ended.
    xray.close();
    // Only now: Deno 2.9 cuts off sockets here, also those about to close well.
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
