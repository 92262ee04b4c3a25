// The interface between a session and its client's dialect. A dialect is given
// its session when it is made, and calls it to send, to refuse and to
// disconnect. A dialect for chat is itself the member of the room (`Member`):
// the room asks it which frames of a turn to send. The dialect for drawing
// joins the room's board.
import type { Interruption } from "../protocol/close_codes.ts";
import type { Guest, Room } from "../room/room.ts";

interface Frames {
  text: string;
  binary: ArrayBuffer;
  any: string | ArrayBuffer;
}

export interface DialectOf<Kind extends keyof Frames> {
  /** The type of frame that is accepted; others end the connection. */
  readonly frameType: Kind;
  /** The client's name; "" until it has one. */
  readonly name: string;
  /** Reclaims the client's identity; a secret, and "" until it has one. */
  readonly key?: string;
  /** Bytes that the dialect has to send and has not given to its session. */
  readonly waitingBytes?: number;
  /** Begins: the transport is open, and there is a place in the room. */
  open(room: Room): void | Promise<void>;
  /**
   * Receives a frame that is not too large; `any` frame has to be measured by the
   * dialect itself. Not called before `open`.
   */
  receive(frame: Frames[Kind]): void | Promise<void>;
  /** Tells the client more about the end than a close code can. */
  announceClose?(why: Interruption, hint: string, retryAfterMs: number): void;
  /** Ends: gives everything back. Called once, perhaps without an `open`. */
  close(): void;
}

export type Dialect =
  & Guest
  & (DialectOf<"text"> | DialectOf<"binary"> | DialectOf<"any">);
