import { linksIn } from "../links.js";
import { element } from "../../shared/element.js";

/**
 * Somebody's text with its addresses as links, which open beside the page and tell nobody where they were tapped.
 *
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function withLinks(text) {
  return linksIn(text).map((piece) => {
    if (typeof piece === "string") return piece;
    const { text, href } = piece;
    return element("a", { href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, text);
  });
}
