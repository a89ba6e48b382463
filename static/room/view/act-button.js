import { element, icon } from "../../shared/element.js";

/**
 * Make a button for something that one does at once: a picture and, under it, the word.
 *
 * @param {string} name of the icon
 * @param {string} word
 * @param {import("../../shared/element.js").Attributes} attributes
 */
export function actButton(name, word, attributes) {
  return element("button", { type: "button", class: "act", ...attributes }, ...parts(name, word));
}

/**
 * Make a link that looks like one.
 *
 * @param {string} name of the icon
 * @param {string} word
 * @param {import("../../shared/element.js").Attributes} attributes
 */
export function actLink(name, word, attributes) {
  return element("a", { class: "button act", ...attributes }, ...parts(name, word));
}

/** @param {string} name @param {string} word */
function parts(name, word) {
  return [icon(name), element("span", { class: "word" }, word)];
}
