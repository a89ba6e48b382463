/**
 * When Enter means "do it". While a syllable is being composed (한글, かな) Enter only ends the composition.
 *
 * Browsers tell it in three ways: `isComposing` (UI Events), keyCode 229 (Safari, whose last keydown of a
 * composition says that nothing is composed), or, with neither, a keydown of the moment in which the
 * composition ended.
 */

/** Milliseconds between the end of a composition and the keydown that has ended it. */
const SAME_MOMENT = 5;
/** The keyCode of a key that an input method has taken (UI Events, "legacy key attributes"). */
const PROCESSED = 229;

/** When a composition ended by a key whose keydown had not come before. */
let ended = -Infinity;
/** Whether the Enter that ends the composition came while it lasted. */
let isHeard = false;

/** @typedef {Pick<KeyboardEvent, "key" | "shiftKey" | "isComposing" | "keyCode" | "timeStamp">} Key */

/** Whether a keydown is an Enter that sends, saves or searches. @param {Key} event @returns {boolean} */
export function isCommit(event) {
  return event.key === "Enter" && !event.shiftKey && !isComposing(event);
}

/** @param {Key} event */
function isComposing({ isComposing, keyCode, timeStamp }) {
  // A key's time is that of the press, which may be before its effects.
  return isComposing || keyCode === PROCESSED || timeStamp - ended < SAME_MOMENT;
}

/** Forms are submitted by Enter only when that is a commit. @param {KeyboardEvent} event keydown in a form */
export function commitsOnly(event) {
  const isField = event.target instanceof HTMLInputElement;
  if (isField && event.key === "Enter" && !isCommit(event)) event.preventDefault();
}

/** Listen for compositions anywhere on the page. @param {EventTarget} page */
export function watchCompositions(page) {
  page.addEventListener(
    "keydown",
    (event) => {
      const key = /** @type {KeyboardEvent} */ (event);
      isHeard = key.key === "Enter" && (key.isComposing || key.keyCode === PROCESSED);
    },
    { capture: true },
  );
  page.addEventListener("keyup", () => (isHeard = false), { capture: true });
  page.addEventListener(
    "compositionend",
    ({ timeStamp }) => {
      // Chromium reports the Enter first, and then once more as an ordinary key.
      if (!isHeard) ended = timeStamp;
      isHeard = false;
    },
    { capture: true },
  );
}

if (globalThis.document) watchCompositions(document);
