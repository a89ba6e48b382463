import { untilDone } from "./retry.js";

/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./retry.js").Patience} Patience */

/** How long before the end: a part of the time that is left, but not longer than this (milliseconds). */
const PART = 0.2;
const LONGEST_MARGIN = 120_000;
/** The least milliseconds between two renewals, and the most of one wait. */
const SHORTEST = 5_000;
const LONGEST = 24 * 3_600_000;
/** The most milliseconds between two renewals while each brings one that has already ended. */
const CALMEST = 300_000;

/**
 * When to renew a token or session; spread, because a class logs in together. Pure.
 *
 * @param {number} left milliseconds to the end
 * @param {() => number} random
 * @param {number} inVain how many renewals in a row brought one that had already ended
 * @returns {number} milliseconds
 */
export function renewalDelay(left, random, inVain = 0) {
  const margin = Math.min(left * PART, LONGEST_MARGIN) * (0.5 + random() / 2);
  const shortest = Math.min(SHORTEST * 2 ** inVain, CALMEST);
  return Math.min(Math.max(left - margin, shortest), LONGEST);
}

/**
 * Renew credentials before they end. Resolves if their end is unknown, or they cannot be renewed
 * without the user.
 *
 * @param {object} parts
 * @param {Credentials} parts.credentials
 * @param {(token: string) => void} parts.renewed
 * @param {() => number} parts.elapsed milliseconds since some moment
 * @param {Patience} parts.patience
 */
export async function renewInTime({ credentials, renewed, elapsed, patience }) {
  const { nap, random, signal } = patience;
  if (!credentials.renewsItself) return;
  await untilDone(() => credentials.token(), patience);
  let inVain = 0;
  for (let term; (term = credentials.term) !== null;) {
    const due = elapsed() + renewalDelay(term.left, random, inVain);
    // A timer may have stood still while the device slept, so the time is checked again after each waking.
    for (let rest; credentials.term === term && (rest = due - elapsed()) > 0;) {
      await nap(Math.min(rest, LONGEST), signal);
    }
    if (credentials.term !== term) continue;
    if (term.left > LONGEST_MARGIN + SHORTEST) continue;
    const token = await untilDone(() => credentials.renew(), patience);
    inVain = (credentials.term?.left ?? 0) > SHORTEST ? 0 : inVain + 1;
    if (token !== null) renewed(token);
  }
}
