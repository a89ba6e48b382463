/** With more, `setTimeout` would not wait at all (HTML, "timers"). */
const LONGEST = 2 ** 31 - 1;

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal ends the wait; the promise is then rejected with its reason
 * @returns {Promise<void>}
 */
export function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const aborted = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, Math.min(milliseconds, LONGEST));
    signal.addEventListener("abort", aborted, { once: true });
  });
}
