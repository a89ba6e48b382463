import { delay } from "./backoff.js";
import { Problem } from "./problem.js";

/**
 * The means to try again; `signal` ends it. `nap` is like `wait`, but ends as soon as the
 * network is back or the page becomes visible.
 * @typedef {object} Patience
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} nap
 * @property {() => number} random
 * @property {AbortSignal} signal
 */

/**
 * Run a task until it succeeds, waiting out temporary failures. Others are thrown.
 *
 * @template T
 * @param {() => Promise<T>} task
 * @param {Patience} patience
 * @param {(problem: Problem) => void} failed is called with each failure that will be waited out
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
 * Wait before the next attempt; a wait that the server asks for is never cut short.
 *
 * @param {number} attempt how many have failed before
 * @param {number | null} retryAfter milliseconds
 * @param {Patience} patience
 * @param {(milliseconds: number) => void} told is called with the length of the wait
 */
export async function pause(attempt, retryAfter, { wait, nap, random, signal }, told = () => {}) {
  const milliseconds = delay(attempt, random, retryAfter);
  told(milliseconds);
  await (retryAfter === null ? nap(milliseconds, signal) : wait(milliseconds, signal));
}
