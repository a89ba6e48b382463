import { untilDone } from "./retry.js";

/** @typedef {import("./credentials.js").Credentials} Credentials */
/** @typedef {import("./retry.js").Patience} Patience */

/** How long before the end: a part of the time that is left, but not longer than this (milliseconds). */
const PART = 0.2;
const LONGEST_MARGIN = 120_000;
/** Milliseconds between two renewals at least, whatever the clocks say, and of one wait at most. */
const SHORTEST = 5_000;
const LONGEST = 24 * 3_600_000;

/**
 * When to renew what ends then; spread, because a class logs in together. Pure.
 *
 * @param {number} left milliseconds to the end
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function renewalDelay(left, random) {
  const margin = Math.min(left * PART, LONGEST_MARGIN) * (0.5 + random() / 2);
  return Math.min(Math.max(left - margin, SHORTEST), LONGEST);
}

/**
 * Renew credentials before they end. Resolves where they do not tell their end, or cannot be renewed
 * without the user.
 *
 * @param {object} parts
 * @param {Credentials} parts.credentials
 * @param {(token: string) => void} parts.renewed
 * @param {() => number} parts.now
 * @param {Patience} parts.patience
 */
export async function renewInTime({ credentials, renewed, now, patience }) {
  const { wait, random, signal } = patience;
  if (!credentials.renewsItself) return;
  await untilDone(() => credentials.token(), patience);
  for (let endsAt; (endsAt = credentials.endsAt) !== null;) {
    const delay = renewalDelay(endsAt - now(), random);
    await wait(delay, signal);
    if (delay === LONGEST || credentials.endsAt !== endsAt) continue;
    const token = await untilDone(() => credentials.renew(), patience);
    if (token !== null) renewed(token);
  }
}
