/**
 * An account's roles, in the words in which a roster may name them; roles of a school's own stay as they are.
 *
 * @param {{words: Record<string, string>}} i18n
 * @param {readonly string[] | null | undefined} roles
 */
export function rolesInWords({ words }, roles) {
  return (roles ?? []).map((role) => words[`entry.role.${role}`] ?? role).join(", ") || "–";
}
