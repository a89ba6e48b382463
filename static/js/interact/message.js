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
  if (typeof value?.id !== "string" || typeof value.type !== "string") return null;
  const seq = value.seq ?? null;
  return seq === null || (Number.isSafeInteger(seq) && seq > 0) ? { ...value, seq } : null;
}
