// Records one connection while somebody watches: counts, the last frames, and
// an event for each thing that happens. An event says what the server's API
// said; `derived` holds what only follows from that. A recorder changes nothing
// about the connection, and none of its methods throws.
import { Buffer } from "node:buffer";
import { type Direction, frameHeader, Opcode } from "./frame_header.ts";
import { startOf } from "../protocol/events.ts";
import {
  explainAccept,
  fieldOf,
  type HandshakeRecord,
  readAnswer,
} from "./handshake_record.ts";
import { SUBPROTOCOL } from "../protocol/requests.ts";
import type { Session, SessionEvent } from "../session/session.ts";
import { type EventFeed, formatFeedEvent, Ring } from "./feed.ts";
import {
  KeptFrames,
  type Preview,
  previewOf,
  type SeenFrame,
  type Space,
} from "./kept_frames.ts";

/** How much of a connection's last frame is shown on its card. */
const GLIMPSE_CHARS = 240;

/** How many events may wait until the connection's owner is known. */
const MAX_EARLY_EVENTS = 8;
const MAX_EARLY_CHARS = 16 * 1024;

/** The close frame was empty (RFC 6455 section 7.1.5). */
const NO_STATUS = 1005;

interface Count {
  frames: number;
  bytes: number;
}

/** Shared by all recorders. */
export interface Shared {
  now: () => number;
  idleTimeoutSeconds: number;
  /** The space for frames that are kept. */
  space: Space;
  /** Called when a connection has an owner: returns the feeds to show it. */
  settled: (session: Session) => Iterable<EventFeed>;
}

/** Why a connection closed; code 0 if it was lost. */
export interface End {
  at: number;
  by: "client" | "server" | "nobody";
  code: number;
  reason: string;
  isClean: boolean;
  fault: string;
}

export class ConnectionRecorder {
  /** Counted since somebody watches. */
  readonly counts: Record<Direction, Count> = {
    in: { frames: 0, bytes: 0 },
    out: { frames: 0, bytes: 0 },
  };
  last: { direction: Direction; bytes: number; glimpse: string } | undefined;
  readonly feeds = new Set<EventFeed>();
  readonly #kept: KeptFrames;
  readonly #beginsAt: number;
  #end: End | undefined;
  /** Events from before the connection's owner was known. */
  #early: Ring | undefined;
  #fault = "";

  /** `isFromStart`: the connection has just opened, so no frame is missing. */
  constructor(
    readonly id: number,
    private readonly session: Session,
    private readonly handshake: HandshakeRecord,
    private readonly shared: Shared,
    private readonly isFromStart: boolean,
  ) {
    this.#kept = new KeptFrames(shared.space);
    this.#beginsAt = shared.now();
  }

  /** Why the connection closed, once it has. */
  get end(): End | undefined {
    return this.#end;
  }

  /** Whether the owner is still unknown, and may be somebody who watches. */
  get isAwaited(): boolean {
    return this.#early !== undefined;
  }

  /** Keeps events until the connection's owner is known. */
  awaitIdentity(isNew: boolean): void {
    if (this.#early !== undefined) return;
    this.#early = new Ring(MAX_EARLY_EVENTS, MAX_EARLY_CHARS);
    this.#early.put(this.#opened(isNew));
  }

  get isWebSocket(): boolean {
    return this.handshake.transport === "websocket";
  }

  /** Shows a connection that existed before the feed. */
  show(feed: EventFeed): void {
    feed.put(this.#opened(false));
    this.feeds.add(feed);
  }

  /** Shows a connection, its last frames, and its end if it has closed. */
  showAll(feed: EventFeed): void {
    const frames = this.#kept.all;
    // The note has its place before the frames that are kept.
    feed.put(this.#opened(this.isFromStart, this.#beginsAt));
    const { in: { frames: received }, out: { frames: sent } } = this.counts;
    const count = received + sent - frames.length;
    if (count > 0) feed.put(formatFeedEvent("dropped", { count }));
    for (const frame of frames) feed.put(this.#frameEvent(frame));
    if (this.#end) feed.put(this.#format("closed", { ...this.#end }));
    this.feeds.add(feed);
  }

  /** Frees the last frames, because nobody can ask for them any more. */
  forget(): void {
    this.#kept.clear();
  }

  record(happening: SessionEvent): void {
    switch (happening.type) {
      case "sent":
        return this.#sent(happening.frame);
      case "received":
        return this.#received(happening.data);
      case "closing":
        return this.#closing(happening.code, happening.reason);
      case "failed":
        this.#fault = happening.fault;
        return;
      case "closed":
        return this.#closed(
          happening.code,
          happening.reason,
          happening.isClean,
        );
    }
  }

  #sent(frame: string | ArrayBuffer): void {
    if (typeof frame === "string") this.#frame("out", Opcode.text, frame);
    else this.#frame("out", Opcode.binary, new Uint8Array(frame));
  }

  #received(data: unknown): void {
    if (typeof data === "string") {
      // Over HTTP the hello is no frame: its data is in the address and the
      // headers.
      if (!this.isWebSocket && this.session.key === "") return;
      this.#frame("in", Opcode.text, data);
    } else if (data instanceof ArrayBuffer) {
      this.#frame("in", Opcode.binary, new Uint8Array(data));
    } else if (data instanceof Blob) {
      this.#frame("in", Opcode.binary, undefined, data.size);
    }
  }

  #closing(code: number, reason: string): void {
    if (this.#end) return;
    this.#close("out", code, reason);
  }

  /** `isClean`: the client sent a close frame (section 7.1.4). */
  #closed(code: number, reason: string, isClean: boolean): void {
    if (this.#end) return;
    const { closing } = this.session;
    const by = closing
      ? "server"
      : isClean
      ? "client"
      : code > 0
      ? "server"
      : "nobody";
    const at = this.shared.now();
    // The first close frame tells why the connection closed; its answer may be
    // empty or never come.
    const first = closing ?? { code, reason };
    this.#end = { at, by, ...first, isClean, fault: this.#fault };
    if (isClean) this.#close("in", code, reason);
    // Deno itself closes a connection that answers no ping.
    else if (code > 0 && !closing) this.#close("out", code, reason);
    this.#tell("closed", { ...this.#end });
  }

  /** The connection is gone. Over HTTP the server learns nothing else. */
  gone(): void {
    if (this.#end) return;
    const { closing } = this.session;
    const { code, reason } = closing ?? { code: 0, reason: "" };
    const by = closing ? "server" : "nobody";
    const at = this.shared.now();
    this.#end = { at, by, code, reason, isClean: false, fault: "" };
    this.#tell("closed", { ...this.#end });
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
    payload: Preview,
    length = byteLength(payload),
    close?: { code: number; reason: string },
  ): void {
    const frame = {
      at: this.shared.now(),
      direction,
      opcode,
      length,
      ...previewOf(payload),
      ...close && { close },
    };
    const bytes = length + (this.#headerOf(frame)?.size ?? 0);
    const count = this.counts[direction];
    count.frames++;
    count.bytes += bytes;
    const glimpse = close
      ? `close ${close.code} ${close.reason}`
      : this.#textOf(frame, GLIMPSE_CHARS);
    this.last = { direction, bytes, glimpse };
    this.#kept.put(frame);
    if (this.feeds.size === 0 && !this.isAwaited) return;
    this.#send(this.#frameEvent(frame));
  }

  /** Over HTTP there are no frames, so there are no headers. */
  #headerOf({ direction, opcode, length }: SeenFrame) {
    return this.isWebSocket
      ? frameHeader(direction, opcode, length)
      : undefined;
  }

  #frameEvent(frame: SeenFrame): string {
    const { at, direction, opcode, length, preview, isCut, close } = frame;
    const header = this.#headerOf(frame);
    return this.#format("frame", {
      at,
      direction,
      kind: close ? "close" : opcode === Opcode.text ? "text" : "binary",
      length,
      text: this.#textOf(frame),
      ...typeof preview !== "string" && {
        hex: Buffer.from(preview ?? new Uint8Array()).toString("hex"),
      },
      isCut,
      ...close && { close },
      derived: header && {
        opcode,
        header: Buffer.from(header.bytes).toString("hex"),
        lengthBits: header.lengthBits,
        isMasked: header.isMasked,
        bytes: length + header.size,
      },
    });
  }

  /** The beginning of a text, without keys, which let others take over. */
  #textOf({ preview }: SeenFrame, maxChars = Infinity): string {
    if (typeof preview !== "string") return "";
    const start = startOf(preview, maxChars);
    return this.handshake.dialect === SUBPROTOCOL ? hideKeys(start) : start;
  }

  #opened(isNew: boolean, at = this.shared.now()): string {
    const { transport, dialect, request, response } = this.handshake;
    const { head, leftOut } = request;
    const key = fieldOf(head, "sec-websocket-key");
    return this.#format("opened", {
      at,
      isNew,
      transport,
      dialect,
      room: this.session.roomName,
      name: this.session.name,
      head,
      leftOut,
      answer: response === undefined ? "" : readAnswer(response),
      accept: transport === "websocket" && key !== undefined
        ? explainAccept(key)
        : null,
      idleTimeoutSeconds: this.shared.idleTimeoutSeconds,
    });
  }

  #tell(name: string, data: Record<string, unknown>): void {
    this.#send(this.#format(name, data));
  }

  #send(event: string): void {
    this.#early?.put(event);
    for (const feed of this.feeds) feed.put(event);
    if (this.#early && this.session.key !== "") this.#settle(this.#early);
  }

  /** The connection's owner is known. */
  #settle(early: Ring): void {
    this.#early = undefined;
    const events = early.drain() ?? "";
    for (const feed of this.shared.settled(this.session)) {
      if (this.feeds.has(feed)) continue;
      feed.put(events);
      this.feeds.add(feed);
    }
  }

  #format(name: string, data: Record<string, unknown>): string {
    const { id, shared } = this;
    return formatFeedEvent(name, { connection: id, at: shared.now(), ...data });
  }
}

function byteLength(payload: Preview): number {
  return typeof payload === "string"
    ? Buffer.byteLength(payload)
    : payload?.byteLength ?? 0;
}

/** A string in JSON; its end may be missing. */
const JSON_STRING = /"((?:[^"\\]|\\[^])*)("?)/g;

/**
 * Replaces each character of a key with a star, so that lengths stay right. The
 * name and the value may be written with escapes.
 */
function hideKeys(json: string): string {
  let name = "";
  let endsAt = 0;
  return json.replace(JSON_STRING, (all, inner, end, at) => {
    const isValue = json.slice(endsAt, at).trim() === ":";
    const isKey = isValue && unescaped(name) === "key";
    name = inner;
    endsAt = at + all.length;
    return isKey ? `"${"*".repeat(inner.length)}${end}` : all;
  });
}

function unescaped(inner: string): string {
  try {
    return JSON.parse(`"${inner}"`);
  } catch {
    return inner;
  }
}
