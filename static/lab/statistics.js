// @ts-check
// Percentiles, the decades of an axis, and how numbers are written. Functions of
// their arguments only.

/**
 * The nearest-rank percentile: the smallest value that at least `p` percent
 * are not above. NaN of none.
 *
 * @param {number[]} values
 * @param {number} p
 */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p / 100 * sorted.length) - 1)] ?? NaN;
}

/**
 * The powers of ten that enclose all values, and those between.
 *
 * @param {number[]} values above 0
 */
export function decades(values) {
  const low = Math.floor(Math.log10(Math.min(...values, 1)));
  const high = Math.ceil(Math.log10(Math.max(...values, 10)));
  return Array.from(
    { length: high - low + 1 },
    (_, i) => 10 ** (low + i),
  );
}

/** @param {number} ms */
export function formatMs(ms) {
  if (Number.isNaN(ms)) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${grouped(Math.round(ms))} ms`;
}

/**
 * A difference. What is less than a browser's clock shows is said to be nothing.
 *
 * @param {number} ms
 */
export function formatAdded(ms) {
  if (Math.abs(ms) < 0.1) return "+0 ms";
  return ms < 0 ? `−${formatMs(-ms)}` : `+${formatMs(ms)}`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  return bytes < 1_000
    ? `${Math.round(bytes)} B`
    : `${(bytes / 1_000).toFixed(1)} kB`;
}

/** @param {number} count */
export function grouped(count) {
  return count.toLocaleString("en");
}
