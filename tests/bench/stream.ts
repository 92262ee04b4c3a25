// The one stream of bytes that every client of the room must receive. The client
// that is furthest ahead extends it, and only then is it parsed; all others are
// compared with it. So every client has the same bytes from the start on, and
// each sender's messages come once and in order.
import { Buffer } from "node:buffer";
import type { Dialect } from "./dialects.ts";
import { closeCode, Opcode } from "../../chat/check/frames.ts";
import { readFrames } from "../support/frame_stream.ts";

const decoder = new TextDecoder();

const TEXT_BYTES = 64;

/** More than the slowest client can lag behind in a run that means anything. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What ends the stream, in place of a message. */
export const END = "end";

export function textOf(sender: number, number: number): string {
  return `${sender} ${number} `.padEnd(TEXT_BYTES, "x");
}

export interface StreamEvents {
  /** A message of `sender` was read; it ends at `end`. */
  onMessage(sender: number, end: number): void;
  /** The position of the slowest client: what is before it may go. */
  slowest(): number;
}

/** Positions are in bytes from the start of the stream. */
export class Stream {
  /** By sender: how many messages came, so also the number due next. */
  readonly heard: Uint32Array;
  hasEnded = false;
  #bytes = Buffer.alloc(1024 * 1024);
  /** Positions of the first byte held, the first not parsed, the next to come. */
  #base = 0;
  #parsed = 0;
  #end = 0;
  /** The frames held: where each ends, and how many messages came until then. */
  #ends: number[] = [];
  #totals: number[] = [];
  #total = 0;
  #trimmedTotal = 0;

  constructor(
    senders: number,
    private readonly dialect: Dialect,
    private readonly events: StreamEvents,
  ) {
    this.heard = new Uint32Array(senders);
  }

  get end(): number {
    return this.#end;
  }

  /** Takes what a client received at its position; throws if it is not right. */
  accept(position: number, bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.#end - position);
    const at = position - this.#base;
    if (this.#bytes.compare(bytes, 0, count, at, at + count) !== 0) {
      this.#throwDifference(bytes, at);
    }
    if (count === bytes.length) return;
    this.#append(bytes.subarray(count));
    this.#parse();
  }

  /** Messages in the frames that end at or before the position. */
  messagesUpTo(position: number): number {
    return this.#totals[this.#framesUpTo(position) - 1] ?? this.#trimmedTotal;
  }

  /** How many of the frames held end at or before the position. */
  #framesUpTo(position: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #append(bytes: Uint8Array): void {
    if (this.#end - this.#base + bytes.length > this.#bytes.length) {
      this.#trim();
      const held = this.#end - this.#base;
      // At least half is free afterwards, so that trimming stays rare.
      if ((held + bytes.length) * 2 > this.#bytes.length) {
        if (this.#bytes.length >= MAX_BYTES) {
          throw new Error(`a client is more than ${held} bytes behind`);
        }
        const larger = Buffer.alloc(this.#bytes.length * 2);
        larger.set(this.#bytes.subarray(0, held));
        this.#bytes = larger;
      }
    }
    this.#bytes.set(bytes, this.#end - this.#base);
    this.#end += bytes.length;
  }

  #trim(): void {
    const from = Math.min(this.events.slowest(), this.#parsed);
    this.#trimmedTotal = this.messagesUpTo(from);
    const frames = this.#framesUpTo(from);
    this.#ends.splice(0, frames);
    this.#totals.splice(0, frames);
    this.#bytes.copyWithin(0, from - this.#base, this.#end - this.#base);
    this.#base = from;
  }

  #parse(): void {
    const from = this.#parsed;
    const bytes = this.#bytes.subarray(
      from - this.#base,
      this.#end - this.#base,
    );
    this.#parsed += readFrames(bytes, (opcode, payload, end) => {
      const text = readText(opcode, payload);
      const events = this.dialect.events(text);
      if (events.length === 0) throw new Error(`unexpected frame: ${text}`);
      for (const { type, message = "" } of events) {
        if (type !== "message") throw new Error(`unexpected event: ${text}`);
        this.#hear(message, from + end);
      }
      this.#ends.push(from + end);
      this.#totals.push(this.#total);
    });
  }

  #hear(message: string, end: number): void {
    if (message === END) {
      this.hasEnded = true;
      return;
    }
    const sender = parseInt(message);
    const due = this.heard[sender];
    if (due === undefined || message !== textOf(sender, due)) {
      throw new Error(
        `lost, repeated, out of order or altered: due was message ${due} of ` +
          `sender ${sender}, received was "${message}"`,
      );
    }
    this.heard[sender] = due + 1;
    this.#total++;
    this.events.onMessage(sender, end);
  }

  #throwDifference(bytes: Uint8Array, at: number): never {
    let i = 0;
    while (bytes[i] === this.#bytes[at + i]) i++;
    const excerpt = (from: Uint8Array, at: number) =>
      Buffer.from(from.subarray(Math.max(0, at - 60), at + 120)).toString();
    throw new Error(
      "lost, repeated, out of order or altered for one client: it received\n" +
        `  ${excerpt(bytes, i)}\nwhere another received\n` +
        `  ${excerpt(this.#bytes, at + i)}`,
    );
  }
}

/** The text of a server's frame; throws on any other kind of frame. */
export function readText(opcode: number, payload: Uint8Array): string {
  if (opcode === Opcode.text) return decoder.decode(payload);
  if (opcode === Opcode.close) {
    const reason = decoder.decode(payload.subarray(2));
    throw new Error(
      `closed by the server with ${closeCode(payload)} ${reason}`,
    );
  }
  // Pings would come to each client at another place in the stream, so every
  // server is told to send none.
  throw new Error(`unexpected frame with opcode ${opcode}`);
}
