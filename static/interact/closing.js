/** What the end of a live connection means for a client. Pure. */

/**
 * - `again`: dial again, at a random moment
 * - `resume`: dial again at once
 * - `renew`: a new token or session is needed first
 * - `stop`: dialling again with the same subscriptions would be refused again
 * @typedef {"again" | "resume" | "renew" | "stop"} Remedy
 */

/** The close code of a connection that ended without a Close frame. */
export const ABNORMAL = 1006;

/** The close code with which a client comes back at once. */
export const RESUME = 4008;

/** The gateway's close codes; all others mean that the connection was lost. */
const REMEDIES = /** @type {Record<number, Remedy>} */ ({
  1012: "again",
  1013: "again",
  4001: "renew",
  4003: "stop",
  4008: "resume",
});

/**
 * @param {number} code of the WebSocket's close event; 1006 if none came
 * @returns {Remedy}
 */
export function remedy(code) {
  return REMEDIES[code] ?? "again";
}

/** Reasons of 4003 that concern the user or the page, and not one subscription. */
const FINAL = new Set(["kept_out", "kicked", "origin_refused", "credentials_differ"]);

/** Those with which an admin sends a page away: it posts nothing more, either. */
const SENT_AWAY = new Set(["kept_out", "kicked"]);

/** @param {string} reason of the ERROR frame before 4003 */
export function isSentAway(reason) {
  return SENT_AWAY.has(reason);
}

/** @param {string} reason of the ERROR frame before 4003 */
export function isFinal(reason) {
  return FINAL.has(reason);
}
