import { childOf } from "./child.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */

/**
 * A wait that ends early when the network is back or the page becomes visible.
 *
 * @param {Pick<Surroundings, "wait" | "onWake">} surroundings
 * @returns {Surroundings["wait"]}
 */
export function napping({ wait, onWake }) {
  return async (milliseconds, signal) => {
    const nap = childOf(signal);
    onWake(() => nap.abort(), nap.signal);
    try {
      await wait(milliseconds, nap.signal);
    } catch {
      signal.throwIfAborted();
    } finally {
      nap.abort();
    }
  };
}
