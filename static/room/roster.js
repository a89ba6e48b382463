/** Lists of people as files and as the gateway has checked them. Pure. */

/**
 * One line of a list that the gateway has checked; `why`: what is wrong with it.
 * @typedef {object} Entry
 * @property {number} line
 * @property {string} written
 * @property {"new" | "unknown" | "blanks" | "member" | "twice" | "wrong"} state
 * @property {string} [user]
 * @property {string} [name]
 * @property {import("../interact/types.js").Role} role
 * @property {string} [why]
 */

/** States of people who can be added, though nobody can log in under their names yet. */
const DOUBTFUL = ["unknown", "blanks"];

/** Those who would be added. @param {readonly Entry[]} entries @param {boolean} doubtful whether also those without an account */
export function addable(entries, doubtful) {
  return entries.filter(({ state }) => state === "new" || (doubtful && DOUBTFUL.includes(state)));
}

/** Whether somebody has to look before it is done. @param {readonly Entry[]} entries */
export function needsLook(entries) {
  return entries.some(({ state }) => state !== "new");
}

/** @param {readonly Entry[]} entries */
export function hasDoubtful(entries) {
  return entries.some(({ state }) => DOUBTFUL.includes(state));
}
