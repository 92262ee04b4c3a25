// @ts-check
// Encodes and decodes strokes of the drawing board (subprotocol
// partyline.draw.v1), and computes the size of the same stroke as text. decode
// returns a stroke or null and does not throw, whatever bytes arrive.

import { base64 } from "./digest.js";
import { frameHeaderBytes, utf8Bytes } from "../shared/framing.js";

/** @typedef {[x: number, y: number]} Point each from 0 to 65535 */
/** @typedef {{ colour: number, points: Point[] }} Stroke */

export const KIND_STROKE = 1;
export const COLOUR_NAMES = [
  "brick",
  "ochre",
  "moss",
  "teal",
  "blue",
  "indigo",
  "plum",
  "rose",
];
export const COLOURS = COLOUR_NAMES.length;
export const MAX_COORDINATE = 65_535;

/** As many as fit a frame of 4 KiB. */
export const MAX_POINTS = 1_023;

const HEAD_BYTES = 2;
const POINT_BYTES = 4;

/** @param {Stroke} stroke of at most MAX_POINTS points */
export function encode({ colour, points }) {
  const bytes = new Uint8Array(HEAD_BYTES + points.length * POINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, KIND_STROKE);
  view.setUint8(1, colour);
  points.forEach(([x, y], i) => {
    view.setUint16(HEAD_BYTES + i * POINT_BYTES, x);
    view.setUint16(HEAD_BYTES + i * POINT_BYTES + 2, y);
  });
  return bytes;
}

/**
 * Null if the bytes are no stroke: the server passes on whatever it is given.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Stroke | null}
 */
export function decode(buffer) {
  const view = new DataView(buffer);
  const count = (buffer.byteLength - HEAD_BYTES) / POINT_BYTES;
  if (!Number.isInteger(count) || count < 1) return null;
  const colour = view.getUint8(1);
  if (view.getUint8(0) !== KIND_STROKE || colour >= COLOURS) return null;
  const points = Array.from({ length: count }, (_, i) => {
    const at = HEAD_BYTES + i * POINT_BYTES;
    return /** @type {Point} */ ([view.getUint16(at), view.getUint16(at + 2)]);
  });
  return { colour, points };
}

/**
 * The bytes of a stroke in groups, each with its meaning.
 *
 * @param {Uint8Array} bytes
 * @returns {{ bytes: Uint8Array, meaning: string }[]}
 */
export function explain(bytes) {
  const stroke = decode(Uint8Array.from(bytes).buffer);
  if (stroke === null) return [{ bytes, meaning: "not a stroke" }];
  return [
    { bytes: bytes.subarray(0, 1), meaning: "kind: a stroke" },
    {
      bytes: bytes.subarray(1, 2),
      meaning: `colour ${stroke.colour}: ${COLOUR_NAMES[stroke.colour]}`,
    },
    ...stroke.points.map(([x, y], i) => ({
      bytes: bytes.subarray(
        HEAD_BYTES + i * POINT_BYTES,
        HEAD_BYTES + (i + 1) * POINT_BYTES,
      ),
      meaning: `x ${x}, y ${y}`,
    })),
  ];
}

/**
 * The bytes of the stroke in three forms: the content, and all that the
 * transport puts around it on the way down.
 *
 * @param {Stroke} stroke
 */
export function costs(stroke) {
  const bytes = encode(stroke);
  const json = JSON.stringify({ type: "stroke", ...stroke });
  const text = base64(bytes);
  return {
    binary: onSocket(bytes.length),
    json: onSocket(utf8Bytes(json)),
    sse: { content: text.length, onWire: `data: ${text}\n\n`.length },
  };
}

/** @param {number} content */
function onSocket(content) {
  return { content, onWire: content + frameHeaderBytes(content, false) };
}
