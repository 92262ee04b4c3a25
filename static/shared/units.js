// @ts-check
// How numbers, times and the ways of connections are written. Every number
// comes with its unit.

const STEPS = ["kB", "MB", "GB", "TB"];

/**
 * For example "1.5 kB", with a space at which no line breaks.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  if (bytes < 1_000) return `${Math.round(bytes)}\u00a0B`;
  let amount = bytes;
  let unit = "";
  for (const step of STEPS) {
    if (amount < 1_000) break;
    amount /= 1_000;
    unit = step;
  }
  return `${amount.toFixed(amount < 10 ? 1 : 0)}\u00a0${unit}`;
}

/**
 * For example "1,500 bytes", where every byte counts.
 *
 * @param {number} bytes
 */
export function countBytes(bytes) {
  return `${grouped(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;
}

/**
 * For example "1 frame", "2 frames".
 *
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${grouped(count)} ${count === 1 ? noun : `${noun}s`}`;
}

/**
 * For example "1,500".
 *
 * @param {number} count
 */
export function grouped(count) {
  return count.toLocaleString("en");
}

/**
 * For example "1.5 ms" or "1,500 ms"; "–" for NaN.
 *
 * @param {number} ms
 */
export function formatMs(ms) {
  if (Number.isNaN(ms)) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${grouped(Math.round(ms))} ms`;
}

/**
 * A difference. Less than a browser's clock can show counts as nothing.
 *
 * @param {number} ms
 */
export function formatAdded(ms) {
  if (Math.abs(ms) < 0.1) return "+0 ms";
  return ms < 0 ? `−${formatMs(-ms)}` : `+${formatMs(ms)}`;
}

/** @type {Record<string, string>} */
const TRANSPORTS = { websocket: "WebSocket", sse: "SSE", poll: "long poll" };

/**
 * How a client is connected, for example "WebSocket · partyline.v1".
 *
 * @param {{ transport: string, dialect: string }} connection
 */
export function wayOf({ transport, dialect }) {
  return `${TRANSPORTS[transport]} · ${dialect}`;
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
