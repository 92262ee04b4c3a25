// One client's life, whatever its dialect and its transport: guarded handlers,
// the size and the rate of incoming frames, the limit on bytes that wait to be
// sent, and the end. A session has a `Dialect`, which reads and writes the
// frames, and a `Transport`, which carries them. The end comes exactly once,
// whatever the client does; after it the session is in no room, holds no name
// and sends nothing more.
import type { Owner } from "../http/proxy.ts";
import type { Context } from "../ops/context.ts";
import type { Overload } from "../ops/overload.ts";
import type { TokenBucket } from "../ops/rate_limit.ts";
import {
  type DisconnectReason,
  DISCONNECTS,
  isInterruption,
} from "../protocol/close_codes.ts";
import type { ErrorCode } from "../protocol/events.ts";
import { encodeFrames } from "../protocol/frames.ts";
import {
  exceedsBytes,
  exceedsChars,
  MAX_DRAW_BYTES,
} from "../protocol/requests.ts";
import type { Hub } from "../room/hub.ts";
import {
  type Allowance,
  type RateLimits,
  type SharedRate,
  weightOf,
} from "../room/rates.ts";
import type { Room } from "../room/room.ts";
import { StoreError } from "../store/store.ts";
import type { Dialect } from "./dialect.ts";
import type { HistoryQueue } from "./history_queue.ts";

/** Refusals in a row after which a client is disconnected. */
export const MAX_REFUSALS = 50;

/** The earliest time for a message that a room refused to come again. */
const ROOM_RETRY_MS = 300;
const ROOM_RETRY_SPREAD_MS = 1_500;

/** Faults of the client; if it does not stop them, it is disconnected. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set([
  "invalid",
  "too_long",
  "rate_limited",
]);

/** Limits that a client is told, so none of them may be a secret. */
interface SessionLimits
  extends Pick<RateLimits, "rate" | "burst" | "roomRate"> {
  /** Characters of one message. */
  maxMessage: number;
  /** Bytes of one frame of text. */
  maxFrame: number;
}

/** The carrier of a session's frames; a WebSocket is one. */
export interface Transport {
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** True until the client's second request, and after it broke one off. */
  readonly isUnconfirmed?: boolean;
  /** Whether the client ended the transport, and may go on with another at once. */
  readonly wasLeft?: boolean;
  /** Sends a frame and the encoded events in it; never waits, never throws. */
  send(frame: string | ArrayBuffer, events: readonly string[]): void;
  /**
   * Starts to close. `ended` follows, at once or after a while. After
   * `retryAfterMs`, if given, the client may come back.
   */
  close(code: number, reason: string, retryAfterMs?: number): void;
}

/** One event in a session's life. */
export type SessionEvent =
  | { type: "sent"; frame: string | ArrayBuffer }
  | { type: "received"; data: unknown }
  /** The server begins to close. */
  | { type: "closing"; code: number; reason: string }
  | { type: "failed"; fault: string }
  /** Like the `close` event of a WebSocket. */
  | { type: "closed"; code: number; reason: string; isClean: boolean };

/** Told what happens to a session while somebody watches; never throws. */
type Recorder = (happening: SessionEvent) => void;

/** A session's place, and the objects that it shares with all others. */
export interface SessionContext {
  hub: Hub;
  history: HistoryQueue;
  /** Shared by the clients of /echo. */
  echoRate: SharedRate;
  roomName: string;
  limits: SessionLimits;
  overload: Overload;
  context: Context;
  owner: Owner;
}

/** Why a message cannot be said, now or later; undefined if it can be. */
export function textProblem(
  message: string,
  maxChars: number,
): Problem | undefined {
  if (exceedsChars(message, maxChars)) {
    return {
      code: "too_long",
      message: "Too long: this message was not sent. At most " +
        `${maxChars} characters are allowed.`,
    };
  }
  if (/\S/.test(message)) return undefined;
  return {
    code: "invalid",
    message: "Empty: this message was not sent. A message has at least one " +
      "character that is not white space.",
  };
}

function inSeconds(ms: number): string {
  // Rounded up, so that the client never comes back too early.
  return `${(Math.ceil(ms / 100) / 10).toFixed(1)} s`;
}

/** Why a message or a request was not accepted, in a sentence for a person. */
export interface Problem {
  code: ErrorCode;
  message: string;
  /** When the same may be accepted, from now. */
  retryAfterMs?: number;
  /** The client did nothing wrong, whatever the code says. */
  isBlameless?: true;
}

/** The room did not accept a message: too many are waiting there. */
export const BUSY: Problem = {
  code: "busy",
  message: "The room is too busy: this message was not sent. Try again.",
  retryAfterMs: 1_000,
};

/** The client sent too much before it was in its room. */
const TOO_EARLY: Problem = {
  code: "rate_limited",
  message: "You sent too much before you were in the room: this was refused. " +
    "Try again.",
  retryAfterMs: 1_000,
};

export class Session<D extends Dialect = Dialect> {
  readonly dialect: D;
  /** Set only while somebody watches. */
  recorder: Recorder | undefined;
  #room: Room | undefined;
  #refusals = 0;
  #hasEnded = false;
  #waitingAtEnd = 0;
  /** Handlers of what came before the client was in its room, in order. */
  #early: (() => void | Promise<void>)[] = [];
  /** The close code and reason, if the server closed it. */
  #closing: Parameters<Transport["close"]> | undefined;

  constructor(
    readonly transport: Transport,
    readonly at: SessionContext,
    newDialect: (session: Session) => D,
  ) {
    this.dialect = newDialect(this);
  }

  get name(): string {
    return this.dialect.name;
  }

  /** Reclaims the client's identity; a secret, and "" until it has one. */
  get key(): string {
    return this.dialect.key ?? "";
  }

  get roomName(): string {
    return this.at.roomName;
  }

  /** Whether the handshake was ever completed. */
  get hasOpened(): boolean {
    return this.#room !== undefined;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The server's close code and reason; undefined until it begins to close. */
  get closing(): { code: number; reason: string } | undefined {
    if (this.#closing === undefined) return undefined;
    const [code, reason] = this.#closing;
    return { code, reason };
  }

  /** True until the client's second request, and after it broke one off. */
  get isUnconfirmed(): boolean {
    return this.transport.isUnconfirmed ?? false;
  }

  /** Bytes that wait to be sent; after the end, as many as then. */
  get waitingBytes(): number {
    if (this.#hasEnded) return this.#waitingAtEnd;
    return this.transport.bufferedAmount + (this.dialect.waitingBytes ?? 0);
  }

  // The transport calls the next three methods. They never throw, because an error
  // in a handler of a socket would end the process.

  /** The transport is ready. */
  opened(): void {
    // The session may have been closed during the handshake. Deno before 2.8.3
    // forgets that, and the client would wait on an open socket for ever.
    if (this.#closing !== undefined) this.transport.close(...this.#closing);
    if (!this.#hasEnded) this.guard(() => this.#enter());
  }

  /**
   * Receives a frame of any kind and size, checks both, and gives the frame to
   * the dialect: the handler of a socket.
   */
  readonly receive = ({ data }: { data: unknown }): void => {
    this.recorder?.({ type: "received", data });
    if (this.#hasEnded) return;
    const dialect: Dialect = this.dialect;
    try {
      let working: void | Promise<void>;
      if (dialect.frameType === "text") {
        if (typeof data !== "string") return this.disconnect("binary_frame");
        if (exceedsBytes(data, this.at.limits.maxFrame)) {
          return this.disconnect("frame_too_large");
        }
        working = dialect.receive(data);
      } else if (dialect.frameType === "binary") {
        if (!(data instanceof ArrayBuffer)) {
          return this.disconnect("text_frame");
        }
        if (data.byteLength > MAX_DRAW_BYTES) {
          return this.disconnect("frame_too_large");
        }
        working = dialect.receive(data);
      } else {
        // The dialect has its own bound for the size.
        working = dialect.receive(data as string | ArrayBuffer);
      }
      working?.catch((fault) => this.#fail(fault));
    } catch (fault) {
      this.#fail(fault);
    }
  };

  /** The transport is gone; may be called more than once. */
  ended(): void {
    this.guard(() => this.#end());
  }

  /**
   * Sends a frame with these encoded events in it, unless the session has
   * ended. A client that does not read is disconnected. Never throws.
   */
  send(frame: string | ArrayBuffer, events: readonly string[] = []): void {
    if (this.#hasEnded) return;
    try {
      const { overload } = this.at;
      // A transport's `send` never blocks and never fails: frames that a slow client
      // does not read pile up in memory, and only this place can see it.
      if (this.transport.bufferedAmount > overload.sendLimit) {
        return this.disconnect("slow_reader");
      }
      const isText = typeof frame === "string";
      overload.handOut(isText ? frame.length : frame.byteLength);
      this.transport.send(frame, events);
      this.recorder?.({ type: "sent", frame });
    } catch (fault) {
      this.#fail(fault);
    }
  }

  /** Sends encoded events, in as few frames as their size allows. */
  sendEvents(events: readonly string[]): void {
    for (const frame of encodeFrames(events)) {
      this.send(frame.text, frame.events);
    }
  }

  /**
   * Ends the connection with a code and a reason; the first call counts.
   * `retryAfterMs` asks the client to come back then.
   */
  disconnect(why: DisconnectReason, retryAfterMs?: number): void {
    if (this.#closing !== undefined) return;
    const [code, reason] = DISCONNECTS[why];
    const hint = retryAfterMs === undefined
      ? reason
      : `${reason}; come back in ${Math.ceil(retryAfterMs / 1000)} s`;
    if (!this.#hasEnded) this.#tellWhy(why, hint, retryAfterMs);
    this.#close(code, hint, retryAfterMs);
  }

  #tellWhy(why: DisconnectReason, hint: string, retryAfterMs = 0): void {
    if (isInterruption(why)) {
      if (this.hasOpened) this.dialect.announceClose?.(why, hint, retryAfterMs);
      return;
    }
    // A client that went on with another connection is still there.
    if (why === "superseded") return;
    const { metrics, logger } = this.at.context;
    metrics.disconnects.add(1, why);
    logger.log("info", "disconnect", `A client was disconnected: ${hint}.`, {
      reason: why,
      room: this.at.roomName,
      client: this.at.owner.client,
    });
  }

  /** Leaves the room at once, then starts the closing handshake. */
  #close(...closing: Parameters<Transport["close"]>): void {
    const [code, reason] = closing;
    this.#end();
    this.#closing = closing;
    this.recorder?.({ type: "closing", code, reason });
    // Deno waits for the peer's close frame without a limit; nothing here does.
    this.transport.close(...closing);
  }

  /** Counts this message as said, if it may be said now; else says why not. */
  admit(message: string, allowance: Allowance): Problem | undefined {
    return textProblem(message, this.at.limits.maxMessage) ??
      this.pace(message, allowance);
  }

  /** The same for what is told to the whole room without being a message, as "". */
  pace(message: string, allowance: Allowance): Problem | undefined {
    const nowMs = this.at.context.monotonic();
    const waitMs = allowance.messages.peek(nowMs);
    if (waitMs > 0) return this.tooFast(waitMs, allowance, allowance.messages);
    const refusal = this.#askRoom(message, allowance, nowMs);
    if (refusal === undefined) this.takeToken(allowance.messages);
    return refusal;
  }

  /**
   * A message that the room refuses is no fault of the client and costs it
   * nothing, unless it comes again before the given time: then the room is not
   * asked.
   */
  #askRoom(
    message: string,
    allowance: Allowance,
    nowMs: number,
  ): Problem | undefined {
    const rate = this.#room?.rate;
    const earlyMs = allowance.heldBackMs(rate, nowMs);
    if (earlyMs > 0) {
      allowance.messages.take(nowMs);
      return this.#crowded(Math.ceil(earlyMs));
    }
    const roomWaitMs = rate?.take(allowance, nowMs, weightOf(message)) ?? 0;
    if (rate === undefined || roomWaitMs === 0) return undefined;
    // Spread, so that refused clients do not all come again at one moment.
    const chance = this.at.context.random();
    const spreadMs = ROOM_RETRY_MS + ROOM_RETRY_SPREAD_MS * chance;
    const waitMs = Math.ceil(Math.max(roomWaitMs, spreadMs));
    allowance.holdBack(rate, nowMs + waitMs);
    return { ...this.#crowded(waitMs), isBlameless: true };
  }

  /**
   * Keeps what came before the client was in its room, until `receiveEarly`. At
   * most `--burst` handlers wait; for a further one the problem is returned.
   */
  queueEarly(receive: () => void | Promise<void>): Problem | undefined {
    if (this.#early.length >= this.at.limits.burst) return TOO_EARLY;
    this.#early.push(receive);
  }

  /** The client is in its room: runs the handlers that waited for that. */
  receiveEarly(): void {
    for (const receive of this.#early.splice(0)) {
      if (!this.#hasEnded) this.guard(receive);
    }
  }

  /** This bucket of the client is empty. */
  tooFast(waitMs: number, allowance: Allowance, bucket: TokenBucket): Problem {
    const nowMs = this.at.context.monotonic();
    const why = allowance.lacks(bucket, nowMs)
      ? "clients that came from your network before you used up what new ones " +
        "may send at once."
      : `at most ${this.at.limits.rate} messages per second are allowed.`;
    return {
      code: "rate_limited",
      message: `Too fast: this was not sent. Wait ${inSeconds(waitMs)}; ${why}`,
      retryAfterMs: waitMs,
    };
  }

  #crowded(waitMs: number): Problem {
    return {
      code: "rate_limited",
      message: "This room is too busy: this was not sent. Wait " +
        `${
          inSeconds(waitMs)
        }; everyone in the room shares ${this.at.limits.roomRate} messages ` +
        "per second, and a long one counts as several.",
      retryAfterMs: waitMs,
    };
  }

  /**
   * Takes a token. Returns 0, and the count of refusals starts anew; or the
   * milliseconds until there is a token.
   */
  takeToken(bucket: TokenBucket): number {
    const waitMs = bucket.take(this.at.context.monotonic());
    if (waitMs === 0) this.#refusals = 0;
    return waitMs;
  }

  /** Counts a refusal. A client that goes on and on is disconnected. */
  countRefusal({ code, isBlameless }: Pick<Problem, "code" | "isBlameless">) {
    this.at.context.metrics.refusals.add(1, code);
    if (OWN_FAULTS.has(code) && !isBlameless) this.countFault();
  }

  /** Counts an act that a client must not repeat again and again. */
  countFault(): void {
    this.#refusals++;
    if (this.#refusals >= MAX_REFUSALS) this.disconnect("flood");
  }

  /** Runs a handler so that its fault ends only this client's connection. */
  guard(handle: () => void | Promise<void>): void {
    try {
      handle()?.catch((fault) => this.#fail(fault));
    } catch (fault) {
      this.#fail(fault);
    }
  }

  /** Reports a fault and its place; a failure of the store has no place. */
  note(what: string, fault: unknown): void {
    const { logger } = this.at.context;
    if (!(fault instanceof StoreError)) return logger.fault(what, fault);
    logger.log("warn", "store", `${what} ${fault.message}`);
  }

  #fail(fault: unknown): void {
    this.note("A connection failed.", fault);
    this.disconnect(
      fault instanceof StoreError ? "log_unavailable" : "server_fault",
    );
  }

  #enter(): void | Promise<void> {
    const { hub, roomName } = this.at;
    this.#room = hub.enter(roomName, this.dialect);
    if (this.#room === undefined) return this.disconnect("too_many_rooms");
    return this.dialect.open(this.#room);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#waitingAtEnd = this.transport.bufferedAmount;
    this.#hasEnded = true;
    this.#early = [];
    if (this.#room !== undefined) this.at.hub.leave(this.#room, this.dialect);
    this.dialect.close();
  }
}
