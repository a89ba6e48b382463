/**
 * Right-to-left text within the pages' own sentences, which run from left to right. Pure.
 *
 * Elements that show nothing but somebody's text need none of this: they have `dir="auto"`.
 */

/** Scripts that are written from right to left: Hebrew, Arabic, Syriac, Thaana, N'Ko, Adlam and others. */
const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** Characters that would change the direction of what stands after the text (UAX #9, "explicit formatting"). */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/g;
const [FIRST_STRONG_ISOLATE, POP_ISOLATE] = ["\u2068", "\u2069"];

/**
 * A text by somebody, for a place within a sentence: it keeps its own direction, and nothing around it changes its.
 *
 * @param {string} text
 * @returns {string}
 */
export function isolated(text) {
  const plain = text.replace(DIRECTIONS, "");
  return FROM_THE_RIGHT.test(plain) ? FIRST_STRONG_ISOLATE + plain + POP_ISOLATE : plain;
}
