import { element, icon } from "../../shared/element.js";

/**
 * Make a button for something that one does at once: a picture and, under it, the word.
 *
 * @param {string} name of the icon
 * @param {string} word
 * @param {import("../../shared/element.js").Attributes} attributes
 */
export function actButton(name, word, attributes) {
  const label = element("span", { class: "word" }, word);
  return element("button", { type: "button", class: "act", ...attributes }, icon(name), label);
}
