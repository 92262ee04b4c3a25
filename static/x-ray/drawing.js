// @ts-check
// Draws a frame bit by bit, in rows of 32 bits as in RFC 6455 section 5.2, or
// of 16 where there is little space. The list of fields below the drawing says
// the same in words; fields.js decides which fields there are.

import { makeSvg } from "../shared/svg.js";
import { make } from "../shared/make.js";

/** @import { Field } from "./fields.js" */

/** A unit of the drawing is at least a pixel, so the text keeps its size. */
const WIDE_COLUMNS = 32;
const NARROW_COLUMNS = 16;
const CELL = 20;
/** For a view a little too narrow for 16 usual cells: two digits still fit. */
const NARROWEST_CELL = 17;
const ROW = 80;
const RULER = 22;
/** The name of a narrower field is written downwards. */
const WIDE_CELLS = 4;

/** The lines around the drawing. */
const EDGES = 2;

/**
 * @typedef {object} Grid
 * @property {number} columns bits in a row
 * @property {number} cell the width of a bit
 */

/**
 * How many bits a row can have in this width, and how wide each is.
 *
 * @param {number} width in pixels
 * @returns {Grid}
 */
export function gridFor(width) {
  const isWide = width >= WIDE_COLUMNS * CELL + EDGES;
  const columns = isWide ? WIDE_COLUMNS : NARROW_COLUMNS;
  const cell = Math.floor((width - EDGES) / columns);
  return { columns, cell: Math.min(CELL, Math.max(NARROWEST_CELL, cell)) };
}

/**
 * @param {Field[]} fields
 * @param {Grid} grid
 */
export function drawFields(fields, grid) {
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
      drawBits(fields, grid),
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

/**
 * @param {Field[]} fields
 * @param {Grid} grid
 */
function drawBits(fields, { columns, cell }) {
  const segments = cut(fields, columns);
  const rows = (segments.at(-1)?.row ?? 0) + 1;
  const width = columns * cell + EDGES;
  const height = RULER + rows * ROW + 1;
  return makeSvg(
    "svg",
    {
      viewBox: `-1 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `The fields below, drawn in rows of ${columns} bits`,
    },
    ...drawRuler(columns, cell),
    ...segments.flatMap((segment) => drawSegment(segment, cell)),
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
 * @param {number} columns
 */
function cut(fields, columns) {
  /** @type {Segment[]} */
  const segments = [];
  let position = 0;
  for (const field of fields) {
    for (let done = 0; done < field.length;) {
      const column = position % columns;
      const length = Math.min(field.length - done, columns - column);
      segments.push({
        field,
        row: Math.floor(position / columns),
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

/**
 * @param {number} columns
 * @param {number} cell
 */
function drawRuler(columns, cell) {
  return Array.from({ length: columns }, (_, column) =>
    makeSvg("text", {
      class: "ruler",
      x: (column + 0.5) * cell,
      y: RULER - 7,
    }, String(column)));
}

/**
 * @param {Segment} segment
 * @param {number} cell
 */
function drawSegment({ field, row, column, length, bits, isFirst }, cell) {
  const x = column * cell;
  const y = RULER + row * ROW;
  const kind = field.name === "Payload data" ? "payload" : "header";
  const box = makeSvg("rect", {
    class: bits === null ? `${kind} unknown` : kind,
    x,
    y,
    width: length * cell,
    height: ROW,
  });
  const digits = Array.from(
    { length },
    (_, i) =>
      makeSvg("text", {
        class: "bit",
        x: x + (i + 0.5) * cell,
        y: y + ROW - 8,
      }, bits?.[i] ?? "?"),
  );
  const name = isFirst ? field.name : `${field.name}, continued`;
  const middle = x + length * cell / 2;
  return [box, ...drawName(name, middle, y, length), ...digits];
}

/**
 * @param {string} name
 * @param {number} middle
 * @param {number} y
 * @param {number} length in bits
 */
function drawName(name, middle, y, length) {
  if (length >= WIDE_CELLS) {
    return [makeSvg("text", { class: "name", x: middle, y: y + 28 }, name)];
  }
  return [...name].map((letter, i) =>
    makeSvg("text", { class: "letter", x: middle, y: y + 15 + i * 13 }, letter)
  );
}
