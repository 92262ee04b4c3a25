// @ts-check
// Writes bytes as programs such as `xxd` do: the position, the bytes in
// hexadecimal, and the same bytes as characters.

/** Few enough for a row to fit a phone. */
const BYTES_PER_ROW = 8;

/** @param {Uint8Array} bytes */
export function dumpHex(bytes) {
  const rows = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_ROW) {
    const row = [...bytes.subarray(at, at + BYTES_PER_ROW)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const position = at.toString(16).padStart(3, "0");
    const width = 3 * BYTES_PER_ROW - 1;
    rows.push(`${position}  ${hex.padEnd(width)}  ${toCharacters(row)}`);
  }
  return rows.join("\n");
}

/**
 * A dot stands for a byte that is no printable character of ASCII.
 *
 * @param {number[]} bytes
 */
function toCharacters(bytes) {
  return bytes.map((byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·"
  ).join("");
}
