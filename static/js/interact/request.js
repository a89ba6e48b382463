import { Problem } from "./problem.js";

/** Milliseconds after which a call counts as unanswered. */
const PATIENCE = 15_000;

/**
 * Where calls go and what carries them. `cookies`: whether the browser's go with them.
 * @typedef {object} Line
 * @property {typeof globalThis.fetch} fetch
 * @property {string} base the gateway's address, without a slash at the end
 * @property {boolean} cookies
 */

/**
 * One call of the gateway's HTTP contract. Rejects with a {@link Problem}.
 *
 * @param {Line} line
 * @param {string} method
 * @param {string} path
 * @param {{body?: object, token?: string | null}} what
 * @returns {Promise<any>} the JSON of the answer, undefined if it has none
 */
export async function request({ fetch, base, cookies }, method, path, { body, token }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  /** @type {Response} */
  let response;
  let text;
  try {
    response = await fetch(base + path, {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      credentials: cookies ? "include" : "omit",
      signal: AbortSignal.timeout(PATIENCE),
    });
    text = await response.text();
  } catch (error) {
    throw new Problem(0, "unreachable", `${error}`);
  }
  if (!response.ok) throw refusal(response, text);
  if (response.status === 204) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // A network that wants a login first answers for everybody.
    throw new Problem(0, "unreachable", "something else than the gateway has answered");
  }
}

/** @param {Response} response @param {string} text */
function refusal({ status, statusText, headers }, text) {
  const seconds = Number(headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : null;
  if (!headers.get("Content-Type")?.startsWith("application/problem+json")) {
    // Not from the gateway: a proxy before it answers for it.
    return new Problem(status, "unavailable", statusText, retryAfter);
  }
  const { code, detail } = JSON.parse(text);
  return new Problem(status, code, detail, retryAfter);
}
