/** @typedef {import("./types.js").Message} Message */

/**
 * The message in a MESSAGE frame; null if another producer published it past the gateway. Pure.
 *
 * Its number counts only if the header has it, too: the header is the gateway's, while anybody may
 * write a body that looks like a message. A false number would make the next messages look like repetitions.
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
