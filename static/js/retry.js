import { delay } from "./backoff.js";
import { ApiError } from "./api-error.js";

/**
 * What trying again needs from outside; `signal` ends it.
 * @typedef {object} Patience
 * @property {(milliseconds: number, signal: AbortSignal) => Promise<void>} wait
 * @property {() => number} random
 * @property {AbortSignal} signal
 */

/**
 * Run a task until it succeeds, waiting out failures that pass. Others are thrown.
 *
 * @template T
 * @param {() => Promise<T>} task
 * @param {Patience} patience
 * @param {(error: ApiError) => void} failed is told of each failure that will be waited out
 * @returns {Promise<T>}
 */
export async function untilDone(task, { wait, random, signal }, failed = () => {}) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof ApiError && error.passes)) throw error;
      failed(error);
      await wait(delay(attempt, random, error.retryAfter), signal);
    }
  }
}
