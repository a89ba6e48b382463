/**
 * The wait before the next try. Pure.
 *
 * Full jitter over a window that doubles: clients that failed together do not come back together.
 */

const FIRST_WINDOW = 2_000;
const LARGEST_WINDOW = 30_000;
const SHORTEST = 250;
/** The longest wait that is believed when a server asks for one; timers have a limit, too (milliseconds). */
const LONGEST = 24 * 3_600_000;

/**
 * @param {number} attempt how many tries have failed since the last success, from 0
 * @param {() => number} random gives 0 ≤ x < 1
 * @param {number | null} retryAfter what the server asks for, milliseconds; never undercut
 * @returns {number} milliseconds
 */
export function delay(attempt, random, retryAfter) {
  const window = Math.min(LARGEST_WINDOW, FIRST_WINDOW * 2 ** attempt);
  return Math.min(retryAfter ?? SHORTEST, LONGEST) + random() * window;
}
