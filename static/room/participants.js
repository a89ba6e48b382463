/** @typedef {import("../interact/types.js").Role} Role */

/**
 * The participants named in a text, one per line or separated by commas, each once. Pure.
 *
 * @param {string} text
 * @returns {{user: string, role: Role}[]}
 */
export function participants(text) {
  const names = text.split(/[,\n]/).map((name) => name.trim());
  return [...new Set(names)].filter(Boolean).map((user) => ({ user, role: "participant" }));
}
