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

/**
 * The text of a file: UTF-8 or UTF-16 with their marks, UTF-8, or CP949 as Korean Excel writes it.
 *
 * @param {ArrayBuffer} bytes
 */
export function textOf(bytes) {
  const [first, second] = new Uint8Array(bytes.slice(0, 2));
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // The Encoding Standard's euc-kr is CP949 (windows-949).
    return new TextDecoder("euc-kr").decode(bytes);
  }
}

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
