// The dialect of /echo: every message comes back as it was, text as text and
// binary as binary, to its sender alone. So test suites such as Autobahn's have
// a server to talk to, and a class without internet has its echo server. An
// echo client is no member of its room and has no name.
//
// All echo clients share one rate, so that an echo at full speed leaves the chat
// most of the processor. A message that comes too early is not refused but waits,
// because a client that sends the next message after the last one came back then
// slows down by itself. What waits has a limit, and a client that sends on and on
// is disconnected. But Deno reads and parses what a flood brings before it is
// counted here, as at /ws: only a proxy can keep a flood away.
import { Buffer } from "node:buffer";
import { SharedRate } from "../room/rates.ts";
import type { DialectOf } from "./dialect.ts";
import type { Session } from "./session.ts";

/** Bytes a second that all echo clients of this server get back together. */
export const ECHO_BYTES_PER_SECOND = 32 * 1024 * 1024;

/** The shortest message costs the server about as much as one of this size. */
export const LEAST_ECHO_BYTES = 8 * 1024;

/** What a message that waits takes besides its bytes, about. */
export const WAITING_BYTES = 128;

type Frame = string | ArrayBuffer;

/** The rate that all echo clients of a server share. */
export function newEchoRate(): SharedRate {
  return new SharedRate(ECHO_BYTES_PER_SECOND, ECHO_BYTES_PER_SECOND);
}

export class Echo implements DialectOf<"any"> {
  readonly frameType = "any";
  readonly name = "";
  /** How much of the shared rate this client took. */
  readonly #taken;
  readonly #waiting: { frame: Frame; bytes: number }[] = [];
  #waitingBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly session: Session) {
    this.#taken = { taken: session.at.echoRate.newCount() };
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  open(): void {}

  receive(frame: Frame): void {
    const { sendLimit } = this.session.at.overload;
    const bytes = sizeOf(frame);
    if (bytes > sendLimit) return this.session.disconnect("frame_too_large");
    if (this.#waitingBytes > sendLimit) {
      return this.session.disconnect("echo_flood");
    }
    this.#waiting.push({ frame, bytes });
    this.#waitingBytes += bytes + WAITING_BYTES;
    if (this.#timer === undefined) this.#sendBack();
  }

  /** Sends back what the rate allows; the rest follows when it allows more. */
  #sendBack(): void {
    const { echoRate, context } = this.session.at;
    this.#timer = undefined;
    for (let next; (next = this.#waiting[0]) !== undefined;) {
      const { frame, bytes } = next;
      const cost = Math.max(bytes, LEAST_ECHO_BYTES);
      const waitMs = echoRate.take(this.#taken, context.monotonic(), cost);
      if (waitMs > 0) {
        const goOn = () => this.session.guard(() => this.#sendBack());
        this.#timer = setTimeout(goOn, waitMs);
        return;
      }
      this.#waiting.shift();
      this.#waitingBytes -= bytes + WAITING_BYTES;
      this.session.send(frame);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }
}

function sizeOf(frame: Frame): number {
  return typeof frame === "string"
    ? Buffer.byteLength(frame)
    : frame.byteLength;
}
