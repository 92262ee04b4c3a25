// @ts-check
// Tells when a day ends while the page is open: once for each new day, at the
// latest a minute after it began or the computer woke up.

const LOOK_EVERY_MS = 60_000;

/**
 * Calls back on each day on which the page is still open.
 *
 * @param {() => void} callback
 */
export function onNewDay(callback) {
  let day = new Date().toDateString();

  function look() {
    const today = new Date().toDateString();
    if (today === day) return;
    day = today;
    callback();
  }

  function wait() {
    setTimeout(() => {
      look();
      wait();
    }, Math.min(LOOK_EVERY_MS, msToMidnight(new Date())));
  }

  document.addEventListener("visibilitychange", look);
  wait();
}

/** @param {Date} now */
function msToMidnight(now) {
  const midnight = new Date(now);
  midnight.setHours(24, 0, 0, 0);
  return midnight.getTime() - now.getTime();
}
