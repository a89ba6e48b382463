import { delay } from "./backoff.js";
import { Problem } from "./problem.js";

/**
 * What trying again needs from outside; `signal` ends it. `nap` is as `wait`, but over as soon as the
 * network is back or the page is looked at again.
 * @typedef {object} Patience
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} nap
 * @property {() => number} random
 * @property {AbortSignal} signal
 */

/**
 * Run a task until it succeeds, waiting out failures that pass. Others are thrown.
 *
 * @template T
 * @param {() => Promise<T>} task
 * @param {Patience} patience
 * @param {(problem: Problem) => void} failed is told of each failure that will be waited out
 * @returns {Promise<T>}
 */
export async function untilDone(task, patience, failed = () => {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof Problem && error.passes)) throw error;
      failed(error);
      await pause(attempt, error.retryAfter, patience);
    }
  }
}

/**
 * Wait before the next attempt. What the server asks for is waited out whatever happens meanwhile.
 *
 * @param {number} attempt how many have failed before
 * @param {number | null} retryAfter milliseconds
 * @param {Patience} patience
 * @param {(milliseconds: number) => void} told is told how long it will be
 */
export async function pause(attempt, retryAfter, { wait, nap, random, signal }, told = () => {}) {
  const milliseconds = delay(attempt, random, retryAfter);
  told(milliseconds);
  await (retryAfter === null ? nap(milliseconds, signal) : wait(milliseconds, signal));
}
