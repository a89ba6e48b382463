/** @typedef {import("./api.js").Member} Member */

/**
 * The participants that a text names, one a line or with commas between; each once. Pure.
 *
 * @param {string} text
 * @returns {Member[]}
 */
export function participants(text) {
  const names = text.split(/[,\n]/).map((name) => name.trim());
  return [...new Set(names)].filter(Boolean).map((user) => ({ user, role: "participant" }));
}
