// The listening socket. After a failure it is opened again on the same address,
// so until `close` the server listens or is about to. Every connection that
// came through it can be cut off.
import type { Logger } from "../ops/logger.ts";
import { reasonOf } from "../ops/system_error.ts";

const RETRY_MS = 250;

/** Starts a server on this port; `signal` ends it and all its connections. */
type Listen = (
  port: number,
  signal: AbortSignal,
) => Deno.HttpServer<Deno.NetAddr>;

export class Listener {
  /** Where the server listens; the port is the real one if 0 was asked for. */
  readonly address: Deno.NetAddr;
  #current: Deno.HttpServer<Deno.NetAddr> | undefined;
  /** Ends all connections since the last cut, even those of failed sockets. */
  #cutter = new AbortController();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** Throws Deno's error if the address cannot be had. */
  constructor(
    private readonly listen: Listen,
    port: number,
    private readonly logger: Logger,
    /** Called when Deno stops listening, as without a free descriptor. */
    private readonly onFailure: () => void,
  ) {
    this.#current = this.#open(port);
    this.address = this.#current.addr;
  }

  /** Ends every connection, finished or not, and listens anew. */
  cut(): void {
    this.#cutter.abort();
    this.#cutter = new AbortController();
    this.#current = undefined;
    this.#reopen();
  }

  /** Stops listening; resolves when every request has been answered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    await this.#current?.shutdown();
  }

  #open(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { signal } = this.#cutter;
    const server = this.listen(port, signal);
    server.finished.catch((error) => {
      if (this.#isClosed || signal.aborted) return;
      this.logger.log(
        "error",
        "listener_failed",
        "No new connection could be accepted; listening again.",
        { error: reasonOf(error) },
      );
      this.#current = undefined;
      this.#retryLater();
      this.onFailure();
    });
    return server;
  }

  #retryLater(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#reopen(), RETRY_MS);
  }

  /** The old socket needs a moment to go, so this may take a few tries. */
  #reopen(): void {
    if (this.#isClosed || this.#current !== undefined) return;
    try {
      this.#current = this.#open(this.address.port);
    } catch {
      this.#retryLater();
    }
  }
}
