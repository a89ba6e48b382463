/**
 * The bodies of the pages' messages, and the checks of received ones: messages.md. Pure.
 *
 * A reader returns null for a body that does not fit its type, because members may post anything.
 */

/** Choices of a poll. */
export const FEWEST_OPTIONS = 2;
export const MOST_OPTIONS = 8;
/** The bytes that one part of a kept message's body may have: a message has 16,384 with all of them. */
export const MOST_BYTES = 9_000;
/** Characters. */
export const LONGEST_LINE = 300;
export const LONGEST_TEXT = 10_000;
/** Of a question to the hosts, which is kept: in any script it fits into the bytes of a message with a key. */
export const LONGEST_QUESTION = 5_000;
/** What stands at the end of a text of which not all is shown. */
const CUT = " […]";

/** @typedef {{text: string, question: string, quote: string}} AnswerBody */

/** @param {any} body @returns {string | null} */
export function readText(body) {
  const text = body !== null && typeof body === "object" ? body.text : body;
  return isText(text, Infinity) ? cut(text) : null;
}

/** @param {any} body @returns {AnswerBody | null} */
export function readAnswer(body) {
  const { text, question, quote } = body ?? {};
  const sound = isText(text, Infinity) && isId(question) && isText(quote, Infinity);
  return sound ? { text: cut(text), question, quote: cut(quote) } : null;
}

/** As much of a text as is shown: programs write longer ones than people. @param {string} text */
function cut(text) {
  if (text.length <= LONGEST_TEXT) return text;
  // Not through the middle of a character.
  return text.slice(0, LONGEST_TEXT - CUT.length).replace(/[\ud800-\udbff]$/, "") + CUT;
}

/** The id that a body names. @param {any} body @param {string} key @returns {string | null} */
export function readReference(body, key) {
  const id = body?.[key];
  return isId(id) ? id : null;
}

/** The bytes of a value in the JSON of a stored message, which is in ASCII. @param {unknown} value */
export function bytesOf(value) {
  return JSON.stringify(value).replace(/[^ -~]/g, "\\u0000").length;
}

/** A text of one line, for a question or a choice. @param {unknown} value @returns {value is string} */
export function isLine(value) {
  return isText(value, LONGEST_LINE);
}

/** @param {unknown} value @param {number} longest @returns {value is string} */
export function isText(value, longest) {
  return typeof value === "string" && value.trim() !== "" && value.length <= longest;
}

/** @param {unknown} value @returns {value is string} */
export function isId(value) {
  return typeof value === "string" && value.length > 0 && value.length <= 64;
}
