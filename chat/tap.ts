// Owns what is seen of one connection while somebody watches it: counts, the
// last frame, an event for each thing that happens.
// Never changes anything and never throws. Invariant: an event tells what the
// server's API told; what only follows from that is in `derived`.
import { Buffer } from "node:buffer";
import { type Direction, frameHeader, Opcode } from "./frame_header.ts";
import { explainAccept, fieldOf, type Opening } from "./opening.ts";
import { SUBPROTOCOL } from "./protocol.ts";
import type { Session, Tap } from "./session.ts";
import { formatEvent, Ring, type Trace } from "./watch.ts";

/** How much of a payload is shown. */
export const PREVIEW_CHARS = 800;
export const PREVIEW_BYTES = 256;

/** How much of a connection's last frame is shown among all connections. */
export const GLIMPSE_CHARS = 240;

/** What may wait until it is known whose connection it is. */
const MAX_EARLY_EVENTS = 8;
const MAX_EARLY_CHARS = 16 * 1024;

/** The close frame was empty (RFC 6455 section 7.1.5). */
const NO_STATUS = 1005;

export interface Count {
  frames: number;
  bytes: number;
}

/** What taps of all connections share. */
export interface Watchers {
  readonly now: () => number;
  readonly idleTimeoutSeconds: number;
  /** It is known whose connection this is: returns who watches it. */
  settled(session: Session): Iterable<Trace>;
}

type Payload = string | Uint8Array;

export class ConnectionTap implements Tap {
  /** Since somebody watches. */
  readonly counts: Record<Direction, Count> = {
    in: { frames: 0, bytes: 0 },
    out: { frames: 0, bytes: 0 },
  };
  last: { direction: Direction; bytes: number; glimpse: string } | undefined;
  readonly traces = new Set<Trace>();
  /** What came before it was known whose connection this is. */
  #early: Ring | undefined;
  #isClosing = false;
  #isClosed = false;
  #fault = "";

  constructor(
    readonly id: number,
    private readonly session: Session,
    private readonly opening: Opening,
    private readonly watchers: Watchers,
  ) {}

  /** Whether it may turn out to be a connection that is watched. */
  get isAwaited(): boolean {
    return this.#early !== undefined;
  }

  /** Keeps what happens until it is known whose connection this is. */
  awaitOwner(isNew: boolean): void {
    if (this.#early !== undefined) return;
    this.#early = new Ring(MAX_EARLY_EVENTS, MAX_EARLY_CHARS);
    this.#early.put(this.#opened(isNew));
  }

  get isWebSocket(): boolean {
    return this.opening.transport === "websocket";
  }

  /** Shows a connection that was here before. */
  show(trace: Trace): void {
    trace.put(this.#opened(false));
    this.traces.add(trace);
  }

  sent(frame: string | ArrayBuffer): void {
    if (typeof frame === "string") this.#frame("out", Opcode.text, frame);
    else this.#frame("out", Opcode.binary, new Uint8Array(frame));
  }

  received(data: unknown): void {
    if (typeof data === "string") {
      // Over HTTP the hello is no frame: the address and the headers say it.
      if (!this.isWebSocket && this.session.key === "") return;
      this.#frame("in", Opcode.text, data);
    } else if (data instanceof ArrayBuffer) {
      this.#frame("in", Opcode.binary, new Uint8Array(data));
    } else if (data instanceof Blob) {
      this.#frame("in", Opcode.binary, undefined, data.size);
    }
  }

  closing(code: number, reason: string): void {
    if (this.#isClosing || this.#isClosed) return;
    this.#isClosing = true;
    this.#close("out", code, reason);
  }

  failed(fault: string): void {
    this.#fault = fault;
  }

  /** `isClean`: a close frame of the client came (section 7.1.4). */
  closed(code: number, reason: string, isClean: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (isClean) this.#close("in", code, reason);
    // Deno itself closes a connection that answers no ping.
    else if (code > 0 && !this.#isClosing) this.#close("out", code, reason);
    const by = this.#isClosing
      ? "server"
      : isClean
      ? "client"
      : code > 0
      ? "server"
      : "nobody";
    const fault = this.#fault;
    this.#tell("closed", { by, code, reason, isClean, fault });
  }

  /** The line is gone; of one over HTTP nothing more is known. */
  gone(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const by = this.#isClosing ? "server" : "nobody";
    this.#tell("closed", {
      by,
      code: 0,
      reason: "",
      isClean: false,
      fault: "",
    });
  }

  #close(direction: Direction, code: number, reason: string): void {
    const payload = code === NO_STATUS ? new Uint8Array() : Buffer.concat([
      Uint8Array.of(code >> 8, code & 255),
      Buffer.from(reason),
    ]);
    if (this.isWebSocket) {
      const close = { code, reason };
      this.#frame(direction, Opcode.close, payload, payload.length, close);
    } else this.#tell("closing", { code, reason });
  }

  #frame(
    direction: Direction,
    opcode: number,
    payload: Payload | undefined,
    length = byteLength(payload),
    close?: { code: number; reason: string },
  ): void {
    const count = this.counts[direction];
    const header = this.isWebSocket
      ? frameHeader(direction, opcode, length)
      : undefined;
    const bytes = length + (header?.size ?? 0);
    count.frames++;
    count.bytes += bytes;
    const glimpse = close
      ? `close ${close.code} ${close.reason}`
      : this.#show(payload, GLIMPSE_CHARS).text;
    this.last = { direction, bytes, glimpse };
    if (this.traces.size === 0 && !this.isAwaited) return;
    this.#tell("frame", {
      direction,
      kind: close ? "close" : opcode === Opcode.text ? "text" : "binary",
      length,
      ...this.#show(payload, PREVIEW_CHARS),
      ...close && { close },
      waiting: this.session.line.bufferedAmount,
      derived: header && {
        opcode,
        header: Buffer.from(header.bytes).toString("hex"),
        lengthBits: header.lengthBits,
        isMasked: header.isMasked,
        bytes,
      },
    });
  }

  /** The beginning of a payload, without keys, which let others take over. */
  #show(payload: Payload | undefined, maxChars: number) {
    if (typeof payload !== "string") {
      const shown = payload?.subarray(0, PREVIEW_BYTES) ?? new Uint8Array();
      const hex = Buffer.from(shown).toString("hex");
      const isCut = shown.length < byteLength(payload);
      return { text: "", hex, isCut };
    }
    const isCut = payload.length > maxChars;
    // A copy: a slice would hold on to the whole.
    const start = Buffer.from(payload.slice(0, maxChars)).toString();
    const isV1 = this.opening.dialect === SUBPROTOCOL;
    return { text: isV1 ? hideKeys(start) : start, isCut };
  }

  #opened(isNew: boolean): string {
    const { transport, dialect, head, leftOut, answer } = this.opening;
    const key = fieldOf(head, "sec-websocket-key");
    return this.#format("opened", {
      isNew,
      transport,
      dialect,
      room: this.session.roomName,
      name: this.session.name,
      head,
      leftOut,
      answer,
      accept: transport === "websocket" && key !== undefined
        ? explainAccept(key)
        : null,
      idleTimeoutSeconds: this.watchers.idleTimeoutSeconds,
    });
  }

  #tell(name: string, data: Record<string, unknown>): void {
    const event = this.#format(name, data);
    this.#early?.put(event);
    for (const trace of this.traces) trace.put(event);
    if (this.#early && this.session.key !== "") this.#settle(this.#early);
  }

  /** It is known whose connection this is. */
  #settle(early: Ring): void {
    this.#early = undefined;
    const events = early.take() ?? "";
    for (const trace of this.watchers.settled(this.session)) {
      if (this.traces.has(trace)) continue;
      trace.put(events);
      this.traces.add(trace);
    }
  }

  #format(name: string, data: Record<string, unknown>): string {
    const { id, watchers } = this;
    return formatEvent(name, { connection: id, at: watchers.now(), ...data });
  }
}

function byteLength(payload: Payload | undefined): number {
  return typeof payload === "string"
    ? Buffer.byteLength(payload)
    : payload?.byteLength ?? 0;
}

/** As many stars as the key had characters, so that lengths stay right. */
function hideKeys(json: string): string {
  return json.replace(
    /("key"\s*:\s*")([^"\\]*)/g,
    (_, before, key) => before + "*".repeat(key.length),
  );
}
