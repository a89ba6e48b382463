/** @typedef {import("./types.js").Message} Message */

/**
 * The message in the body of a MESSAGE frame; null for what others publish to a room's topic past the
 * gateway. Pure.
 *
 * @param {string} text
 * @returns {Message | null}
 */
export function readMessage(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const message = { ...value, seq: value?.seq ?? null };
  return isMessage(message) ? message : null;
}

/** @param {any} value @returns {value is Message} */
export function isMessage(value) {
  if (typeof value?.id !== "string" || typeof value.type !== "string") return false;
  return value.seq === null || (Number.isSafeInteger(value.seq) && value.seq > 0);
}
