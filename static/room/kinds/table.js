import { choice } from "./choice.js";
import { cloud } from "./cloud.js";
import { ranking } from "./ranking.js";
import { scale } from "./scale.js";
import { several } from "./several.js";
import { text } from "./text.js";

/**
 * The kinds of questions, in the order in which the form offers them. A new kind is one entry here, with the word
 * `kind.<name>` in words.js.
 *
 * @type {Record<string, import("./kind.js").Kind>}
 */
export const KINDS = { choice, several, text, cloud, scale, ranking };

/** The kind of a poll that does not name one. */
export const USUAL = "choice";

/** @param {unknown} name @returns {import("./kind.js").Kind | null} null if it is of a later version */
export function kindNamed(name = USUAL) {
  return typeof name === "string" && Object.hasOwn(KINDS, name) ? KINDS[name] : null;
}
