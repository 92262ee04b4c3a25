// @ts-check
// How the tabs of one browser talk to each other. Unlike Web Locks and service
// workers, a BroadcastChannel exists over plain http from another machine, too.

/**
 * A channel of this name; null where the browser has none or does not allow it.
 *
 * @param {string} name
 */
export function openChannel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return null;
  }
}
