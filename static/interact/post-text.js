import { toJson } from "./json.js";
import { Problem } from "./problem.js";

/** @typedef {import("./types.js").Audience} Audience */

/**
 * A post as the page has given it.
 * @typedef {object} NewPost
 * @property {Audience} audience
 * @property {string} type
 * @property {unknown} body
 * @property {string} [id]
 * @property {unknown} [importance]
 * @property {string} [keep] the key under which it is the room's kept state
 * @property {string} [of] the user whose entry it is, where a host writes it
 * @property {string} [while] stored only while the room's own entry of this key stands
 */

/**
 * The JSON of a message, as it is posted: always in the same order, so that texts can be compared. Pure.
 *
 * @param {Omit<NewPost, "body"> & Record<string, unknown>} head
 * @param {string} body is JSON already
 * @returns {string}
 */
export function messageText({ id, audience, type, ...more }, body) {
  return `${toJson({ id, audience, type, ...more }).slice(0, -1)},"body":${body}}`;
}

/**
 * Check what a page has passed, with the gateway's own errors, before anything is stored. Pure.
 *
 * @param {Omit<NewPost, "body">} head
 * @throws {Problem} `invalid_request`
 */
export function refuseWrongHead({ type, importance = "guaranteed", ...keyed }) {
  if (typeof type !== "string") refuse("type: must be a text");
  if (importance !== "guaranteed") refuse(`importance: must be "guaranteed" or "instant"`);
  for (const name of /** @type {const} */ (["keep", "of", "while"])) {
    if (!["string", "undefined"].includes(typeof keyed[name])) refuse(`${name}: must be a text`);
  }
}

/** @param {string} detail @returns {never} */
function refuse(detail) {
  throw new Problem(400, "invalid_request", detail);
}
