import { element } from "../../shared/element.js";

/**
 * A button for what cannot be undone: the first press asks, the second one does it.
 *
 * @param {import("../../shared/i18n.js").I18n} i18n
 * @param {string} words
 * @param {() => void} act
 * @param {import("../../shared/element.js").Attributes} attributes
 */
export function sureButton(i18n, words, act, attributes = {}) {
  let isAsked = false;
  const label = `${attributes["aria-label"] ?? words}`;
  const show = (/** @type {boolean} */ now) => {
    isAsked = now;
    button.textContent = isAsked ? i18n.say("sure") : words;
    button.setAttribute("aria-label", isAsked ? `${label}: ${i18n.say("sure")}` : label);
    button.classList.toggle("sure", isAsked);
  };
  const button = element(
    "button",
    {
      ...{ type: "button", ...attributes },
      blur: () => show(false),
      click: () => {
        const isSure = isAsked;
        show(!isSure);
        if (isSure) act();
      },
    },
    words,
  );
  return button;
}
