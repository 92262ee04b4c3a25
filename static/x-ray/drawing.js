// @ts-check
// Owns the drawing of a frame, bit by bit in rows of 32 as in RFC 6455 section
// 5.2, and its list of fields. It never decides what a field says.
// Invariant: what the drawing shows the list says in words.

import { makeSvg } from "../svg.js";
import { make } from "./make.js";

/** @import { Field } from "./fields.js" */

const COLUMNS = 32;
const CELL = 20;
const ROW = 72;
const RULER = 22;
/** Narrower than this a name is written downwards. */
const WIDE_CELLS = 4;

/** @param {Field[]} fields */
export function drawFields(fields) {
  return make(
    "div",
    { className: "drawing" },
    make(
      "div",
      {
        className: "bits",
        tabIndex: 0,
        role: "region",
        ariaLabel: "The frame, bit by bit",
      },
      drawBits(fields),
    ),
    make("dl", { className: "fields" }, ...fields.flatMap(describe)),
  );
}

/** @param {Field} field */
function describe({ name, bits, length, value, meaning }) {
  const size = `${length} ${length === 1 ? "bit" : "bits"}`;
  const content = make("dd", {}, make("code", {}, value), `, ${meaning}`);
  if (bits === null) content.className = "unknown";
  return [
    make("dt", {}, name, make("span", { className: "size" }, ` ${size}`)),
    content,
  ];
}

/** @param {Field[]} fields */
function drawBits(fields) {
  const segments = cut(fields);
  const rows = (segments.at(-1)?.row ?? 0) + 1;
  const width = COLUMNS * CELL;
  const height = RULER + rows * ROW;
  return makeSvg(
    "svg",
    {
      viewBox: `-1 0 ${width + 2} ${height + 1}`,
      role: "img",
      "aria-label": "The fields below, drawn in rows of 32 bits",
    },
    ...drawRuler(),
    ...segments.flatMap(drawSegment),
  );
}

/**
 * @typedef {object} Segment the part of a field in one row
 * @property {Field} field
 * @property {number} row
 * @property {number} column
 * @property {number} length in bits
 * @property {string | null} bits
 * @property {boolean} isFirst
 */

/**
 * Cuts fields where a row ends.
 *
 * @param {Field[]} fields
 */
function cut(fields) {
  /** @type {Segment[]} */
  const segments = [];
  let position = 0;
  for (const field of fields) {
    for (let done = 0; done < field.length;) {
      const column = position % COLUMNS;
      const length = Math.min(field.length - done, COLUMNS - column);
      segments.push({
        field,
        row: Math.floor(position / COLUMNS),
        column,
        length,
        bits: field.bits?.slice(done, done + length) ?? null,
        isFirst: done === 0,
      });
      done += length;
      position += length;
    }
  }
  return segments;
}

function drawRuler() {
  return Array.from({ length: COLUMNS }, (_, column) =>
    makeSvg("text", {
      class: "ruler",
      x: (column + 0.5) * CELL,
      y: RULER - 7,
    }, String(column)));
}

/** @param {Segment} segment */
function drawSegment({ field, row, column, length, bits, isFirst }) {
  const x = column * CELL;
  const y = RULER + row * ROW;
  const kind = field.name === "Payload data" ? "payload" : "header";
  const box = makeSvg("rect", {
    class: bits === null ? `${kind} unknown` : kind,
    x,
    y,
    width: length * CELL,
    height: ROW,
  });
  const digits = Array.from(
    { length },
    (_, i) =>
      makeSvg("text", {
        class: "bit",
        x: x + (i + 0.5) * CELL,
        y: y + ROW - 8,
      }, bits?.[i] ?? "?"),
  );
  const name = isFirst ? field.name : `${field.name}, continued`;
  return [box, ...drawName(name, x, y, length), ...digits];
}

/**
 * @param {string} name
 * @param {number} x
 * @param {number} y
 * @param {number} length in bits
 */
function drawName(name, x, y, length) {
  const middle = x + length * CELL / 2;
  if (length >= WIDE_CELLS) {
    return [makeSvg("text", { class: "name", x: middle, y: y + 28 }, name)];
  }
  return [...name].map((letter, i) =>
    makeSvg("text", { class: "letter", x: middle, y: y + 13 + i * 11 }, letter)
  );
}
