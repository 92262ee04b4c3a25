// Owns what the two dialects share of a WebSocket's life: guarded handlers,
// frame size, rates, the send limit, the end. Never decides an order and never
// sees another member.
// Invariant: whatever the socket does, the end comes once; after it the
// session is in no room, holds no name and sends nothing more.
import { TokenBucket } from "./limits.ts";
import type { Lobby } from "./lobby.ts";
import {
  CloseCode,
  type ErrorCode,
  exceedsBytes,
  exceedsChars,
} from "./protocol.ts";
import type { Member, Room, Turn } from "./room.ts";

/** Refusals in a row after which a client is let go. */
export const MAX_REFUSALS = 50;

/** What a client can be blamed for, and is let go for if it does not stop. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set([
  "invalid",
  "too_long",
  "rate_limited",
]);

/** When to try again after the room had too much waiting. */
const BUSY_RETRY_MS = 1_000;

export interface SessionLimits {
  /** Messages per second; 0 for no limit. */
  rate: number;
  burst: number;
  maxMessage: number;
  maxFrame: number;
  /** Bytes that may wait in the socket before the member is let go. */
  sendLimit: number;
}

/** Where a session is and what holds it. */
export interface Surroundings {
  lobby: Lobby;
  roomName: string;
  limits: SessionLimits;
  now: () => number;
}

export abstract class Session implements Member {
  abstract readonly name: string;
  protected room: Room | undefined;
  #refusals = 0;
  #hasEnded = false;
  readonly #messages: TokenBucket;

  constructor(
    protected readonly socket: WebSocket,
    protected readonly at: Surroundings,
  ) {
    this.#messages = this.newBucket();
    // What is thrown in a socket's handler would end the process.
    socket.onopen = () => this.guard(() => this.#enter());
    socket.onmessage = (event) => this.guard(() => this.#receive(event.data));
    // `close` follows an error only sometimes and may come twice.
    socket.onerror = () => this.guard(() => this.#end());
    socket.onclose = () => this.guard(() => this.#end());
  }

  /** Begins, once the socket is open and there is a place in the room. */
  protected abstract open(room: Room): void | Promise<void>;
  /** Takes a frame of text that is not too large. */
  protected abstract read(text: string): void | Promise<void>;
  /** Gives back what `open` took. */
  protected abstract release(): void;
  abstract deliver(turn: Turn): void;
  abstract acknowledge(event: string, seq: number): void;
  abstract restart(): void;
  protected abstract complain(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void;

  /** Leaves the room at once, then starts the closing handshake. */
  close(code: number, reason: string): void {
    this.#end();
    // Deno waits for the peer's close frame without a limit; nothing here does.
    this.socket.close(code, reason);
  }

  /** Tells the client alone what was refused; ends it if it does not listen. */
  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void {
    if (OWN_FAULTS.has(code)) this.blame();
    this.complain(code, message, id, retryAfterMs);
  }

  /** Counts what a client must not do again and again. */
  protected blame(): void {
    this.#refusals++;
    if (this.#refusals < MAX_REFUSALS) return;
    this.close(CloseCode.policy, "too many refused messages");
  }

  /** Whether the handshake was ever completed. */
  get hasOpened(): boolean {
    return this.room !== undefined;
  }

  protected get hasEnded(): boolean {
    return this.#hasEnded;
  }

  protected newBucket(): TokenBucket {
    const { rate, burst } = this.at.limits;
    return new TokenBucket(rate, burst, this.at.now());
  }

  /** Passes a message to the room, or refuses it. */
  protected say(message: string, identity?: string, id?: string): void {
    const { limits, now } = this.at;
    if (exceedsChars(message, limits.maxMessage)) {
      return this.refuse(
        "too_long",
        "Too long: this message was not sent. " +
          `${limits.maxMessage} characters are allowed.`,
        id,
      );
    }
    const waitMs = this.#messages.take(now());
    if (waitMs > 0) return this.refuseRate(waitMs, id);
    if (this.room?.say(this, message, identity, id)) return this.serve();
    this.refuse(
      "busy",
      "The room is too busy: this message was not sent. Try again.",
      id,
      BUSY_RETRY_MS,
    );
  }

  /** Notes that a request was all right, so that refusals count anew. */
  protected serve(): void {
    this.#refusals = 0;
  }

  protected refuseRate(waitMs: number, id?: string): void {
    this.refuse(
      "rate_limited",
      `Too fast: this was not sent. Wait ${(waitMs / 1000).toFixed(1)} s; ` +
        `${this.at.limits.rate} messages per second are allowed.`,
      id,
      waitMs,
    );
  }

  protected send(frame: string): void {
    if (this.#hasEnded) return;
    // `send` never blocks and never fails: what a slow peer does not read
    // piles up in memory, and this is the only place that can see it.
    if (this.socket.bufferedAmount > this.at.limits.sendLimit) {
      return this.close(CloseCode.tryAgainLater, "reading too slowly");
    }
    this.socket.send(frame);
  }

  /** Runs a handler so that its fault costs this client only. */
  protected guard(handle: () => void | Promise<void>): void {
    try {
      handle()?.catch((fault) => this.#fail(fault));
    } catch (fault) {
      this.#fail(fault);
    }
  }

  #fail(fault: unknown): void {
    console.error("partyline: a connection failed:", fault);
    this.close(CloseCode.serverFault, "server fault");
  }

  #enter(): void | Promise<void> {
    this.room = this.at.lobby.enter(this.at.roomName, this);
    if (this.room === undefined) {
      return this.close(CloseCode.tryAgainLater, "too many rooms");
    }
    return this.open(this.room);
  }

  #receive(data: unknown): void | Promise<void> {
    if (this.#hasEnded) return;
    if (typeof data !== "string") {
      return this.close(CloseCode.binaryFrame, "send text, not binary");
    }
    if (exceedsBytes(data, this.at.limits.maxFrame)) {
      return this.close(CloseCode.tooLarge, "frame too large");
    }
    return this.read(data);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.room !== undefined) this.at.lobby.leave(this.room, this);
    this.release();
  }
}
