/** @typedef {import("./types.js").Message} Message */

/**
 * The message in a MESSAGE frame; null for what others publish to a room's topic past the gateway. Pure.
 *
 * Its number counts only if the header says it too: that one is the gateway's word, while anybody may
 * write a body that looks like a message. Who believed it would take the next ones for known.
 *
 * @param {{body: string, headers: {seq?: string}}} frame
 * @returns {Message | null}
 */
export function readMessage({ body, headers }) {
  let value;
  try {
    value = JSON.parse(body);
  } catch {
    return null;
  }
  const message = { ...value, seq: value?.seq ?? null };
  if (!isMessage(message)) return null;
  return message.seq === null || headers.seq === `${message.seq}` ? message : null;
}

/** @param {any} value @returns {value is Message} */
export function isMessage(value) {
  if (typeof value?.id !== "string" || typeof value.type !== "string") return false;
  return value.seq === null || (Number.isSafeInteger(value.seq) && value.seq > 0);
}
