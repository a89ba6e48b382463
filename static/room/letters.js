/** The meaning of letters that are on their way. Pure. */

/** @typedef {import("../interact/types.js").Letter} Letter */

/**
 * The newest letter of a type that may still arrive.
 *
 * @param {readonly Letter[]} letters
 * @param {string} type
 * @param {(body: any) => boolean} matches
 * @returns {Letter | null}
 */
export function letterFor(letters, type, matches) {
  return (
    letters.findLast(
      (letter) => letter.type === type && letter.state !== "refused" && matches(letter.body),
    ) ?? null
  );
}

/** Types that are shown among the messages as soon as they are written. */
const SPOKEN = new Set(["message", "question", "answer"]);

/** The letters that are shown like messages, and all refused ones. @param {readonly Letter[]} letters */
export function shownLetters(letters) {
  return letters.filter((letter) => isSpoken(letter) || letter.state === "refused");
}

/** Whether it is a text that can be edited and sent again. @param {Letter} letter */
export function isSpoken({ type }) {
  return SPOKEN.has(type);
}

/** A letter's text for its author. @param {Letter} letter @returns {string} */
export function wordsOf({ type, body }) {
  if (type === "poll" || type === "poll-closed") return body.question;
  if (typeof body === "string") return body;
  return body?.text ?? "";
}
