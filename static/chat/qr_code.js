// @ts-check
// Makes the QR code of an address (ISO/IEC 18004), in the page: the address may
// hold an invitation code, which is told to no server. What an address does not
// need is left out: there is one mode (bytes), one level of error correction (L,
// the lowest, which gives the fewest squares), sizes up to version 9, and always
// the mask with the number 0; a reader takes each of the eight.

/**
 * For each version, from 1: how many bytes hold data, and how many blocks of
 * error correction follow with how many bytes each.
 */
const VERSIONS = [
  [19, 1, 7],
  [34, 1, 10],
  [55, 1, 15],
  [80, 1, 20],
  [108, 1, 26],
  [136, 2, 18],
  [156, 2, 20],
  [194, 2, 24],
  [232, 2, 30],
];
/** The mode and the length take 12 bits, and the end 4. */
const FRAMING_BYTES = 2;
const BYTE_MODE = 0b0100;
/** What fills the bytes that the text leaves, in turn. */
const FILLERS = [0xec, 0x11];
/** x⁸ + x⁴ + x³ + x² + 1, of the field that error correction counts in. */
const FIELD = 0x11d;
/** Level L and mask 0, and what is added so that they are not all zero. */
const FORMAT = 0b01_000;
const FORMAT_MASK = 0b101_0100_0001_0010;
/** The divisors of the codes that protect the format and the version. */
const FORMAT_DIVISOR = 0x537;
const VERSION_DIVISOR = 0x1f25;

/**
 * The squares of a text's QR code, row by row: true where one is dark. Around
 * them there must be four light ones. Null if the text is longer than 230 bytes.
 *
 * @param {string} text
 * @returns {boolean[][] | null}
 */
export function qrCode(text) {
  const bytes = new TextEncoder().encode(text);
  const index = VERSIONS.findIndex(([space = 0]) =>
    bytes.length <= space - FRAMING_BYTES
  );
  const [space = 0, blocks = 0, checks = 0] = VERSIONS[index] ?? [];
  if (space === 0) return null;
  const version = index + 1;
  const size = 17 + 4 * version;
  // What is not set yet is undefined: there the data goes.
  /** @type {(boolean | undefined)[][]} */
  const squares = Array.from(
    { length: size },
    () => Array(size).fill(undefined),
  );
  drawPatterns(squares, version);
  drawData(squares, interleave(frame(bytes, space), blocks, checks));
  return squares.map((row) => row.map((isDark) => isDark === true));
}

/**
 * The text's bytes behind their mode and number, filled up.
 *
 * @param {Uint8Array} text
 * @param {number} space
 */
function frame(text, space) {
  // Everything is shifted by the four bits of the mode.
  const bytes = [text.length, ...text, 0];
  const shifted = bytes.map((byte, i) =>
    ((bytes[i - 1] ?? BYTE_MODE) << 4 | byte >> 4) & 0xff
  );
  for (let i = 0; shifted.length < space; i++) {
    shifted.push(FILLERS[i % 2] ?? 0);
  }
  return shifted;
}

/**
 * The data in blocks of the same length, each with its error correction; of all
 * blocks the first byte, then the second, and so on.
 *
 * @param {number[]} data
 * @param {number} count of blocks
 * @param {number} checks bytes of error correction for a block
 */
function interleave(data, count, checks) {
  const length = data.length / count;
  const blocks = Array.from(
    { length: count },
    (_, i) => data.slice(i * length, (i + 1) * length),
  );
  const corrections = blocks.map((block) => correction(block, checks));
  return [...columns(blocks), ...columns(corrections)];
}

/** @param {number[][]} rows */
function columns(rows) {
  return (rows[0] ?? []).flatMap((_, i) => rows.map((row) => row[i] ?? 0));
}

/**
 * The remainder of a block after division by the generator, a polynomial that is
 * zero at the first powers of 2 (Reed and Solomon).
 *
 * @param {number[]} block
 * @param {number} count
 */
function correction(block, count) {
  let divisor = [1];
  for (let i = 0, root = 1; i < count; i++, root = multiply(root, 2)) {
    const times = divisor.map((factor) => multiply(factor, root));
    divisor = [...divisor, 0].map((factor, j) => factor ^ (times[j - 1] ?? 0));
  }
  let rest = Array(count).fill(0);
  for (const byte of block) {
    const factor = byte ^ rest[0];
    rest = [...rest.slice(1), 0].map((it, j) =>
      it ^ multiply(factor, divisor[j + 1] ?? 0)
    );
  }
  return rest;
}

/**
 * In the field of 256 elements.
 *
 * @param {number} a
 * @param {number} b
 */
function multiply(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = product << 1 ^ (product >> 7) * FIELD;
    if (b >> bit & 1) product ^= a;
  }
  return product;
}

/**
 * Draws all that is not data.
 *
 * @param {(boolean | undefined)[][]} squares
 * @param {number} version
 */
function drawPatterns(squares, version) {
  const end = squares.length - 1;
  for (
    const [x, y] of /** @type {const} */ ([[3, 3], [end - 3, 3], [3, end - 3]])
  ) {
    // Three corners: a ring, around it a light one, in it a square.
    drawRings(squares, x, y, [true, true, false, true, false], 4);
  }
  const places = alignments(version, squares.length);
  for (const x of places) {
    for (const y of places) {
      if (squares[y]?.[x] !== undefined) continue;
      drawRings(squares, x, y, [true, false, true], 2);
    }
  }
  for (let i = 8; i < end - 7; i++) {
    set(squares, i, 6, i % 2 === 0);
    set(squares, 6, i, i % 2 === 0);
  }
  drawFormat(squares);
  if (version >= 7) drawVersion(squares, version);
}

/**
 * @param {(boolean | undefined)[][]} squares
 * @param {number} x of the middle
 * @param {number} y
 * @param {boolean[]} rings from the middle: whether they are dark
 * @param {number} radius
 */
function drawRings(squares, x, y, rings, radius) {
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) {
      const ring = Math.max(Math.abs(dx), Math.abs(dy));
      set(squares, x + dx, y + dy, rings[ring] === true);
    }
  }
}

/**
 * Where the small patterns have their middles, across and down.
 *
 * @param {number} version
 * @param {number} size
 */
function alignments(version, size) {
  if (version === 1) return [];
  const last = size - 7;
  return version < 7 ? [6, last] : [6, (6 + last) / 2, last];
}

/** @param {(boolean | undefined)[][]} squares */
function drawFormat(squares) {
  const size = squares.length;
  const bits = protect(FORMAT, 10, FORMAT_DIVISOR) ^ FORMAT_MASK;
  for (let i = 0; i < 15; i++) {
    const isDark = (bits >> i & 1) === 1;
    // Twice: around the first corner, and beside the other two.
    const along = i < 6 ? i : i < 8 ? i + 1 : i === 8 ? 7 : 14 - i;
    if (i < 8) set(squares, 8, along, isDark);
    else set(squares, along, 8, isDark);
    if (i < 8) set(squares, size - 1 - i, 8, isDark);
    else set(squares, 8, size - 15 + i, isDark);
  }
  set(squares, 8, size - 8, true);
}

/**
 * @param {(boolean | undefined)[][]} squares
 * @param {number} version
 */
function drawVersion(squares, version) {
  const bits = protect(version, 12, VERSION_DIVISOR);
  for (let i = 0; i < 18; i++) {
    const isDark = (bits >> i & 1) === 1;
    const [across, down] = [squares.length - 11 + i % 3, Math.floor(i / 3)];
    set(squares, across, down, isDark);
    set(squares, down, across, isDark);
  }
}

/**
 * The bits with those that protect them (Bose, Chaudhuri, Hocquenghem).
 *
 * @param {number} bits
 * @param {number} count of bits to add
 * @param {number} divisor
 */
function protect(bits, count, divisor) {
  let rest = bits;
  for (let i = 0; i < count; i++) {
    rest = rest << 1 ^ (rest >> count - 1) * divisor;
  }
  return bits << count | rest;
}

/**
 * Fills what is left with the data, bit by bit: in columns of two, from the right
 * to the left, the first one upwards, the next one downwards.
 *
 * @param {(boolean | undefined)[][]} squares
 * @param {number[]} bytes
 */
function drawData(squares, bytes) {
  const size = squares.length;
  let at = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    // The column of the dotted line is left out.
    if (right === 6) right--;
    const isUpwards = (right + 1 & 2) === 0;
    for (let i = 0; i < size; i++) {
      const y = isUpwards ? size - 1 - i : i;
      for (const x of [right, right - 1]) {
        if (squares[y]?.[x] !== undefined) continue;
        const isSet = ((bytes[at >> 3] ?? 0) >> 7 - at % 8 & 1) === 1;
        at++;
        // The mask.
        set(squares, x, y, isSet !== ((x + y) % 2 === 0));
      }
    }
  }
}

/**
 * What lies outside is left out.
 *
 * @param {(boolean | undefined)[][]} squares
 * @param {number} x
 * @param {number} y
 * @param {boolean} isDark
 */
function set(squares, x, y, isDark) {
  const row = squares[y];
  if (row !== undefined && x >= 0 && x < row.length) row[x] = isDark;
}
