// Owns the life of one WebSocket: open, receive, deliver, end. Never decides
// an order and never sees another member.
// Invariant: whatever the socket does, `#end` runs once; after it the session
// is in no room, holds no name and sends nothing more.
import {
  CloseCode,
  encode,
  exceedsBytes,
  exceedsChars,
  SERVER_NAME,
} from "./protocol.ts";
import { TokenBucket } from "./limits.ts";
import type { Lobby, Member, Room } from "./room.ts";

/** Refusals in a row after which a client is let go. */
export const MAX_REFUSALS = 50;

export interface SessionLimits {
  /** Messages per second; 0 for no limit. */
  rate: number;
  burst: number;
  maxMessage: number;
  maxFrame: number;
  /** Bytes that may wait in the socket before the member is let go. */
  sendLimit: number;
}

export class Session implements Member {
  name = "";
  #room: Room | undefined;
  #refusals = 0;
  #hasEnded = false;
  readonly #bucket: TokenBucket;

  constructor(
    private readonly socket: WebSocket,
    private readonly lobby: Lobby,
    private readonly roomName: string,
    private readonly limits: SessionLimits,
    private readonly now: () => number,
  ) {
    this.#bucket = new TokenBucket(limits.rate, limits.burst, now());
    // What is thrown in a socket's handler would end the process.
    socket.onopen = () => this.#guard(() => this.#open());
    socket.onmessage = (event) => this.#guard(() => this.#receive(event.data));
    // `close` follows an error only sometimes and may come twice.
    socket.onerror = () => this.#guard(() => this.#end());
    socket.onclose = () => this.#guard(() => this.#end());
  }

  deliver(events: readonly string[]): void {
    for (const event of events) this.#send(event);
  }

  /** Leaves the room at once, then starts the closing handshake. */
  close(code: number, reason: string): void {
    this.#end();
    // Deno waits for the peer's close frame without a limit; nothing here does.
    this.socket.close(code, reason);
  }

  #open(): void {
    this.#room = this.lobby.room(this.roomName);
    if (this.#room === undefined) {
      return this.close(CloseCode.tryAgainLater, "too many rooms");
    }
    this.name = this.lobby.claimName();
    this.#room.join(this);
  }

  #receive(data: unknown): void {
    if (this.#hasEnded) return;
    if (typeof data !== "string") {
      return this.close(CloseCode.binaryFrame, "send text, not binary");
    }
    if (exceedsBytes(data, this.limits.maxFrame)) {
      return this.close(CloseCode.tooLarge, "frame too large");
    }
    const refusal = this.#say(data);
    if (refusal === undefined) this.#refusals = 0;
    else this.#refuse(refusal);
  }

  /** Passes a message to the room; returns why not, where it is refused. */
  #say(text: string): string | undefined {
    const waitMs = this.#bucket.take(this.now());
    if (waitMs > 0) {
      return `Too fast: this message was not sent. Wait ${waitMs} ms; ` +
        `${this.limits.rate} messages per second are allowed.`;
    }
    if (exceedsChars(text, this.limits.maxMessage)) {
      return "Too long: this message was not sent. " +
        `${this.limits.maxMessage} characters are allowed.`;
    }
    if (this.#room?.say(this, text)) return undefined;
    return "The room is too busy: this message was not sent. Try again.";
  }

  #refuse(message: string): void {
    this.#refusals++;
    if (this.#refusals >= MAX_REFUSALS) {
      return this.close(CloseCode.policy, "too many refused messages");
    }
    this.#send(encode({ type: "error", sender: SERVER_NAME, message }));
  }

  #send(frame: string): void {
    if (this.#hasEnded) return;
    // `send` never blocks and never fails: what a slow peer does not read
    // piles up in memory, and this is the only place that can see it.
    if (this.socket.bufferedAmount > this.limits.sendLimit) {
      return this.close(CloseCode.tryAgainLater, "reading too slowly");
    }
    this.socket.send(frame);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#room !== undefined) {
      this.lobby.leave(this.roomName, this);
      this.lobby.releaseName(this.name);
    }
  }

  #guard(handle: () => void): void {
    try {
      handle();
    } catch (fault) {
      console.error("partyline: a connection failed:", fault);
      this.close(CloseCode.serverFault, "server fault");
    }
  }
}
