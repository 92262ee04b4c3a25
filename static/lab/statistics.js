// @ts-check
// Percentiles, and the decades of an axis. Functions of their arguments only.

/**
 * The nearest-rank percentile: the smallest value that at least `p` percent are
 * not above. NaN if there are no values.
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
