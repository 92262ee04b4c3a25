// What a session asks of the dialect that its client speaks. A dialect is given
// its session when it is made, and calls it to send, to say no and to disconnect.
// One whose client chats is itself the member of the room (`Member`): the room
// asks it which frames of a turn to send. One whose client draws joins the room's
// board.
import type { Interruption } from "../protocol/close_codes.ts";
import type { Guest, Room } from "../room/room.ts";

interface Frames {
  text: string;
  binary: ArrayBuffer;
}

export interface DialectOf<Kind extends keyof Frames> {
  /** The only type of frame that it accepts; another one ends the connection. */
  readonly frameType: Kind;
  /** The client's name; "" while it has none. */
  readonly name: string;
  /** Reclaims the client's identity; a secret, and "" while it has none. */
  readonly key?: string;
  /** Begins: the line is open, and there is a place in the room. */
  open(room: Room): void | Promise<void>;
  /** Takes a frame that is not too large. Comes only after `open` was called. */
  receive(frame: Frames[Kind]): void | Promise<void>;
  /** Tells why the end comes, where there is more to tell than a close code. */
  foretell?(why: Interruption, hint: string, retryAfterMs: number): void;
  /** The end: gives back what it took. Comes once, perhaps without an `open`. */
  close(): void;
}

export type Dialect = Guest & (DialectOf<"text"> | DialectOf<"binary">);
