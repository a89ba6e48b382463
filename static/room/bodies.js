/**
 * The bodies of the pages' messages, and the checks of received ones: messages.md. Pure.
 *
 * A reader returns null for a body that does not fit its type, because members may post anything.
 */

/** Choices of a poll. */
export const FEWEST_OPTIONS = 2;
export const MOST_OPTIONS = 8;
/** Characters. */
export const LONGEST_LINE = 300;
export const LONGEST_TEXT = 10_000;

/** @typedef {{question: string, options: string[]}} PollBody */
/** @typedef {PollBody & {poll: string, totals: number[]}} ClosingBody */
/** @typedef {{poll: string, option: number}} VoteBody */
/** @typedef {{text: string, question: string, quote: string}} AnswerBody */

/** @param {any} body @returns {string | null} */
export function readText(body) {
  const text = body !== null && typeof body === "object" ? body.text : body;
  return isText(text, LONGEST_TEXT) ? text : null;
}

/** @param {any} body @returns {PollBody | null} */
export function readPoll(body) {
  const { question, options } = body ?? {};
  const sound =
    isText(question, LONGEST_LINE) &&
    Array.isArray(options) &&
    options.length >= FEWEST_OPTIONS &&
    options.length <= MOST_OPTIONS &&
    options.every((option) => isText(option, LONGEST_LINE));
  return sound ? { question, options } : null;
}

/** @param {any} body @returns {ClosingBody | null} */
export function readClosing(body) {
  const asked = readPoll(body);
  const { poll, totals } = body ?? {};
  const sound =
    asked !== null &&
    isId(poll) &&
    Array.isArray(totals) &&
    totals.length === asked.options.length &&
    totals.every(isCount);
  return sound ? { ...asked, poll, totals } : null;
}

/** @param {any} body @returns {VoteBody | null} */
export function readVote(body) {
  const { poll, option } = body ?? {};
  return isId(poll) && isCount(option) && option < MOST_OPTIONS ? { poll, option } : null;
}

/** @param {any} body @returns {AnswerBody | null} */
export function readAnswer(body) {
  const { text, question, quote } = body ?? {};
  const sound = isText(text, LONGEST_TEXT) && isId(question) && isText(quote, LONGEST_TEXT);
  return sound ? { text, question, quote } : null;
}

/** The id that a body names. @param {any} body @param {string} key @returns {string | null} */
export function readReference(body, key) {
  const id = body?.[key];
  return isId(id) ? id : null;
}

/** @param {any} body @returns {boolean | null} */
export function readHand(body) {
  return typeof body?.up === "boolean" ? body.up : null;
}

/** @param {unknown} value @param {number} longest */
function isText(value, longest) {
  return typeof value === "string" && value.trim() !== "" && value.length <= longest;
}

/** @param {unknown} value */
function isId(value) {
  return typeof value === "string" && value.length > 0 && value.length <= 64;
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
