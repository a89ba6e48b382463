import { childOf } from "./child.js";

/** @typedef {import("./browser.js").Surroundings} Surroundings */

/**
 * A wait that is over as soon as the network is back or the page is looked at again.
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
