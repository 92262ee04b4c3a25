// @ts-check
// Owns how numbers and times are written. It never touches the page.
// Invariant: functions of their arguments only; a number comes with its unit.

const STEPS = ["kB", "MB", "GB", "TB"];

/** @param {number} bytes */
export function formatBytes(bytes) {
  if (bytes < 1_000) return `${bytes} B`;
  let amount = bytes;
  let unit = "";
  for (const step of STEPS) {
    if (amount < 1_000) break;
    amount /= 1_000;
    unit = step;
  }
  return `${amount.toFixed(amount < 10 ? 1 : 0)} ${unit}`;
}

/**
 * To the byte, for where bytes are counted.
 *
 * @param {number} bytes
 */
export function countBytes(bytes) {
  return `${bytes.toLocaleString("en")} ${bytes === 1 ? "byte" : "bytes"}`;
}

/**
 * The time of day, to the millisecond.
 *
 * @param {number} atMs since 1970
 */
export function formatTime(atMs) {
  const date = new Date(atMs);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${time.join(":")}.${ms}`;
}
