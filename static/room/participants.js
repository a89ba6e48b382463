/** @typedef {import("../interact/types.js").Role} Role */

/**
 * The participants that a text names, one a line or with commas between; each once. Pure.
 *
 * @param {string} text
 * @returns {{user: string, role: Role}[]}
 */
export function participants(text) {
  const names = text.split(/[,\n]/).map((name) => name.trim());
  return [...new Set(names)].filter(Boolean).map((user) => ({ user, role: "participant" }));
}
