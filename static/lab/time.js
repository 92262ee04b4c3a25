// @ts-check
// Waiting, for a time or for a promise. A wait that is given up leaves no timer
// behind.

/**
 * Resolves after `ms`, at once if that is 0; rejects when `signal` aborts.
 *
 * @param {number} ms
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<void>}
 */
export function sleep(ms, signal) {
  if (ms === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(new Error("given up"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", giveUp);
      resolve();
    }, ms);
    signal?.addEventListener("abort", giveUp, { once: true });
    if (signal?.aborted) giveUp();
  });
}

/**
 * Resolves as `promise` does, unless that takes longer or `signal` aborts.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {string} words said when it takes longer
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export async function within(promise, ms, words, signal) {
  const ending = new AbortController();
  const stop = () => ending.abort();
  signal.addEventListener("abort", stop, { once: true });
  const late = sleep(ms, ending.signal).then(() => {
    throw new Error(words);
  });
  // If `late` rejects after the race, nobody has to handle that.
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    signal.removeEventListener("abort", stop);
    ending.abort();
  }
}
