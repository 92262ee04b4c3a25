// The dialect `partyline.draw.v1`: each binary frame goes unchanged to the
// others who draw in the same room, and is neither read nor stored. A client
// that draws is no member of the room, hears nothing of the chat and holds no
// name, but counts as a connection and keeps the room alive.
import { TokenBucket } from "../ops/rate_limit.ts";
import type { Room } from "../room/room.ts";
import type { DialectOf } from "./dialect.ts";
import type { Session } from "./session.ts";

/** As many as a pen makes on a screen of 60 Hz; faster frames are dropped. */
export const DRAW_FRAMES_PER_SECOND = 60;
export const DRAW_BURST = 120;

/**
 * A drawer with more waiting bytes than this misses strokes: about as many as
 * the network holds anyway.
 */
export const MAX_WAITING_STROKES_BYTES = 64 * 1024;

/** How long a drawer that misses strokes may read nothing at all. */
export const READ_NOTHING_MS = 30_000;

/** How much of the time between two such strokes counts at most. */
export const MAX_STROKE_PAUSE_MS = 1_000;

export class Drawing implements DialectOf<"binary"> {
  readonly frameType = "binary";
  readonly name = "";
  readonly #frames: TokenBucket;
  #room: Room | undefined;
  /** How many bytes wait, and for how long the drawer read none of them. */
  #stuck = { bytes: 0, atMs: 0, forMs: 0 };

  constructor(private readonly session: Session) {
    this.#frames = new TokenBucket(
      DRAW_FRAMES_PER_SECOND,
      DRAW_BURST,
      session.at.context.monotonic(),
    );
  }

  async open(room: Room): Promise<void> {
    this.#room = room;
    await room.open();
    if (this.session.hasEnded) return;
    const drawer = {
      show: (frame: ArrayBuffer) => this.show(frame),
      supersede: (why: "board_idle" | "board_full") =>
        this.session.disconnect(why),
      network: this.session.at.owner.network,
    };
    if (!room.board.join(this, drawer, this.#nowMs)) {
      this.session.disconnect("board_full");
    }
  }

  /** Drops a frame that comes too fast, without an answer. */
  receive(frame: ArrayBuffer): void {
    if (this.session.takeToken(this.#frames) > 0) {
      return this.session.countRefusal({ code: "rate_limited" });
    }
    this.#room?.draw(frame, this);
  }

  /** Shows or drops a stroke: a drawer who is present can draw another. */
  show(frame: ArrayBuffer): void {
    const bytes = this.session.transport.bufferedAmount;
    if (bytes <= MAX_WAITING_STROKES_BYTES) {
      this.#stuck.bytes = 0;
      return this.session.send(frame);
    }
    // No bytes are added, so a client that reads at all has fewer waiting than
    // before.
    const { atMs, forMs } = this.#stuck;
    const nowMs = this.#nowMs;
    this.#stuck = {
      bytes,
      atMs: nowMs,
      forMs: bytes === this.#stuck.bytes
        // While this program did not run, no client could read.
        ? forMs + Math.min(MAX_STROKE_PAUSE_MS, nowMs - atMs)
        : 0,
    };
    if (this.#stuck.forMs > READ_NOTHING_MS) {
      this.session.disconnect("slow_reader");
    }
  }

  get #nowMs(): number {
    return this.session.at.context.monotonic();
  }

  close(): void {
    this.#room?.board.leave(this);
  }
}
