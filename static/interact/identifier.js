/**
 * A random UUID (RFC 9562, version 4). `crypto.randomUUID` is missing on pages served by plain HTTP.
 *
 * @returns {string}
 */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return hyphenated(Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""));
}

/**
 * A UUID in the one form in which UUIDs are compared and sent: people and programs also write them in capitals, in
 * braces, without hyphens or as a URN. Pure.
 *
 * @param {unknown} text
 * @returns {string | null} null if it is no UUID
 */
export function canonical(text) {
  if (typeof text !== "string") return null;
  const bare = text.trim().toLowerCase().replace(/^urn:uuid:/, "").replace(/^\{(.*)\}$/, "$1");
  const isOne = /^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(bare);
  return isOne ? hyphenated(bare.replaceAll("-", "")) : null;
}

/** Whether two texts name the same message. @param {string} one @param {string} other */
export function isSameId(one, other) {
  return one === other || (canonical(one) ?? one) === canonical(other);
}

/** @param {string} hex */
function hyphenated(hex) {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
