// Owns the dialect `partyline.draw.v1`: each binary frame goes, as it is, to
// those who draw in the same room. Never stores one and never reads one.
// Invariant: who draws is no member of the room, hears nothing of the chat and
// holds no name, but counts as a connection and keeps the room alive.
import { TokenBucket } from "./limits.ts";
import { MAX_DRAW_BYTES } from "./protocol.ts";
import type { Drawer, Room } from "./room.ts";
import { type Line, Session, type Surroundings } from "./session.ts";

/** A pen at a screen of 60 Hz; what comes faster is dropped. */
export const DRAW_FRAMES_PER_SECOND = 60;
export const DRAW_BURST = 120;

/** Each frame is sent to all others at once, so work grows by the square. */
export const MAX_DRAWERS = 64;

/** A line for binary frames too. A WebSocket is one; SSE has only text. */
interface BinaryLine extends Line {
  send(frame: string | ArrayBuffer, events?: readonly string[]): void;
}

export class DrawSession extends Session implements Drawer {
  readonly name = "";
  readonly #frames: TokenBucket;

  constructor(override readonly line: BinaryLine, at: Surroundings) {
    super(line, at);
    this.#frames = new TokenBucket(
      DRAW_FRAMES_PER_SECOND,
      DRAW_BURST,
      at.world.now(),
    );
  }

  protected async open(room: Room): Promise<void> {
    await room.open();
    if (this.hasEnded) return;
    if (room.drawers.size >= MAX_DRAWERS) return this.evict("board_full");
    room.drawers.add(this);
  }

  protected override receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return this.evict("text_frame");
    if (data.byteLength > MAX_DRAW_BYTES) return this.evict("frame_too_large");
    const waitMs = this.#frames.take(this.at.world.now());
    if (waitMs > 0) return this.refuseRate(waitMs);
    this.serve();
    this.room?.draw(data, this);
  }

  show(frame: ArrayBuffer): void {
    this.guard(() => {
      if (!this.hasSpaceFor(frame.byteLength)) return;
      this.line.send(frame);
      this.tap?.sent(frame);
    });
  }

  protected release(): void {
    this.room?.drawers.delete(this);
  }

  // Of the chat it hears nothing, and what it is refused is lost in silence.

  protected read(): void {}
  deliver(): void {}
  acknowledge(): void {}
  restart(): void {}
  protected complain(): void {}
}
