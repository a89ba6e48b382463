import { element } from "../../shared/element.js";
import { WORDS } from "../../shared/words.js";

/** What the user names of guests begin with, and nobody else's. */
const GUEST = "guest~";

/**
 * A person as others see them: the display name, and beside it the user's name, which alone says who it is. Each
 * keeps its own direction of writing.
 *
 * @param {string} user
 * @param {string} [name]
 * @returns {HTMLElement[]}
 */
export function who(user, name) {
  if (name && user.startsWith(GUEST)) {
    return [element("bdi", {}, name), element("span", { class: "mark" }, guestWord())];
  }
  if (!name || name === user) return [element("bdi", {}, user)];
  return [element("bdi", {}, name), element("bdi", { class: "user-name" }, user)];
}

/** The same in one text, for labels. @param {string} user @param {string} [name] */
export function whoInText(user, name) {
  if (name && user.startsWith(GUEST)) return `${name} (${guestWord()})`;
  return !name || name === user ? user : `${name} (${user})`;
}

/** In the language of the page. */
function guestWord() {
  const language = /** @type {import("../../shared/i18n.js").Language} */ (document.documentElement.lang);
  return (WORDS[language] ?? WORDS.en)["role.guest"];
}
