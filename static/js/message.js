/** @typedef {import("./api.js").Message} Message */

/**
 * The guaranteed message in the body of a MESSAGE frame, or null: instant ones, and what others
 * publish to the topic without the gateway, have no place in a history. Pure.
 *
 * @param {string} text
 * @returns {Message | null}
 */
export function guaranteed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return Number.isSafeInteger(value?.seq) && value.seq > 0 && typeof value.id === "string"
    ? value
    : null;
}

/** What there is to read of a message, whatever JSON its body is. @param {unknown} body */
export function readable(body) {
  return typeof body === "string" ? body : JSON.stringify(body);
}
