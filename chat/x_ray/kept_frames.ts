// The last frames of a connection, kept while somebody watches, so that a
// person who opens the connection's card later sees the frames before. All
// connections share the space; when it is used up, a connection keeps fewer
// frames.
import { Buffer } from "node:buffer";
import { startOf } from "../protocol/events.ts";
import type { Direction } from "./frame_header.ts";

/** Frames of one connection. */
export const MAX_KEPT_FRAMES = 50;

/** Space for all connections, in characters and bytes: about 16 to 32 MiB. */
export const MAX_KEPT_SIZE = 16 * 1024 * 1024;

/** The size of a frame without its payload, roughly. */
const FRAME_SIZE = 200;

/** How much of a payload is shown. */
export const PREVIEW_CHARS = 800;
const PREVIEW_BYTES = 256;

/** The beginning of a payload; undefined where only its length is known. */
export type Preview = string | Uint8Array | undefined;

export interface SeenFrame {
  /** In milliseconds since 1970. */
  at: number;
  direction: Direction;
  opcode: number;
  /** The length of the whole payload, in bytes. */
  length: number;
  preview: Preview;
  isCut: boolean;
  close?: { code: number; reason: string };
}

/** The beginning of a payload. It does not keep the rest in memory. */
export function previewOf(
  payload: Preview,
): Pick<SeenFrame, "preview" | "isCut"> {
  if (typeof payload === "string") {
    // A frame for a whole room is one string, which all members share.
    if (payload.length <= PREVIEW_CHARS) {
      return { preview: payload, isCut: false };
    }
    const start = Buffer.from(startOf(payload, PREVIEW_CHARS)).toString();
    return { preview: start, isCut: true };
  }
  const isCut = (payload?.length ?? 0) > PREVIEW_BYTES;
  return { preview: payload?.slice(0, PREVIEW_BYTES), isCut };
}

/** The space that all connections share. */
export interface Space {
  left: number;
}

export class KeptFrames {
  #frames: SeenFrame[] = [];

  constructor(private readonly space: Space) {}

  /** The kept frames, the oldest first. */
  get all(): readonly SeenFrame[] {
    return this.#frames;
  }

  /** Keeps a frame; the oldest of this connection go if there is no space. */
  put(frame: SeenFrame): void {
    const size = sizeOf(frame);
    while (
      this.#frames.length >= MAX_KEPT_FRAMES ||
      this.#frames.length > 0 && this.space.left < size
    ) this.#removeOldest();
    if (this.space.left < size) return;
    this.space.left -= size;
    this.#frames.push(frame);
  }

  clear(): void {
    while (this.#frames.length > 0) this.#removeOldest();
  }

  #removeOldest(): void {
    const frame = this.#frames.shift();
    if (frame !== undefined) this.space.left += sizeOf(frame);
  }
}

function sizeOf({ preview }: SeenFrame): number {
  return FRAME_SIZE + (preview?.length ?? 0);
}
