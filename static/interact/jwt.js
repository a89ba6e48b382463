/**
 * A JWT's end and length (RFC 7519, `exp` and `iat`), or null if the text does not tell.
 * The gateway checks its signature. Pure.
 *
 * @param {string} token
 * @returns {{endsAt: number, lasts: number | null} | null} milliseconds since 1970, milliseconds
 */
export function lifetime(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { exp, iat } = JSON.parse(atob(payload));
    if (!Number.isFinite(exp)) return null;
    const lasts = Number.isFinite(iat) && exp > iat ? (exp - iat) * 1000 : null;
    return { endsAt: exp * 1000, lasts };
  } catch {
    return null;
  }
}
