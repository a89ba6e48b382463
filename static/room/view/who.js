import { element } from "../../shared/element.js";

/**
 * A person as others see them: the display name, and beside it the user's name, which alone says who it is. Each
 * keeps its own direction of writing.
 *
 * @param {string} user
 * @param {string} [name]
 * @returns {HTMLElement[]}
 */
export function who(user, name) {
  if (!name || name === user) return [element("bdi", {}, user)];
  return [element("bdi", {}, name), element("bdi", { class: "user-name" }, user)];
}

/** The same in one text, for labels. @param {string} user @param {string} [name] */
export function whoInText(user, name) {
  return !name || name === user ? user : `${name} (${user})`;
}
