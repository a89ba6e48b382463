/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal ends the wait; the promise is then rejected with its reason
 * @returns {Promise<void>}
 */
export function wait(milliseconds, signal) {
  return pause(milliseconds, signal, []);
}

/**
 * As {@link wait}, but over as soon as the network is back or the page is looked at again.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function nap(milliseconds, signal) {
  return pause(milliseconds, signal, ["online", "visibilitychange", "pageshow"]);
}

/** @param {number} milliseconds @param {AbortSignal} signal @param {string[]} events of the window */
function pause(milliseconds, signal, events) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const over = new AbortController();
      const end = (/** @type {() => void} */ settle) => {
        clearTimeout(timer);
        over.abort();
        settle();
      };
      const timer = setTimeout(() => end(resolve), milliseconds);
      const once = { signal: over.signal };
      for (const name of events) globalThis.addEventListener(name, () => end(resolve), once);
      signal.addEventListener("abort", () => end(() => reject(signal.reason)), once);
    })
  );
}
