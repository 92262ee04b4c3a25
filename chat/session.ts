// Owns what all clients share, however connected: guarded handlers, frame
// size, rates, the send limit, the end. Never decides an order, never sees
// another member, knows its transport only as a `Line`.
// Invariant: whatever the client does, the end comes once; after it the
// session is in no room, holds no name and sends nothing more.
import { TokenBucket } from "./limits.ts";
import type { Lobby } from "./lobby.ts";
import { LogError } from "./log.ts";
import {
  CloseCode,
  type ErrorCode,
  exceedsBytes,
  exceedsChars,
} from "./protocol.ts";
import type { Overload } from "./overload.ts";
import type { Member, Room, Turn } from "./room.ts";
import type { World } from "./world.ts";

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

/** Why the server lets a client go, and what the client is told. */
const EVICTIONS = {
  binary_frame: [CloseCode.unsupportedData, "send text, not binary"],
  board_full: [CloseCode.tryAgainLater, "too many are drawing here"],
  flood: [CloseCode.policy, "too many refused messages"],
  frame_too_large: [CloseCode.tooLarge, "frame too large"],
  history_lost: [CloseCode.tryAgainLater, "the room's history was lost"],
  history_moved: [CloseCode.tryAgainLater, "history moved on"],
  late_hello: [CloseCode.protocolError, "no hello in time"],
  log_unavailable: [CloseCode.tryAgainLater, "the log cannot be used"],
  name_lost: [CloseCode.tryAgainLater, "the name was lost"],
  no_hello: [CloseCode.protocolError, "say hello first"],
  not_json: [CloseCode.protocolError, "send JSON objects"],
  server_fault: [CloseCode.serverFault, "server fault"],
  slow_reader: [CloseCode.tryAgainLater, "reading too slowly"],
  text_frame: [CloseCode.unsupportedData, "send binary, not text"],
  too_many_rooms: [CloseCode.tryAgainLater, "too many rooms"],
} as const;

/** Why the server closes connections that did nothing wrong. */
const FAREWELLS = {
  shutting_down: [CloseCode.shuttingDown, "the server is shutting down"],
  restarting: [CloseCode.restarting, "the server is restarting"],
  overloaded: [CloseCode.tryAgainLater, "the server is overloaded"],
} as const;

export type Eviction = keyof typeof EVICTIONS;
export type Farewell = keyof typeof FAREWELLS;

export interface SessionLimits {
  /** Messages per second; 0 for no limit. */
  rate: number;
  burst: number;
  maxMessage: number;
  maxFrame: number;
}

/** What carries a session's frames; a WebSocket is one. */
export interface Line {
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Takes a frame and the encoded events in it; never waits, never throws. */
  send(frame: string, events: readonly string[]): void;
  /** Starts to close. `ended` follows, at once or after a while. */
  close(code: number, reason: string): void;
}

/** Sees what goes through a session while somebody watches; never throws. */
export interface Tap {
  sent(frame: string | ArrayBuffer): void;
  received(data: unknown): void;
  /** The server begins to close. */
  closing(code: number, reason: string): void;
  failed(fault: string): void;
  /** As a WebSocket's `close` event tells it. */
  closed(code: number, reason: string, isClean: boolean): void;
}

/** Where a session is and what holds it. */
export interface Surroundings {
  lobby: Lobby;
  roomName: string;
  limits: SessionLimits;
  overload: Overload;
  world: World;
  /** The address it comes from, for the operator's eyes. */
  client: string;
}

export abstract class Session implements Member {
  abstract readonly name: string;
  /** Only while somebody watches. */
  tap: Tap | undefined;
  protected room: Room | undefined;
  #refusals = 0;
  #hasEnded = false;
  #waitingAtEnd = 0;
  readonly #messages: TokenBucket;

  constructor(
    readonly line: Line,
    protected readonly at: Surroundings,
  ) {
    this.#messages = this.newBucket();
  }

  // What is thrown in a handler of a socket would end the process, so these
  // three never throw.

  /** The line is ready. */
  opened(): void {
    // It may have been dismissed while the handshake was under way.
    if (!this.#hasEnded) this.guard(() => this.#enter());
  }

  /** A frame came: text, or what is not accepted. */
  received(data: unknown): void {
    this.tap?.received(data);
    if (!this.#hasEnded) this.guard(() => this.receive(data));
  }

  /** The line is gone; may be told more than once. */
  ended(): void {
    this.guard(() => this.#end());
  }

  /** Begins, once the socket is open and there is a place in the room. */
  protected abstract open(room: Room): void | Promise<void>;
  /** Takes a frame, or ends a client that should not have sent it. */
  protected receive(data: unknown): void | Promise<void> {
    if (typeof data !== "string") return this.evict("binary_frame");
    if (exceedsBytes(data, this.at.limits.maxFrame)) {
      return this.evict("frame_too_large");
    }
    return this.read(data);
  }

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

  /** Lets a client go for what it did, or for what cannot be done for it. */
  evict(why: Eviction): void {
    if (this.#hasEnded) return;
    const { metrics, logger } = this.at.world;
    const [code, reason] = EVICTIONS[why];
    metrics.evictions.add(1, why);
    logger.log("info", "eviction", `A client was let go: ${reason}.`, {
      reason: why,
      room: this.at.roomName,
      client: this.at.client,
    });
    this.close(code, reason);
  }

  /** Closes with a hint when to come back. */
  dismiss(why: Farewell, retryAfterMs: number): void {
    const [code, reason] = FAREWELLS[why];
    const seconds = Math.ceil(retryAfterMs / 1000);
    const hint = `${reason}; come back in ${seconds} s`;
    if (this.hasOpened && !this.#hasEnded) {
      this.foretell(why, hint, retryAfterMs);
    }
    this.close(code, hint);
  }

  /** Tells why the end comes, where the dialect has more than a close code. */
  protected foretell(_why: Farewell, _hint: string, _retryMs: number): void {}

  /** Leaves the room at once, then starts the closing handshake. */
  protected close(code: number, reason: string): void {
    this.#end();
    this.tap?.closing(code, reason);
    // Deno waits for the peer's close frame without a limit; nothing here does.
    this.line.close(code, reason);
  }

  /** Tells the client alone what was refused; ends it if it does not listen. */
  refuse(
    code: ErrorCode,
    message: string,
    id?: string,
    retryAfterMs?: number,
  ): void {
    this.at.world.metrics.refusals.add(1, code);
    if (OWN_FAULTS.has(code)) this.blame();
    this.complain(code, message, id, retryAfterMs);
  }

  /** Counts what a client must not do again and again. */
  protected blame(): void {
    this.#refusals++;
    if (this.#refusals >= MAX_REFUSALS) this.evict("flood");
  }

  /** Reclaims its identity; a secret, and "" for one that has none. */
  get key(): string {
    return "";
  }

  get roomName(): string {
    return this.at.roomName;
  }

  /** Whether the handshake was ever completed. */
  get hasOpened(): boolean {
    return this.room !== undefined;
  }

  /** Bytes that wait to be sent; after the end at most as many as then. */
  get waitingBytes(): number {
    return this.#hasEnded ? this.#waitingAtEnd : this.line.bufferedAmount;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  protected newBucket(): TokenBucket {
    const { rate, burst } = this.at.limits;
    return new TokenBucket(rate, burst, this.at.world.now());
  }

  /** Passes a message to the room, or refuses it. */
  protected say(message: string, identity?: string, id?: string): void {
    const { limits, world } = this.at;
    if (exceedsChars(message, limits.maxMessage)) {
      return this.refuse(
        "too_long",
        "Too long: this message was not sent. " +
          `${limits.maxMessage} characters are allowed.`,
        id,
      );
    }
    const waitMs = this.#messages.take(world.now());
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

  protected send(frame: string, events: readonly string[] = [frame]): void {
    if (!this.hasSpaceFor(frame.length)) return;
    this.line.send(frame, events);
    this.tap?.sent(frame);
  }

  /** Whether so much may be sent now. Lets a client go that does not read. */
  protected hasSpaceFor(bytes: number): boolean {
    if (this.#hasEnded) return false;
    // `send` never blocks and never fails: what a slow peer does not read
    // piles up in memory, and this is the only place that can see it.
    if (this.line.bufferedAmount > this.at.overload.sendLimit) {
      this.evict("slow_reader");
      return false;
    }
    this.at.overload.handOut(bytes);
    return true;
  }

  /** Runs a handler so that its fault costs this client only. */
  protected guard(handle: () => void | Promise<void>): void {
    try {
      handle()?.catch((fault) => this.#fail(fault));
    } catch (fault) {
      this.#fail(fault);
    }
  }

  /** Tells the operator where a fault is; a log that fails is none. */
  protected note(what: string, fault: unknown): void {
    const { logger } = this.at.world;
    if (!(fault instanceof LogError)) return logger.fault(what, fault);
    logger.log("warn", "log", `${what} ${fault.message}`);
  }

  #fail(fault: unknown): void {
    this.note("A connection failed.", fault);
    this.evict(fault instanceof LogError ? "log_unavailable" : "server_fault");
  }

  #enter(): void | Promise<void> {
    this.room = this.at.lobby.enter(this.at.roomName, this);
    if (this.room === undefined) return this.evict("too_many_rooms");
    return this.open(this.room);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#waitingAtEnd = this.line.bufferedAmount;
    this.#hasEnded = true;
    if (this.room !== undefined) this.at.lobby.leave(this.room, this);
    this.release();
  }
}

/** Makes a WebSocket the line of a session. */
export function attach(socket: WebSocket, session: Session): void {
  socket.onopen = () => session.opened();
  socket.onmessage = ({ data }) => session.received(data);
  // `close` follows an error only sometimes and may come twice.
  socket.onerror = (event) => {
    session.tap?.failed(event instanceof ErrorEvent ? event.message : "");
    session.ended();
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    session.tap?.closed(code, reason, wasClean);
    session.ended();
  };
}
