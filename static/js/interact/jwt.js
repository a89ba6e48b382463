/**
 * When a JWT ends (RFC 7519, `exp`), or null if the text does not tell. Its signature is the gateway's
 * to check. Pure.
 *
 * @param {string} token
 * @returns {number | null} milliseconds since 1970
 */
export function expiry(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload));
    return Number.isFinite(exp) ? exp * 1000 : null;
  } catch {
    return null;
  }
}
