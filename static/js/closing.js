/** What the end of a live connection means for a client. Pure. */

/**
 * - `again`: dial again, spread
 * - `login`: a valid session is needed first
 * - `refused`: dialling again would be refused again
 * @typedef {"again" | "login" | "refused"} Remedy
 */

/** The gateway's close codes; all others mean that the connection was lost. */
const REMEDIES = /** @type {Record<number, {meaning: string, remedy: Remedy}>} */ ({
  1012: { meaning: "restarting", remedy: "again" },
  1013: { meaning: "full", remedy: "again" },
  4001: { meaning: "loggedOut", remedy: "login" },
  4003: { meaning: "refused", remedy: "refused" },
  4008: { meaning: "slow", remedy: "again" },
});

/**
 * @param {number} code of the WebSocket's close event; 1006 if none came
 * @returns {{meaning: string, remedy: Remedy}} `meaning` is a key of the words
 */
export function closing(code) {
  return REMEDIES[code] ?? { meaning: "lost", remedy: "again" };
}
