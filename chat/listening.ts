// Where the server listens, by https if it has a certificate. For a new
// certificate, and when the listener fails again and again, `reopen` closes all
// connections, which ends with `cut`.
import {
  type Certificate,
  RENEW_CERTIFICATE_EVERY_MS,
} from "./http/certificate.ts";
import { HttpError } from "./http/http_error.ts";
import { Listener } from "./http/listener.ts";
import type { Context } from "./ops/context.ts";
import type { Options } from "./options.ts";
import type { Interruption } from "./protocol/close_codes.ts";
import { CutOff } from "./transport/event_stream.ts";

/**
 * This many failures of the listener within this time cut off every connection.
 */
const LISTENER_FAILURES = 3;
const LISTENER_FAILURES_WITHIN_MS = 10_000;
const LISTENER_CUT_EVERY_MS = 60_000;

/**
 * Closes every connection and listens anew. The `reason` is for the operator;
 * clients are told `why`.
 */
export type Reopen = (reason: string, why: Interruption) => Promise<void>;

export class Listening {
  readonly #listener: Listener;
  readonly #renewTimer: ReturnType<typeof setInterval> | undefined;
  #failuresMs: number[] = [];
  #cutAtMs = -Infinity;

  /** Listens. Throws Deno's error if the address cannot be had. */
  constructor(
    { host, port }: Options,
    private readonly handle: Deno.ServeHandler<Deno.NetAddr>,
    private readonly certificate: Certificate | undefined,
    private readonly context: Context,
    private readonly reopen: Reopen,
  ) {
    this.#listener = new Listener(
      (port, signal) => this.#serve(host, port, signal),
      port,
      context.logger,
      () => this.#failed(),
    );
    this.#renewTimer = certificate &&
      setInterval(() => this.renew(), RENEW_CERTIFICATE_EVERY_MS);
  }

  /** The address; its port is the real one if 0 was asked for. */
  get address(): Deno.NetAddr {
    return this.#listener.address;
  }

  /** Reads the certificate again; if it is new, listens anew with it. */
  async renew(): Promise<void> {
    if (!this.certificate?.renew(this.context.logger)) return;
    await this.reopen("certificate", "restarting");
  }

  /** Ends every connection, finished or not, and listens anew. */
  cut(): void {
    this.#listener.cut();
  }

  /** Stops listening; resolves when every request has been answered. */
  async close(): Promise<void> {
    clearInterval(this.#renewTimer);
    await this.#listener.close();
  }

  #serve(hostname: string, port: number, signal: AbortSignal) {
    const { certificate } = this;
    return Deno.serve({
      port,
      hostname,
      signal,
      ...certificate && { cert: certificate.cert, key: certificate.key },
      onListen: () => {},
      onError: (fault) => this.#answerFault(fault),
    }, this.handle);
  }

  #answerFault(fault: unknown): Response {
    // Deno reports every body that ends early, even if the server ended it.
    if (!(fault instanceof CutOff)) {
      this.context.logger.fault("A request failed.", fault);
    }
    return new HttpError(500, "An error in the server: this request failed.")
      .response;
  }

  /** No descriptor is free for newcomers: cuts off all who may hold one. */
  #failed(): void {
    const nowMs = performance.now();
    this.#failuresMs = this.#failuresMs.filter((atMs) =>
      nowMs - atMs < LISTENER_FAILURES_WITHIN_MS
    );
    this.#failuresMs.push(nowMs);
    if (this.#failuresMs.length < LISTENER_FAILURES) return;
    if (nowMs - this.#cutAtMs < LISTENER_CUT_EVERY_MS) return;
    this.#cutAtMs = nowMs;
    this.reopen("descriptors", "overloaded");
  }
}
