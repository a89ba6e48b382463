import { childOf } from "./child.js";
import { toJson } from "./json.js";
import { Problem } from "./problem.js";

/** @typedef {import("./clock.js").GatewayClock} GatewayClock */

/** Milliseconds after which a call counts as unanswered. */
export const PATIENCE = 15_000;

/**
 * Where calls go, and by which function. `cookies`: whether the browser's cookies are sent.
 * @typedef {object} Endpoint
 * @property {typeof globalThis.fetch} fetch
 * @property {string} base the gateway's address, without a slash at the end
 * @property {boolean} cookies
 * @property {GatewayClock} [clock] learns the gateway's time
 */

/** @typedef {Endpoint & {clock: GatewayClock}} TimedEndpoint */

/**
 * One call of the gateway's HTTP API. Rejects with a {@link Problem}.
 *
 * @param {Endpoint} endpoint
 * @param {string} method
 * @param {string} path
 * @param {object} what
 * @param {unknown} [what.body] is sent as JSON
 * @param {string | null} [what.text] or this, which is JSON already
 * @param {string | null} [what.token]
 * @param {string | null} [what.user] who this page is: the gateway refuses the call if it comes from
 *   somebody else
 * @param {AbortSignal} [what.signal] gives the call up as unanswered
 * @param {number} [what.patience] milliseconds after which it counts as unanswered anyway
 * @returns {Promise<any>} the JSON of the answer, undefined if it has none
 */
export async function request(endpoint, method, path, what) {
  const { body, text = null, signal, patience = PATIENCE } = what;
  const { fetch, base, cookies, clock } = endpoint;
  const content = body === undefined || body === null ? text : toJson(body);
  const headers = identifying(what);
  if (content !== null) headers["Content-Type"] = "application/json";
  const limits = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])];
  /** @type {Response} */
  let response;
  let answer;
  try {
    response = await fetch(base + path, {
      method,
      headers,
      body: content,
      credentials: cookies ? "include" : "omit",
      signal: whicheverIsFirst(limits),
    });
    answer = await response.text();
  } catch (error) {
    throw new Problem(0, "unreachable", `${error}`);
  }
  if (!response.ok) throw refusal(response, answer);
  if (response.status === 204) return undefined;
  const value = jsonIn(answer);
  expected(value, value !== undefined);
  clock?.note(response.headers.get("Date"));
  return value;
}

/**
 * Begin to read an answer that goes on and on. Rejects with a {@link Problem}.
 *
 * @param {Endpoint} endpoint
 * @param {string} path
 * @param {object} what
 * @param {string | null} [what.token]
 * @param {string | null} [what.user]
 * @param {AbortSignal} what.signal ends it
 * @returns {Promise<Response>}
 */
export async function stream({ fetch, base, cookies }, path, { signal, ...who }) {
  const giving = childOf(signal);
  const timer = AbortSignal.timeout(PATIENCE);
  const late = () => giving.abort();
  timer.addEventListener("abort", late);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(base + path, {
      headers: identifying(who),
      credentials: cookies ? "include" : "omit",
      cache: "no-store",
      signal: giving.signal,
    });
  } catch (error) {
    throw new Problem(0, "unreachable", `${error}`);
  } finally {
    timer.removeEventListener("abort", late);
  }
  if (!response.ok) throw refusal(response, await response.text().catch(() => ""));
  const type = response.headers.get("Content-Type") ?? "";
  return expected(response, type.startsWith("text/event-stream") && response.body !== null);
}

/** @param {{token?: string | null, user?: string | null}} who */
function identifying({ token, user }) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (user) headers["Interact-User"] = encodeURIComponent(user);
  return headers;
}

/**
 * Check that an answer is the gateway's: a network that wants a login first answers in everybody's place.
 *
 * @template T
 * @param {T} answer
 * @param {boolean} isRight
 * @returns {T}
 */
export function expected(answer, isRight) {
  if (isRight) return answer;
  throw new Problem(0, "unreachable", "something else than the gateway has answered");
}

/** @param {Response} response @param {string} text */
function refusal({ status, statusText, headers }, text) {
  const seconds = Number(headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : null;
  const told = jsonIn(text);
  const isOurs = headers.get("Content-Type")?.startsWith("application/problem+json");
  if (!isOurs || typeof told?.code !== "string") {
    // A proxy in front of the gateway has answered.
    return new Problem(status, "unavailable", statusText, retryAfter);
  }
  return new Problem(status, told.code, `${told.detail}`, retryAfter);
}

/** @param {string} text @returns {any} undefined if it is no JSON */
function jsonIn(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The same as `AbortSignal.any`, which is missing on phones that we support. @param {AbortSignal[]} signals */
function whicheverIsFirst(signals) {
  const first = new AbortController();
  for (const one of signals) {
    if (one.aborted) first.abort(one.reason);
    one.addEventListener("abort", () => first.abort(one.reason), { once: true });
  }
  return first.signal;
}
