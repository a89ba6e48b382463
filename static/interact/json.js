import { Problem } from "./problem.js";

/**
 * A value as JSON text, a copy of this moment: later changes of the value do not matter. Pure.
 *
 * `JSON.stringify` leaves out what JSON cannot express, or makes it null. A message must not
 * become another one on its way, so such a value is refused.
 *
 * @param {unknown} value
 * @param {string} name of the value, for the error
 * @returns {string}
 * @throws {Problem} `not_json`
 */
export function toJson(value, name = "body") {
  let text;
  try {
    text = JSON.stringify(value, refuseWhatGetsLost);
  } catch (error) {
    throw new Problem(400, "not_json", `${name}: ${reasonOf(error)}`);
  }
  // JSON.stringify returns undefined for undefined, a function or a symbol.
  if (text === undefined) throw new Problem(400, "not_json", `${name}: must be a JSON value`);
  return text;
}

/**
 * @this {unknown} the object or array that holds the value
 * @param {string} key
 * @param {any} value after its `toJSON`
 */
function refuseWhatGetsLost(key, value) {
  const kind = typeof value;
  const isLost =
    (kind === "number" && !Number.isFinite(value)) ||
    kind === "bigint" ||
    kind === "function" ||
    kind === "symbol" ||
    (value === undefined && Array.isArray(this)) ||
    (kind === "object" && value !== null && saysNothing(value));
  if (isLost) {
    const what = kind === "number" || value === undefined ? `${value}` : kindOf(value);
    throw new TypeError(`${key === "" ? "" : `${key}: `}JSON has no ${what}`);
  }
  return value;
}

/** Whether an object of another kind (a Map, a Promise, a Blob …) would become `{}`. @param {object} value */
function saysNothing(value) {
  if (Array.isArray(value) || Object.keys(value).length > 0) return false;
  const prototype = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return !isPlain && typeof value.valueOf() === "object";
}

/** @param {any} value */
function kindOf(value) {
  return typeof value === "object" ? (value.constructor?.name ?? "such object") : typeof value;
}

/** @param {unknown} error anything that was thrown */
function reasonOf(error) {
  try {
    return error instanceof Error ? error.message : `${error}`;
  } catch {
    return "cannot be written as JSON";
  }
}
